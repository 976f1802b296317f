"""The console's pages of tracking servers and sync runs, role by role."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.utils.timezone import now
from django_q.models import OrmQ

from accounts import tenancy
from accounts.models import AuditEvent, Organization, User
from accounts.roles import MAY, Permission, Role
from inventory.models import Source
from mlflow_sync.models import SyncFailure, SyncRun, TrackingServer
from mlflow_sync.servers import Credentials, save_server
from tests.conftest import member
from tests.pages import MOST_QUERIES, Visitor
from tests.rows import a_model, a_server, a_source, a_sync, days

pytestmark = pytest.mark.django_db

SERVERS = "mlflow_sync/trackingserver/"
RUNS = "mlflow_sync/syncrun/"
NASTY = "<script>alert('x')</script>"
FILLED = {
    "name": "Research",
    "url": "http://127.0.0.1:1/mlflow",
    "auth_method": "none",
    "username": "",
    "password": "",
    "token": "",
    "headers": "",
    "workspace": "",
    "verify_tls": "on",
    "ca_bundle": "",
    "connect_timeout": "10",
    "read_timeout": "60",
    "read_artifacts": "on",
    "is_enabled": "on",
    "reread_within": "24",
    "concurrency": "4",
    "request_budget": "",
    "vanish_percent": "20",
    "vanish_always": "10",
    "hash_files": "on",
    "hash_limit": "2048",
    "rehash_days": "30",
}


@pytest.fixture
def research(acme: Organization) -> TrackingServer:
    """A server that nothing listens at."""
    with tenancy.acting_for(acme):
        return save_server(
            TrackingServer(url="http://127.0.0.1:1", auth_method="basic"),
            name="Research",
            credentials=Credentials(
                username="reader", password="hush-hush", headers={"X-Key": "s3cret"}
            ),
        )


def active_run(organization: Organization) -> SyncRun:
    with tenancy.acting_for(organization):
        return SyncRun.objects.select_related("server__source").active().get()


# The list


def test_a_server_is_one_row(
    acme: Organization, olga: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        TrackingServer.objects.update(
            last_test_passed=True, last_tested_at=now(), mlflow_version="3.17.2"
        )
        a_sync(research, status=SyncRun.Status.PARTIAL, queued_at=now())
        a_model(research.source)

    assert Visitor(olga).rows(SERVERS) == [
        "Research http://127.0.0.1:1 Reachable just now Partial just now 1 3.17.2 "
        "by itself Sync now"
    ]


def test_what_is_new_is_neither_reachable_nor_synced(
    olga: User, research: TrackingServer
) -> None:
    (row,) = Visitor(olga).rows(SERVERS)

    assert "Not tested" in row
    assert "never" in row


def test_removed_servers_are_shown_when_asked_for(
    acme: Organization, olga: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        TrackingServer.objects.update(removed_at=now())

    assert Visitor(olga).rows(SERVERS) == []
    (row,) = Visitor(olga).rows(SERVERS, use="removed")
    assert "Removed" in row
    assert "Sync now" not in row


# Acts


@pytest.mark.parametrize("role", Role)
def test_sync_now_is_offered_to_those_who_may(
    acme: Organization, research: TrackingServer, role: Role
) -> None:
    visitor = Visitor(member(acme, "Somebody", role))
    may = role in MAY[Permission.SYNC]

    for path in (SERVERS, f"{SERVERS}{research.pk}/change/"):
        assert ("Sync now" in visitor.page(path)) is may
    for act in ("sync", "test"):
        answer = visitor.post(f"{SERVERS}{research.pk}/{act}/")
        assert answer.status_code == (302 if may else 403)
    visitor.post(SERVERS, action="sync_selected", _selected_action=[research.pk])

    with tenancy.acting_for(acme):
        assert SyncRun.objects.exists() is may
        assert AuditEvent.objects.filter(action="sync.requested").exists() is may


def test_sync_now_leads_to_the_run_and_puts_it_onto_the_queue(
    acme: Organization, olga: User, research: TrackingServer
) -> None:
    answer = Visitor(olga).post(f"{SERVERS}{research.pk}/sync/")

    run = active_run(acme)
    assert answer["Location"] == run.get_absolute_url()
    assert run.trigger == SyncRun.Trigger.MANUAL
    assert run.requested_by == olga
    assert OrmQ.objects.count() == 1


def test_a_second_sync_is_not_started_and_says_so(
    acme: Organization, olga: User, research: TrackingServer
) -> None:
    visitor, path = Visitor(olga), f"/console/{SERVERS}{research.pk}/sync/"
    visitor.client.post(path)
    answer = visitor.client.post(path, follow=True)

    run = active_run(acme)
    assert answer.redirect_chain == [(run.get_absolute_url(), 302)]
    assert (
        "A sync of Research is queued already; it was not started twice."
        in answer.content.decode()
    )


def test_several_servers_are_synced_at_once(
    acme: Organization, olga: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        other = a_server(a_source("Other"))
        a_sync(other, status=SyncRun.Status.QUEUED, queued_at=now(), finished_at=None)

    answer = Visitor(olga).client.post(
        f"/console/{SERVERS}",
        {"action": "sync_selected", "_selected_action": [research.pk, other.pk]},
        follow=True,
    )

    page = answer.content.decode()
    assert "Started to sync Research." in page
    assert "A sync of Other is queued already" in page
    with tenancy.acting_for(acme):
        assert SyncRun.objects.active().count() == 2


@pytest.mark.parametrize("act", ["sync", "test"])
def test_acts_need_a_form(olga: User, research: TrackingServer, act: str) -> None:
    Visitor(olga).page(f"{SERVERS}{research.pk}/{act}/", answers=405)


@pytest.mark.parametrize("act", ["sync", "test", "delete"])
def test_acts_on_servers_of_others_find_none(
    bob: User, research: TrackingServer, act: str
) -> None:
    answer = Visitor(bob).post(f"{SERVERS}{research.pk}/{act}/")

    assert answer.status_code in (302, 404)
    assert Visitor(bob).rows(SERVERS) == []


def test_a_failed_test_says_what_failed(olga: User, research: TrackingServer) -> None:
    visitor = Visitor(olga)
    visitor.post(f"{SERVERS}{research.pk}/test/")

    text = visitor.text(f"{SERVERS}{research.pk}/change/")
    assert "Not reachable" in text
    assert "refused" in text.lower()


def test_a_passed_test_says_what_was_reached(
    olga: User, server: TrackingServer
) -> None:
    visitor = Visitor(olga)
    visitor.post(f"{SERVERS}{server.pk}/test/")

    text = visitor.text(f"{SERVERS}{server.pk}/change/")
    assert "Reachable" in text
    assert re.search(r"MLflow \d+\.\d+", text)


# The form


@pytest.mark.parametrize("role", Role)
def test_settings_are_open_to_those_who_manage_servers(
    acme: Organization, research: TrackingServer, role: Role
) -> None:
    visitor = Visitor(member(acme, "Somebody", role))
    may = role in MAY[Permission.MANAGE_SERVERS]

    page = visitor.page(f"{SERVERS}{research.pk}/change/")
    assert ("?settings" in page) is may
    assert ("/delete/" in page) is may
    if may:
        assert 'name="url"' in visitor.page(
            f"{SERVERS}{research.pk}/change/", settings=""
        )
        return
    assert 'name="url"' not in visitor.page(
        f"{SERVERS}{research.pk}/change/", settings=""
    )
    visitor.page(f"{SERVERS}add/", answers=403)
    visitor.page(f"{SERVERS}{research.pk}/delete/", answers=403)
    moved = FILLED | {"url": "http://elsewhere.example"}
    assert visitor.post(f"{SERVERS}{research.pk}/change/", **moved).status_code == 403
    assert visitor.post(f"{SERVERS}add/", **FILLED).status_code == 403
    assert visitor.post(f"{SERVERS}{research.pk}/delete/").status_code == 403
    with tenancy.acting_for(acme):
        assert TrackingServer.objects.get().url == "http://127.0.0.1:1"


def test_a_server_is_added_with_its_credentials(
    acme: Organization, alice: User
) -> None:
    told = FILLED | {
        "auth_method": "basic",
        "username": "reader",
        "password": "hush-hush",
        "headers": "X-Key: s3cret\n\n Via : a:b ",
    }
    answer = Visitor(alice).post(f"{SERVERS}add/", **told)

    with tenancy.acting_for(acme):
        server = TrackingServer.objects.get()
        assert answer["Location"] == server.get_absolute_url()
        assert server.source.name == "Research"
        assert server.secret.username == "reader"
        assert server.secret.password == "hush-hush"
        assert server.secret.header_values() == {"X-Key": "s3cret", "Via": "a:b"}
        entry = AuditEvent.objects.get(action="tracking_server.added")
    assert "hush-hush" not in str(entry.changes)


def test_credentials_go_in_and_never_come_out(
    alice: User, research: TrackingServer
) -> None:
    visitor = Visitor(alice)
    pages = [
        visitor.page(SERVERS),
        visitor.page(f"{SERVERS}{research.pk}/change/"),
        visitor.page(f"{SERVERS}{research.pk}/change/", settings=""),
        visitor.page(f"{SERVERS}{research.pk}/history/"),
    ]
    refused = FILLED | {"url": "nonsense", "password": "brand-new", "token": "tok-en"}
    answer = visitor.post(f"{SERVERS}{research.pk}/change/", **refused)
    pages.append(answer.content.decode())

    assert "One is stored. Leave this empty to keep it." in pages[2]
    for page in pages:
        for secret in ("reader", "hush-hush", "s3cret", "X-Key", "brand-new", "tok-en"):
            assert secret not in page


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({}, ("reader", "hush-hush", {"X-Key": "s3cret"})),
        ({"password": "new"}, ("reader", "new", {"X-Key": "s3cret"})),
        ({"headers": "A: b"}, ("reader", "hush-hush", {"A": "b"})),
        ({"forget_credentials": "on"}, ("", "", {})),
        ({"forget_credentials": "on", "username": "me"}, ("me", "", {})),
    ],
)
def test_what_is_left_empty_stays_unless_it_is_to_be_forgotten(
    acme: Organization,
    alice: User,
    research: TrackingServer,
    told: dict[str, str],
    kept: Any,
) -> None:
    filled = FILLED | {"url": "http://127.0.0.1:1"} | told
    answer = Visitor(alice).post(f"{SERVERS}{research.pk}/change/", **filled)

    assert answer.status_code == 302, answer.content
    with tenancy.acting_for(acme):
        secret = TrackingServer.objects.get().secret
        assert (secret.username, secret.password, secret.header_values()) == kept


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"url": "nonsense"}, "Give the URL with http:// or https://"),
        ({"url": "ftp://x.example"}, "Give the URL with http:// or https://"),
        ({"url": "http://a:b@x.example"}, "Leave user name and password out"),
        ({"name": ""}, "This field is required."),
        ({"name": "Taken"}, "There is a source of this name already."),
        ({"headers": "no colon"}, "Line 1 is not of the form “NAME: value”."),
        ({"headers": "A: b\n: c"}, "Line 2 is not of the form “NAME: value”."),
        ({"connect_timeout": "0"}, "greater than or equal to 1"),
        ({"ca_bundle": "no certificate"}, "CA bundle"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_stored(
    acme: Organization, alice: User, told: dict[str, str], sentence: str
) -> None:
    with tenancy.acting_for(acme):
        a_source("Taken")

    answer = Visitor(alice).post(f"{SERVERS}add/", **(FILLED | told))

    assert answer.status_code == 200
    assert sentence in answer.content.decode()
    with tenancy.acting_for(acme):
        assert not TrackingServer.objects.exists()
        assert Source.objects.count() == 1


def test_removing_asks_and_keeps_what_was_read(
    acme: Organization, alice: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        a_model(research.source)
    visitor = Visitor(alice)

    assert "Remove Research?" in visitor.text(f"{SERVERS}{research.pk}/delete/")
    visitor.post(f"{SERVERS}{research.pk}/delete/")

    with tenancy.acting_for(acme):
        server = TrackingServer.objects.get()
        assert server.removed_at
        assert server.secret.password == ""
        assert server.source.pk
    assert visitor.rows("inventory/registeredmodel/") != []
    assert "Sync now" not in visitor.text(f"{SERVERS}{research.pk}/change/")
    assert visitor.post(f"{SERVERS}{research.pk}/sync/").status_code == 404


def test_servers_are_never_deleted_in_bulk(
    acme: Organization, alice: User, research: TrackingServer
) -> None:
    chosen = {"action": "delete_selected", "_selected_action": [research.pk]}
    Visitor(alice).post(SERVERS, **chosen, post="yes")

    with tenancy.acting_for(acme):
        assert TrackingServer.objects.get().removed_at is None


def test_the_changes_of_a_server_are_told(
    acme: Organization, alice: User, research: TrackingServer
) -> None:
    visitor = Visitor(alice)
    told = FILLED | {"url": "http://127.0.0.1:1", "read_timeout": "90"}
    visitor.post(f"{SERVERS}{research.pk}/change/", **told)

    text = visitor.text(f"{SERVERS}{research.pk}/history/")
    assert "by Alice" in text
    assert "Read timeout 60 90" in text


# Sync runs


def test_a_run_is_one_row(
    acme: Organization, olga: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        run = a_sync(
            research,
            queued_at=now(),
            trigger=SyncRun.Trigger.MANUAL,
            requested_by=olga,
            seconds=204,
            counts={
                "versions": 3000,
                "created": 1200,
                "updated": 7,
                "incomplete": 2,
                "requests": 22,
            },
        )

    assert Visitor(olga).rows(RUNS) == [
        f"just now run {run.pk} Succeeded Research Olga 3 min 24 s 3,000 1,200 / 7 "
        "2 / 0 22"
    ]


def test_the_page_of_a_run_holds_what_auditors_ask_for(
    acme: Organization, audrey: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        run = a_sync(
            research,
            status=SyncRun.Status.PARTIAL,
            source_uri="http://127.0.0.1:1",
            identity="User name and password",
            credential_fingerprint="0123456789abcdef",
            mlflow_version="3.17.2",
            error="One run could not be read.",
            seconds=9,
            counts={"models": 3, "versions": 9, "requests": 12, "bytes": 1_234_567},
        )
        SyncFailure.objects.create(
            sync_run=run,
            model_name=NASTY,
            version_number=4,
            section="run",
            reason="MLflow answered 500.",
        )

    page = Visitor(audrey).page(f"{RUNS}{run.pk}/change/")
    text = Visitor(audrey).text(f"{RUNS}{run.pk}/change/")

    assert NASTY not in page
    assert f"{NASTY} 4 run MLflow answered 500." in text
    for fact in (
        "Partial",
        "One run could not be read.",
        "Models 3 Versions 9",
        "Source http://127.0.0.1:1",
        "Read as User name and password",
        "Credential fingerprint 0123456789abcdef",
        "MLflow version 3.17.2",
        "4 Jan 2026, 00:00:09 UTC",
        "Requests 12 , 1.2 MB",
        "Work 9.0 s",
    ):
        assert fact in text


def test_the_moving_part_of_a_run_asks_to_be_fetched_until_it_is_over(
    acme: Organization, audrey: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        run = a_sync(
            research,
            status=SyncRun.Status.RUNNING,
            finished_at=None,
            started_at=now(),
            phase="Reading versions",
            expected_versions=3000,
            counts={"versions": 1500},
        )
    visitor, path = Visitor(audrey), f"{RUNS}{run.pk}/progress/"

    working = visitor.page(path)
    assert f'data-poll="/console/{path}"' in working
    assert "Reading versions" in working
    assert "1500 of about 3000 versions" in working
    assert '<progress value="50" max="100"' in working

    with tenancy.acting_for(acme):
        SyncRun.objects.update(status="succeeded", finished_at=now())
    judged = visitor.page(path)
    assert "All is read; judging what changed" in judged
    assert "data-poll" in judged

    with tenancy.acting_for(acme):
        SyncRun.objects.update(evaluated_at=now())
    over = visitor.page(path)
    assert "data-poll" not in over
    assert "data-finished" in over


def test_a_run_that_waits_long_says_so(
    acme: Organization, audrey: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        run = a_sync(
            research, status=SyncRun.Status.QUEUED, finished_at=None, started_at=None
        )

    assert "Is one running?" in Visitor(audrey).page(f"{RUNS}{run.pk}/progress/")


def test_nobody_watches_the_runs_of_others(
    acme: Organization, bob: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        run = a_sync(research)

    Visitor(bob).page(f"{RUNS}{run.pk}/progress/", answers=404)
    assert (
        Visitor(bob).client.get(f"/console/{RUNS}{run.pk}/change/").status_code == 302
    )


# What it costs


@pytest.mark.parametrize(
    "path",
    [
        SERVERS,
        f"{SERVERS}%(server)s/change/",
        f"{SERVERS}%(server)s/history/",
        RUNS,
        f"{RUNS}%(run)s/change/",
        f"{RUNS}%(run)s/progress/",
    ],
)
def test_many_servers_and_runs_take_no_more_queries_than_few(
    acme: Organization, alice: User, path: str
) -> None:
    def more(count: int, name: str) -> tuple[TrackingServer, SyncRun]:
        for number in range(count):
            server = a_server(a_source(f"{name} {number}"))
            for day in range(3):
                run = a_sync(server, queued_at=days(day), requested_by=alice)
                SyncFailure.objects.create(
                    sync_run=run, model_name="m", section="run", reason="r"
                )
        return server, run

    with tenancy.acting_for(acme):
        server, run = more(3, "few")
        keys = {"server": server.pk, "run": run.pk}
    visitor = Visitor(alice)
    few = visitor.queries(path % keys)
    with tenancy.acting_for(acme):
        more(57, "many")

    assert visitor.queries(path % keys) == few <= MOST_QUERIES
