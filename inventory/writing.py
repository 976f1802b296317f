"""Writing one chunk of rows: only what changed, in bulk, with its history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from accounts.tenancy import current_organization_id
from inventory.manifest import content
from inventory.models import Ingested, ModelVersion, Perishable, Source, known_fields
from inventory.records import Redaction, Told

Row = TypeVar("Row", bound=Ingested)
BATCH = 500


@dataclass(slots=True)
class StoreReport:
    """What storing a chunk did."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    written: list[str] = field(default_factory=list)  # fingerprints
    new: list[str] = field(default_factory=list)  # names of what was created
    moved: list[str] = field(default_factory=list)  # lifecycle changes, in words
    returned: list[str] = field(default_factory=list)  # absent before, told again


def plain(value: Any) -> Any:
    """Return a record's value as JSON columns hold it."""
    if isinstance(value, Told):
        told: dict[str, Any] = {"source": value.source, "key": value.key}
        if value.weak:
            told["weak"] = True
        return told | ({"raw": value.raw} if value.raw else {})
    if isinstance(value, Redaction):
        return asdict(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def as_told(row: Ingested) -> None:
    """Leave a row as its source told it."""


def write(
    model: type[Row],
    source: Source,
    told: Iterable[tuple[Any, Any, tuple[str, ...], dict[str, Any]]],
    rows: dict[Any, Row],
    *,
    key: str | None,
    at: datetime,
    settle: Callable[[Row], None] = as_told,
) -> StoreReport:
    """Insert or update what the fingerprints say has changed; `rows` is kept current.

    A row that was absent is told again, and written even if it is as it was. `settle`
    is called with each row that is written, when it holds what was told.
    """
    report = StoreReport()
    new: list[Row] = []
    changed: list[Row] = []
    seen = set()
    for identity, record, fields, more in told:
        if identity in seen:
            continue  # two names that are one, as far as they can be stored
        seen.add(identity)
        row = rows.get(identity)
        was_absent = isinstance(row, Perishable) and row.is_absent
        if row and row.fingerprint == record.fingerprint and not was_absent:
            report.unchanged += 1
            continue
        if row is None:
            row = model(
                organization_id=current_organization_id(),
                source=source,
                first_seen_at=at,
            )
            if key:
                setattr(row, key, identity)
            rows[identity] = row
            new.append(row)
        else:
            changed.append(row)
        files = _files(row)
        for name in fields:
            setattr(row, name, plain(getattr(record, name)))
        for name, value in more.items():
            setattr(row, name, value)
        settle(row)
        if was_absent:
            row.absent_since = None  # type: ignore[attr-defined]  # of Perishable
            report.returned.append(str(row))
        if isinstance(row, ModelVersion):
            row.known_fields = known_fields(row)
            row.count_files()
            if _files(row) != files:
                row.files_due_at = at if all(_files(row)) else None
        row.redactions = plain(record.redactions)
        row.fingerprint, row.changed_at = record.fingerprint, at
        report.written.append(record.fingerprint)
    model._default_manager.bulk_create(new, batch_size=BATCH)
    if changed:
        update(model, changed)
    write_history(model, new, update=False)
    write_history(model, changed, update=True)
    report.created, report.updated = len(new), len(changed)
    report.new = [str(row) for row in new]
    return report


def _files(row: Ingested) -> tuple[Any, ...]:
    """Return what decides whether a job has to look at the files of a version."""
    if not isinstance(row, ModelVersion):
        return ()
    return row.is_in_production, content(row.artifact_manifest)


def update(model: type[Row], rows: list[Row]) -> None:
    """Update whole rows by upsert, which is several times faster than bulk_update."""
    names = [
        column.name
        for column in model._meta.concrete_fields
        if column.name not in ("id", "organization", "source", "first_seen_at")
    ]
    model._default_manager.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["organization", "id"],
        update_fields=names,
        batch_size=BATCH,
    )


def write_history(model: type[Any], rows: Sequence[Any], *, update: bool) -> None:
    """Write the history rows that bulk operations leave out."""
    manager: Callable[..., Any] | None = getattr(model, "history", None)
    if manager is not None and rows:
        model.history.bulk_history_create(rows, update=update, batch_size=BATCH)
