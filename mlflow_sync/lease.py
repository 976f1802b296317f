"""Who works on a sync run: claimed before the work, alive while it beats, then closed.

Each function is a short transaction of its own, so that progress shows at once and a
killed worker leaves a row that tells what happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.timezone import now

from accounts import audit, tenancy
from accounts.models import Organization
from mlflow_sync.models import SyncRun

MAX_ATTEMPTS = 3


def claim(organization: Organization, run_id: int) -> SyncRun | None:
    """Take a queued run, or the next slice of one, and count the attempt.

    Returns None where there is nothing to do: it is over, or another worker has it.
    A run that was begun so often without getting anywhere is closed as failed.
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
        if run.attempts >= MAX_ATTEMPTS:
            _close(
                run,
                SyncRun.Status.FAILED,
                error=f"The sync was begun {run.attempts} times, and its worker "
                "stopped each time without getting further.",
                kind="worker_lost",
            )
            return None
        run.attempts += 1
        run.status = SyncRun.Status.RUNNING
        run.started_at = run.started_at or now()
        run.heartbeat_at = now()
        run.save()
        return run


def beat(organization: Organization, run: SyncRun, **progress: Any) -> None:
    """Tell that the worker lives, and how far it is. Costs one update."""
    for name, value in progress.items():
        setattr(run, name, value)
    with tenancy.acting_for(organization, origin="sync"):
        run.heartbeat_at = now()
        run.save(update_fields=["heartbeat_at", *progress])


def pause(
    organization: Organization, run: SyncRun, *, place: Mapping[str, Any]
) -> None:
    """Save the place and free the run for its continuation."""
    with tenancy.acting_for(organization, origin="sync"):
        run.place, run.attempts = dict(place), 0
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
    """Close a run, with its entry on the trail."""
    with tenancy.acting_for(organization, origin="sync"):
        _close(run, status, error=error, kind=kind)


def _close(run: SyncRun, status: SyncRun.Status, *, error: str, kind: str) -> None:
    run.status, run.error, run.error_kind = status, error, kind
    run.finished_at = run.heartbeat_at = now()
    run.phase = ""
    run.save()
    audit.record(
        f"sync.{status}",
        run,
        changes=run.summary()
        | {
            "source_uri": run.source_uri,
            "identity": run.identity,
            "credential_fingerprint": run.credential_fingerprint,
            "mlflow_version": run.mlflow_version,
        },
        reason=error,
    )
