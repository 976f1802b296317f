"""Reading files over connections that end, workers that die, and syncs that come first."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils.timezone import now

from accounts import tenancy
from accounts.models import AuditEvent, Organization
from mlflow_sync import lease, progress, readers, sync
from mlflow_sync.files import hashing, reading
from mlflow_sync.files import runs as file_runs
from mlflow_sync.files.reading import Bookmark, WantedFile
from mlflow_sync.files.sandbox import Inspection
from mlflow_sync.models import SyncFailure, SyncRun, TrackingServer
from mlflow_sync.queueing import cancel_sync, request_sync, revive
from mlflow_sync.servers import save_server
from tests.mlflow_sync.files.deployed import (
    MIB,
    Deployed,
    age,
    read_files,
    sha256,
    sync_model,
    to_end,
)
from tests.mlflow_sync.passing import Passing, passing
from tests.registry import Registry
from tests.servers import MlflowServer, free_port

pytestmark = pytest.mark.django_db(transaction=True)

SIZE = 8 * MIB
PAGE = b"<html><title>Sign in</title></html>"


@pytest.fixture
def between(own_mlflow: MlflowServer) -> Iterator[Passing]:
    with passing(own_mlflow.url) as found:
        yield found


@pytest.fixture
def server(
    acme: Organization, between: Passing, monkeypatch: pytest.MonkeyPatch
) -> TrackingServer:
    monkeypatch.setattr(reading, "DROPS", (0.01, 0.01, 0.01))
    with tenancy.acting_for(acme):
        return save_server(
            TrackingServer(url=between.url, read_timeout=2), name="Production"
        )


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look up often: what takes seconds elsewhere is over at once here."""
    monkeypatch.setattr(progress, "BEAT", 0.0)
    monkeypatch.setattr(readers, "PATIENCE", 0.02)


def as_stored(organization: Organization, run: SyncRun) -> SyncRun:
    with tenancy.acting_for(organization):
        return SyncRun.objects.select_related("server__source").get(pk=run.pk)


def queued(organization: Organization, server: TrackingServer) -> SyncRun:
    with tenancy.acting_for(organization):
        run = file_runs.read_due_files(
            server, trigger=SyncRun.Trigger.MANUAL, enqueue=False
        )
    assert run is not None
    return run


def large(registry: Registry) -> tuple[Deployed, str]:
    """Deploy a file of no two equal parts; return its digest."""
    content = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(64)) * 4096
    assert len(content) == SIZE
    return Deployed(registry, {"model.bin": content}), sha256(content)


def test_a_dropped_connection_is_gone_on_with_in_the_middle_of_the_file(
    acme: Organization, own_registry: Registry, between: Passing, server: TrackingServer
) -> None:
    model, digest = large(own_registry)
    sync_model(acme, server, model)
    between.cut = {0: 5 * MIB, 1: MIB}.get

    run = read_files(acme, server)

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    begun = [int(told.removeprefix("bytes=")[:-1] or 0) for told in between.ranges]
    assert begun[0] == 0
    assert 4 * MIB < begun[1] <= 5 * MIB < begun[2] <= 6 * MIB
    assert run.count("bytes") < SIZE + MIB
    with tenancy.acting_for(acme):
        assert model.manifest()["model.bin"]["sha256"] == digest


def test_a_server_without_ranges_sends_the_file_again_and_not_for_ever(
    acme: Organization, own_registry: Registry, between: Passing, server: TrackingServer
) -> None:
    model, digest = large(own_registry)
    sync_model(acme, server, model)
    between.with_ranges = False
    between.cut = lambda number: MIB if number < 2 else None

    assert read_files(acme, server).status == SyncRun.Status.SUCCEEDED

    with tenancy.acting_for(acme):
        assert model.manifest()["model.bin"]["sha256"] == digest
    age(acme, model, days=31)
    between.files.clear()
    between.cut = lambda _: 3 * MIB

    run = read_files(acme, server)

    assert run.status == SyncRun.Status.PARTIAL
    assert len(between.files) == reading.MOST_BEGINNINGS + 1
    with tenancy.acting_for(acme):
        row = model.manifest()["model.bin"]
        assert row["state"] == "unavailable"
        assert row["reason"].startswith("It was begun 3 times")
        assert row["sha256"] == digest


def test_a_file_that_becomes_another_in_the_middle_is_begun_anew(
    acme: Organization, own_registry: Registry, between: Passing, server: TrackingServer
) -> None:
    model, _ = large(own_registry)
    sync_model(acme, server, model)
    other = b"o" * SIZE

    def cut(number: int) -> int | None:
        if number:
            return None
        model.write("model.bin", other)
        return 2 * MIB

    between.cut = cut

    assert read_files(acme, server).status == SyncRun.Status.SUCCEEDED

    with tenancy.acting_for(acme):
        assert model.manifest()["model.bin"]["sha256"] == sha256(other)


def test_a_file_that_never_comes_whole_spoils_only_itself(
    acme: Organization, own_registry: Registry, between: Passing, server: TrackingServer
) -> None:
    model = Deployed(own_registry, {"a.bin": bytes(SIZE), "b.bin": b"fine"})
    sync_model(acme, server, model)
    between.cut = lambda _: 1000 if "a.bin" in between.files[-1][0] else None

    run = read_files(acme, server)

    assert run.status == SyncRun.Status.PARTIAL
    with tenancy.acting_for(acme):
        manifest = model.manifest()
        assert manifest["a.bin"]["state"] == "unavailable"
        assert manifest["a.bin"]["reason"].startswith("It was begun 3 times")
        assert manifest["b.bin"]["sha256"] == sha256(b"fine")
        server.refresh_from_db()
        assert server.failures_in_row == 0


@pytest.mark.usefixtures("hasty")
def test_a_file_that_takes_longer_than_a_slice_is_gone_on_with_by_the_next(
    acme: Organization, own_registry: Registry, between: Passing, server: TrackingServer
) -> None:
    model, digest = large(own_registry)
    sync_model(acme, server, model)
    between.between = lambda _: time.sleep(0.01)  # 1.3 s for the whole

    run = queued(acme, server)
    slices = 0
    while as_stored(acme, run).is_active:
        sync.advance(acme, run.pk, patience=0.4)
        slices += 1

    finished = as_stored(acme, run)
    assert finished.status == SyncRun.Status.SUCCEEDED, finished.error
    assert slices > 1
    assert all(told.startswith("bytes=") for told in between.ranges[1:])
    assert finished.count("files") == 1
    with tenancy.acting_for(acme):
        assert model.manifest()["model.bin"]["sha256"] == digest


@pytest.mark.usefixtures("hasty")
def test_a_sync_that_is_asked_for_comes_first_and_the_file_is_gone_on_with_afterwards(
    acme: Organization,
    own_registry: Registry,
    between: Passing,
    server: TrackingServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "CHECKPOINT", 0.05)
    model, digest = large(own_registry)
    sync_model(acme, server, model)
    between.between = lambda _: time.sleep(0.01)
    run = queued(acme, server)
    asked: list[SyncRun] = []
    states: set[str] = set()

    def ask(active: SyncRun) -> None:
        """Ask at the second bookmark: the first may be as early as after one read."""
        bookmark = active.place.get("bookmark") or {}
        states.update(filter(None, [bookmark.get("state")]))
        if len(states) > 1 and not asked:
            with tenancy.acting_for(acme):
                asked.append(
                    request_sync(
                        server, trigger=SyncRun.Trigger.WEBHOOK,
                        targets=[model.name], enqueue=False,
                    )
                )  # fmt: skip

    assert sync.advance(acme, run.pk, watcher=ask) is None

    ended = as_stored(acme, run)
    assert ended.status == SyncRun.Status.CANCELLED
    assert (
        ended.error == "It made way for something more urgent, and goes on afterwards."
    )
    assert to_end(acme, asked[0]).status == SyncRun.Status.SUCCEEDED
    between.files.clear()
    with tenancy.acting_for(acme):
        file_runs.follow_up(as_stored(acme, asked[0]))
        following = SyncRun.objects.active().get()
    assert following.reach == SyncRun.Reach.FILES
    assert to_end(acme, following).status == SyncRun.Status.SUCCEEDED
    (begun,) = between.ranges
    assert int(begun.removeprefix("bytes=")[:-1]) > MIB // 4
    with tenancy.acting_for(acme):
        assert model.manifest()["model.bin"]["sha256"] == digest


def test_a_run_whose_worker_was_killed_reads_no_file_twice(
    acme: Organization,
    own_registry: Registry,
    between: Passing,
    server: TrackingServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that is killed after two files, as far as the database can tell."""
    monkeypatch.setattr(hashing, "SAVED_EVERY", -1.0)
    files: dict[str, bytes | int] = {f"{n}.bin": bytes([n]) * 100 for n in range(5)}
    model = Deployed(own_registry, files)
    sync_model(acme, server, model)
    run = queued(acme, server)
    read: list[str] = []
    inspect = hashing.Hashing._inspect

    def until_killed(
        self: hashing.Hashing, file: WantedFile, bookmark: Bookmark
    ) -> Inspection | None:
        if len(read) == 2:
            raise lease.LeaseLost  # it writes nothing more, not even how it ended
        read.append(file.path)
        return inspect(self, file, bookmark)

    monkeypatch.setattr(hashing.Hashing, "_inspect", until_killed)
    assert sync.advance(acme, run.pk) is None
    monkeypatch.setattr(hashing.Hashing, "_inspect", inspect)
    with tenancy.acting_for(acme):
        SyncRun.objects.filter(pk=run.pk).update(
            heartbeat_at=now() - timedelta(hours=1)
        )
        revive(server)

    finished = to_end(acme, run)

    assert finished.status == SyncRun.Status.SUCCEEDED, finished.error
    assert finished.count("files") == 5
    assert len(between.files) == 5
    with tenancy.acting_for(acme):
        assert all(row["state"] == "hashed" for row in model.manifest().values())
        assert model.version().history.count() == 2  # listed, hashed


@pytest.mark.usefixtures("hasty")
def test_a_run_that_is_cancelled_goes_on_where_it_was(
    acme: Organization,
    own_registry: Registry,
    between: Passing,
    server: TrackingServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hashing, "SAVED_EVERY", -1.0)
    files: dict[str, bytes | int] = {f"{n}.bin": bytes([n]) * 100 for n in range(4)}
    model = Deployed(own_registry, files)
    sync_model(acme, server, model)
    run = queued(acme, server)

    def cancel(active: SyncRun) -> None:
        if len(active.place.get("results", ())) == 2:
            with tenancy.acting_for(acme):
                cancel_sync(active)

    assert sync.advance(acme, run.pk, watcher=cancel) is None
    assert as_stored(acme, run).status == SyncRun.Status.CANCELLED

    finished = read_files(acme, server)

    assert finished.status == SyncRun.Status.SUCCEEDED
    paths = [path.rpartition("path=")[2] for path, _ in between.files]
    assert paths.count("0.bin") == paths.count("1.bin") == 1
    with tenancy.acting_for(acme):
        assert model.version().files_hashed == 4


def test_another_digest_is_believed_only_when_it_was_read_twice(
    acme: Organization, own_registry: Registry, between: Passing, server: TrackingServer
) -> None:
    model = Deployed(own_registry, {"model.bin": b"weights"})
    sync_model(acme, server, model)
    read_files(acme, server)
    pages = iter([(200, b"garbled")])
    between.answer = lambda _: next(pages, None)
    age(acme, model, days=31)

    assert read_files(acme, server).status == SyncRun.Status.SUCCEEDED

    with tenancy.acting_for(acme):
        assert "changed" not in model.manifest()["model.bin"]
    pages = iter([(200, b"garbled"), (200, b"grabled")])
    age(acme, model, days=31)

    assert read_files(acme, server).status == SyncRun.Status.PARTIAL

    with tenancy.acting_for(acme):
        row = model.manifest()["model.bin"]
        assert row["reason"] == hashing.DOUBTFUL
        assert "changed" not in row
        assert not AuditEvent.objects.filter(action="artifact.changed").exists()


def test_a_page_of_a_proxy_is_no_changed_file(
    acme: Organization,
    own_registry: Registry,
    between: Passing,
    server: TrackingServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The session of the proxy ends: from now on its page answers all that is asked."""
    model = Deployed(own_registry, {"model.bin": b"weights"})
    sync_model(acme, server, model)
    read_files(acme, server)
    age(acme, model, days=31)
    between.answer = lambda _: (200, PAGE)
    identify = hashing.Hashing._identify
    asked: list[int] = []

    def no_more(self: hashing.Hashing) -> None:
        asked.append(1)
        if len(asked) > 1:
            raise hashing.SyncError(
                "A web page answers.", kind=hashing.FailureKind.NOT_MLFLOW
            )
        identify(self)

    monkeypatch.setattr(hashing.Hashing, "_identify", no_more)

    run = read_files(acme, server)

    assert run.status == SyncRun.Status.FAILED
    with tenancy.acting_for(acme):
        row = model.manifest()["model.bin"]
        assert row["state"] == "hashed"
        assert "changed" not in row


def test_a_server_out_of_reach_fails_the_run_counts_for_the_pause_and_keeps_all(
    acme: Organization, own_registry: Registry, server: TrackingServer
) -> None:
    model = Deployed(own_registry, {"model.bin": b"weights"})
    sync_model(acme, server, model)
    with tenancy.acting_for(acme):
        server.url = f"http://127.0.0.1:{free_port()}"
        save_server(server)

    run = read_files(acme, server)

    assert run.status == SyncRun.Status.FAILED
    assert run.error_kind == "refused"
    with tenancy.acting_for(acme):
        server.refresh_from_db()
        assert server.failures_in_row == 1
        assert model.manifest()["model.bin"]["state"] == "not_asked"


def test_a_store_that_fails_for_every_file_is_left_alone_until_tomorrow(
    acme: Organization,
    own_registry: Registry,
    between: Passing,
    server: TrackingServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hashing, "GIVE_UP_AFTER", 2)
    models = [Deployed(own_registry, {"a.bin": b"a", "b.bin": b"b"}) for _ in range(3)]
    sync_model(acme, server, *models)
    between.answer = lambda _: (500, PAGE)

    run = read_files(acme, server)

    assert run.status == SyncRun.Status.PARTIAL
    assert len(between.files) <= 3
    with tenancy.acting_for(acme):
        reasons = SyncFailure.objects.values_list("reason", flat=True)
        assert hashing.GIVEN_UP in reasons
        assert not file_runs.due(server, at=now()).exists()
        assert file_runs.due(server, at=now() + timedelta(days=1)).count() == 3


@pytest.mark.usefixtures("hasty")
def test_the_lease_is_held_while_nothing_comes(
    acme: Organization, own_registry: Registry, between: Passing, server: TrackingServer
) -> None:
    model = Deployed(own_registry, {"model.bin": bytes(MIB)})
    sync_model(acme, server, model)
    silent = threading.Event()

    def hang(passed: int) -> None:
        if passed > MIB // 2 and not silent.is_set():
            silent.set()
            time.sleep(0.8)
            silent.clear()

    between.between = hang
    beats: list[bool] = []

    run = sync.advance(
        acme, queued(acme, server).pk, watcher=lambda _: beats.append(silent.is_set())
    )

    assert run is not None
    assert run.status == SyncRun.Status.SUCCEEDED
    assert sum(beats) >= 3
