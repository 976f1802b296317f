"""One page of versions on its way into the inventory: compare, read, store.

Whether a version changed is known from fingerprints alone, before anything is
normalized; an unchanged version costs neither a write nor an artifact request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from accounts import audit
from inventory import store
from inventory.models import ModelVersion, RegisteredModel, Run
from inventory.records import (
    ExperimentRecord,
    ModelRecord,
    RunRecord,
    Section,
    VersionRecord,
)
from mlflow_sync.artifacts import ReadArtifacts, read_artifacts
from mlflow_sync.client import Client
from mlflow_sync.exceptions import NormalizationError
from mlflow_sync.fetching import Versions
from mlflow_sync.fingerprints import row_fingerprint, version_fingerprint
from mlflow_sync.models import SyncFailure, SyncRun
from mlflow_sync.normalize import normalize_run, normalize_version
from mlflow_sync.sandbox import Sandbox
from mlflow_sync.snapshots import RunSnapshot, VersionSnapshot
from mlflow_sync.vocabulary import Vocabulary

NO_RUN = (
    "MLflow does not tell run {run}: it was deleted for good, or the user may not "
    "see its experiment."
)
NO_EXPERIMENT = "MLflow does not tell experiment {experiment} to this user."
Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Stored:
    """What comparing needs to know of a version that is stored already."""

    fingerprint: str
    artifacts_fingerprint: str
    incomplete: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StoredRun:
    """What comparing needs to know of a run that is stored already."""

    pk: int
    fingerprint: str
    experiment_id: str


@dataclass(slots=True, kw_only=True)
class VersionChunk:
    """A page of versions; call `compare`, `read_artifacts` and `store` in this order.

    `compare` and `store` work inside `acting_for`; `read_artifacts` asks the server.
    """

    run: SyncRun
    page: Versions
    experiments: Mapping[str, ExperimentRecord]
    vocabulary: Vocabulary
    at: datetime
    previous: datetime | None

    keys: set[Key] = field(default_factory=set)
    failures: list[SyncFailure] = field(default_factory=list)
    incomplete: int = 0
    unchanged: int = 0
    _models: dict[str, RegisteredModel] = field(default_factory=dict)
    _model_records: dict[str, ModelRecord] = field(default_factory=dict)
    _stored: dict[Key, Stored] = field(default_factory=dict)
    _stored_runs: dict[str, StoredRun] = field(default_factory=dict)
    _changed: dict[Key, VersionSnapshot] = field(default_factory=dict)
    _artifacts: dict[Key, ReadArtifacts] = field(default_factory=dict)
    _reread: set[Key] = field(default_factory=set)

    def compare(self) -> None:
        """Find what changed. Costs four queries, whatever the size of the page."""
        source = self.run.server.source
        names = {version.name for version in self.page.page}
        self._models = {
            row.name: row
            for row in RegisteredModel.objects.present().filter(
                source=source, name__in=names
            )
        }
        self._model_records = {name: row.record() for name, row in self._models.items()}
        numbers = {
            number for each in self.page.page if (number := _number(each)) is not None
        }
        self._stored = {
            (name, number): Stored(*rest)
            for name, number, *rest in ModelVersion.objects.present()
            .filter(
                registered_model__in=self._models.values(), version_number__in=numbers
            )
            .values_list(
                "registered_model__name",
                "version_number",
                "fingerprint",
                "artifacts_fingerprint",
                "incomplete",
            )
        }
        run_ids = {each.run_id for each in self.page.page if each.run_id}
        self._stored_runs = {
            run_id: StoredRun(*rest)
            for run_id, *rest in Run.objects.filter(
                source=source, run_id__in=run_ids
            ).values_list("run_id", "pk", "fingerprint", "experiment_id")
        }
        for version in self.page.page:
            self._compare_one(version)

    def _compare_one(self, version: VersionSnapshot) -> None:
        number = _number(version)
        if number is None:
            self._fail(version, Section.VERSION, "Its version is not a number.")
            return
        if version.name not in self._models:
            return  # came, or went, while the models were being listed
        key = (version.name, number)
        self.keys.add(key)
        stored = self._stored.get(key)
        if self._wants_artifacts(stored):
            self._reread.add(key)
        elif stored and stored.fingerprint == self._fingerprint(
            version, stored, self._incomplete(version) | _of_files(stored.incomplete)
        ):
            self._tell_incomplete(version, stored.incomplete)
            self.unchanged += 1
            return
        self._changed[key] = version

    def _wants_artifacts(self, stored: Stored | None) -> bool:
        """Tell whether to list the files: new, never listed, failed last time, or full.

        A version's source never changes: what is listed once stays as it is.
        """
        if not self.run.with_artifacts:
            return False
        if stored is None or not stored.artifacts_fingerprint or self.run.is_full:
            return True
        return bool(_of_files(stored.incomplete))

    def _fingerprint(
        self,
        version: VersionSnapshot,
        stored: Stored,
        incomplete: Mapping[Section, str],
    ) -> str:
        """Return the fingerprint that normalizing the version now would give."""
        run = self._run_of(version)
        known = self._stored_runs.get(version.run_id or "")
        run_fingerprint = known.fingerprint if known else None
        if run is not None:
            run_fingerprint = self._fingerprint_of(run)
        experiment = self.experiments.get(self._experiment_id(version))
        return version_fingerprint(
            version,
            model=self._model_records[version.name],
            run_fingerprint=run_fingerprint,
            experiment_fingerprint=experiment.fingerprint if experiment else None,
            artifacts_fingerprint=stored.artifacts_fingerprint or None,
            vocabulary=self.vocabulary,
            incomplete=incomplete,
        )

    def _fingerprint_of(self, run: RunSnapshot) -> str:
        return row_fingerprint(run, vocabulary=self.vocabulary)

    def _incomplete(self, version: VersionSnapshot) -> dict[Section, str]:
        """Say which sections of a version, apart from its files, could not be read."""
        found: dict[Section, str] = {}
        if version.run_id and self._run_of(version) is None:
            found[Section.RUN] = self.page.failure or NO_RUN.format(run=version.run_id)
        experiment = self._experiment_id(version)
        if experiment and experiment not in self.experiments:
            found[Section.EXPERIMENT] = NO_EXPERIMENT.format(experiment=experiment)
        return found

    def _experiment_id(self, version: VersionSnapshot) -> str:
        run = self._run_of(version) or self._stored_runs.get(version.run_id or "")
        return (run.experiment_id or "") if run else ""

    def _run_of(self, version: VersionSnapshot) -> RunSnapshot | None:
        return self.page.runs.get(version.run_id or "")

    def read_artifacts(
        self, client: Client, sandbox: Sandbox, *, between: Callable[[], None]
    ) -> None:
        """List and read the files of the versions that want it, one after the other."""
        for key in sorted(self._reread):
            version = self._changed[key]
            told = client.fetch_artifacts(version, run=self._run_of(version))
            self._artifacts[key] = read_artifacts(told, sandbox)
            between()

    def store(self) -> store.StoreReport:
        """Normalize and write what changed. Returns the counts of versions."""
        source = self.run.server.source
        run_ids = self._store_runs()
        rows = (
            {
                (row.registered_model.name, row.version_number): row
                for row in ModelVersion.objects.present()
                .filter(
                    registered_model__in=self._models.values(),
                    version_number__in={number for _, number in self._changed},
                )
                .select_related("registered_model")
                if (row.registered_model.name, row.version_number) in self._changed
            }
            if self._changed
            else {}
        )
        last_known = self._last_known_runs()
        records = []
        for key, version in self._changed.items():
            try:
                record = self._normalize(key, version, rows.get(key), last_known)
            except NormalizationError as error:
                self.keys.discard(key)
                self._fail(version, Section.VERSION, str(error))
                continue
            records.append(record)
            self._tell_incomplete(version, record.incomplete)
        report = store.store_versions(
            source,
            records,
            models=self._models,
            run_ids=run_ids,
            rows=rows,
            at=self.at,
            previous_sync=self.previous,
        )
        report.unchanged += self.unchanged
        SyncFailure.objects.bulk_create(self.failures)
        self._audit(records, report)
        return report

    def _normalize(
        self,
        key: Key,
        version: VersionSnapshot,
        row: ModelVersion | None,
        last_known: Mapping[str, RunRecord],
    ) -> VersionRecord:
        incomplete = self._incomplete(version)
        snapshot = self._run_of(version)
        if snapshot is not None:
            run = normalize_run(snapshot, vocabulary=self.vocabulary)
        else:
            run = last_known.get(version.run_id or "")  # evidence outlives its source
        artifacts = self._artifacts.get(key)
        if artifacts is not None:
            incomplete |= artifacts.incomplete
        elif row is not None and row.artifacts_fingerprint:
            artifacts = ReadArtifacts.of_columns(row)
            incomplete |= _of_files(row.incomplete)
        return normalize_version(
            version,
            model=self._model_records[version.name],
            run=run,
            experiment=self.experiments.get(self._experiment_id(version)),
            artifacts=artifacts,
            vocabulary=self.vocabulary,
            incomplete=incomplete,
        )

    def _store_runs(self) -> dict[str, int]:
        """Write new and changed runs; return the keys of all stored ones."""
        source = self.run.server.source
        changed = [
            run
            for run in self.page.runs.values()
            if run.run_id not in self._stored_runs
            or self._stored_runs[run.run_id].fingerprint != self._fingerprint_of(run)
        ]
        known = [run.run_id for run in changed if run.run_id in self._stored_runs]
        rows = (
            {
                row.run_id: row
                for row in Run.objects.filter(source=source, run_id__in=known)
            }
            if known
            else {}
        )
        if changed:
            store.store_runs(
                source,
                [normalize_run(run, vocabulary=self.vocabulary) for run in changed],
                rows=rows,
                at=self.at,
            )
        ids = {run_id: known.pk for run_id, known in self._stored_runs.items()}
        return ids | {run_id: row.pk for run_id, row in rows.items()}

    def _last_known_runs(self) -> dict[str, RunRecord]:
        """Return the stored runs of changed versions whose run MLflow did not tell."""
        missing = [
            version.run_id
            for version in self._changed.values()
            if version.run_id
            and version.run_id not in self.page.runs
            and version.run_id in self._stored_runs
        ]
        if not missing:
            return {}
        rows = Run.objects.filter(source=self.run.server.source, run_id__in=missing)
        return {row.run_id: row.record() for row in rows}

    def _tell_incomplete(
        self, version: VersionSnapshot, incomplete: Mapping[Any, str]
    ) -> None:
        self.incomplete += bool(incomplete)
        for section, reason in incomplete.items():
            self._fail(version, Section(section), reason)

    def _fail(self, version: VersionSnapshot, section: Section, reason: str) -> None:
        self.failures.append(
            SyncFailure(
                sync_run=self.run,
                model_name=version.name,
                version_number=_number(version),
                section=section,
                reason=reason,
            )
        )

    def _audit(self, records: list[VersionRecord], report: store.StoreReport) -> None:
        """Note one entry for the chunk: counts, what is new, a digest of what changed."""
        if not records:
            return
        told = "\n".join(
            f"{each.model_name}\t{each.version_number}\t{each.fingerprint}"
            for each in records
        )
        audit.record(
            "sync.stored",
            self.run,
            changes={
                "created": report.created,
                "updated": report.updated,
                "new_versions": [
                    f"{name} version {number}"
                    for name, number in self._changed
                    if (name, number) not in self._stored
                ],
                "new_runs": sorted(self.page.runs.keys() - self._stored_runs.keys()),
                "moved": report.moved,
                "digest": hashlib.sha256(told.encode()).hexdigest(),
            },
        )


def _of_files(incomplete: Mapping[Any, str]) -> dict[Section, str]:
    """Return what an earlier sync could not read of a version's files."""
    return {
        section: incomplete[section]
        for section in (Section.ARTIFACTS, Section.ENVIRONMENT)
        if section in incomplete
    }


def _number(version: VersionSnapshot) -> int | None:
    return int(version.version) if version.version.isdecimal() else None
