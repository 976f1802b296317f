"""A registry that no other process touches, and a server of Acme that reads it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from accounts import tenancy
from accounts.models import Organization
from mlflow_sync import sync
from mlflow_sync.client import Client, Connection, Pace
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.queueing import request_sync
from mlflow_sync.servers import save_server
from tests.mlflow_sync.faulty import SECOND, Faulty, doze
from tests.registry import Registry
from tests.servers import Flavour, MlflowServer, shared_mlflow
from tests.wire import Script, answer, scripted

pytest.register_assert_rewrite("tests.recordings.expected")

Syncer = Callable[..., SyncRun]


@pytest.fixture(scope="session")
def own_mlflow(shared_folder: Path) -> Iterator[MlflowServer]:
    """An MLflow of this test process alone: what a sync tells of it can be counted."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with shared_mlflow(shared_folder / f"mlflow-{worker}", Flavour.OPEN) as server:
        yield server


@pytest.fixture(scope="module")
def own_registry(own_mlflow: MlflowServer) -> Iterator[Registry]:
    """Its registry, emptied after each module: a purged run would stay unreadable."""
    with Registry(own_mlflow) as registry:
        yield registry
        registry.empty()


@pytest.fixture
def server(acme: Organization, own_mlflow: MlflowServer) -> TrackingServer:
    """Acme's tracking server, which reads `own_registry`."""
    with tenancy.acting_for(acme):
        return save_server(TrackingServer(url=own_mlflow.url), name="Production")


def sync_to_end(
    organization: Organization,
    server: TrackingServer,
    *,
    patience: float = float("inf"),
    artifacts: bool = False,
    full: bool = False,
) -> SyncRun:
    """Sync a server to its end, in the test's own process, and return the run."""
    with tenancy.acting_for(organization):
        queued = request_sync(
            server,
            trigger=SyncRun.Trigger.MANUAL,
            with_artifacts=artifacts,
            is_full=full,
            enqueue=False,
        )
    finished = sync.advance(organization, queued.pk, patience=patience)
    assert finished is not None
    while finished.is_active:  # slices of a long sync
        following = sync.advance(organization, queued.pk, patience=patience)
        assert following is not None
        finished = following
    return finished


@pytest.fixture
def sync_now(acme: Organization, server: TrackingServer) -> Syncer:
    """Sync Acme's server to its end."""
    return partial(sync_to_end, acme, server)


@pytest.fixture
def faulty(
    own_mlflow: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Faulty]:
    """Stand before `own_mlflow`; the client's pauses between two tries are short."""
    quick = partial(Client, sleep=doze)
    monkeypatch.setattr("mlflow_sync.readers.Client", quick)
    monkeypatch.setattr("mlflow_sync.sync.Pace", partial(Pace, sleep=doze))
    with Faulty(own_mlflow.url) as found:
        yield found


@contextmanager
def impatience() -> Iterator[None]:
    """Shorten the deadline of a request, and keep answers small.

    How long silence is borne is a setting of each server; 1 s is the least.
    """
    bounds = Connection.__init__.__kwdefaults__
    assert bounds is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(bounds, "deadline", 90 * SECOND)
        patch.setitem(bounds, "max_bytes", 2**20)
        yield


@pytest.fixture
def impatient() -> Iterator[None]:
    with impatience():
        yield


@pytest.fixture
def foreign() -> Iterator[Script]:
    """Another host than MLflow's, which must never hear of us."""
    with scripted(lambda client, _: client.sendall(answer(b"{}"))) as found:
        found.url = found.url.replace("127.0.0.1", "localhost")
        yield found
    assert found.requests == []
