"""Asking for a sync, taking up one whose worker died, and ending one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django_q.tasks import async_task

from accounts import audit, tenancy
from accounts.permissions import require
from accounts.roles import Permission
from inventory.models import ModelVersion
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
    accepted_absence: int | None = None,
    enqueue: bool = True,
) -> SyncRun:
    """Queue a sync; the job goes onto the queue in this transaction.

    With `targets`, names of models, only these are read, and nothing is looked for
    that may be gone. Raises SyncAlreadyActive when one is queued or running; one whose
    worker died is taken up again first. A run that only reads files gives way.
    """
    require(Permission.SYNC)
    revive(server, instead=lambda run: run.reach == SyncRun.Reach.FILES)
    run = SyncRun(
        server=server,
        trigger=trigger,
        requested_by=tenancy.current_actor(),
        reach=SyncRun.Reach.MODELS if targets else SyncRun.Reach.REGISTRY,
        targets=list(targets),
        is_full=is_full,
        with_artifacts=with_artifacts and server.read_artifacts,
        accepted_absence=accepted_absence,
    )
    _save(run)
    changes: dict[str, Any] = {"trigger": trigger, "full": is_full}
    if targets:
        changes["models"] = list(targets)
    if accepted_absence is not None:
        changes["accepted_absence"] = accepted_absence
    audit.record("sync.requested", run, changes=changes)
    if enqueue:
        enqueue_sync(run)
    return run


def request_files(
    server: TrackingServer,
    *,
    trigger: SyncRun.Trigger,
    version: ModelVersion | None = None,
    enqueue: bool = True,
) -> SyncRun:
    """Queue a run that reads files for their digests: what is due, or all of a version.

    It goes on where the last one was. Raises SyncAlreadyActive as `request_sync` does;
    only what is due gives way, to one version.
    """
    require(Permission.SYNC)
    revive(
        server,
        instead=lambda run: (
            version is not None
            and run.reach == SyncRun.Reach.FILES
            and run.version_id is None
        ),
    )
    last = SyncRun.objects.of_files().filter(server=server).finished().first()
    run = SyncRun(
        server=server,
        trigger=trigger,
        requested_by=tenancy.current_actor(),
        reach=SyncRun.Reach.FILES,
        version=version,
    )
    if last and version is None:
        run.place = last.place
        if last.error_kind == SyncRun.GAVE_WAY and last.version_id:
            # Somebody asked for it, and still waits.
            run.version_id, run.requested_by = last.version_id, last.requested_by
            run.trigger = last.trigger
            run.place["since"] = last.place.get("since") or last.queued_at.isoformat()
        else:
            run.place.pop("since", None)
    _save(run)
    changes: dict[str, Any] = {
        "trigger": run.trigger,
        "files": str(run.version or "due"),
    }
    audit.record("sync.requested", run, changes=changes)
    if enqueue:
        enqueue_sync(run)
    return run


def _save(run: SyncRun) -> None:
    """Insert a run, unless the server has an active one."""
    server = run.server
    try:
        with transaction.atomic():
            run.save()
    except IntegrityError as error:
        active = SyncRun.objects.active().filter(server=server).first()
        state = active.get_status_display().lower() if active else "active"
        raise SyncAlreadyActive(
            f"A sync of {server} is {state} already; it was not started twice."
        ) from error


def confirm_absence(
    run: SyncRun, *, trigger: SyncRun.Trigger, enqueue: bool = True
) -> SyncRun:
    """Say that what a sync found gone was deleted, and sync again.

    As much as was seen may be gone, and no more: if it is more by then, the sync asks
    anew. Raises ValidationError where the run asked for no such thing, or a later one
    has read the registry.
    """
    require(Permission.EDIT_GOVERNANCE)
    if run.vanished is None:
        raise ValidationError("This sync did not find that too much disappeared.")
    if SyncRun.objects.whole().filter(server=run.server_id, pk__gt=run.pk).exists():
        raise ValidationError("A later sync has read the registry: look at that one.")
    audit.record("sync.absence_confirmed", run, changes={"vanished": run.vanished})
    return request_sync(
        run.server, trigger=trigger, accepted_absence=run.vanished, enqueue=enqueue
    )


def cancel_sync(run: SyncRun) -> SyncRun:
    """End a sync that is queued or running; what it has stored stays.

    Its worker finds the run closed at its next beat, and stops. Raises
    ValidationError where it is over already.
    """
    require(Permission.SYNC)
    run = (
        SyncRun.objects.select_for_update(of=["self"])
        .select_related("server__source")
        .get(pk=run.pk)
    )
    if not run.is_active:
        raise ValidationError("This sync is over already.")
    acting = tenancy.current()
    who = f" by {acting.actor}" if acting and acting.actor else ""
    lease.close(
        run, SyncRun.Status.CANCELLED, error=f"Cancelled{who}.", kind="cancelled"
    )
    return run


def enqueue_sync(run: SyncRun) -> None:
    """Put the next slice of a run onto the queue. Jobs carry ids only."""
    async_task(
        settings.SYNC_JOB, run.organization_id, run.pk, task_name=f"sync {run.pk}"
    )


def revive(
    server: TrackingServer, *, instead: Callable[[SyncRun], bool] | None = None
) -> None:
    """Take up the server's run whose worker is silent, and close one that cannot go on.

    A run goes on from where it was; one that was begun often without getting further,
    or that no worker took up for a day, is closed as failed. One that gives way to what
    is asked for `instead` is ended: it goes on by itself afterwards.
    """
    for run in SyncRun.objects.active().filter(server=server).select_for_update():
        if instead and instead(run):
            lease.close(
                run,
                SyncRun.Status.CANCELLED,
                error="It made way for something more urgent, and goes on afterwards.",
                kind=SyncRun.GAVE_WAY,
            )
        elif run.is_abandoned and run.attempts < lease.MAX_ATTEMPTS:
            lease.free(run)
            enqueue_sync(run)
        elif run.is_abandoned:
            lease.close_lost(run)
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
