"""Writing models that nobody registered: only what changed, page by page.

Every function works inside the caller's `acting_for`. A row is never deleted: it tells
that it was registered, or that it is no longer there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from inventory.models import Experiment, Source, UnregisteredModel
from inventory.records import UnregisteredRecord
from inventory.writing import write

_FIELDS = (
    "kind",
    "name",
    "model_type",
    "status",
    "run_id",
    "experiment_id",
    "created_at",
)
_WRITTEN_ANEW = ""  # as a fingerprint: what comes back differs from it


@dataclass(slots=True)
class Changes:
    """What a page did to the list."""

    new: int = 0
    changed: int = 0
    absent: int = 0
    registered: list[str] = field(default_factory=list)  # addresses

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.absent or self.registered)


def store_unregistered(
    source: Source,
    records: Sequence[UnregisteredRecord],
    *,
    registered: Collection[str],
    at: datetime,
) -> Changes:
    """Write what is unregistered, and mark rows that are `registered` by now.

    `registered` are addresses that versions are made from. What was never listed as
    unregistered is not written. Costs one query where nothing changed.
    """
    told = {record.external_id: record for record in records}
    rows = {
        row.external_id: row
        for row in UnregisteredModel.objects.filter(
            source=source, external_id__in={*told, *registered}
        )
    }
    report = write(
        UnregisteredModel,
        source,
        (
            (address, record, _FIELDS, {"registered_at": None})
            for address, record in told.items()
            if address not in registered
        ),
        rows,
        key="external_id",
        at=at,
    )
    found = [
        row
        for address in registered
        if (row := rows.get(address)) and row.registered_at is None
    ]
    if found:
        UnregisteredModel.objects.filter(pk__in=[row.pk for row in found]).update(
            registered_at=at,
            absent_since=None,
            changed_at=at,
            fingerprint=_WRITTEN_ANEW,
        )
    return Changes(
        new=report.created,
        changed=report.updated,
        registered=sorted(row.external_id for row in found),
    )


def mark_absent_between(
    source: Source,
    kind: UnregisteredModel.Kind,
    *,
    experiments: Collection[str],
    after: str,
    upto: str | None,
    told: Collection[str],
    at: datetime,
) -> int:
    """Mark what lies between two ids of a list and was not told; return how many.

    `after` and `upto` are addresses of logged models, or ids of runs; without `upto`
    the list ends there. `told` are addresses.
    """
    column = "external_id" if kind is UnregisteredModel.Kind.LOGGED_MODEL else "run_id"
    rows = UnregisteredModel.objects.listed().filter(
        source=source,
        kind=kind,
        experiment_id__in=experiments,
        **{f"{column}__gt": after},
    )
    if upto is not None:
        rows = rows.filter(**{f"{column}__lte": upto})
    return rows.exclude(external_id__in=told).update(absent_since=at, changed_at=at)


def mark_absent_elsewhere(source: Source, *, at: datetime) -> int:
    """Mark what belongs to experiments that are deleted, or not known any more."""
    there = Experiment.objects.filter(source=source, lifecycle_stage="active")
    return (
        UnregisteredModel.objects.listed()
        .filter(source=source)
        .exclude(experiment_id__in=there.values("experiment_id"))
        .update(absent_since=at, changed_at=at)
    )


def forget(source: Source, *, at: datetime) -> int:
    """Mark all as absent: nobody looks for them any more."""
    rows = UnregisteredModel.objects.listed().filter(source=source)
    return rows.update(absent_since=at, changed_at=at)
