"""Writing records into the inventory: only what changed, in bulk, with its history.

Every function works on one chunk inside the caller's `acting_for` and costs a constant
number of queries. What is unchanged costs no write at all: rows are compared by the
fingerprint of what they were made from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from django.utils.timezone import now

from inventory.manifest import ManifestRow, content, with_states
from inventory.models import (
    Experiment,
    LifecycleEvent,
    ModelVersion,
    Perishable,
    RegisteredModel,
    Run,
    Source,
)
from inventory.records import (
    CANONICAL_FIELDS,
    ExperimentRecord,
    ModelRecord,
    RunRecord,
    Stage,
    VersionRecord,
)
from inventory.writing import StoreReport, plain, write, write_history

_RUN_FIELDS = (
    "experiment_id", "name", "status", "lifecycle_stage", "user_id", "started_at",
    "ended_at", "artifact_uri", "tags", "params", "metrics", "unusable_metrics",
    "metric_points", "dataset_inputs",
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
    "mlmodel", "artifact_root", "artifacts_fingerprint",
)  # fmt: skip


Key = TypeVar("Key", bound=Hashable)


class Identified(Protocol):
    """What is told by one name more than once, and told apart by its creation time."""

    @property
    def created_at(self) -> datetime | None: ...
    @property
    def absent_since(self) -> datetime | None: ...


Known = TypeVar("Known", bound=Identified)
Perished = TypeVar("Perished", RegisteredModel, ModelVersion)


def meant(rows: Iterable[Known], created_at: datetime | None) -> Known | None:
    """Return the one of the rows of one name that was made at that time, if any.

    The present one before absent ones; a time that was never told tells nothing apart.
    """
    made_then = [row for row in rows if _same_moment(row.created_at, created_at)]
    return min(made_then, key=lambda row: row.absent_since is not None, default=None)


def store_models(
    source: Source, records: Sequence[ModelRecord], *, at: datetime
) -> dict[str, RegisteredModel]:
    """Write registered models; return their rows by name.

    A name whose creation time differs is another model that took the name: the row
    before it becomes absent, with its versions, and keeps its history. A model that
    was absent and is told again is the row it was.
    """
    known = defaultdict(list)
    for row in RegisteredModel.objects.filter(
        source=source, name__in=[record.name for record in records]
    ).order_by("-id"):
        known[row.name].append(row)
    told = {record.name: record.created_at for record in records}
    rows, usurped = _recognized(known, told)
    mark_models_absent(usurped, at=at)
    write(
        RegisteredModel,
        source,
        ((record.name, record, _MODEL_FIELDS, {}) for record in records),
        rows,
        key="name",
        at=at,
    )
    return rows


def rename_models(renamed: Sequence[tuple[RegisteredModel, str]]) -> None:
    """Give models the names they have now; their versions, history and decisions stay.

    Names may be swapped among them. `store_models` follows, and writes the history.
    """
    # One name is present once at any moment, even in the middle of a swap.
    RegisteredModel.objects.filter(pk__in=[row.pk for row, _ in renamed]).update(
        absent_since=now()
    )
    for row, name in renamed:
        row.name, row.absent_since = name, None
        RegisteredModel.objects.filter(pk=row.pk).update(name=name, absent_since=None)


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
    write(
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
    write(
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
    rows: Iterable[ModelVersion],
    at: datetime,
    previous_sync: datetime | None,
) -> StoreReport:
    """Write versions and their lifecycle events.

    `rows` holds the versions known under the numbers of the chunk, absent ones too,
    `run_ids` the keys of stored runs by MLflow's id. A record whose creation time
    differs from its row's is a new version under an old number, and one that was
    absent and is told again is the row it was.
    """
    names = {model.pk: name for name, model in models.items()}
    known = defaultdict(list)
    for row in rows:
        known[names[row.registered_model_id], row.version_number].append(row)
    told = {
        (record.model_name, record.version_number): record.created_at
        for record in records
    }
    present, usurped = _recognized(known, told)
    mark_versions_absent(usurped, at=at)
    stages = {key: row.lifecycle_stage for key, row in present.items()}
    report = write(
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
        present,
        key=None,
        at=at,
    )
    events = [
        LifecycleEvent(
            version=present[key],
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


def store_manifest(
    version: ModelVersion,
    manifest: Sequence[ManifestRow],
    *,
    due_at: datetime | None,
    at: datetime,
) -> bool:
    """Write what was read of a version's files, and when to look at them again.

    Returns whether anything is other than it was. If not, and files were only found to
    be what they are, there is no history row, and nothing is judged anew.
    """
    is_change = content(version.artifact_manifest) != content(manifest)
    version.artifact_manifest = plain(manifest)
    version.files_due_at = due_at
    names = ["artifact_manifest", "files_due_at"]
    if is_change:
        version.evidence_files = with_states(version.evidence_files, manifest)
        version.count_files()
        version.changed_at = at
        names += [
            "evidence_files", "files_hashed", "files_waiting", "files_too_large",
            "files_changed", "changed_at",
        ]  # fmt: skip
    ModelVersion.objects.filter(pk=version.pk).update(
        **{name: getattr(version, name) for name in names}
    )
    if is_change:
        write_history(ModelVersion, [version], update=True)
    return is_change


def look_at_files_again(source: Source, *, at: datetime) -> None:
    """Let the job that hashes files look at all of a source: what it wants has changed.

    Only the schedule is written, which is no part of the record. Costs one update.
    """
    ModelVersion.objects.present().filter(
        source=source, lifecycle_stage=Stage.PRODUCTION
    ).exclude(artifact_manifest=[]).update(files_due_at=at)


def postpone_files(source: Source, *, until: datetime, at: datetime) -> None:
    """Let nobody look before `until` at files that are due now. Costs one update."""
    ModelVersion.objects.filter(source=source, files_due_at__lte=at).update(
        files_due_at=until
    )


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
    write_history(model, rows, update=True)


def _recognized(
    known: Mapping[Key, Sequence[Perished]],
    told: Mapping[Key, datetime | None],
) -> tuple[dict[Key, Perished], list[Perished]]:
    """Return the rows that are meant by what is told, and those whose place it takes."""
    rows, usurped = {}, []
    for key, created_at in told.items():
        row = meant(known.get(key, ()), created_at)
        if row is not None:
            rows[key] = row
        usurped += [
            other
            for other in known.get(key, ())
            if other != row and not other.is_absent
        ]
    return rows, usurped


def _same_moment(ours: datetime | None, theirs: datetime | None) -> bool:
    """Compare creation times; one that was never told tells nothing apart."""
    return ours is None or theirs is None or ours == theirs
