"""A real worker, a real queue, and a worker that is killed in the middle."""

from __future__ import annotations

import os
import signal
import threading
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from django.utils.timezone import now
from werkzeug import Request, Response

from accounts import tenancy
from accounts.models import Organization
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.queueing import request_sync
from mlflow_sync.servers import save_server
from tests.mlflow_sync.faulty import Faulty
from tests.mlflow_sync.files.deployed import Deployed, sha256
from tests.registry import Registry
from tests.servers import MlflowServer
from tests.workers import wait_until, worker
from verifywise import jobs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.cluster]


def status_of(organization: Organization, run: SyncRun) -> str:
    with tenancy.acting_for(organization):
        return SyncRun.objects.get(pk=run.pk).status


def test_a_worker_syncs_and_survives_the_death_of_its_process(
    acme: Organization, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    """Sync now; kill the worker in mid-sync; see another one go on with the same run."""
    asked: list[str] = []
    is_open = threading.Event()

    def hang(request: Request, response: Response) -> Response:
        asked.append(request.path)
        is_open.wait(60)
        return response

    with worker(tmp_path) as cluster, Faulty(mlflow_server.url) as slow:
        slow.fault = hang
        with tenancy.acting_for(acme):
            server = save_server(
                TrackingServer(url=slow.url, is_enabled=False), name="Production"
            )
            run = request_sync(server, trigger=SyncRun.Trigger.MANUAL)
        wait_until(lambda: asked)
        assert status_of(acme, run) == SyncRun.Status.RUNNING

        _kill_the_busy(cluster.pid)
        is_open.set()
        with tenancy.acting_for(acme):
            SyncRun.objects.update(heartbeat_at=now() - timedelta(minutes=5))
        jobs.tend()
        wait_until(lambda: status_of(acme, run) not in SyncRun.ACTIVE, process=cluster)

        with tenancy.acting_for(acme):
            run = SyncRun.objects.get()
            assert run.has_read, run.error
        wait_until(lambda: _evaluated(acme, run))


def test_a_worker_syncs_and_then_reads_the_files_of_what_is_in_production(
    acme: Organization, registry: Registry, tmp_path: Path
) -> None:
    weights = b"weights " * 500_000
    model = Deployed(registry, {"MLmodel": b"flavors: {}", "model.pkl": weights})
    with tenancy.acting_for(acme):
        server = save_server(
            TrackingServer(
                url=registry.server.url, is_enabled=False, include_names=model.name
            ),
            name="Production",
        )
    with worker(tmp_path) as cluster:
        with tenancy.acting_for(acme):
            request_sync(server, trigger=SyncRun.Trigger.MANUAL)
        wait_until(lambda: _is_hashed(acme, model), process=cluster)

    with tenancy.acting_for(acme):
        assert model.manifest()["model.pkl"]["sha256"] == sha256(weights)
        run = SyncRun.objects.of_files().get()
        assert run.status == SyncRun.Status.SUCCEEDED, run.error


def _is_hashed(organization: Organization, model: Deployed) -> bool:
    with tenancy.acting_for(organization):
        runs = SyncRun.objects.of_files().filter(status__in=SyncRun.READ)
        return runs.exclude(evaluated_at=None).exists()


def _evaluated(organization: Organization, run: SyncRun) -> bool:
    with tenancy.acting_for(organization):
        return SyncRun.objects.get(pk=run.pk).evaluated_at is not None


def _kill_the_busy(main: int) -> None:
    """Kill, as the system would for want of memory, the process that holds a socket."""
    for process in psutil.Process(main).children(recursive=True):
        if any(each.raddr for each in process.net_connections("inet")):
            os.kill(process.pid, signal.SIGKILL)
            return
    raise AssertionError("No process of the worker is reading from the server.")
