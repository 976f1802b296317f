"""When files are to be read for their digests, and asking for a run that does it.

It starts by itself, where files are due, after a sync and every few minutes; and for one
version when somebody wants to know now.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Subquery, Sum, When
from django.db.models.functions import JSONObject
from django.utils.timezone import now

from accounts.permissions import require
from accounts.roles import Permission
from inventory.models import ModelVersion
from inventory.records import Stage
from mlflow_sync import queueing
from mlflow_sync.exceptions import SyncAlreadyActive
from mlflow_sync.models import SyncRun, TrackingServer

logger = logging.getLogger(__name__)

# So long nothing starts by itself after a run that failed, or that a person ended.
CALM = timedelta(hours=1)
NO_SERVER = (
    "No tracking server is read for this version: nobody can be asked for files."
)
NO_FILES = "No files of this version are known: the next sync lists them."
SWITCHED_OFF = "{server} is set to hash no files."


def file_counts() -> Subquery:
    """Return how many files of a server's versions in production are in which state.

    For annotating servers; the numbers are summed from columns, and no manifest is read.
    """
    counts = {
        name: Sum(f"files_{name}")
        for name in ("hashed", "waiting", "too_large", "changed")
    }
    versions = ModelVersion.objects.present().filter(
        source=OuterRef("source"), lifecycle_stage=Stage.PRODUCTION
    )
    return Subquery(
        versions.order_by()
        .values("source")
        .annotate(told=JSONObject(**counts))
        .values("told")
    )


def due(server: TrackingServer, *, at: datetime) -> QuerySet[ModelVersion]:
    """Return the versions whose files are due: never read ones first, then the oldest."""
    if not server.hash_files:
        return ModelVersion.objects.none()
    never_read_first = Case(When(files_waiting__gt=0, then=0), default=1)
    return (
        ModelVersion.objects.present()
        .filter(source=server.source_id, files_due_at__lte=at)
        .order_by(never_read_first, "files_due_at", "pk")
    )


def verify_files(
    version: ModelVersion, *, trigger: SyncRun.Trigger, enqueue: bool = True
) -> SyncRun:
    """Ask for all files of one version to be read now, whatever is known of them.

    Raises ValidationError where nobody can be asked, and SyncAlreadyActive while
    something else is read of the server, unless that is other files.
    """
    require(Permission.SYNC)
    if refused := why_not(version):
        raise ValidationError(refused)
    server = _servers_of(version).get()
    return queueing.request_files(
        server, trigger=trigger, version=version, enqueue=enqueue
    )


def why_not(version: ModelVersion) -> str:
    """Say why a version's files cannot be read, "" if they can. Costs a query."""
    if version.is_absent:
        return "MLflow no longer tells this version."
    if not version.artifact_manifest:
        return NO_FILES
    return "" if _servers_of(version).exists() else NO_SERVER


def _servers_of(version: ModelVersion) -> QuerySet[TrackingServer]:
    return TrackingServer.objects.filter(
        source=version.source_id, removed_at=None
    ).select_related("source")


def read_due_files(
    server: TrackingServer, *, trigger: SyncRun.Trigger, enqueue: bool = True
) -> SyncRun | None:
    """Ask for what is due of a server; None if nothing is.

    Raises ValidationError where the server is set to hash no files.
    """
    if not server.hash_files:
        raise ValidationError(SWITCHED_OFF.format(server=server))
    if not due(server, at=now()).exists():
        return None
    return queueing.request_files(server, trigger=trigger, enqueue=enqueue)


def follow_up(run: SyncRun) -> None:
    """After a sync that read the registry, ask for the files that are due."""
    if run.reach != SyncRun.Reach.FILES and run.has_read:
        _ask(TrackingServer.objects.filter(pk=run.server_id))


def tend() -> None:
    """Ask for the files that are due, of all servers that are read by themselves.

    Costs one query where nothing is.
    """
    _ask(TrackingServer.objects.filter(is_enabled=True))


def _ask(servers: QuerySet[TrackingServer]) -> None:
    at = now()
    runs = SyncRun.objects.filter(server=OuterRef("pk"))
    waiting = ModelVersion.objects.present().filter(
        source=OuterRef("source"), files_due_at__lte=at
    )
    last = JSONObject(
        status="status", kind="error_kind", version="version", at="finished_at"
    )
    for server in (
        servers.filter(removed_at=None, failures_in_row=0)
        .filter(Q(paused_until=None) | Q(paused_until__lte=at))
        .filter(~Exists(runs.active()))
        .select_related("source")
        .annotate(
            has_due=Exists(waiting),
            last=Subquery(runs.of_files().values(told=last)[:1]),
        )
    ):
        if _is_wanted(server, at):
            try:
                queueing.request_files(server, trigger=SyncRun.Trigger.SCHEDULE)
            except SyncAlreadyActive as active:  # somebody was quicker
                logger.info("%s", active)


def _is_wanted(server: Any, at: datetime) -> bool:
    """Tell whether to start by itself. `last` is the last run of files, if any."""
    last = server.last or {}
    if last.get("kind") == SyncRun.GAVE_WAY and last["version"] is not None:
        return True  # somebody asked for it, and waits
    ended = (SyncRun.Status.FAILED, SyncRun.Status.CANCELLED)
    has_ended_badly = last.get("status") in ended and last["kind"] != SyncRun.GAVE_WAY
    if has_ended_badly and datetime.fromisoformat(last["at"]) > at - CALM:
        return False
    return bool(server.hash_files and server.has_due)
