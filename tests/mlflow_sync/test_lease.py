"""Who works on a sync: slow workers live, dead ones are replaced, and stop if they wake."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now
from django_q.models import OrmQ
from werkzeug import Request, Response

from accounts import tenancy
from accounts.models import AuditEvent, Organization
from inventory.models import ModelVersion
from mlflow_sync import lease, progress, readers, sync
from mlflow_sync.client import Connection, Pace
from mlflow_sync.exceptions import SyncAlreadyActive
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.queueing import cancel_sync, request_sync, revive
from mlflow_sync.servers import remove_server, save_server
from tests.mlflow_sync.conftest import Syncer
from tests.mlflow_sync.faulty import Faulty
from tests.mlflow_sync.test_sync import trained
from tests.registry import Registry, unique
from tests.servers import free_port

pytestmark = pytest.mark.django_db(transaction=True)


def queued(organization: Organization, server: TrackingServer) -> SyncRun:
    with tenancy.acting_for(organization):
        return request_sync(server, trigger=SyncRun.Trigger.MANUAL, enqueue=False)


def claimed(organization: Organization, server: TrackingServer) -> SyncRun:
    run = lease.claim(organization, queued(organization, server).pk)
    assert run is not None
    return run


def as_stored(organization: Organization, run: SyncRun) -> SyncRun:
    with tenancy.acting_for(organization):
        return SyncRun.objects.get(pk=run.pk)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BEAT", 0.0)
    monkeypatch.setattr(readers, "PATIENCE", 0.05)


def test_a_worker_that_was_taken_for_dead_can_write_nothing_more(
    acme: Organization, server: TrackingServer
) -> None:
    sleeper = claimed(acme, server)
    with tenancy.acting_for(acme):
        SyncRun.objects.update(heartbeat_at=now() - timedelta(minutes=5))
    other = lease.claim(acme, sleeper.pk)
    assert other is not None

    with pytest.raises(lease.LeaseLost):
        lease.beat(acme, sleeper)
    with pytest.raises(lease.LeaseLost):
        lease.pause(acme, sleeper)
    with pytest.raises(lease.LeaseLost):
        lease.finish(acme, sleeper, SyncRun.Status.SUCCEEDED)
    lease.beat(acme, other)
    lease.finish(acme, other, SyncRun.Status.SUCCEEDED)


def test_a_closed_run_is_not_opened_again_by_its_late_worker(
    acme: Organization, server: TrackingServer
) -> None:
    sleeper = claimed(acme, server)
    with tenancy.acting_for(acme):
        cancel_sync(sleeper)

    with pytest.raises(lease.LeaseLost):
        lease.finish(acme, sleeper, SyncRun.Status.SUCCEEDED)

    assert as_stored(acme, sleeper).status == SyncRun.Status.CANCELLED
    with tenancy.acting_for(acme):
        assert not AuditEvent.objects.filter(action="sync.succeeded").exists()


def test_a_run_whose_job_was_lost_does_not_stand_in_the_way_for_ever(
    acme: Organization, server: TrackingServer
) -> None:
    lost = queued(acme, server)
    with tenancy.acting_for(acme):
        revive(server)
        assert SyncRun.objects.get().is_active
        SyncRun.objects.update(queued_at=now() - timedelta(days=2))

    queued(acme, server)

    assert as_stored(acme, lost).error == "No worker took this sync up for a day."


def _remove(server: TrackingServer) -> None:
    remove_server(server)


def _move(server: TrackingServer) -> None:
    server.url = f"http://127.0.0.1:{free_port()}"
    save_server(server)


def _move_within(server: TrackingServer) -> None:
    server.workspace = "retail"
    save_server(server)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("act", "why"),
    [
        (_remove, "The tracking server was removed."),
        (_move, "The tracking server's URL was changed."),
        (_move_within, "The tracking server's workspace was changed."),
    ],
)
def test_a_sync_ends_when_its_server_is_taken_away_under_it(
    acme: Organization,
    own_registry: Registry,
    server: TrackingServer,
    act: Callable[[TrackingServer], None],
    why: str,
) -> None:
    trained(own_registry, unique("never"))
    run = queued(acme, server)
    seen = []

    def interfere(_: SyncRun) -> None:
        if not seen:
            with tenancy.acting_for(acme):
                act(TrackingServer.objects.get(pk=server.pk))
        seen.append(1)

    assert sync.advance(acme, run.pk, watcher=interfere) is None

    ended = as_stored(acme, run)
    assert (ended.status, ended.error) == (SyncRun.Status.FAILED, why)
    with tenancy.acting_for(acme):
        assert not ModelVersion.objects.exists()


def test_a_queued_sync_of_a_server_that_moves_reads_the_new_place(
    acme: Organization, server: TrackingServer
) -> None:
    run = queued(acme, server)
    with tenancy.acting_for(acme):
        _move(server)

    assert as_stored(acme, run).status == SyncRun.Status.QUEUED


def test_the_sync_of_a_closed_organization_is_closed(
    acme: Organization, server: TrackingServer
) -> None:
    run = queued(acme, server)
    acme.closed_at = now()
    acme.save()

    assert sync.advance(acme, run.pk) is None

    ended = as_stored(acme, run)
    assert ended.error == "The organization was closed."


def test_a_sync_that_is_interrupted_is_closed_at_once(
    acme: Organization, server: TrackingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sync.Sync, "_take", interrupt)
    run = queued(acme, server)

    with pytest.raises(KeyboardInterrupt):
        sync.advance(acme, run.pk)

    assert as_stored(acme, run).error == "The sync was interrupted."


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("slow", ["artifacts/list", "model-versions/search"])
def test_a_worker_beats_while_a_request_takes_its_time(
    acme: Organization, own_registry: Registry, faulty: Faulty, slow: str
) -> None:
    trained(own_registry, unique("slow"))
    with tenancy.acting_for(acme):
        server = save_server(TrackingServer(url=faulty.url), name="Production")
    hanging: list[bool] = []
    beats: list[bool] = []

    def hang(request: Request, response: Response) -> Response:
        if slow in request.path and len(hanging) < 2:
            hanging.append(True)
            time.sleep(0.5)
            hanging.append(False)
        return response

    faulty.fault = hang

    run = sync.advance(
        acme,
        queued(acme, server).pk,
        watcher=lambda _: beats.append(bool(hanging and hanging[-1])),
    )

    assert run is not None
    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    assert sum(beats) >= 3  # while it hung


def test_a_worker_beats_while_it_waits_for_the_last_request_to_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readers, "PATIENCE", 0.05)
    beats: list[int] = []

    def source() -> Iterator[int]:
        yield 1
        time.sleep(0.5)
        yield 2

    asking = readers.Readers(
        Connection("http://127.0.0.1:9"),
        concurrency=1,
        pace=Pace(),
        idle=lambda: beats.append(1),
    )
    with asking:
        pages = asking.pages(source())
        assert next(pages) == 1
        pages.prefetch()
        time.sleep(0.1)  # the next page is being asked for
        assert not beats

    assert len(beats) >= 3


def test_a_sync_in_slices_ends_like_one_in_a_piece(
    acme: Organization,
    own_registry: Registry,
    sync_now: Syncer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlflow_sync.client.client.VERSIONS_PER_PAGE", 2)
    name = unique("sliced")
    experiment = own_registry.experiment()
    own_registry.model(name)
    for _ in range(5):
        run_id = own_registry.run(experiment)
        own_registry.version(name, source=f"runs:/{run_id}/model", run_id=run_id)

    run = sync_now(patience=0)

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    assert run.attempts == 1
    with tenancy.acting_for(acme):
        assert ModelVersion.objects.filter(registered_model__name=name).count() == 5
        assert not ModelVersion.objects.exclude(absent_since=None).exists()
        assert ModelVersion.objects.present().count() == run.count("versions")


def test_a_second_sync_of_a_server_says_that_one_is_there(
    acme: Organization, server: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        request_sync(server, trigger=SyncRun.Trigger.MANUAL)

    with (
        tenancy.acting_for(acme),
        pytest.raises(
            SyncAlreadyActive, match="A sync of Production is queued already"
        ),
    ):
        request_sync(server, trigger=SyncRun.Trigger.MANUAL)


def test_the_run_of_a_dead_worker_goes_on_from_what_it_stored(
    acme: Organization,
    own_registry: Registry,
    server: TrackingServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that is killed after two parts, as far as the database can tell."""
    monkeypatch.setattr("mlflow_sync.client.client.VERSIONS_PER_PAGE", 2)
    name = unique("killed")
    experiment = own_registry.experiment()
    own_registry.model(name)
    for _ in range(6):
        run_id = own_registry.run(experiment)
        own_registry.version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    run = queued(acme, server)
    store_versions = sync.Sync._store_versions
    stored: list[list[str]] = []
    alive = True

    def until_killed(self: sync.Sync, page: Any, files: Any) -> None:
        if alive and len(stored) == 2:
            raise lease.LeaseLost  # it writes nothing more, not even how it ended
        store_versions(self, page, files)
        stored.append([f"{each.name} {each.version}" for each in page.page])

    monkeypatch.setattr(sync.Sync, "_store_versions", until_killed)
    assert sync.advance(acme, run.pk) is None
    alive = False
    before = [each for part in stored for each in part]
    with tenancy.acting_for(acme):
        SyncRun.objects.update(heartbeat_at=now() - timedelta(minutes=5))
        revive(server)
        assert SyncRun.objects.get(pk=run.pk).status == SyncRun.Status.QUEUED
        assert OrmQ.objects.count() == 1
    assert lease.claim(acme, run.pk) is not None
    assert lease.claim(acme, run.pk) is None  # a living worker has it
    with tenancy.acting_for(acme):
        SyncRun.objects.update(heartbeat_at=now() - timedelta(minutes=5))

    finished = sync.advance(acme, run.pk)

    assert finished is not None
    assert finished.status == SyncRun.Status.SUCCEEDED, finished.error
    all_of_them = [each for part in stored for each in part]
    assert len(before) == 4
    assert len(all_of_them) == len(set(all_of_them)) == finished.count("versions")
    with tenancy.acting_for(acme):
        assert ModelVersion.objects.present().count() == finished.count("created")
        assert not ModelVersion.objects.exclude(absent_since=None).exists()


def test_a_run_that_kills_its_worker_again_and_again_is_given_up(
    acme: Organization, server: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        queued = request_sync(server, trigger=SyncRun.Trigger.MANUAL, enqueue=False)
    for _ in range(lease.MAX_ATTEMPTS):
        assert lease.claim(acme, queued.pk) is not None
        with tenancy.acting_for(acme):
            SyncRun.objects.update(heartbeat_at=now() - timedelta(minutes=5))

    assert lease.claim(acme, queued.pk) is None
    with tenancy.acting_for(acme):
        queued.refresh_from_db()
        assert queued.status == SyncRun.Status.FAILED
        assert "begun 3 times" in queued.error


def test_a_bug_closes_the_run_and_goes_on_up(
    acme: Organization,
    server: TrackingServer,
    sync_now: Syncer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sync.Sync, "_take", crash)

    with pytest.raises(ZeroDivisionError):
        sync_now()

    with tenancy.acting_for(acme):
        run = SyncRun.objects.get()
        assert run.status == SyncRun.Status.FAILED
        assert run.error.startswith("An internal error stopped the sync")
