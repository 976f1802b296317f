"""A sync is no burden: it pauses, spreads its requests, waits when told to, and ends."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Lock
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils.timezone import now
from django_q.models import OrmQ
from werkzeug import Request, Response

from accounts import tenancy
from accounts.exceptions import NotAllowed
from accounts.models import AuditEvent, Organization, User
from accounts.roles import Role
from inventory.models import ModelVersion
from mlflow_sync import breaker, progress, sync
from mlflow_sync.client import Client, Pace
from mlflow_sync.exceptions import FailureKind
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.queueing import cancel_sync, request_sync
from mlflow_sync.servers import save_server
from tests.mlflow_sync.conftest import Syncer
from tests.mlflow_sync.faulty import KINDS, Faulty, Scene, html, on
from tests.mlflow_sync.test_turns import versions
from tests.registry import Registry, unique
from verifywise import jobs

pytestmark = pytest.mark.django_db(transaction=True)

broken = on("registered-models", html(500))


@pytest.fixture
def server(acme: Organization, faulty: Faulty) -> TrackingServer:
    with tenancy.acting_for(acme):
        return save_server(TrackingServer(url=faulty.url), name="Production")


def as_stored(organization: Organization) -> TrackingServer:
    with tenancy.acting_for(organization):
        return TrackingServer.objects.get()


def entries(organization: Organization, prefix: str) -> list[str]:
    """Return the actions on the trail that begin so, oldest first."""
    with tenancy.acting_for(organization):
        told = AuditEvent.objects.filter(action__startswith=prefix)
        return list(told.order_by("sequence").values_list("action", flat=True))


def read_only(
    organization: Organization, server: TrackingServer, name: str, **wishes: Any
) -> SyncRun:
    """Sync the model of this name, however many others the registry has."""
    with tenancy.acting_for(organization):
        queued = request_sync(
            server,
            trigger=SyncRun.Trigger.MANUAL,
            targets=[name],
            enqueue=False,
            **wishes,
        )
    run = sync.advance(organization, queued.pk)
    assert run is not None
    return run


# The pause


def test_a_server_that_fails_again_and_again_is_paused_for_longer_each_time(
    acme: Organization, faulty: Faulty, sync_now: Syncer
) -> None:
    faulty.fault = broken
    pauses = []
    for _ in range(5):
        run = sync_now()  # by hand: the pause is no hindrance
        assert run.status == SyncRun.Status.FAILED
        until = as_stored(acme).paused_until
        assert run.finished_at is not None
        pauses.append(until and round((until - run.finished_at).total_seconds() / 60))

    assert pauses == [None, None, 15, 30, 60]
    with tenancy.acting_for(acme):
        paused = AuditEvent.objects.filter(action="tracking_server.paused")
        assert [entry.changes["failures_in_row"] for entry in paused.order_by("pk")] == [
            3, 4, 5,
        ]  # fmt: skip
        assert {entry.reason for entry in paused} == {run.error}


def test_no_pause_is_longer_than_a_day() -> None:
    assert breaker.pause_after(2) is None
    assert breaker.pause_after(9) == timedelta(minutes=15) * 2**6
    assert breaker.pause_after(10) == timedelta(days=1)
    assert breaker.pause_after(30_000) == timedelta(days=1)


def test_the_schedule_leaves_a_paused_server_alone_and_then_tests_it_first(
    acme: Organization, faulty: Faulty, server: TrackingServer, sync_now: Syncer
) -> None:
    faulty.fault = broken
    for _ in range(3):
        sync_now()
    asked: list[str] = []

    def refuse(request: Request, response: Response) -> Response:
        asked.append(request.path)
        return html(500)(response)

    faulty.fault = refuse
    with tenancy.acting_for(acme):
        before = SyncRun.objects.count()

    jobs.scheduled_sync(acme.pk, server.pk)

    assert not asked
    with tenancy.acting_for(acme):
        assert SyncRun.objects.count() == before
        TrackingServer.objects.update(paused_until=now() - timedelta(seconds=1))

    jobs.scheduled_sync(acme.pk, server.pk)

    assert asked
    assert not OrmQ.objects.exists()
    with tenancy.acting_for(acme):
        assert SyncRun.objects.latest("pk").status == SyncRun.Status.SKIPPED
    stored = as_stored(acme)
    assert stored.failures_in_row == 4
    assert stored.is_paused


def test_the_first_sync_that_gets_through_ends_the_pause(
    acme: Organization, faulty: Faulty, server: TrackingServer, sync_now: Syncer
) -> None:
    faulty.fault = broken
    for _ in range(3):
        sync_now()
    faulty.fault = None
    assert as_stored(acme).is_paused

    assert sync_now().has_read

    stored = as_stored(acme)
    assert (stored.failures_in_row, stored.paused_until) == (0, None)
    sync_now()
    assert entries(acme, "tracking_server.")[1:] == [
        "tracking_server.paused",
        "tracking_server.resumed",
    ]
    jobs.scheduled_sync(acme.pk, server.pk)
    assert OrmQ.objects.count() == 1


def test_failures_count_only_in_a_row(
    acme: Organization, faulty: Faulty, sync_now: Syncer
) -> None:
    for fault in (broken, broken, None, broken, broken):
        faulty.fault = fault
        sync_now()

    stored = as_stored(acme)
    assert (stored.failures_in_row, stored.paused_until) == (2, None)
    assert entries(acme, "tracking_server.") == ["tracking_server.added"]


@pytest.mark.parametrize(
    "kind",
    [
        FailureKind.BAD_SETTING,
        FailureKind.NOT_SUPPORTED,
        FailureKind.PRIVATE_ADDRESS,
        FailureKind.BAD_REQUEST,
        FailureKind.TOO_LARGE,
        FailureKind.VANISHED,
        "cancelled",
        "interrupted",
        "internal",
        "unwanted",
        "worker_lost",
    ],
)
def test_what_is_not_the_servers_fault_pauses_nothing(
    acme: Organization, server: TrackingServer, kind: str
) -> None:
    with tenancy.acting_for(acme):
        for _ in range(5):
            breaker.note_failure(server, kind=kind, error="No.")

    stored = as_stored(acme)
    assert (stored.failures_in_row, stored.paused_until) == (0, None)


def test_an_empty_registry_that_is_not_believed_pauses_nothing(
    acme: Organization, faulty: Faulty, own_registry: Registry, sync_now: Syncer
) -> None:
    for _ in range(11):
        own_registry.model(unique("vanishing"))
    sync_now()
    faulty.fault = on(
        "registered-models",
        lambda _: Response("{}", content_type="application/json"),
    )

    for _ in range(3):
        assert sync_now().error_kind == "vanished"

    assert as_stored(acme).failures_in_row == 0


# Cancelling


def test_a_queued_sync_that_is_cancelled_asks_nothing(
    acme: Organization, olga: User, faulty: Faulty, server: TrackingServer
) -> None:
    asked: list[str] = []

    def note(request: Request, response: Response) -> Response:
        asked.append(request.path)
        return response

    faulty.fault = note
    with tenancy.acting_for(acme, actor=olga, role=Role.COMPLIANCE_OFFICER):
        queued = request_sync(server, trigger=SyncRun.Trigger.MANUAL)
        cancelled = cancel_sync(queued)
    assert cancelled.status == SyncRun.Status.CANCELLED

    jobs.sync(acme.pk, queued.pk)  # its job is on the queue still

    assert not asked
    with tenancy.acting_for(acme):
        run = SyncRun.objects.get()
        assert run.status == SyncRun.Status.CANCELLED
        assert (run.error, run.error_kind) == ("Cancelled by Olga.", "cancelled")
        assert run.finished_at is not None
        entry = AuditEvent.objects.get(action="sync.cancelled")
        assert (entry.actor, entry.reason) == (olga, "Cancelled by Olga.")
        request_sync(server, trigger=SyncRun.Trigger.MANUAL)  # the way is free


def test_a_running_sync_that_is_cancelled_stops_and_what_it_stored_stays(
    acme: Organization,
    olga: User,
    own_registry: Registry,
    server: TrackingServer,
    sync_now: Syncer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "BEAT", 0.0)
    monkeypatch.setattr("mlflow_sync.client.client.VERSIONS_PER_PAGE", 2)
    name = unique("cancelled")
    versions(own_registry, name, 8)
    with tenancy.acting_for(acme):
        queued = request_sync(
            server, trigger=SyncRun.Trigger.MANUAL, targets=[name], enqueue=False
        )
    seen: list[int] = []

    def cancel_after_some(run: SyncRun) -> None:
        seen.append(run.count("versions"))
        if seen[-1] >= 2:
            with tenancy.acting_for(acme, actor=olga, role=Role.COMPLIANCE_OFFICER):
                cancel_sync(run)

    assert sync.advance(acme, queued.pk, watcher=cancel_after_some) is None

    with tenancy.acting_for(acme):
        run = SyncRun.objects.get()
        assert run.status == SyncRun.Status.CANCELLED
        assert run.error == "Cancelled by Olga."
        stored = ModelVersion.objects.filter(registered_model__name=name)
        assert stored.count() == run.count("versions") == 2
        assert not stored.exclude(absent_since=None).exists()
    assert entries(acme, "sync.")[-1] == "sync.cancelled"
    assert as_stored(acme).failures_in_row == 0
    assert sync_now().status == SyncRun.Status.SUCCEEDED
    with tenancy.acting_for(acme):
        assert ModelVersion.objects.filter(registered_model__name=name).count() == 8


def test_what_is_over_cannot_be_cancelled(acme: Organization, sync_now: Syncer) -> None:
    run = sync_now()

    with (
        tenancy.acting_for(acme),
        pytest.raises(ValidationError, match="This sync is over already"),
    ):
        cancel_sync(run)


def test_who_may_not_sync_may_not_cancel(
    acme: Organization, audrey: User, server: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        queued = request_sync(server, trigger=SyncRun.Trigger.MANUAL, enqueue=False)

    with (
        tenancy.acting_for(acme, actor=audrey, role=Role.AUDITOR),
        pytest.raises(NotAllowed),
    ):
        cancel_sync(queued)

    with tenancy.acting_for(acme):
        assert SyncRun.objects.active().exists()


# The pace


def test_a_budget_is_spread_over_the_minute() -> None:
    slept: list[float] = []
    pace = Pace(30, sleep=slept.append)

    for _ in range(4):
        pace.wait()

    assert slept == pytest.approx([2, 4, 6], abs=0.5)  # nobody slept in truth


def test_without_a_budget_nobody_waits() -> None:
    slept: list[float] = []
    pace = Pace(None, sleep=slept.append)

    for _ in range(100):
        pace.wait()

    assert not slept


def test_threads_share_one_budget() -> None:
    pace = Pace(1200)  # one every 50 ms
    began = time.monotonic()

    def ask(_: int) -> float:
        pace.wait()
        return time.monotonic() - began

    with ThreadPoolExecutor(6) as threads:
        turns = sorted(threads.map(ask, range(12)))

    assert all(turn >= number * 0.05 - 0.001 for number, turn in enumerate(turns))


def test_who_has_a_turn_already_waits_too_when_the_server_asks_for_a_pause() -> None:
    pace: Pace
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            pace.hold(30)  # another connection was told so meanwhile

    pace = Pace(60, sleep=sleep)
    pace.wait()
    pace.wait()

    assert slept == pytest.approx([1, 30], abs=0.5)


def test_a_sync_keeps_to_the_budget_of_its_server(
    acme: Organization,
    faulty: Faulty,
    own_registry: Registry,
    server: TrackingServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = unique("budgeted")
    versions(own_registry, name, 2)
    arrived: list[float] = []
    monkeypatch.setattr("mlflow_sync.sync.Pace", Pace)  # by the wall clock

    def note(_: Request, response: Response) -> Response:
        arrived.append(time.monotonic())
        return response

    faulty.fault = note
    with tenancy.acting_for(acme):
        server.request_budget = 240
        save_server(server)

    run = read_only(acme, server, name)

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    assert run.count("requests") == len(arrived) > 6
    assert arrived[-1] - arrived[0] >= 0.25 * (len(arrived) - 1) * 0.9


@pytest.fixture
def crowded(acme: Organization, faulty: Faulty) -> Callable[[int], TrackingServer]:
    """Make a server that is read through the crowd's proxy, with so many connections."""

    def make(concurrency: int) -> TrackingServer:
        with tenancy.acting_for(acme):
            return save_server(
                TrackingServer(url=faulty.url, concurrency=concurrency), name="Crowded"
            )

    return make


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_requests_are_under_way_than_the_server_is_set_to_bear(
    acme: Organization,
    faulty: Faulty,
    own_registry: Registry,
    crowded: Callable[[int], TrackingServer],
    concurrency: int,
) -> None:
    name = unique("crowded")
    versions(own_registry, name, 8)
    lock, under_way, most = Lock(), 0, 0

    def count(_: Request, response: Response) -> Response:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.1)
        with lock:
            under_way -= 1
        return response

    faulty.fault = count

    run = read_only(acme, crowded(concurrency), name)

    assert run.has_read, run.error
    assert run.count("requests") > 12  # files are listed too
    assert most == concurrency


def test_a_retry_after_holds_all_connections(
    acme: Organization,
    faulty: Faulty,
    own_registry: Registry,
    crowded: Callable[[int], TrackingServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlflow_sync.sync.Pace", Pace)  # by the wall clock
    monkeypatch.setattr("mlflow_sync.readers.Client", Client)
    name = unique("limited")
    versions(own_registry, name, 12)
    lock = Lock()
    arrived: list[float] = []
    told: list[float] = []

    def limit(request: Request, response: Response) -> Response:
        with lock:
            arrived.append(time.monotonic())
            if "artifacts" not in request.path or told or len(arrived) < 9:
                return response
            told.append(time.monotonic())
        return Response("Slow down", status=429, headers={"Retry-After": "3"})

    faulty.fault = limit

    run = read_only(acme, crowded(4), name)

    assert run.has_read, run.error
    assert run.count("incomplete") == 0
    (at,) = told
    assert not [moment - at for moment in arrived if 1 < moment - at < 2.9]
    assert arrived[-1] - at > 3


def test_fewer_runs_are_asked_for_after_a_dropped_connection(
    acme: Organization,
    faulty: Faulty,
    own_registry: Registry,
    server: TrackingServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlflow_sync.client.pace.RUNS_PER_REQUEST", 6)
    monkeypatch.setattr("mlflow_sync.client.pace.FEWEST_RUNS", 2)
    name = unique("dropped")
    runs = versions(own_registry, name, 18)
    searches: list[list[str]] = []
    scene = Scene(faulty=faulty, foreign="", chance=random.Random(0))
    dropping = KINDS["reset"](scene)

    def drop_first(request: Request, response: Response) -> Response:
        if not request.path.endswith("runs/search"):
            return response
        searches.append(re.findall(r"'(\w+)'", request.get_json()["filter"]))
        if len(searches) > 1:
            return response
        return dropping(request, response)

    faulty.fault = drop_first
    with tenancy.acting_for(acme):
        server.concurrency = 1
        save_server(server)

    run = read_only(acme, server, name, with_artifacts=False)

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    first = searches[0]
    assert len(first) == 6
    assert {len(asked) for asked in searches if asked != first} == {3}
    assert {run_id for asked in searches for run_id in asked} == set(runs)
    with tenancy.acting_for(acme):
        assert ModelVersion.objects.filter(run_found=True).count() == 18
