"""Sync, then evaluate: the two halves know nothing of each other and meet here."""

from __future__ import annotations

from django.utils.timezone import now

from accounts import tenancy
from accounts.models import Organization
from compliance.evaluation import evaluate_organization
from mlflow_sync import servers, sync
from mlflow_sync.models import SyncRun


def advance(
    organization: Organization,
    run_id: int,
    *,
    patience: float = sync.SLICE,
    progress: sync.Progress | None = None,
) -> SyncRun | None:
    """Do the next slice of a sync; when the registry is read, judge what changed.

    A slice that is not the last puts its continuation onto the queue.
    """
    run = sync.advance(organization, run_id, patience=patience, progress=progress)
    if run is None:
        return None
    if run.is_active:
        with tenancy.acting_for(organization, origin="sync"):
            servers.enqueue_sync(run)
        return run
    evaluate_organization(organization, changed_only=True)
    with tenancy.acting_for(organization, origin="sync"):
        run.evaluated_at = now()
        run.save(update_fields=["evaluated_at"])
    return run
