"""Asking for a sync, and ending one that nobody works on or nobody wants any more."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.db import IntegrityError, transaction
from django_q.tasks import async_task

from accounts import audit, tenancy
from accounts.permissions import require
from accounts.roles import Permission
from mlflow_sync import lease
from mlflow_sync.exceptions import SyncAlreadyActive
from mlflow_sync.models import SyncRun, TrackingServer


def request_sync(
    server: TrackingServer,
    *,
    trigger: SyncRun.Trigger,
    targets: Sequence[str] = (),
    is_full: bool = False,
    with_artifacts: bool = True,
    enqueue: bool = True,
) -> SyncRun:
    """Queue a sync; the job goes onto the queue in this transaction.

    With `targets`, names of models, only these are read, and nothing is looked for
    that may be gone.

    Raises SyncAlreadyActive when one is queued or running. A run whose worker died is
    closed first, so that it stands in nobody's way.
    """
    require(Permission.SYNC)
    close_abandoned(server)
    acting = tenancy.current()
    run = SyncRun(
        server=server,
        trigger=trigger,
        requested_by=acting.actor if acting else None,
        reach=SyncRun.Reach.MODELS if targets else SyncRun.Reach.REGISTRY,
        targets=list(targets),
        is_full=is_full,
        with_artifacts=with_artifacts and server.read_artifacts,
    )
    try:
        with transaction.atomic():
            run.save()
    except IntegrityError as error:
        active = SyncRun.objects.active().filter(server=server).first()
        state = active.get_status_display().lower() if active else "active"
        raise SyncAlreadyActive(
            f"A sync of {server} is {state} already; it was not started twice."
        ) from error
    audit.record("sync.requested", run, changes={"trigger": trigger, "full": is_full})
    if enqueue:
        enqueue_sync(run)
    return run


def enqueue_sync(run: SyncRun) -> None:
    """Put the next slice of a run onto the queue. Jobs carry ids only."""
    async_task(
        settings.SYNC_JOB, run.organization_id, run.pk, task_name=f"sync {run.pk}"
    )


def close_abandoned(server: TrackingServer) -> None:
    """Close the server's run whose worker is silent, or which no worker took up."""
    for run in SyncRun.objects.active().filter(server=server).select_for_update():
        if run.is_abandoned:
            lease.close(
                run,
                SyncRun.Status.FAILED,
                error="The worker that ran this sync stopped in the middle of it.",
                kind="worker_lost",
            )
        elif run.is_forgotten:
            lease.close(
                run,
                SyncRun.Status.FAILED,
                error="No worker took this sync up for a day.",
                kind="worker_lost",
            )


def end_syncs(server: TrackingServer, why: str, *, begun: bool = False) -> None:
    """Close the server's active sync, or only one that has `begun`.

    Its worker finds the run closed at its next beat, and stops.
    """
    for run in SyncRun.objects.active().filter(server=server).select_for_update():
        if run.started_at or not begun:
            lease.close(run, SyncRun.Status.FAILED, error=why, kind="unwanted")
