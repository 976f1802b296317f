"""What a page of versions tells, beside what is stored of it.

Names and ids are compared as they are stored: cleaned.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from inventory import store
from inventory.models import Experiment, ModelVersion, RegisteredModel, Run, Source
from inventory.records import ExperimentRecord, ModelRecord, RunRecord, Section
from mlflow_sync.exceptions import NormalizationError
from mlflow_sync.fetching import Versions
from mlflow_sync.fingerprints import row_fingerprint, version_fingerprint
from mlflow_sync.normalize.records import normalize_run
from mlflow_sync.normalize.text import clean_text, utc
from mlflow_sync.normalize.vocabulary import Vocabulary
from mlflow_sync.snapshots import RunSnapshot, VersionSnapshot

NO_RUN = (
    "MLflow does not tell run {run}: it was deleted for good, or the user may not "
    "see its experiment."
)
NO_EXPERIMENT = "MLflow does not tell experiment {experiment} to this user."
Key = tuple[str, int]

_NUMBER = re.compile(r"[0-9]{1,10}")
_GREATEST = 2**31 - 1


def key_of(version: VersionSnapshot) -> Key | None:
    """Return name and number as they are stored; None if the version has no number."""
    if not _NUMBER.fullmatch(version.version):
        return None
    number = int(version.version)
    return (clean_text(version.name), number) if 0 < number <= _GREATEST else None


@dataclass(frozen=True, slots=True)
class Stored:
    """What comparing needs to know of a version that is stored already."""

    created_at: datetime
    absent_since: datetime | None
    fingerprint: str
    artifacts_fingerprint: str
    training_status: str
    source_artifact_uri: str
    incomplete: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StoredRun:
    """What comparing needs to know of a run that is stored already."""

    pk: int
    fingerprint: str
    experiment_id: str


@dataclass(slots=True, kw_only=True)
class Comparison:
    """The rows that a page leads to, told and stored; works inside `acting_for`.

    `told_experiments` are the ids that this sync was told.
    """

    source: Source
    page: Versions
    told_experiments: Collection[str]
    vocabulary: Vocabulary

    models: dict[str, RegisteredModel] = field(default_factory=dict)
    model_records: dict[str, ModelRecord] = field(default_factory=dict)
    stored: dict[Key, Stored] = field(default_factory=dict)
    stored_runs: dict[str, StoredRun] = field(default_factory=dict)
    changed_runs: dict[str, RunRecord] = field(default_factory=dict)
    unusable_runs: dict[str, str] = field(default_factory=dict)  # id -> why
    _experiments: dict[str, ExperimentRecord] = field(default_factory=dict)
    _unchanged_runs: dict[str, RunRecord] = field(default_factory=dict)

    def load(self) -> None:
        """Read what is stored. Costs four queries, whatever the size of the page."""
        names = {clean_text(version.name) for version in self.page.page}
        self.models = {
            row.name: row
            for row in RegisteredModel.objects.present()
            .in_scope()
            .filter(source=self.source, name__in=names)
        }
        self.model_records = {name: row.record() for name, row in self.models.items()}
        self._load_stored()
        run_ids = {run_id_of(each) for each in self.page.page} | self.page.runs.keys()
        self.stored_runs = {
            run_id: StoredRun(pk, fingerprint, experiment_id)
            for run_id, pk, fingerprint, experiment_id in Run.objects.filter(
                source=self.source, run_id__in=run_ids - {""}
            ).values_list("run_id", "pk", "fingerprint", "experiment_id")
        }
        self._normalize_runs()
        experiment_ids = {self._experiment_id(each) for each in self.page.page}
        self._experiments = {
            row.experiment_id: row.record()
            for row in Experiment.objects.filter(
                source=self.source,
                experiment_id__in=experiment_ids.intersection(self.told_experiments),
            )
        }

    def _load_stored(self) -> None:
        told = {key: each for each in self.page.page if (key := key_of(each))}
        known: defaultdict[Key, list[Stored]] = defaultdict(list)
        for name, number, *rest in (
            ModelVersion.objects.filter(
                registered_model__in=self.models.values(),
                version_number__in={number for _, number in told},
            )
            .order_by("-id")
            .values_list(
                "registered_model__name",
                "version_number",
                "created_at",
                "absent_since",
                "fingerprint",
                "artifacts_fingerprint",
                "training_status",
                "source_artifact_uri",
                "incomplete",
            )
        ):
            known[name, number].append(Stored(*rest))
        for key, version in told.items():
            stored = store.meant(known[key], utc(version.creation_timestamp))
            if stored is not None:
                self.stored[key] = stored

    def _normalize_runs(self) -> None:
        """Put new and changed runs into our words; one that is unusable is none."""
        for run_id, run in self.page.runs.items():
            stored = self.stored_runs.get(run_id)
            if stored is None or stored.fingerprint != self._fingerprint_of(run):
                try:
                    record = normalize_run(run, vocabulary=self.vocabulary)
                except NormalizationError as error:
                    self.unusable_runs[run_id] = str(error)
                else:
                    self.changed_runs[run_id] = record

    def fingerprint(self, version: VersionSnapshot, stored: Stored) -> str:
        """Return the fingerprint that normalizing the version now would give."""
        run = self.run_of(version)
        known = self.stored_runs.get(run_id_of(version))
        run_fingerprint = known.fingerprint if known else None
        if run is not None:
            run_fingerprint = self._fingerprint_of(run)
        experiment = self.experiment_of(version)
        return version_fingerprint(
            version,
            model=self.model_records[clean_text(version.name)],
            run_fingerprint=run_fingerprint,
            experiment_fingerprint=experiment.fingerprint if experiment else None,
            artifacts_fingerprint=stored.artifacts_fingerprint or None,
            vocabulary=self.vocabulary,
            incomplete=self.incomplete(version) | of_files(stored.incomplete),
        )

    def _fingerprint_of(self, run: RunSnapshot) -> str:
        return row_fingerprint(run, vocabulary=self.vocabulary)

    def incomplete(self, version: VersionSnapshot) -> dict[Section, str]:
        """Say which sections of a version, apart from its files, could not be read."""
        found: dict[Section, str] = {}
        run_id = run_id_of(version)
        if run_id in self.page.asked and self.run_of(version) is None:
            found[Section.RUN] = (
                self.unusable_runs.get(run_id)
                or clean_text(self.page.failure)
                or NO_RUN.format(run=run_id)
            )
        experiment = self._experiment_id(version)
        if experiment and experiment not in self._experiments:
            found[Section.EXPERIMENT] = NO_EXPERIMENT.format(experiment=experiment)
        return found

    def _experiment_id(self, version: VersionSnapshot) -> str:
        run = self.run_of(version) or self.stored_runs.get(run_id_of(version))
        return clean_text(run.experiment_id) if run else ""

    def run_of(self, version: VersionSnapshot) -> RunSnapshot | None:
        run_id = run_id_of(version)
        return None if run_id in self.unusable_runs else self.page.runs.get(run_id)

    def run_record(
        self, version: VersionSnapshot, last_known: Mapping[str, RunRecord]
    ) -> RunRecord | None:
        snapshot = self.run_of(version)
        if snapshot is None:
            return last_known.get(run_id_of(version))  # evidence outlives its source
        run_id = snapshot.run_id
        if run_id in self.changed_runs:
            return self.changed_runs[run_id]
        if run_id not in self._unchanged_runs:
            self._unchanged_runs[run_id] = normalize_run(
                snapshot, vocabulary=self.vocabulary
            )
        return self._unchanged_runs[run_id]

    def experiment_of(self, version: VersionSnapshot) -> ExperimentRecord | None:
        return self._experiments.get(self._experiment_id(version))

    def last_known_runs(
        self, versions: Iterable[VersionSnapshot]
    ) -> dict[str, RunRecord]:
        """Return the stored runs of versions whose run this sync has not, by id."""
        missing = {
            run_id_of(version) for version in versions if self.run_of(version) is None
        }.intersection(self.stored_runs)
        if not missing:
            return {}
        rows = Run.objects.filter(source=self.source, run_id__in=missing)
        return {row.run_id: row.record() for row in rows}


def run_id_of(version: VersionSnapshot) -> str:
    return clean_text(version.run_id)


def of_files(incomplete: Mapping[Any, str]) -> dict[Section, str]:
    """Return what an earlier sync could not read of a version's files."""
    return {
        section: incomplete[section]
        for section in (Section.ARTIFACTS, Section.ENVIRONMENT)
        if section in incomplete
    }
