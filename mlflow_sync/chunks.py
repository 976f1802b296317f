"""One page of versions on its way into the inventory: compare, read, store.

Whether a version changed is known from fingerprints alone, before anything is
normalized; an unchanged version costs neither a write nor an artifact request.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.utils.timezone import now

from accounts import audit
from inventory import store
from inventory.models import (
    NAME_LENGTH,
    ModelVersion,
    Run,
)
from inventory.records import (
    RunRecord,
    Section,
    VersionRecord,
)
from inventory.writing import StoreReport
from mlflow_sync.comparison import Comparison, Key, Stored, key_of, of_files
from mlflow_sync.exceptions import NormalizationError
from mlflow_sync.files.artifacts import ReadArtifacts
from mlflow_sync.files.listing import FileReader
from mlflow_sync.files.manifests import Finding
from mlflow_sync.models import SyncFailure, SyncRun
from mlflow_sync.normalize.records import normalize_version
from mlflow_sync.normalize.text import clean_text, clean_uri, utc
from mlflow_sync.snapshots import VersionSnapshot
from mlflow_sync.turns import UNDER_WAY

NO_NUMBER = "Its version is not a number that a version can have."
EMPTIED = "MLflow lists no files any more. What was known of them ({} in all) is kept."
TWICE = "Another version has this name and number, as far as they can be stored."


@dataclass(slots=True, kw_only=True)
class VersionChunk:
    """A page of versions; call `compare`, `read_artifacts` and `store` in this order.

    `compare` and `store` work inside `acting_for`; `read_artifacts` asks the server.
    """

    run: SyncRun
    known: Comparison
    previous: datetime | None

    keys: set[Key] = field(default_factory=set)
    failures: list[SyncFailure] = field(default_factory=list)
    incomplete: int = 0
    unchanged: int = 0
    _changed: dict[Key, VersionSnapshot] = field(default_factory=dict)
    _artifacts: dict[Key, ReadArtifacts] = field(default_factory=dict)
    _reread: set[Key] = field(default_factory=set)
    _found: list[tuple[ModelVersion, list[Finding]]] = field(default_factory=list)

    def compare(self) -> None:
        """Find what changed. Costs four queries, whatever the size of the page."""
        self.known.load()
        for version in self.known.page.page:
            self._compare_one(version)

    def _compare_one(self, version: VersionSnapshot) -> None:
        key = key_of(version)
        if key is None:
            self._fail(version, Section.VERSION, NO_NUMBER)
            return
        if key[0] not in self.known.models:
            return  # came, or went, while the models were being listed
        if key in self.keys:
            self._fail(version, Section.VERSION, TWICE)
            return
        self.keys.add(key)
        stored = self.known.stored.get(key)
        if self._wants_artifacts(version, stored):
            self._reread.add(key)
        elif (
            stored
            and stored.absent_since is None
            and stored.fingerprint == self.known.fingerprint(version, stored)
        ):
            self._tell_incomplete(version, stored.incomplete)
            self.unchanged += 1
            return
        self._changed[key] = version

    def _wants_artifacts(self, version: VersionSnapshot, stored: Stored | None) -> bool:
        """Tell whether to list the files: where they may be other than what is stored.

        Of a version that is new, was never listed, failed last time, was still being
        trained or has another source, and of all by a full sync.
        """
        if not self.run.with_artifacts or utc(version.creation_timestamp) is None:
            return False
        if stored is None or not stored.artifacts_fingerprint or self.run.is_full:
            return True
        return bool(
            of_files(stored.incomplete)
            or stored.training_status in UNDER_WAY
            or stored.source_artifact_uri != clean_uri(version.source)
        )

    def read_artifacts(
        self,
        files: FileReader,
        *,
        idle: Callable[[], None],
        is_late: Callable[[], bool],
    ) -> int:
        """List and read the files of the versions that want it.

        Returns how many versions of the page are ready to be stored: all, unless it
        became late meanwhile.
        """
        wanted = [
            (place, key, version)
            for place, version in enumerate(self.known.page.page, start=1)
            if (key := key_of(version)) in self._reread
        ]
        if not wanted:
            return len(self.known.page.page)
        asked = [(version, self.known.run_of(version)) for _, _, version in wanted]
        for (place, key, _), artifacts in zip(wanted, files.read(asked), strict=True):
            self._artifacts[key] = artifacts
            idle()
            if is_late():
                return place
        return len(self.known.page.page)

    def first(self, count: int) -> VersionChunk:
        """Return the chunk of the first versions of the page, to be compared anew."""
        page = self.known.page
        return VersionChunk(
            run=self.run,
            known=Comparison(
                source=self.known.source,
                page=replace(page, page=page.page[:count]),
                told_experiments=self.known.told_experiments,
                vocabulary=self.known.vocabulary,
            ),
            previous=self.previous,
            _artifacts=self._artifacts,
        )

    def store(self) -> StoreReport:
        """Normalize and write what changed. Returns the counts of versions."""
        source = self.run.server.source
        at = now()
        run_ids = self._store_runs(at)
        rows = self._changed_rows()
        last_known = self.known.last_known_runs(self._changed.values())
        records = []
        for key, version in self._changed.items():
            row = store.meant(rows.get(key, ()), utc(version.creation_timestamp))
            try:
                record = self._normalize(key, version, row, last_known, at)
            except NormalizationError as error:
                self._fail(version, Section.VERSION, str(error))
                continue
            records.append(record)
            self._tell_incomplete(version, record.incomplete)
        report = store.store_versions(
            source,
            records,
            models=self.known.models,
            run_ids=run_ids,
            rows=[row for known in rows.values() for row in known],
            at=at,
            previous_sync=self.previous,
        )
        report.unchanged += self.unchanged
        SyncFailure.objects.bulk_create(self.failures)
        self._audit(report)
        for row, findings in self._found:
            if row.changed_at == at:  # and not as it was, to what MLflow told then
                for finding in findings:
                    audit.record(finding.action, row, changes=finding.changes())
        return report

    def _changed_rows(self) -> dict[Key, list[ModelVersion]]:
        """Return what is stored under the changed versions' numbers, the newest first."""
        rows: defaultdict[Key, list[ModelVersion]] = defaultdict(list)
        if not self._changed:
            return rows
        for row in (
            ModelVersion.objects.filter(
                registered_model__in=self.known.models.values(),
                version_number__in={number for _, number in self._changed},
            )
            .select_related("registered_model")
            .order_by("-id")
        ):
            key = (row.registered_model.name, row.version_number)
            if key in self._changed:
                rows[key].append(row)
        return rows

    def _normalize(
        self,
        key: Key,
        version: VersionSnapshot,
        row: ModelVersion | None,
        last_known: Mapping[str, RunRecord],
        at: datetime,
    ) -> VersionRecord:
        incomplete = self.known.incomplete(version)
        artifacts = self._artifacts.get(key)
        known = None
        if row is not None and row.artifacts_fingerprint:
            known = ReadArtifacts.of_columns(row)
        if artifacts is None:
            artifacts = known
        elif known and (lost := _lost(artifacts, known, version, row)):
            artifacts = replace(
                known, incomplete={**known.incomplete, **artifacts.incomplete, **lost}
            )
        else:
            artifacts = self._joined(artifacts, known, version, row, at)
        if artifacts is not None:
            incomplete |= artifacts.incomplete
        return normalize_version(
            version,
            model=self.known.model_records[key[0]],
            run=self.known.run_record(version, last_known),
            experiment=self.known.experiment_of(version),
            artifacts=artifacts,
            vocabulary=self.known.vocabulary,
            incomplete=incomplete,
        )

    def _joined(
        self,
        artifacts: ReadArtifacts,
        known: ReadArtifacts | None,
        version: VersionSnapshot,
        row: ModelVersion | None,
        at: datetime,
    ) -> ReadArtifacts:
        """Keep what was read of the files before, if they are those of the same place."""
        joined, findings = artifacts.joined(
            known.manifest if known and _is_of_place(version, row) else (),
            at=at,
            is_settled=row is None or row.training_status not in UNDER_WAY,
        )
        if row is not None and findings:
            self._found.append((row, findings))
        return joined

    def _store_runs(self, at: datetime) -> dict[str, int]:
        """Write new and changed runs; return the keys of all stored ones."""
        source = self.run.server.source
        changed = list(self.known.changed_runs.values())
        known = [run.run_id for run in changed if run.run_id in self.known.stored_runs]
        rows = (
            {
                row.run_id: row
                for row in Run.objects.filter(source=source, run_id__in=known)
            }
            if known
            else {}
        )
        if changed:
            store.store_runs(source, changed, rows=rows, at=at)
        ids = {run_id: known.pk for run_id, known in self.known.stored_runs.items()}
        return ids | {run_id: row.pk for run_id, row in rows.items()}

    def _tell_incomplete(
        self, version: VersionSnapshot, incomplete: Mapping[Any, str]
    ) -> None:
        self.incomplete += bool(incomplete)
        for section, reason in incomplete.items():
            self._fail(version, Section(section), reason)

    def _fail(self, version: VersionSnapshot, section: Section, reason: str) -> None:
        key = key_of(version)
        self.failures.append(
            failure(
                self.run,
                section,
                reason,
                model_name=version.name,
                version_number=key[1] if key else None,
            )
        )

    def _audit(self, report: StoreReport) -> None:
        """Note one entry for the chunk: counts, what is new, a digest of what changed."""
        new_runs = self.known.page.runs.keys() - self.known.stored_runs.keys()
        new_runs -= self.known.unusable_runs.keys()
        if not report.written and not new_runs:
            return
        told = "\n".join(report.written)
        audit.record(
            "sync.stored",
            self.run,
            changes={
                "created": report.created,
                "updated": report.updated,
                "new_versions": report.new,
                "new_runs": sorted(new_runs),
                "moved": report.moved,
                "returned": report.returned,
                "digest": hashlib.sha256(told.encode()).hexdigest(),
            },
        )


def _is_of_place(version: VersionSnapshot, row: ModelVersion | None) -> bool:
    """Tell whether the files that are known lie where the version's are now."""
    return row is not None and row.source_artifact_uri == clean_uri(version.source)


def _lost(
    listed: ReadArtifacts,
    known: ReadArtifacts,
    version: VersionSnapshot,
    row: ModelVersion | None,
) -> dict[Section, str]:
    """Return why a listing that tells nothing is not to replace what is known, else {}.

    It failed; or it is empty where files were, which is as likely a store that is not
    mounted as a folder that was emptied.
    """
    if listed.manifest:
        return {}
    if reason := listed.incomplete.get(Section.ARTIFACTS):
        return {Section.ARTIFACTS: reason}
    if known.manifest and _is_of_place(version, row):
        return {Section.ARTIFACTS: EMPTIED.format(len(known.manifest))}
    return {}


def failure(
    run: SyncRun,
    section: Section,
    reason: str,
    *,
    model_name: str,
    version_number: int | None = None,
) -> SyncFailure:
    """Return the row of what could not be read, fit to be stored."""
    return SyncFailure(
        organization_id=run.organization_id,
        sync_run=run,
        model_name=clean_text(model_name)[:NAME_LENGTH],
        version_number=version_number,
        section=section,
        reason=clean_text(reason),
    )
