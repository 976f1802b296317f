"""The files of versions, asked for one version after the other.

Where the store behind the server fails, the server says so for every version anew, and
may take a minute to do it: after a few in a row nobody is asked any more.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlflow_sync.artifacts import ReadArtifacts, read_artifacts
from mlflow_sync.client import Client
from mlflow_sync.sandbox import Sandbox
from mlflow_sync.snapshots import ArtifactsSnapshot, RunSnapshot, VersionSnapshot

GIVE_UP_AFTER = 5  # versions in a row whose files the server failed to list
# Seconds that they took, if that is sooner: a slice of a sync must be left with time to
# store the versions that are not asked for any more, lest the next slice begin anew.
LONGEST = 100.0
GIVEN_UP = "{reason} The same of the versions before: it was not asked again."


@dataclass(slots=True)
class FileReader:
    """Lists and reads the files of versions during one slice of a sync."""

    client: Client
    sandbox: Sandbox
    _failed: int = 0  # in a row
    _lost: float = 0.0  # seconds, on those
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
        if self._failed == GIVE_UP_AFTER or self._lost > LONGEST:
            reason = GIVEN_UP.format(reason=self._reason)
            return ArtifactsSnapshot(root=version.source or "", failures={"": reason})
        began = time.monotonic()
        told = self.client.fetch_artifacts(version, run=run)
        self._reason = told.store_failure
        if self._reason:
            self._failed += 1
            self._lost += time.monotonic() - began
        else:
            self._failed, self._lost = 0, 0.0
        return told
