"""Writing records into the inventory: only what changed, in bulk, with its history.

Every function works on one chunk inside the caller's `acting_for` and costs a constant
number of queries. What is unchanged costs no write at all: rows are compared by the
fingerprint of what they were made from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from accounts.tenancy import current_organization_id
from inventory.models import (
    Experiment,
    Ingested,
    LifecycleEvent,
    ModelVersion,
    Perishable,
    RegisteredModel,
    Run,
    Source,
    known_fields,
)
from inventory.records import (
    CANONICAL_FIELDS,
    ExperimentRecord,
    ModelRecord,
    Redaction,
    RunRecord,
    Told,
    VersionRecord,
)

Row = TypeVar("Row", bound=Ingested)
BATCH = 500

_RUN_FIELDS = (
    "experiment_id", "name", "status", "lifecycle_stage", "user_id", "started_at",
    "ended_at", "artifact_uri", "tags", "params", "metrics", "unusable_metrics",
    "dataset_inputs",
)  # fmt: skip
_EXPERIMENT_FIELDS = (
    "name", "artifact_location", "lifecycle_stage", "created_at", "last_updated_at",
    "tags",
)  # fmt: skip
_MODEL_FIELDS = (
    "name", "description", "created_at", "last_updated_at", "tags", "aliases",
    "latest_versions",
)  # fmt: skip
# Of the record, all but what identifies the row and what is told in its own shape.
_VERSION_FIELDS = (
    *(
        name
        for name in CANONICAL_FIELDS
        if name not in ("model_name", "version_number")
    ),
    "governance", "version_description", "native_stage", "aliases", "tags",
    "registration_status", "run_found", "dataset_inputs", "signature", "flavors",
    "artifacts_fingerprint",
)  # fmt: skip


@dataclass(slots=True)
class StoreReport:
    """What storing a chunk did."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    moved: list[str] = field(default_factory=list)  # lifecycle changes, in words


def plain(value: Any) -> Any:
    """Return a record's value as JSON columns hold it."""
    if isinstance(value, Told):
        told = {"source": value.source, "key": value.key}
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


def store_models(
    source: Source, records: Sequence[ModelRecord], *, at: datetime
) -> dict[str, RegisteredModel]:
    """Write registered models; return the present rows by name.

    A name whose creation time differs is another model that took the name: the row
    before it becomes absent, with its versions, and keeps its history.
    """
    rows = {
        row.name: row
        for row in RegisteredModel.objects.present().filter(
            source=source, name__in=[record.name for record in records]
        )
    }
    usurped = [
        rows.pop(record.name)
        for record in records
        if record.name in rows
        and not _same_moment(rows[record.name].created_at, record.created_at)
    ]
    mark_models_absent(usurped, at=at)
    _write(
        RegisteredModel,
        source,
        ((record.name, record, _MODEL_FIELDS, {}) for record in records),
        rows,
        key="name",
        at=at,
    )
    return rows


def rename_model(row: RegisteredModel, name: str, *, at: datetime) -> None:
    """Give a model the name it has now; its versions, history and decisions stay."""
    row.name, row.changed_at = name, at
    row.save(update_fields=["name", "changed_at"])
    versions = ModelVersion.objects.present().filter(registered_model=row)
    versions.update(changed_at=at)  # no field of theirs: they are judged anew


def store_experiments(
    source: Source, records: Sequence[ExperimentRecord], *, at: datetime
) -> None:
    rows = {
        row.experiment_id: row
        for row in Experiment.objects.filter(
            source=source,
            experiment_id__in=[record.experiment_id for record in records],
        )
    }
    _write(
        Experiment,
        source,
        ((record.experiment_id, record, _EXPERIMENT_FIELDS, {}) for record in records),
        rows,
        key="experiment_id",
        at=at,
    )


def store_runs(
    source: Source,
    records: Sequence[RunRecord],
    *,
    rows: dict[str, Run],
    at: datetime,
) -> None:
    """Write runs; `rows` holds those that are stored already, by run id, and grows."""
    _write(
        Run,
        source,
        ((record.run_id, record, _RUN_FIELDS, {}) for record in records),
        rows,
        key="run_id",
        at=at,
    )


def store_versions(
    source: Source,
    records: Sequence[VersionRecord],
    *,
    models: Mapping[str, RegisteredModel],
    run_ids: Mapping[str, int],
    rows: dict[tuple[str, int], ModelVersion],
    at: datetime,
    previous_sync: datetime | None,
) -> StoreReport:
    """Write versions and their lifecycle events.

    `rows` holds the present versions of the chunk by (model name, number), `run_ids`
    the keys of stored runs by MLflow's id. A record
    whose creation time differs from its row's is a new version under an old number.
    """
    usurped = [
        rows.pop((record.model_name, record.version_number))
        for record in records
        if (row := rows.get((record.model_name, record.version_number)))
        and row.created_at != record.created_at
    ]
    mark_versions_absent(usurped, at=at)
    stages = {key: row.lifecycle_stage for key, row in rows.items()}
    report = _write(
        ModelVersion,
        source,
        (
            (
                (record.model_name, record.version_number),
                record,
                _VERSION_FIELDS,
                {
                    "registered_model": models[record.model_name],
                    "version_number": record.version_number,
                    "run_id": run_ids.get(record.source_run_id),
                    "provenance": plain(record.provenance),
                    "others": plain(record.others),
                    "incomplete": plain(record.incomplete),
                },
            )
            for record in records
        ),
        rows,
        key=None,
        at=at,
    )
    events = [
        LifecycleEvent(
            version=rows[key],
            from_stage=stages.get(key, ""),
            to_stage=record.lifecycle_stage,
            told_by=str(record.provenance.get("lifecycle_stage", ""))[:300],
            observed_after=previous_sync,
            observed_before=at,
        )
        for record in records
        if stages.get(key := (record.model_name, record.version_number), "")
        != record.lifecycle_stage
    ]
    LifecycleEvent.objects.bulk_create(events)
    report.moved = [str(event) for event in events if event.from_stage]
    return report


def mark_models_absent(rows: Sequence[RegisteredModel], *, at: datetime) -> None:
    """Mark models, and their versions, as no longer told by their source."""
    versions = (
        list(ModelVersion.objects.present().filter(registered_model__in=rows))
        if rows
        else []
    )
    _mark_absent(ModelVersion, versions, at)
    _mark_absent(RegisteredModel, rows, at)


def mark_versions_absent(rows: Sequence[ModelVersion], *, at: datetime) -> None:
    _mark_absent(ModelVersion, rows, at)


def _mark_absent(
    model: type[Perishable], rows: Sequence[Perishable], at: datetime
) -> None:
    if not rows:
        return
    for row in rows:
        row.absent_since = row.changed_at = at
    model._default_manager.filter(pk__in=[row.pk for row in rows]).update(
        absent_since=at, changed_at=at
    )
    _history(model, rows, update=True)


def _same_moment(ours: datetime | None, theirs: datetime | None) -> bool:
    """Compare creation times; one that was never told tells nothing apart."""
    return ours is None or theirs is None or ours == theirs


def _write(
    model: type[Row],
    source: Source,
    told: Iterable[tuple[Any, Any, tuple[str, ...], dict[str, Any]]],
    rows: dict[Any, Row],
    *,
    key: str | None,
    at: datetime,
) -> StoreReport:
    """Insert or update what the fingerprints say has changed; `rows` is kept current."""
    report = StoreReport()
    new: list[Row] = []
    changed: list[Row] = []
    for identity, record, fields, more in told:
        row = rows.get(identity)
        if row is not None and row.fingerprint == record.fingerprint:
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
        for name in fields:
            setattr(row, name, plain(getattr(record, name)))
        for name, value in more.items():
            setattr(row, name, value)
        if isinstance(row, ModelVersion):
            row.known_fields = known_fields(row)
        row.redactions = plain(record.redactions)
        row.fingerprint, row.changed_at = record.fingerprint, at
    model._default_manager.bulk_create(new, batch_size=BATCH)
    if changed:
        _update(model, changed)
    _history(model, new, update=False)
    _history(model, changed, update=True)
    report.created, report.updated = len(new), len(changed)
    return report


def _update(model: type[Row], rows: list[Row]) -> None:
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


def _history(model: type[Any], rows: Sequence[Any], *, update: bool) -> None:
    """Write the history rows that bulk operations leave out."""
    manager: Callable[..., Any] | None = getattr(model, "history", None)
    if manager is not None and rows:
        model.history.bulk_history_create(rows, update=update, batch_size=BATCH)
