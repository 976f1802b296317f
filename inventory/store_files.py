"""Writing what was read of the files of versions, and when to look at them again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from inventory.manifest import ManifestRow, content, with_states
from inventory.models import ModelVersion, Source
from inventory.records import Stage
from inventory.writing import plain, write_history


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
