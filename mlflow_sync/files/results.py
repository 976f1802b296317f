"""What a run has read of a version's files, and writing it into the inventory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils.timezone import now

from accounts import audit
from inventory import store_files
from inventory.models import ModelVersion
from inventory.records import Section
from mlflow_sync.chunks import failure
from mlflow_sync.files import manifests
from mlflow_sync.models import SyncFailure, SyncRun

Result = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Place:
    """Where a run is: what it read of a version and did not write yet.

    `results` maps paths to what was found, and when; `listing` names the files that it
    is about. `since` is when somebody asked for one version. Can be stored as JSON.
    """

    since: str = ""
    failed: bool = False
    version: int = 0
    listing: str = ""
    results: dict[str, Result] = field(default_factory=dict)
    bookmark: dict[str, Any] | None = None

    def without_results(self, *, is_done: bool) -> Place:
        """Return the place behind what was written: in the same version, or nowhere."""
        if is_done:
            return Place(since=self.since, failed=self.failed)
        return Place(
            since=self.since,
            failed=self.failed,
            version=self.version,
            listing=self.listing,
            bookmark=self.bookmark,
        )


@dataclass(slots=True)
class Written:
    """How many files were read to their end, are others than before, and were not had."""

    files: int = 0
    changed_files: int = 0
    unavailable_files: int = 0


def of_reading(*, sha256: str, size: int) -> Result:
    return {"sha256": sha256, "size": size, "at": now().isoformat()}


def in_vain(reason: str) -> Result:
    return {"reason": reason, "at": now().isoformat()}


def write(
    run: SyncRun, place: Place, *, limit: int, every: timedelta, is_done: bool
) -> Written:
    """Write what was read of a version, in the caller's transaction.

    Its row is read anew, under a lock: only files of the listing that was read are
    touched. What is other than it was is told to the trail.
    """
    version = (
        ModelVersion.objects.select_for_update(of=["self"])
        .select_related("registered_model")
        .get(pk=place.version)
    )
    written = Written()
    manifest, due_at = list(version.artifact_manifest), version.files_due_at
    if version.artifacts_fingerprint == place.listing:
        manifest = _joined(run, version, place.results, limit=limit, written=written)
    if is_done:
        due_at = manifests.next_due(manifest, limit=limit, every=every)
    store_files.store_manifest(
        version,
        manifest,
        due_at=due_at if version.is_in_production else None,
        at=now(),
    )
    if place.results:
        _audit(version, place.results, written)
    return written


def _joined(
    run: SyncRun,
    version: ModelVersion,
    results: Mapping[str, Result],
    *,
    limit: int,
    written: Written,
) -> list[dict[str, Any]]:
    rows, failures = [], []
    for row in version.artifact_manifest:
        result = results.get(row["path"])
        if result is None:
            rows.append(manifests.sized(row, limit=limit))
            continue
        at = datetime.fromisoformat(result["at"])
        if "reason" in result:
            rows.append(manifests.unavailable(row, reason=result["reason"], at=at))
            failures.append(
                _failure(run, version, f"{row['path']}: {result['reason']}")
            )
            continue
        read, finding = manifests.read(
            row, sha256=result["sha256"], size=result["size"], at=at
        )
        rows.append(read)
        written.files += 1
        if finding:
            written.changed_files += not finding.is_back
            audit.record(finding.action, version, changes=finding.changes())
    written.unavailable_files = len(failures)
    SyncFailure.objects.bulk_create(failures)
    return rows


def _failure(run: SyncRun, version: ModelVersion, reason: str) -> SyncFailure:
    return failure(
        run,
        Section.ARTIFACTS,
        reason,
        model_name=version.model_name,
        version_number=version.version_number,
    )


def _audit(
    version: ModelVersion, results: Mapping[str, Result], written: Written
) -> None:
    told = "\n".join(
        f"{result['sha256']}  {path}"
        for path, result in sorted(results.items())
        if "sha256" in result
    )
    audit.record(
        "artifacts.hashed",
        version,
        changes={
            "read": written.files,
            "changed": written.changed_files,
            "unavailable": written.unavailable_files,
            "digest": hashlib.sha256(told.encode()).hexdigest(),
        },
    )
