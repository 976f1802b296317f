"""As of when the inventory shows what MLflow said, derived from the sync runs.

Nothing is written per version: a sync that finds a version unchanged has read it all
the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Q

from inventory.models import ModelVersion
from inventory.records import Section
from mlflow_sync.models import SyncRun

FILES = (Section.ARTIFACTS, Section.ENVIRONMENT)


@dataclass(frozen=True, slots=True)
class LastReads:
    """When the last sync that read a source began; `files`: one that read all files."""

    rows: datetime
    files: datetime | None


def last_reads() -> dict[int, LastReads]:
    """Return the last reads of every source of the organization. Costs one query."""
    read = SyncRun.objects.whole()
    all_files = Q(is_full=True, with_artifacts=True)
    return {
        source_id: LastReads(rows, files)
        for source_id, rows, files in read.order_by()
        .values("server__source")
        .annotate(rows=Max("started_at"), files=Max("started_at", filter=all_files))
        .values_list("server__source", "rows", "files")
    }


def as_of(
    version: ModelVersion, reads: Mapping[int, LastReads]
) -> dict[Section, datetime | None]:
    """Return as of when each section of a version is as it is shown.

    None: not known, because the section could not be read or the version is absent
    (`incomplete` and `absent_since` say so), or its files were never listed. Files are
    listed once, when the version is first seen, and again by a full sync.
    """
    read = reads.get(version.source_id)
    if read is None or version.is_absent:
        return dict.fromkeys(Section)
    files = (
        max(version.first_seen_at, read.files or version.first_seen_at)
        if version.artifacts_fingerprint
        else None
    )
    return {
        section: None
        if section in version.incomplete
        else (files if section in FILES else read.rows)
        for section in Section
    }
