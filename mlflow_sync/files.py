"""The files of versions, asked for one version after the other.

Where the store behind the server fails, the server says so for every version anew, and
may take a minute to do it: after a few in a row nobody is asked any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlflow_sync.artifacts import ReadArtifacts, read_artifacts
from mlflow_sync.client import Client
from mlflow_sync.sandbox import Sandbox
from mlflow_sync.snapshots import ArtifactsSnapshot, RunSnapshot, VersionSnapshot

GIVE_UP_AFTER = 5  # versions in a row whose files the server failed to list
GIVEN_UP = "{reason} The same of {count} versions before: it was not asked again."


@dataclass(slots=True)
class FileReader:
    """Lists and reads the files of versions during one slice of a sync."""

    client: Client
    sandbox: Sandbox
    _failed: int = 0  # in a row
    _reason: str = ""

    def read(
        self, versions: Iterable[tuple[VersionSnapshot, RunSnapshot | None]]
    ) -> Iterator[ReadArtifacts]:
        """Yield what the files of each version tell. Raises SyncError."""
        for version, run in versions:
            yield read_artifacts(self._fetch(version, run), self.sandbox)

    def _fetch(
        self, version: VersionSnapshot, run: RunSnapshot | None
    ) -> ArtifactsSnapshot:
        if self._failed == GIVE_UP_AFTER:
            reason = GIVEN_UP.format(reason=self._reason, count=GIVE_UP_AFTER)
            return ArtifactsSnapshot(root=version.source or "", failures={"": reason})
        told = self.client.fetch_artifacts(version, run=run)
        self._reason = told.store_failure
        self._failed = self._failed + 1 if self._reason else 0
        return told
