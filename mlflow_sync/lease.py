"""Who works on a sync run: claimed before the work, alive while it beats, then closed.

Each function is a short transaction of its own, so that progress shows at once and a
killed worker leaves a row that tells what happened. The last beat is the proof that the
run is still this worker's: who was silent for too long, and was taken for dead, finds
another beat there, or the run closed, and stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.timezone import now

from accounts import audit, tenancy
from accounts.models import Organization
from mlflow_sync.models import SyncRun

MAX_ATTEMPTS = 3


class LeaseLost(Exception):
    """The run was closed, or given to another worker, while this one worked on it."""


def claim(organization: Organization, run_id: int) -> SyncRun | None:
    """Take a queued run, or the next slice of one, and count the attempt.

    Returns None where there is nothing to do: it is over, or another worker has it.
    A run that was begun so often without getting anywhere is closed as failed, and so
    is one that nobody wants any more.
    """
    with tenancy.acting_for(organization, origin="sync"):
        run = (
            SyncRun.objects.select_for_update(of=["self"])
            .select_related("server__source")
            .get(pk=run_id)
        )
        if not run.is_active:
            return None
        if run.status == SyncRun.Status.RUNNING and not run.is_abandoned:
            return None
        if unwanted := _why_unwanted(organization, run):
            close(run, SyncRun.Status.FAILED, error=unwanted, kind="unwanted")
            return None
        if run.attempts >= MAX_ATTEMPTS:
            close_lost(run)
            return None
        run.attempts += 1
        run.status = SyncRun.Status.RUNNING
        run.started_at = run.started_at or now()
        run.heartbeat_at = now()
        run.save()
        return run


def _why_unwanted(organization: Organization, run: SyncRun) -> str:
    if organization.closed_at:
        return "The organization was closed."
    if run.server.removed_at:
        return "The tracking server was removed."
    return ""


def hold(run: SyncRun) -> None:
    """Keep the run this worker's until the caller's transaction ends.

    Raises LeaseLost if it is not any more. Costs one query.
    """
    held = SyncRun.objects.select_for_update().filter(
        pk=run.pk, status=SyncRun.Status.RUNNING, heartbeat_at=run.heartbeat_at
    )
    if not list(held.values_list("pk")):
        raise LeaseLost


def beat(organization: Organization, run: SyncRun) -> None:
    """Tell that the worker lives, and how far it is. Costs one update.

    Raises LeaseLost if the run is not this worker's any more.
    """
    at = now()
    with tenancy.acting_for(organization, origin="sync"):
        beaten = SyncRun.objects.filter(
            pk=run.pk, status=SyncRun.Status.RUNNING, heartbeat_at=run.heartbeat_at
        ).update(
            heartbeat_at=at,
            phase=run.phase,
            counts=run.counts,
            expected_versions=run.expected_versions,
        )
    if not beaten:
        raise LeaseLost
    run.heartbeat_at = at


def free(run: SyncRun) -> None:
    """Give the run of a worker that died back to the queue, in the caller's transaction.

    Its place is that of the last chunk which was stored.
    """
    run.status, run.heartbeat_at = SyncRun.Status.QUEUED, now()
    run.save(update_fields=["status", "heartbeat_at"])


def save_place(run: SyncRun, place: Mapping[str, Any]) -> None:
    """Note how far a run is, in the transaction that stored as much.

    Whoever takes it up goes on from there, and has its attempts anew.
    """
    run.place, run.attempts = dict(place), 1
    run.save(update_fields=["place", "attempts", "counts"])


def pause(organization: Organization, run: SyncRun) -> None:
    """Free the run for its continuation; its place is saved."""
    with tenancy.acting_for(organization, origin="sync"):
        hold(run)
        run.attempts = 0
        run.status = SyncRun.Status.QUEUED
        run.save()


def finish(
    organization: Organization,
    run: SyncRun,
    status: SyncRun.Status,
    *,
    error: str = "",
    kind: str = "",
) -> None:
    """Close the run that this worker has, with its entry on the trail."""
    with tenancy.acting_for(organization, origin="sync"):
        hold(run)
        close(run, status, error=error, kind=kind)


def close_lost(run: SyncRun) -> None:
    """Close a run that got nowhere however often it was begun."""
    close(
        run,
        SyncRun.Status.FAILED,
        error=f"The sync was begun {run.attempts} times, and its worker stopped each "
        "time without getting further.",
        kind="worker_lost",
    )


def close(
    run: SyncRun, status: SyncRun.Status, *, error: str = "", kind: str = ""
) -> None:
    """Close a run, whoever had it, in the caller's transaction."""
    run.status, run.error, run.error_kind = status, error, kind
    run.finished_at = now()
    run.phase = ""
    run.save()
    audit.record(
        f"sync.{status}",
        run,
        changes=run.summary()
        | {
            "source_uri": run.source_uri,
            "workspace": run.workspace,
            "identity": run.identity,
            "credential_fingerprint": run.credential_fingerprint,
            "mlflow_version": run.mlflow_version,
        },
        reason=error,
    )
