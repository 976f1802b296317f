"""Which runs a sync reads: those that matter now always, the others in turn.

Runs are nine tenths of what a registry weighs, and MLflow tells nobody which of them
changed. So the runs of versions in use, of new ones and of those still training are read
by every sync; each of the others within a set number of syncs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zlib import crc32

from inventory import store
from inventory.models import ModelVersion, Source
from inventory.records import Section, Stage
from mlflow_sync.comparison import Key, key_of, run_id_of
from mlflow_sync.normalize.text import utc
from mlflow_sync.snapshots import VersionSnapshot

NEW_FOR = timedelta(days=7)  # so long people still add to what they registered
MOST_VERSIONS = 1000  # of one part: what is written in one transaction
LIVE = (Stage.PRODUCTION, Stage.STAGING)
UNDER_WAY = ("RUNNING", "SCHEDULED")


@dataclass(frozen=True, slots=True)
class Known:
    """What deciding needs to know of a version that is stored already."""

    created_at: datetime
    absent_since: datetime | None
    lifecycle_stage: str
    training_status: str
    incomplete: Mapping[str, str]

    @property
    def is_settled(self) -> bool:
        return (
            self.absent_since is None
            and self.lifecycle_stage not in LIVE
            and self.training_status not in UNDER_WAY
            and Section.RUN not in self.incomplete
            and Section.EXPERIMENT not in self.incomplete
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Whose turn it is in one sync.

    `of` syncs make a round, of which this is number `turn`; with 1, or for a full sync,
    every run is read. `aliased` maps a model's name to its versions under an alias, as
    MLflow tells them now.
    """

    source: Source
    turn: int
    of: int
    now: datetime
    aliased: Mapping[str, Collection[str]] = field(default_factory=dict)

    def parts(
        self, versions: list[VersionSnapshot], *, runs_per_part: int
    ) -> Iterator[tuple[list[VersionSnapshot], frozenset[str]]]:
        """Cut a page into parts, each with the ids of the runs to ask for.

        Costs one query; works inside `acting_for`.
        """
        known = self._known(versions)
        part: list[VersionSnapshot] = []
        asked: set[str] = set()
        for version in versions:
            part.append(version)
            if self.is_due(version, known.get(key_of(version))):
                asked.add(run_id_of(version))
            if len(asked) == runs_per_part or len(part) == MOST_VERSIONS:
                yield part, frozenset(asked)
                part, asked = [], set()
        if part:
            yield part, frozenset(asked)

    def is_due(self, version: VersionSnapshot, known: Known | None) -> bool:
        run_id = run_id_of(version)
        if not run_id:
            return False
        if known is None or not known.is_settled or self._is_new(known):
            return True
        if version.current_stage in LIVE:
            return True
        if version.version in self.aliased.get(version.name, ()):
            return True
        return crc32(run_id.encode()) % self.of == self.turn % self.of

    def _is_new(self, known: Known) -> bool:
        return known.created_at > self.now - NEW_FOR

    def _known(self, versions: list[VersionSnapshot]) -> dict[Key | None, Known]:
        told = {key: each for each in versions if (key := key_of(each))}
        rows: dict[Key, list[Known]] = {}
        for name, number, *rest in (
            ModelVersion.objects.filter(
                source=self.source,
                registered_model__absent_since=None,
                registered_model__name__in={name for name, _ in told},
            )
            .order_by("-id")
            .values_list(
                "registered_model__name",
                "version_number",
                "created_at",
                "absent_since",
                "lifecycle_stage",
                "training_status",
                "incomplete",
            )
        ):
            rows.setdefault((name, number), []).append(Known(*rest))
        return {
            key: meant
            for key, version in told.items()
            if (
                meant := store.meant(rows.get(key, ()), utc(version.creation_timestamp))
            )
        }
