"""Sync, then judge: the two halves know nothing of each other and meet here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic

from croniter import croniter
from django.conf import settings
from django.db import connection
from django.db.models import Max, Q
from django.utils.timezone import now
from django_q.tasks import async_task

from accounts import tenancy
from accounts.models import Organization
from compliance.evaluation import (
    Report,
    chunks,
    evaluate_organization,
    evaluate_sources,
    keep_standings,
    make_due,
)
from compliance.facts import SourceFacts
from compliance.models import Evaluation, Gap
from inventory.models import ModelVersion, Run
from mlflow_sync import slices, sync
from mlflow_sync.files import runs as file_runs
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.progress import Watcher
from mlflow_sync.webhooks import endpoints

MANY = 1000  # new versions of one sync
AT_ONCE = 500  # versions that are judged while somebody waits


def advance(
    organization: Organization,
    run_id: int,
    *,
    patience: float = slices.LENGTH,
    watcher: Watcher | None = None,
) -> SyncRun | None:
    """Do the next slice of a sync; when the registry is read, judge what changed.

    A slice that is not the last has put its continuation onto the queue; behind the
    last, what webhooks told meanwhile is asked for, and then the files that are due.
    """
    run = sync.advance(organization, run_id, patience=patience, watcher=watcher)
    if run is None or run.is_active:
        return run
    judge(organization, only_due=True)
    if run.count("created") >= MANY:
        _tell_the_planner()
    with tenancy.acting_for(organization, origin="sync"):
        run.evaluated_at = now()
        run.save(update_fields=["evaluated_at"])
        endpoints.settle(run)
        file_runs.follow_up(run)
    return run


def _tell_the_planner() -> None:
    """Let PostgreSQL count its rows anew, which it does by itself a minute too late.

    Until then it plans for empty tables, and the first lists take a second.
    """
    with connection.cursor() as cursor:
        for model in (ModelVersion, Run, Evaluation, Gap):
            cursor.execute(f"ANALYZE {connection.ops.quote_name(model._meta.db_table)}")


def judge(organization: Organization, *, only_due: bool = False) -> Report:
    """Judge the versions, all or those that changed, and the sources."""
    report = evaluate_organization(organization, only_due=only_due)
    report.add(evaluate_sources(organization, source_facts(organization)))
    return report


def judge_again(version_ids: Sequence[int]) -> str:
    """Judge versions that a person changed, and say what came of it.

    In the person's transaction; many are judged by a job instead, which finds them by
    their rows having changed.
    """
    organization = Organization.objects.get(pk=tenancy.current_organization_id())
    count = len(version_ids)
    noun = "version" if count == 1 else "versions"
    if count > AT_ONCE:
        async_task(settings.DUE_EVALUATION_JOB, organization.pk)
        return f"{count:,} {noun} will be judged again in the background."
    report = evaluate_organization(organization, version_ids=version_ids)
    opened = report.opened + report.reopened
    return (
        f"{count:,} {noun} judged again: {report.closed} gaps closed, {opened} opened."
    )


def judge_renamed(version_ids: Sequence[int]) -> str:
    """Judge versions again whose rows are as they were, but not who is named in them."""
    if len(version_ids) > AT_ONCE:
        make_due(version_ids)
    return judge_again(version_ids)


def judge_due(organization: Organization, *, patience: float = slices.LENGTH) -> bool:
    """Judge what is due for `patience` seconds; tell whether nothing is left."""
    end = monotonic() + patience
    is_done = True
    for _ in chunks(organization, only_due=True):
        if monotonic() >= end:
            is_done = False
            break
    keep_standings(organization)
    if is_done:
        evaluate_sources(organization, source_facts(organization))
    return is_done


def source_facts(organization: Organization) -> list[SourceFacts]:
    """Return when each source was last synced, how often that should be, and how safely.

    Whether its user may write in MLflow stays open: we send nothing that would tell.
    """
    read = Q(
        sync_runs__status__in=SyncRun.READ,
        sync_runs__reach=SyncRun.Reach.REGISTRY,
    )
    at, interval = now(), sync_interval()
    with tenancy.acting_for(organization, origin="scheduler"):
        rows = (
            TrackingServer.objects.filter(removed_at=None)
            .select_related("source")
            .annotate(last_synced_at=Max("sync_runs__finished_at", filter=read))
        )
        return [
            SourceFacts(
                source_id=server.source_id,
                name=server.source.name,
                now=at,
                added_at=server.source.created_at,
                last_synced_at=server.last_synced_at,
                sync_interval=interval if server.is_enabled else None,
                is_encrypted=server.is_encrypted,
                is_verified=server.is_encrypted and server.verify_tls,
                is_local=server.is_local,
                has_identity=server.has_identity,
            )
            for server in rows
        ]


def sync_interval() -> timedelta:
    """Return the time between two scheduled syncs, by SYNC_CRON."""
    times = croniter(settings.SYNC_CRON, now())
    first: datetime = times.get_next(datetime)
    second: datetime = times.get_next(datetime)
    return second - first
