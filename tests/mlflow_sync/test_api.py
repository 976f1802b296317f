"""Tracking servers and sync runs over REST."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django_q.models import OrmQ

from accounts import tenancy
from accounts.models import AuditEvent, Organization, User
from mlflow_sync.models import (
    SyncFailure,
    SyncRun,
    TrackingServer,
    TrackingServerSecret,
)
from mlflow_sync.servers import Credentials, save_server
from tests.callers import Caller, calling
from tests.conftest import signed_in
from tests.rows import a_sync, days
from tests.servers import MlflowServer

LISTS = ("tracking-servers/", "sync-runs/")
GIVEN = {
    "username": "nina",
    "password": " pässword-1 ",
    "token": "t0ken-2",
    "headers": {"X-Api-Key": "k3y-3"},
}
SECRETS = ("nina", "pässword-1", "p\\u00e4ssword-1", "t0ken-2", "k3y-3")
NEW = {"name": "Production", "url": "http://127.0.0.1:1/ml/", "auth_method": "basic"}


@pytest.fixture
def server(acme: Organization) -> TrackingServer:
    with tenancy.acting_for(acme):
        return save_server(
            TrackingServer(url="http://127.0.0.1:1", auth_method="basic"),
            name="Production",
            credentials=Credentials(**GIVEN),
        )


@pytest.fixture
def alices(alice: User) -> Caller:
    return calling(alice)


# Who may what


@pytest.mark.parametrize("path", LISTS)
def test_charlie_without_membership_sees_nothing(path: str, charlie: User) -> None:
    assert calling(charlie).get(path)[0] == 403


def test_bob_of_another_organization_reaches_nothing(
    acme: Organization, bob: User, server: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        run = a_sync(server)
    bobs = calling(bob)

    for path in LISTS:
        assert bobs.results(path) == []
    assert bobs.get(f"sync-runs/{run.pk}/")[0] == 404
    assert bobs.get(f"sync-runs/{run.pk}/failures/")[0] == 404
    own = f"tracking-servers/{server.pk}/"
    assert bobs.get(own)[0] == 404
    assert bobs.patch(own, {"url": "http://127.0.0.1:2"})[0] == 404
    assert bobs.delete(own)[0] == 404
    assert bobs.post(f"{own}test/")[0] == 404
    assert bobs.post(f"{own}sync/")[0] == 404


@pytest.mark.parametrize(
    ("who", "manages", "syncs"),
    [
        ("alice", True, True),
        ("olga", False, True),
        ("max_", False, True),
        ("audrey", False, False),
    ],
)
def test_the_role_decides_who_manages_and_who_syncs(
    who: str,
    manages: bool,
    syncs: bool,
    server: TrackingServer,
    request: pytest.FixtureRequest,
) -> None:
    caller = calling(request.getfixturevalue(who))
    own = f"tracking-servers/{server.pk}/"

    assert caller.get(own)[0] == 200
    assert caller.post(f"{own}sync/")[0] == (202 if syncs else 403)
    assert caller.post(f"{own}test/")[0] == (200 if syncs else 403)
    assert caller.patch(own, {"read_timeout": 30})[0] == (200 if manages else 403)
    added = {**NEW, "name": "Another", "auth_method": "none"}
    assert caller.post("tracking-servers/", added)[0] == (201 if manages else 403)
    assert caller.delete(own)[0] == (204 if manages else 403)


def test_a_refused_act_is_explained_and_on_the_trail(
    acme: Organization, audrey: User, server: TrackingServer
) -> None:
    status, problem = calling(audrey).post(f"tracking-servers/{server.pk}/sync/")

    assert status == 403
    assert "“Start a sync”" in problem["detail"]
    with tenancy.acting_for(acme):
        assert not SyncRun.objects.exists()
        refused = AuditEvent.objects.filter(action="act.refused").get()
    assert refused.actor == audrey


# Saving


def test_a_new_server_is_stored_and_told_without_its_credentials(
    acme: Organization, alice: User
) -> None:
    response = signed_in(alice).post(
        "/api/tracking-servers/", {**NEW, **GIVEN}, "application/json"
    )

    assert response.status_code == 201
    told = response.json()
    assert response["Location"].endswith(f"/api/tracking-servers/{told['id']}/")
    assert told["name"] == "Production"
    assert told["url"] == "http://127.0.0.1:1/ml"
    assert told["credentials_set"] == ["username", "password", "token", "headers"]
    assert told["last_sync"] is told["last_synced_at"] is None
    with tenancy.acting_for(acme):
        secret = TrackingServerSecret.objects.get(server=told["id"])
        assert AuditEvent.objects.filter(action="tracking_server.added").exists()
    assert secret.password == " pässword-1 "
    assert secret.header_values() == {"X-Api-Key": "k3y-3"}


def test_no_answer_holds_a_credential(alice: User, server: TrackingServer) -> None:
    client: Client = signed_in(alice)
    own = f"/api/tracking-servers/{server.pk}/"
    answers = [
        client.get("/api/tracking-servers/"),
        client.get(own),
        client.patch(own, {"read_timeout": 20}, "application/json"),
        client.patch(own, {"auth_method": "kerberos", **GIVEN}, "application/json"),
        client.patch(own, {"url": "nonsense", **GIVEN}, "application/json"),
        client.patch(own, {"headers": {"k3y-3": ["t0ken-2"]}}, "application/json"),
        client.post(f"{own}test/"),
        client.post(f"{own}sync/"),
        client.get("/api/sync-runs/"),
        client.get("/api/audit-events/"),
        client.get("/api/schema/"),
    ]

    assert [answer.status_code for answer in answers[:5]] == [200, 200, 200, 400, 400]
    for answer in (*answers[:5], *answers[6:]):
        for secret in SECRETS:
            assert secret not in answer.content.decode(), (answer.request, secret)


def test_a_credential_left_out_stays_and_an_empty_one_is_forgotten(
    alices: Caller, acme: Organization, server: TrackingServer
) -> None:
    own = f"tracking-servers/{server.pk}/"

    _, told = alices.patch(own, {"token": "", "headers": {}})

    assert told["credentials_set"] == ["username", "password"]
    _, told = alices.patch(own, {"password": "new"})
    assert told["credentials_set"] == ["username", "password"]
    with tenancy.acting_for(acme):
        assert TrackingServerSecret.objects.get(server=server).password == "new"


def test_another_url_forgets_the_credentials_of_the_old_one(
    alices: Caller, server: TrackingServer
) -> None:
    status, told = alices.patch(
        f"tracking-servers/{server.pk}/",
        {"url": "http://127.0.0.1:2", "auth_method": "none"},
    )

    assert (status, told["credentials_set"]) == (200, [])


def test_a_secret_that_no_key_opens_spoils_no_list(
    alices: Caller, acme: Organization, server: TrackingServer
) -> None:
    with tenancy.acting_for(acme), connection.cursor() as cursor:
        cursor.execute("UPDATE mlflow_sync_trackingserversecret SET token = 'gAAAA'")

    (told,) = alices.results("tracking-servers/")

    assert told["credentials_set"] is None


@pytest.mark.parametrize(
    ("body", "field", "sentence"),
    [
        ({"name": ""}, "name", "blank"),
        ({"url": "ftp://x.example.org"}, "url", "http://"),
        ({"url": "https://nina:pw@x.example.org"}, "url", "they have fields"),
        ({"auth_method": "kerberos"}, "auth_method", "not a valid choice"),
        ({"read_timeout": 0}, "read_timeout", "greater than or equal to 1"),
        ({"verify_tls": "perhaps"}, "verify_tls", "valid boolean"),
        ({"headers": {"X-Key": ["a"]}}, "headers.X-Key", "Not a valid string"),
        ({"pasword": "secret"}, "pasword", "no such field"),
    ],
)
def test_a_wrong_field_is_named(
    body: dict[str, Any], field: str, sentence: str, alices: Caller
) -> None:
    status, problem = alices.post("tracking-servers/", {**NEW, **body})

    assert status == 400
    (error,) = problem["errors"]
    assert error["field"] == field
    assert sentence in error["detail"]
    assert alices.results("tracking-servers/") == []


def test_a_missing_field_is_named(alices: Caller) -> None:
    _, problem = alices.post("tracking-servers/", {"name": "Production"})

    assert [error["field"] for error in problem["errors"]] == ["url"]


def test_a_name_that_is_taken_is_refused(
    alices: Caller, server: TrackingServer
) -> None:
    status, problem = alices.post("tracking-servers/", NEW)

    assert status == 400
    assert problem["errors"] == [
        {"field": "name", "detail": "There is a source of this name already."}
    ]


def test_a_removed_server_is_gone_and_its_models_stay(
    alices: Caller, acme: Organization, server: TrackingServer
) -> None:
    own = f"tracking-servers/{server.pk}/"

    assert alices.delete(own) == (204, None)

    assert alices.get(own)[0] == 404
    assert alices.results("tracking-servers/") == []
    assert [source["name"] for source in alices.results("sources/")] == ["Production"]


# Testing and syncing


def test_a_test_that_fails_is_an_answer(alices: Caller, server: TrackingServer) -> None:
    status, told = alices.post(f"tracking-servers/{server.pk}/test/")

    assert status == 200
    assert told["passed"] is False
    assert told["kind"] == "refused"
    _, stored = alices.get(f"tracking-servers/{server.pk}/")
    assert stored["last_test_passed"] is False
    assert stored["last_test_message"] == told["message"]


def test_a_test_that_passes_says_which_mlflow_it_reached(
    alices: Caller, mlflow_server: MlflowServer
) -> None:
    _, added = alices.post(
        "tracking-servers/", {"name": "Real", "url": mlflow_server.url}
    )

    status, told = alices.post(f"tracking-servers/{added['id']}/test/")

    assert (status, told["passed"]) == (200, True)
    assert told["mlflow_version"].startswith("3.")


def test_a_sync_is_queued_and_says_where_it_can_be_watched(
    alice: User, server: TrackingServer
) -> None:
    client = signed_in(alice)

    response = client.post(
        f"/api/tracking-servers/{server.pk}/sync/",
        {"is_full": True},
        "application/json",
    )

    assert response.status_code == 202
    run = response.json()
    assert (run["status"], run["trigger"], run["is_full"]) == ("queued", "api", True)
    assert run["requested_by"]["name"] == "Alice"
    assert client.get(response["Location"]).json()["id"] == run["id"]
    assert OrmQ.objects.count() == 1


def test_a_second_sync_is_a_conflict(alices: Caller, server: TrackingServer) -> None:
    path = f"tracking-servers/{server.pk}/sync/"
    assert alices.post(path)[0] == 202

    status, problem = alices.post(path)

    assert status == 409
    assert problem["title"] == "Conflict"
    assert problem["detail"] == (
        "A sync of Production is queued already; it was not started twice."
    )
    assert len(alices.results("sync-runs/")) == 1


def test_a_sync_takes_no_other_wishes_than_its_own(
    alices: Caller, server: TrackingServer
) -> None:
    status, problem = alices.post(
        f"tracking-servers/{server.pk}/sync/", {"is_full": "perhaps"}
    )

    assert status == 400
    assert [error["field"] for error in problem["errors"]] == ["is_full"]


# Sync runs


@pytest.fixture
def run(in_acme: tenancy.Acting, server: TrackingServer) -> SyncRun:
    run = a_sync(
        server,
        status=SyncRun.Status.PARTIAL,
        counts={"versions": 5, "created": 2},
        source_uri="http://127.0.0.1:1",
        credential_fingerprint="abc",
        seconds=9,
    )
    SyncFailure.objects.bulk_create(
        SyncFailure(
            sync_run=run,
            model_name="credit",
            version_number=number,
            section="run",
            reason="The run was deleted.",
        )
        for number in range(103)
    )
    return run


def test_a_sync_run_tells_what_it_read_and_what_it_could_not(
    alices: Caller, run: SyncRun
) -> None:
    status, told = alices.get(f"sync-runs/{run.pk}/")

    assert status == 200
    assert told["server"] == {"id": run.server_id, "name": "Production"}
    assert told["counts"]["versions"] == 5
    assert told["counts"]["absent"] == 0
    assert told["failure_count"] == 103
    assert len(told["failures"]) == 100
    assert told["failures"][0] == {
        "id": told["failures"][0]["id"],
        "model_name": "credit",
        "version_number": 0,
        "section": "run",
        "reason": "The run was deleted.",
    }
    _, page = alices.get(f"sync-runs/{run.pk}/failures/", page_size=50, page=3)
    assert (page["count"], len(page["results"])) == (103, 3)


def test_a_server_tells_its_last_sync_and_the_last_that_read_it(
    alices: Caller, in_acme: tenancy.Acting, server: TrackingServer, run: SyncRun
) -> None:
    failed = a_sync(
        server, status=SyncRun.Status.FAILED, queued_at=days(4), finished_at=days(4)
    )

    (told,) = alices.results("tracking-servers/")

    assert told["last_sync"] == {"id": failed.pk, "status": "failed"}
    assert told["last_synced_at"] == "2026-01-04T00:00:09Z"


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, ["failed", "partial", "succeeded"]),
        ({"ordering": "queued_at"}, ["succeeded", "partial", "failed"]),
        ({"ordering": "-seconds"}, ["succeeded", "failed", "partial"]),
        ({"status": ["failed", "partial"]}, ["failed", "partial"]),
        ({"trigger": "api"}, ["partial"]),
        ({"search": "refused"}, ["failed"]),
        ({"queued_since": "2026-01-03T00:00:00Z"}, ["failed", "partial"]),
    ],
)
def test_sync_runs_are_filtered_searched_and_ordered(
    alices: Caller,
    in_acme: tenancy.Acting,
    server: TrackingServer,
    parameters: dict[str, Any],
    found: list[str],
) -> None:
    a_sync(server, queued_at=days(1), seconds=20)
    a_sync(server, queued_at=days(2), status="partial", trigger="api", seconds=1)
    a_sync(server, queued_at=days(3), status="failed", error="Refused.", seconds=5)

    runs = alices.results("sync-runs/", **parameters)

    assert [run["status"] for run in runs] == found


@pytest.mark.parametrize("path", LISTS)
def test_a_list_of_sixty_costs_no_more_than_one_of_three(
    path: str, alices: Caller, in_acme: tenancy.Acting
) -> None:
    def add(first: int, last: int) -> None:
        for number in range(first, last):
            a_sync(
                save_server(TrackingServer(url="http://127.0.0.1:1"), name=f"{number}")
            )

    add(0, 3)
    few = alices.queries(path, page_size=100)
    add(3, 60)

    assert alices.queries(path, page_size=100) == few
    assert len(alices.results(path, page_size=100)) == 60
