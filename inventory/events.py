"""Stages and aliases that moved, as events: what a sync saw, and between which syncs.

MLflow keeps no history of either, so what was stored is compared with what is told now.
The functions return rows that are not saved yet, and cost no query.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from inventory.models import AliasEvent, LifecycleEvent, ModelVersion, RegisteredModel
from inventory.records import Stage, Told, VersionRecord

_TOLD_BY_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Stood:
    """Where a version stood before; no stage: it was not told."""

    stage: str
    source: str  # who said so, in the words of `Told.source`

    @classmethod
    def of(cls, row: ModelVersion) -> Stood:
        told: Mapping[str, Any] = row.provenance.get("lifecycle_stage", {})
        return cls("" if row.is_absent else row.lifecycle_stage, told.get("source", ""))


NOWHERE = Stood("", "")


def stage_move(
    version: ModelVersion,
    record: VersionRecord,
    *,
    before: Stood,
    at: datetime,
    previous_sync: datetime | None,
) -> LifecycleEvent | None:
    """Return the move of a version that is told as `record` now, None if it stayed.

    `previous_sync` is when the last sync began that read the whole registry. It did not
    read every run: of what only a run's tag says, nobody knows since when it does.
    """
    if before.stage == record.lifecycle_stage:
        return None
    told = record.provenance.get("lifecycle_stage", Told(""))
    is_of_run = before != NOWHERE and all(
        stage == Stage.NONE or source.startswith("run")
        for stage, source in (
            (before.stage, before.source),
            (record.lifecycle_stage, told.source),
        )
    )
    return LifecycleEvent(
        version=version,
        from_stage=before.stage,
        to_stage=record.lifecycle_stage,
        told_by=str(told)[:_TOLD_BY_LENGTH],
        observed_after=None if is_of_run else previous_sync,
        observed_before=at,
    )


def ends(
    versions: Iterable[ModelVersion], *, at: datetime, previous_sync: datetime | None
) -> list[LifecycleEvent]:
    """Return for present versions that they are no longer told."""
    return [
        LifecycleEvent(
            version=version,
            from_stage=version.lifecycle_stage,
            observed_after=previous_sync,
            observed_before=at,
        )
        for version in versions
    ]


def alias_moves(
    model: RegisteredModel,
    before: Mapping[str, int],
    after: Mapping[str, int],
    *,
    at: datetime,
    previous_sync: datetime | None,
) -> list[AliasEvent]:
    """Return which aliases of a model point elsewhere than before."""
    return [
        AliasEvent(
            registered_model=model,
            alias=alias,
            from_version=before.get(alias),
            to_version=after.get(alias),
            observed_after=previous_sync,
            observed_before=at,
        )
        for alias in sorted(before.keys() | after.keys())
        if before.get(alias) != after.get(alias)
    ]
