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

from accounts import audit
from inventory import events
from inventory.effective import Overlay
from inventory.models import (
    AliasEvent,
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
    VersionRecord,
)
from inventory.writing import BATCH, StoreReport, plain, write, write_history

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
    "latest_versions", "out_of_scope",
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
    source: Source,
    records: Sequence[ModelRecord],
    *,
    at: datetime,
    previous_sync: datetime | None,
) -> dict[str, RegisteredModel]:
    """Write registered models and how their aliases moved; return the rows by name.

    A name whose creation time differs is another model that took the name: the row
    before it becomes absent, with its versions, and keeps its history. A model that
    was absent and is told again is the row it was. One that leaves the scope, or comes
    back into it, is noted in the trail.
    """
    known = defaultdict(list)
    for row in RegisteredModel.objects.filter(
        source=source, name__in=[record.name for record in records]
    ).order_by("-id"):
        known[row.name].append(row)
    told = {record.name: record.created_at for record in records}
    rows, usurped = _recognized(known, told)
    mark_models_absent(usurped, at=at, previous_sync=previous_sync)
    scoped = {name: row.out_of_scope for name, row in rows.items()}
    aliased = {
        name: row.aliases
        for name, row in rows.items()
        if not (row.absent_since or row.out_of_scope)
    }
    write(
        RegisteredModel,
        source,
        ((record.name, record, _MODEL_FIELDS, {}) for record in records),
        rows,
        key="name",
        at=at,
    )
    # The aliases of what is out of scope are not stored: they have not moved.
    inside = {name: row for name, row in rows.items() if not row.out_of_scope}
    _store_alias_moves(source, inside, aliased, at=at, previous_sync=previous_sync)
    _note_scope(
        source, {name: (scoped[name], rows[name].out_of_scope) for name in scoped}
    )
    return rows


def _store_alias_moves(
    source: Source,
    rows: Mapping[str, RegisteredModel],
    before: Mapping[str, Mapping[str, int]],
    *,
    at: datetime,
    previous_sync: datetime | None,
) -> None:
    """Write how aliases moved; `before` holds those of models that were told before.

    Of a model that was not, nobody knows since when its aliases are as they are: it may
    have been there, and hidden from us.
    """
    moved = [
        event
        for name, row in rows.items()
        for event in events.alias_moves(
            row,
            before.get(name, {}),
            row.aliases,
            at=at,
            previous_sync=previous_sync if name in before else None,
        )
    ]
    AliasEvent.objects.bulk_create(moved, batch_size=BATCH)
    told = [str(event) for event in moved if event.registered_model.name in before]
    if told:
        audit.record("alias.moved", source, changes={"moved": told})


def _note_scope(source: Source, reasons: Mapping[str, tuple[str, str]]) -> None:
    """Note which models left the scope or came back; `reasons` are before and after."""
    left = {name: why for name, (then, why) in reasons.items() if why and not then}
    back = [name for name, (then, why) in reasons.items() if then and not why]
    if left or back:
        audit.record(
            "registered_models.scoped",
            source,
            changes={"out_of_scope": left, "in_scope": back},
        )


def rename_models(renamed: Sequence[tuple[RegisteredModel, str]]) -> None:
    """Give models the names they have now; their versions, history and decisions stay.

    Names may be swapped among them. `store_models` follows, and writes the history.
    """
    # One name is present once at any moment, even in the middle of a swap.
    RegisteredModel.objects.filter(pk__in=[row.pk for row, _ in renamed]).update(
        absent_since=now()
    )
    for row, name in renamed:
        row.name = name
        RegisteredModel.objects.filter(pk=row.pk).update(
            name=name, absent_since=row.absent_since
        )


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
    """Write versions and their lifecycle events; what is attested stays what counts.

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
    mark_versions_absent(usurped, at=at, previous_sync=previous_sync)
    before = {key: events.Stood.of(row) for key, row in present.items()}
    overlay = Overlay(
        source_id=source.pk,
        models={models[record.model_name].pk for record in records},
        versions=[row.pk for row in present.values()],
    )
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
        settle=overlay.settle,
    )
    overlay.note_contradictions(at=at)
    moves = [
        move
        for record in records
        if (
            move := events.stage_move(
                present[key := (record.model_name, record.version_number)],
                record,
                before=before.get(key, events.NOWHERE),
                at=at,
                previous_sync=previous_sync,
            )
        )
    ]
    LifecycleEvent.objects.bulk_create(moves, batch_size=BATCH)
    report.moved = [str(move) for move in moves if move.from_stage]
    return report


def mark_models_absent(
    rows: Sequence[RegisteredModel], *, at: datetime, previous_sync: datetime | None
) -> None:
    """Mark present models, with versions and aliases, as no longer told."""
    if not rows:
        return
    versions = ModelVersion.objects.present().filter(registered_model__in=rows)
    mark_versions_absent(list(versions), at=at, previous_sync=previous_sync)
    AliasEvent.objects.bulk_create(
        [
            event
            for row in rows
            for event in events.alias_moves(
                row, row.aliases, {}, at=at, previous_sync=previous_sync
            )
        ],
        batch_size=BATCH,
    )
    _mark_absent(RegisteredModel, rows, at)


def mark_versions_absent(
    rows: Sequence[ModelVersion], *, at: datetime, previous_sync: datetime | None
) -> None:
    """Mark present versions as no longer told by their source."""
    LifecycleEvent.objects.bulk_create(
        events.ends(rows, at=at, previous_sync=previous_sync), batch_size=BATCH
    )
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
