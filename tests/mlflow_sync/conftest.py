"""A registry that no other process touches, and a server of Acme that reads it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from accounts import tenancy
from accounts.models import Organization
from mlflow_sync import sync
from mlflow_sync.client import Client
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.queueing import request_sync
from mlflow_sync.servers import save_server
from tests.mlflow_sync.faulty import Faulty
from tests.registry import Registry
from tests.servers import Flavour, MlflowServer, shared_mlflow

pytest.register_assert_rewrite("tests.recordings.expected")

Syncer = Callable[..., SyncRun]


@pytest.fixture(scope="session")
def own_mlflow(shared_folder: Path) -> Iterator[MlflowServer]:
    """An MLflow of this test process alone: what a sync tells of it can be counted."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with shared_mlflow(shared_folder / f"mlflow-{worker}", Flavour.OPEN) as server:
        yield server


@pytest.fixture(scope="session")
def own_registry(own_mlflow: MlflowServer) -> Iterator[Registry]:
    with Registry(own_mlflow) as registry:
        yield registry


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
    httpserver: HTTPServer, own_mlflow: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> Faulty:
    """Stand before `own_mlflow`; retries come quickly."""
    quick = partial(Client, delays=(0.01, 0.01, 0.01))
    monkeypatch.setattr("mlflow_sync.readers.Client", quick)
    return Faulty(httpserver, own_mlflow.url)
