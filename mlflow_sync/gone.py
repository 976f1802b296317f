"""Absence: what MLflow no longer tells is marked, unless too much of it went at once.

Under MLflow's auth a lost grant looks like an empty registry with status 200.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from django.utils.timezone import now

from accounts import audit, tenancy
from accounts.models import Organization
from inventory import store
from inventory.models import ModelVersion, RegisteredModel, Source
from mlflow_sync import lease
from mlflow_sync.exceptions import FailureKind, SyncError
from mlflow_sync.models import SyncRun

CHUNK = 200  # rows that are marked in one transaction


def mark_gone(
    organization: Organization,
    run: SyncRun,
    *,
    models: Collection[str],
    versions: Mapping[str, Collection[int]],
    previous: datetime | None,
    beat: Callable[[], None],
) -> int:
    """Mark as absent what is not among the told names and numbers; count the versions.

    `previous` is when the last sync began that read the whole registry.
    Raises SyncError, and marks nothing, when more is gone than the server's settings
    let us believe and a person has confirmed. A chunk is one transaction; memory does
    not grow with what is there.
    """
    source = run.server.source
    with tenancy.acting_for(organization, origin="sync"):
        gone_models, total_models = _gone_models(source, models)
        gone, total = _gone_versions(source, versions)
    _believe(
        run,
        {"versions": (len(gone), total), "models": (len(gone_models), total_models)},
    )
    for start in range(0, len(gone), CHUNK):
        with tenancy.acting_for(organization, origin="sync"):
            lease.hold(run)
            rows = list(
                ModelVersion.objects.present()
                .filter(pk__in=gone[start : start + CHUNK])
                .select_related("registered_model")
            )
            store.mark_versions_absent(rows, at=now(), previous_sync=previous)
            audit.record(
                "sync.absent", run, changes={"versions": [str(row) for row in rows]}
            )
        beat()
    for start in range(0, len(gone_models), CHUNK):
        with tenancy.acting_for(organization, origin="sync"):
            lease.hold(run)
            named = list(
                RegisteredModel.objects.present().filter(
                    pk__in=gone_models[start : start + CHUNK]
                )
            )
            store.mark_models_absent(named, at=now(), previous_sync=previous)
            audit.record(
                "sync.absent", run, changes={"models": [row.name for row in named]}
            )
        beat()
    return len(gone)


def _gone_models(source: Source, told: Collection[str]) -> tuple[list[int], int]:
    gone, total = [], 0
    present = RegisteredModel.objects.present().filter(source=source).order_by()
    for pk, name in present.values_list("pk", "name").iterator(chunk_size=2000):
        total += 1
        if name not in told:
            gone.append(pk)
    return gone, total


def _gone_versions(
    source: Source, told: Mapping[str, Collection[int]]
) -> tuple[list[int], int]:
    gone, total = [], 0
    present = ModelVersion.objects.present().filter(source=source)
    rows = present.order_by("registered_model").values_list(
        "registered_model__name", "pk", "version_number"
    )
    for name, versions in groupby(rows.iterator(chunk_size=2000), itemgetter(0)):
        numbers = set(told.get(name, ()))  # of one model at a time
        for _, pk, number in versions:
            total += 1
            if number not in numbers:
                gone.append(pk)
    return gone, total


def _believe(run: SyncRun, found: Mapping[str, tuple[int, int]]) -> None:
    """Raise SyncError where more is gone than may be; `found` is gone and total of each.

    Confirming it confirms all that is gone, of whatever kind.
    """
    server = run.server
    certain = max(server.vanish_always, run.accepted_absence or 0)
    doubted = [
        f"{gone} of {total} {what}"
        for what, (gone, total) in found.items()
        if gone > certain and gone > total * server.vanish_percent / 100
    ]
    if not doubted:
        return
    run.vanished = max(gone for gone, _ in found.values())
    raise SyncError(
        f"Too much disappeared: {' and '.join(doubted)} are no longer told. Nothing was "
        "marked absent. Did the user lose a permission in MLflow? If they were deleted, "
        "confirm it.",
        kind=FailureKind.VANISHED,
    )
