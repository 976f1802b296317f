"""Acts on sync runs over REST, and the settings of how a server is read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now
from django_q.models import OrmQ

from accounts import tenancy
from accounts.models import AuditEvent, Organization, User
from accounts.roles import MAY, Permission, Role
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.servers import save_server
from tests.callers import Caller, calling
from tests.conftest import member
from tests.mlflow_sync.test_admin_runs import CONFIRMERS, DOUBT
from tests.rows import a_sync, days

NEW = {"name": "Another", "url": "http://127.0.0.1:1/ml/"}
DEFAULTS = {
    "reread_within": 24,
    "concurrency": 4,
    "request_budget": None,
    "vanish_percent": 20,
    "vanish_always": 10,
    "hash_files": True,
    "hash_limit": 2048,
    "rehash_days": 30,
}
OTHERS = {
    "reread_within": 6,
    "concurrency": 2,
    "request_budget": 90,
    "vanish_percent": 50,
    "vanish_always": 0,
    "hash_files": False,
    "hash_limit": 512,
    "rehash_days": 7,
}


@pytest.fixture
def server(acme: Organization) -> TrackingServer:
    with tenancy.acting_for(acme):
        return save_server(TrackingServer(url="http://127.0.0.1:1"), name="Production")


@pytest.fixture
def alices(alice: User) -> Caller:
    return calling(alice)


@pytest.fixture
def queued(acme: Organization, server: TrackingServer) -> SyncRun:
    with tenancy.acting_for(acme):
        return a_sync(
            server, status="queued", queued_at=now(), started_at=None, finished_at=None
        )


@pytest.fixture
def doubted(acme: Organization, server: TrackingServer) -> SyncRun:
    with tenancy.acting_for(acme):
        return a_sync(
            server, status="failed", error=DOUBT, error_kind="vanished", vanished=30
        )


# Cancelling


@pytest.mark.parametrize("role", Role)
def test_who_may_sync_may_cancel(
    acme: Organization, queued: SyncRun, role: Role
) -> None:
    caller = calling(member(acme, "Somebody", role))
    may = role in MAY[Permission.SYNC]

    status, told = caller.post(f"sync-runs/{queued.pk}/cancel/")

    assert status == (200 if may else 403)
    with tenancy.acting_for(acme):
        assert SyncRun.objects.active().exists() is not may
        assert AuditEvent.objects.filter(action="sync.cancelled").exists() is may
    if may:
        assert (told["id"], told["status"]) == (queued.pk, "cancelled")
        assert (told["error"], told["error_kind"]) == (
            "Cancelled by Somebody.",
            "cancelled",
        )
        assert told["finished_at"]


def test_what_is_over_is_not_cancelled(alices: Caller, queued: SyncRun) -> None:
    path = f"sync-runs/{queued.pk}/cancel/"
    assert alices.post(path)[0] == 200

    status, problem = alices.post(path)

    assert status == 400
    assert "This sync is over already." in str(problem)


# Confirming what is gone


def test_a_doubt_tells_how_much_is_gone(alices: Caller, doubted: SyncRun) -> None:
    _, told = alices.get(f"sync-runs/{doubted.pk}/")

    assert (told["error_kind"], told["vanished"]) == ("vanished", 30)
    assert told["error"] == DOUBT


@pytest.mark.parametrize("role", Role)
def test_only_administrators_and_compliance_officers_confirm_what_is_gone(
    acme: Organization, doubted: SyncRun, role: Role
) -> None:
    caller = calling(member(acme, "Somebody", role))
    may = role in CONFIRMERS

    status, told = caller.post(f"sync-runs/{doubted.pk}/confirm-absence/")

    assert status == (202 if may else 403)
    with tenancy.acting_for(acme):
        confirmed = AuditEvent.objects.filter(action="sync.absence_confirmed")
        assert confirmed.exists() is may
        assert SyncRun.objects.active().exists() is may
    assert OrmQ.objects.exists() is may
    if may:
        assert (told["status"], told["trigger"]) == ("queued", "api")
        assert told["accepted_absence"] == 30
        assert told["id"] != doubted.pk


def test_the_sync_that_follows_is_where_the_answer_says(
    alices: Caller, doubted: SyncRun
) -> None:
    answer = alices.client.post(f"/api/sync-runs/{doubted.pk}/confirm-absence/")

    assert answer.status_code == 202
    assert alices.client.get(answer["Location"]).json()["id"] == answer.json()["id"]


def test_a_confirmation_while_a_sync_is_under_way_is_a_conflict(
    alices: Caller, doubted: SyncRun, queued: SyncRun
) -> None:
    status, problem = alices.post(f"sync-runs/{doubted.pk}/confirm-absence/")

    assert status == 409
    assert problem["detail"].startswith("A sync of Production is queued already")


def test_a_doubt_that_is_out_of_date_is_not_confirmed(
    alices: Caller, acme: Organization, doubted: SyncRun
) -> None:
    with tenancy.acting_for(acme):
        later = a_sync(doubted.server, queued_at=days(5), finished_at=days(6))

    for run, sentence in (
        (doubted, "A later sync has read the registry: look at that one."),
        (later, "This sync did not find that too much disappeared."),
    ):
        status, problem = alices.post(f"sync-runs/{run.pk}/confirm-absence/")
        assert status == 400
        assert sentence in str(problem)
    assert not OrmQ.objects.exists()


@pytest.mark.parametrize("act", ["cancel", "confirm-absence"])
def test_bob_of_another_organization_acts_on_nothing(
    bob: User, queued: SyncRun, doubted: SyncRun, act: str
) -> None:
    for run in (queued, doubted):
        assert calling(bob).post(f"sync-runs/{run.pk}/{act}/")[0] == 404


# The pause


def test_a_pause_is_told_and_a_sync_does_not_wait(
    alices: Caller, acme: Organization, server: TrackingServer
) -> None:
    own = f"tracking-servers/{server.pk}/"
    until = now() + timedelta(minutes=30)
    with tenancy.acting_for(acme):
        TrackingServer.objects.update(failures_in_row=4, paused_until=until)

    _, told = alices.get(own)

    assert told["failures_in_row"] == 4
    assert told["paused_until"] is not None
    _, after = alices.patch(own, {"failures_in_row": 0, "paused_until": None})
    assert after["paused_until"] == told["paused_until"]  # only a sync ends it
    assert alices.post(f"{own}sync/")[0] == 202


# The settings


def test_settings_have_defaults_and_can_be_changed(
    acme: Organization, alices: Caller
) -> None:
    _, added = alices.post("tracking-servers/", NEW)
    assert added.items() >= DEFAULTS.items()

    status, told = alices.patch(f"tracking-servers/{added['id']}/", OTHERS)

    assert status == 200
    assert told.items() >= OTHERS.items()
    with tenancy.acting_for(acme):
        entry = AuditEvent.objects.get(action="tracking_server.changed")
    assert entry.changes.keys() >= OTHERS.keys()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("reread_within", 0, "greater than or equal to 1"),
        ("reread_within", 1001, "less than or equal to 1000"),
        ("concurrency", 0, "greater than or equal to 1"),
        ("concurrency", 17, "less than or equal to 16"),
        ("concurrency", None, "may not be null"),
        ("request_budget", 0, "greater than or equal to 1"),
        ("request_budget", "many", "valid integer"),
        ("request_budget", 99_999_999_999, "less than or equal to 2147483647"),
        ("vanish_percent", 101, "less than or equal to 100"),
        ("vanish_percent", -1, "greater than or equal to 0"),
        ("vanish_always", -1, "greater than or equal to 0"),
        ("hash_files", "perhaps", "valid boolean"),
        ("hash_limit", 1_048_577, "less than or equal to 1048576"),
        ("rehash_days", 0, "greater than or equal to 1"),
    ],
)
def test_a_setting_that_is_wrong_is_named(
    alices: Caller, field: str, value: Any, sentence: str
) -> None:
    status, problem = alices.post("tracking-servers/", {**NEW, field: value})

    assert status == 400
    (error,) = problem["errors"]
    assert error["field"] == field
    assert sentence in error["detail"]
    assert alices.results("tracking-servers/") == []
