"""The files of versions, asked for a few versions at once and told in their order.

Where the store behind the server fails, the server says so for every version anew, and
may take a minute to do it: after a few in a row nobody is asked any more.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

from mlflow_sync.client import NOTHING_KNOWN, Client, Listings
from mlflow_sync.files.artifacts import ReadArtifacts, read_artifacts
from mlflow_sync.files.sandbox import Sandbox
from mlflow_sync.readers import Readers
from mlflow_sync.snapshots import ArtifactsSnapshot, RunSnapshot, VersionSnapshot

GIVE_UP_AFTER = 5  # versions in a row whose files the server failed to list
# Seconds that they took, if that is sooner: a slice of a sync must be left with time to
# store the versions that are not asked for any more, lest the next slice begin anew.
LONGEST = 100.0
GIVEN_UP = "{reason} The same of the versions before: it was not asked again."
BATCH = 5  # versions with two listings each, which MLflow answers in one request
AHEAD = 8  # versions whose files are asked for before they are used; bounds the memory

Told = tuple[VersionSnapshot, RunSnapshot | None]


@dataclass(slots=True)
class FileReader:
    """Lists and reads the files of versions during one slice of a sync."""

    readers: Readers
    sandbox: Sandbox
    _failed: int = 0  # in a row
    _lost: float = 0.0  # seconds, on those
    _reason: str = ""
    _lock: Lock = field(default_factory=Lock)

    @property
    def _has_given_up(self) -> bool:
        return self._failed >= GIVE_UP_AFTER or self._lost > LONGEST

    def read(self, versions: Sequence[Told]) -> Iterator[ReadArtifacts]:
        """Yield what the files of each version tell. Raises SyncError."""
        waiting: deque[Future[ArtifactsSnapshot]] = deque()
        for start in range(0, len(versions), BATCH):
            batch = versions[start : start + BATCH]
            listed = self._list_ahead(batch)
            for version, run in batch:
                fetch = partial(self._fetch, version, run, listed)
                waiting.append(self.readers.submit(fetch))
                if len(waiting) > AHEAD:
                    yield self._take(waiting.popleft())
        while waiting:
            yield self._take(waiting.popleft())

    def _list_ahead(self, batch: Sequence[Told]) -> Future[Listings] | None:
        """Let the batch be listed at once, where a request is dear."""
        pace = self.readers.pace
        if not (pace.may_batch and pace.is_dear) or self._has_given_up:
            return None
        return self.readers.submit(lambda client: client.list_ahead(batch))

    def _fetch(
        self,
        version: VersionSnapshot,
        run: RunSnapshot | None,
        listed: Future[Listings] | None,
        client: Client,
    ) -> ArtifactsSnapshot:
        if self._has_given_up:
            reason = GIVEN_UP.format(reason=self._reason)
            return ArtifactsSnapshot(root=version.source or "", failures={"": reason})
        began = time.monotonic()
        # Asked for before this, it is answered or under way in another thread.
        known = listed.result() if listed else NOTHING_KNOWN
        told = client.fetch_artifacts(version, run=run, known=known)
        with self._lock:
            if told.store_failure:
                self._failed, self._reason = self._failed + 1, told.store_failure
                self._lost += time.monotonic() - began
            elif not self._has_given_up:
                self._failed, self._lost = 0, 0.0
        return told

    def _take(self, told: Future[ArtifactsSnapshot]) -> ReadArtifacts:
        return read_artifacts(self.readers.result(told), self.sandbox)
