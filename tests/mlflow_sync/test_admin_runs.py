"""The console's acts on sync runs and on paused servers, role by role, and the settings."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils.timezone import now
from django_q.models import OrmQ

from accounts import tenancy
from accounts.models import AuditEvent, Organization, User
from accounts.roles import MAY, Permission, Role
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.servers import save_server
from tests.conftest import member
from tests.mlflow_sync.test_admin import FILLED, RUNS, SERVERS
from tests.pages import MOST_QUERIES, Visitor
from tests.rows import a_sync, days

pytestmark = pytest.mark.django_db

DOUBT = "Too much disappeared: 30 of 40 versions are no longer told."
OFFER = "They were deleted: mark 30 as absent"
# Who confirms both decides what is evidence, and starts a sync.
CONFIRMERS = frozenset({Role.ADMINISTRATOR, Role.COMPLIANCE_OFFICER})


@pytest.fixture
def research(acme: Organization) -> TrackingServer:
    """A server that nothing listens at."""
    with tenancy.acting_for(acme):
        return save_server(TrackingServer(url="http://127.0.0.1:1"), name="Research")


@pytest.fixture
def running(acme: Organization, research: TrackingServer) -> SyncRun:
    with tenancy.acting_for(acme):
        return a_sync(
            research,
            status=SyncRun.Status.RUNNING,
            queued_at=now(),
            heartbeat_at=now(),
            finished_at=None,
            counts={"versions": 120},
        )


@pytest.fixture
def doubted(acme: Organization, research: TrackingServer) -> SyncRun:
    """A sync that found more gone than may be believed."""
    with tenancy.acting_for(acme):
        return a_sync(
            research,
            status=SyncRun.Status.FAILED,
            error=DOUBT,
            error_kind="vanished",
            vanished=30,
        )


@pytest.fixture
def paused(acme: Organization, research: TrackingServer) -> TrackingServer:
    with tenancy.acting_for(acme):
        TrackingServer.objects.update(
            failures_in_row=4, paused_until=now() + timedelta(minutes=30)
        )
    return research


def as_stored(organization: Organization, run: SyncRun) -> SyncRun:
    with tenancy.acting_for(organization):
        return SyncRun.objects.get(pk=run.pk)


# Cancelling


@pytest.mark.parametrize("role", Role)
def test_cancelling_is_offered_to_those_who_may_sync(
    acme: Organization, running: SyncRun, role: Role
) -> None:
    visitor = Visitor(member(acme, "Somebody", role))
    may = role in MAY[Permission.SYNC]
    path = f"{RUNS}{running.pk}/"

    assert ("Cancel the sync" in visitor.page(f"{path}change/")) is may
    assert visitor.post(f"{path}cancel/").status_code == (302 if may else 403)

    run = as_stored(acme, running)
    assert (run.status == SyncRun.Status.CANCELLED) is may
    with tenancy.acting_for(acme):
        assert AuditEvent.objects.filter(action="sync.cancelled").exists() is may
    assert "Cancel the sync" not in (visitor.page(f"{path}change/") if may else "")


def test_a_cancelled_sync_says_by_whom_and_what_stays(
    acme: Organization, olga: User, running: SyncRun
) -> None:
    visitor, path = Visitor(olga), f"{RUNS}{running.pk}/"
    answer = visitor.client.post(f"/console/{path}cancel/", follow=True)

    assert answer.redirect_chain == [(running.get_absolute_url(), 302)]
    assert "The sync was cancelled; what it stored stays." in answer.content.decode()
    text = visitor.text(f"{path}change/")
    assert "Cancelled by Olga." in text
    assert "Versions 120" in text
    assert "data-poll" not in visitor.page(f"{path}progress/")


def test_what_is_over_is_not_cancelled_and_says_so(
    acme: Organization, olga: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        run = a_sync(research)

    answer = Visitor(olga).client.post(f"/console/{RUNS}{run.pk}/cancel/", follow=True)

    assert "This sync is over already." in answer.content.decode()
    assert as_stored(acme, run).status == SyncRun.Status.SUCCEEDED


# Confirming what is gone


@pytest.mark.parametrize("role", Role)
def test_only_administrators_and_compliance_officers_confirm_what_is_gone(
    acme: Organization, doubted: SyncRun, role: Role
) -> None:
    visitor = Visitor(member(acme, "Somebody", role))
    may = role in CONFIRMERS
    pages = (
        f"{RUNS}{doubted.pk}/change/",
        f"{SERVERS}{doubted.server_id}/change/",
    )

    for path in pages:
        text = visitor.text(path)
        assert DOUBT in text
        assert (OFFER in text) is may
    answer = visitor.post(f"{RUNS}{doubted.pk}/confirm/")

    assert answer.status_code == (302 if may else 403)
    with tenancy.acting_for(acme):
        confirmed = AuditEvent.objects.filter(action="sync.absence_confirmed")
        assert confirmed.exists() is may
        assert SyncRun.objects.active().exists() is may


def test_a_confirmed_absence_starts_a_sync_that_accepts_it(
    acme: Organization, olga: User, doubted: SyncRun
) -> None:
    visitor = Visitor(olga)
    answer = visitor.post(f"{RUNS}{doubted.pk}/confirm/")

    with tenancy.acting_for(acme):
        run = SyncRun.objects.select_related("server__source").active().get()
    assert answer["Location"] == run.get_absolute_url()
    assert (run.accepted_absence, run.requested_by) == (30, olga)
    assert OrmQ.objects.count() == 1
    assert "Confirmed gone up to 30" in visitor.text(f"{RUNS}{run.pk}/change/")
    # The doubt is not the server's latest word any more.
    assert OFFER not in visitor.text(f"{SERVERS}{doubted.server_id}/change/")


@pytest.mark.parametrize(
    ("later", "sentence"),
    [
        ("succeeded", "A later sync has read the registry: look at that one."),
        ("queued", "A sync of Research is queued already"),
    ],
)
def test_a_doubt_that_is_out_of_date_is_not_confirmed_and_says_so(
    acme: Organization, olga: User, doubted: SyncRun, later: str, sentence: str
) -> None:
    finished_at = None if later == "queued" else days(5)
    with tenancy.acting_for(acme):
        a_sync(doubted.server, status=later, queued_at=now(), finished_at=finished_at)

    answer = Visitor(olga).client.post(
        f"/console/{RUNS}{doubted.pk}/confirm/", follow=True
    )

    assert sentence in answer.content.decode()
    with tenancy.acting_for(acme):
        assert SyncRun.objects.count() == 2
        assert not SyncRun.objects.exclude(accepted_absence=None).exists()


def test_nothing_is_confirmed_of_a_sync_that_doubted_nothing(
    acme: Organization, olga: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        run = a_sync(research)
    visitor = Visitor(olga)

    assert "They were deleted" not in visitor.page(f"{RUNS}{run.pk}/change/")
    answer = visitor.client.post(f"/console/{RUNS}{run.pk}/confirm/", follow=True)
    assert "did not find that too much disappeared" in answer.content.decode()


@pytest.mark.parametrize("act", ["cancel", "confirm"])
def test_acts_on_runs_need_a_form_and_find_none_of_others(
    alice: User, bob: User, doubted: SyncRun, act: str
) -> None:
    path = f"{RUNS}{doubted.pk}/{act}/"

    Visitor(alice).page(path, answers=405)
    assert Visitor(bob).post(path).status_code == 404


# The pause


@pytest.mark.parametrize("role", Role)
def test_a_paused_server_says_until_when_and_offers_to_try_now(
    acme: Organization, paused: TrackingServer, role: Role
) -> None:
    visitor = Visitor(member(acme, "Somebody", role))
    may = role in MAY[Permission.SYNC]

    text = visitor.text(f"{SERVERS}{paused.pk}/change/")

    assert "It failed 4 times in a row and is left alone until" in text
    assert ("“Try now” does not wait." in text) is may
    assert ("Try now" in text) is may
    assert "Sync now" not in text


def test_trying_now_does_not_wait(
    acme: Organization, olga: User, paused: TrackingServer
) -> None:
    Visitor(olga).post(f"{SERVERS}{paused.pk}/sync/")

    assert OrmQ.objects.count() == 1
    with tenancy.acting_for(acme):
        assert SyncRun.objects.active().exists()


def test_a_pause_that_is_over_is_not_spoken_of(
    acme: Organization, olga: User, paused: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        TrackingServer.objects.update(paused_until=now() - timedelta(seconds=1))

    text = Visitor(olga).text(f"{SERVERS}{paused.pk}/change/")

    assert "left alone" not in text
    assert "Sync now" in text


# The settings


def test_settings_of_reading_are_stored_told_and_on_the_trail(
    acme: Organization, alice: User, research: TrackingServer
) -> None:
    told = FILLED | {
        "url": "http://127.0.0.1:1",
        "reread_within": "6",
        "concurrency": "2",
        "request_budget": "90",
        "vanish_percent": "50",
        "vanish_always": "0",
        "hash_limit": "512",
        "rehash_days": "7",
    }
    del told["hash_files"]
    visitor = Visitor(alice)

    answer = visitor.post(f"{SERVERS}{research.pk}/change/", **told)

    assert answer.status_code == 302, answer.content
    with tenancy.acting_for(acme):
        server = TrackingServer.objects.get()
        entry = AuditEvent.objects.get(action="tracking_server.changed")
    assert (server.reread_within, server.concurrency, server.request_budget) == (
        6, 2, 90,
    )  # fmt: skip
    assert (server.vanish_percent, server.vanish_always) == (50, 0)
    assert (server.hash_files, server.hash_limit, server.rehash_days) == (
        False, 512, 7,
    )  # fmt: skip
    assert entry.changes["concurrency"] == {"from": 4, "to": 2}
    assert entry.changes["request_budget"] == {"from": None, "to": 90}
    text = visitor.text(f"{SERVERS}{research.pk}/change/")
    assert "2 at once, 90 requests a minute" in text
    assert "read within 6 syncs" in text


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("reread_within", "0", "greater than or equal to 1"),
        ("reread_within", "1001", "less than or equal to 1000"),
        ("concurrency", "0", "greater than or equal to 1"),
        ("concurrency", "17", "less than or equal to 16"),
        ("concurrency", "", "This field is required."),
        ("request_budget", "0", "greater than or equal to 1"),
        ("request_budget", "many", "Enter a whole number."),
        ("request_budget", "99999999999", "less than or equal to 2147483647"),
        ("vanish_percent", "101", "less than or equal to 100"),
        ("vanish_percent", "-1", "greater than or equal to 0"),
        ("vanish_always", "-1", "greater than or equal to 0"),
        ("hash_limit", "0", "greater than or equal to 1"),
        ("hash_limit", "1048577", "less than or equal to 1048576"),
        ("rehash_days", "0", "greater than or equal to 1"),
        ("rehash_days", "3651", "less than or equal to 3650"),
    ],
)
def test_a_setting_that_is_wrong_is_named_and_nothing_is_stored(
    acme: Organization, alice: User, field: str, value: str, sentence: str
) -> None:
    answer = Visitor(alice).post(f"{SERVERS}add/", **(FILLED | {field: value}))

    assert answer.status_code == 200
    form = answer.context["adminform"].form
    assert list(form.errors) == [field]
    assert sentence in form.errors[field][0]
    assert sentence in answer.content.decode()
    with tenancy.acting_for(acme):
        assert not TrackingServer.objects.exists()


# What it costs


@pytest.mark.parametrize(
    "path", [f"{RUNS}%(run)s/change/", f"{SERVERS}%(server)s/change/"]
)
def test_a_doubt_costs_no_query(
    acme: Organization, olga: User, doubted: SyncRun, path: str
) -> None:
    keys = {"run": doubted.pk, "server": doubted.server_id}
    visitor = Visitor(olga)
    with_doubt = visitor.queries(path % keys)
    with tenancy.acting_for(acme):
        SyncRun.objects.update(vanished=None)

    assert with_doubt == visitor.queries(path % keys) <= MOST_QUERIES
