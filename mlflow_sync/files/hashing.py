"""Read the files of versions for their digests, and later to see whether they still are so.

One file after the other, over one connection: nobody waits for this, and whoever asks for
a sync of the server meanwhile ends it. It goes on where it was, in the middle of a file
too. What was read of a version is written at once, when all of it is or the slice ends.
"""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import Any

from django.utils.timezone import now

from accounts import tenancy
from accounts.models import Organization
from inventory import store_files
from inventory.manifest import ManifestRow
from inventory.models import ModelVersion
from inventory.records import Section
from mlflow_sync import lease, slices
from mlflow_sync.chunks import failure
from mlflow_sync.client import Pace
from mlflow_sync.client.artifacts import ABOUT_FILES
from mlflow_sync.exceptions import FailureKind, FileRefused, SandboxError, SyncError
from mlflow_sync.files import manifests, results
from mlflow_sync.files import runs as file_runs
from mlflow_sync.files.manifests import Wishes
from mlflow_sync.files.reading import Bookmark, FileReading, WantedFile
from mlflow_sync.files.results import Place, Result
from mlflow_sync.files.sandbox import Inspection, Sandbox
from mlflow_sync.models import SyncRun
from mlflow_sync.progress import Progress
from mlflow_sync.readers import Readers
from mlflow_sync.snapshots import RunSnapshot, VersionSnapshot

logger = logging.getLogger(__name__)

MOST_BYTES = 256 * 2**30  # after which a run ends; what is left is due for the next
GIVE_UP_AFTER = 5  # files in a row that the server, or its store, failed to hand out
SAVED_EVERY = 5.0  # seconds between two notes of which small files were read
DOUBTFUL = "Two readings of it, one after the other, gave different digests."
GIVEN_UP = (
    f"The server failed to hand out {GIVE_UP_AFTER} files in a row: the others are "
    "asked for tomorrow."
)
# The file's store failed, unless the server as a whole does not answer any more.
_FAILED = frozenset(
    {FailureKind.SERVER_ERROR, FailureKind.TIME_OUT, FailureKind.CLOSED}
)


@dataclass(slots=True)
class Hashing:
    """One slice of a run that reads files."""

    organization: Organization
    run: SyncRun
    progress: Progress
    patience: float
    failed: bool = False
    at: datetime = field(default_factory=now)
    place: Place = field(init=False)
    _readers: Readers = field(init=False)
    _sandbox: Sandbox = field(init=False)
    _stop: Event = field(default_factory=Event)
    _is_over: bool = False
    _reading: FileReading | None = None
    _saved_at: float = field(default_factory=time.monotonic)
    _saved_state: str = ""
    _failed_in_row: int = 0

    def __post_init__(self) -> None:
        self.place = Place(**self.run.place)
        self.failed = self.place.failed

    def work(self) -> bool:
        """Go on from the run's place; return whether nothing is due any more."""
        server = self.run.server
        with self._storing():
            connection = slices.identify(self.run)
            if not self.run.expected_versions:
                self.run.expected_versions = self._due().count()
            self.run.save()
        self.progress.phase("Reading files")
        with (
            Sandbox() as self._sandbox,
            Readers(
                connection,
                concurrency=1,
                pace=Pace(server.request_budget),
                idle=self._idle,
            ) as self._readers,
        ):
            try:
                self._identify()
                return self._read_all()
            finally:
                self._is_over = True
                self._stop.set()
                self.progress.count(self._readers)

    def _read_all(self) -> bool:
        while version := self._next():
            self._read(version)
            self.progress.count(self._readers)
            if self._failed_in_row >= GIVE_UP_AFTER:
                self._give_up()
                return True
            if self._is_late():
                return False
            if self.run.count("bytes") > MOST_BYTES:
                return True
        return True

    def _is_late(self) -> bool:
        return self.progress.elapsed > self.patience

    def _idle(self) -> None:
        """Show, while a file is read, that this lives; stop it when it gets late."""
        if self._is_over:
            return
        if self._is_late():
            self._stop.set()
        self.progress.count(self._readers)
        if self._reading and self._reading.bookmark.state != self._saved_state:
            self._save_bookmark(self._reading.bookmark)
        self.progress.beat()

    def _identify(self) -> None:
        """Make sure that MLflow answers, and no page of what stands before it."""
        asked = self._readers.submit(lambda client: client.identify())
        identity = self._readers.result(asked)
        if not self.run.mlflow_version:
            with self._storing():
                slices.note_identity(self.run, identity)

    def _storing(self) -> AbstractContextManager[None]:
        return slices.storing(self.organization, self.run)

    # Which version, which of its files

    @property
    def _limit(self) -> int:
        return int(self.run.server.hash_limit) * 2**20

    @property
    def _every(self) -> timedelta:
        return timedelta(days=self.run.server.rehash_days)

    @property
    def _wishes(self) -> Wishes:
        if self.run.version_id is None:
            return Wishes.at(self.at, limit=self._limit, every=self._every)
        since = self.place.since
        asked = datetime.fromisoformat(since) if since else self.run.queued_at
        return Wishes.all_since(asked, limit=self._limit)

    def _due(self) -> Any:
        if self.run.version_id is None:
            return file_runs.due(self.run.server, at=self.at)
        return ModelVersion.objects.present().filter(pk=self.run.version_id)

    def _next(self) -> ModelVersion | None:
        """Return the version to go on with: the one that was begun, or the first due."""
        with tenancy.acting_for(self.organization, origin="sync"):
            due = self._due().select_related("registered_model", "run")
            begun = due.filter(pk=self.place.version).first()
            version: ModelVersion | None = begun or due.first()
        if version is None:
            return None
        if self.run.version_id and not self._wishes.due(version.artifact_manifest):
            return None
        if (version.pk, version.artifacts_fingerprint) != (
            self.place.version,
            self.place.listing,
        ):
            self.place = Place(
                since=self.place.since,
                failed=self.failed,
                version=version.pk,
                listing=version.artifacts_fingerprint,
            )
        return version

    def _read(self, version: ModelVersion) -> None:
        """Read the files of a version that are due, or as many as there is time for."""
        read = self.place.results
        waiting = [
            row
            for row in self._wishes.due(version.artifact_manifest)
            if row["path"] not in read
        ]
        try:
            while waiting:
                row = waiting[0]
                result = self._result(version, row)
                if result is None:
                    break
                read[row["path"]] = result
                self.place.bookmark = None
                del waiting[0]
                self._save_now_and_then()
                if self._is_late() or self._failed_in_row >= GIVE_UP_AFTER:
                    break
        except SyncError:
            self._store(is_done=False)
            raise
        self._store(is_done=not waiting)

    # One file

    def _result(self, version: ModelVersion, row: ManifestRow) -> Result | None:
        """Read a file; return what was found, None if that was put off.

        Raises SyncError where the server as a whole is out of reach.
        """
        try:
            found = self._confirmed(_wanted(version, row, limit=self._limit), row)
        except (FileRefused, SandboxError) as error:
            self.failed = True
            return results.in_vain(str(error))
        if found is None:
            return None
        self._failed_in_row = 0
        return results.of_reading(sha256=found.sha256, size=found.size)

    def _confirmed(self, file: WantedFile, row: ManifestRow) -> Inspection | None:
        """Read a file, and once more if it is another than it was, to be certain of it."""
        known = {row.get("sha256"), manifests.digest_now(row)}
        bookmark = Bookmark.of(self.place.bookmark, file.path)
        while found := self._inspect(file, bookmark):
            if not row.get("sha256") or found.sha256 in known | {bookmark.first}:
                return found
            if bookmark.first:
                raise FileRefused(DOUBTFUL)
            self._identify()
            bookmark = Bookmark(path=file.path, first=found.sha256)
        return None

    def _inspect(self, file: WantedFile, bookmark: Bookmark) -> Inspection | None:
        """Read a file in the thread. Raises FileRefused for what is said of it alone."""
        reading = FileReading(file, self._sandbox, bookmark=bookmark, stop=self._stop)
        self._reading, self._saved_state = reading, bookmark.state
        try:
            found = self._readers.result(self._readers.submit(reading.read))
        except SyncError as error:
            if error.kind not in ABOUT_FILES:
                raise
            if error.kind in _FAILED:
                self._identify()
                self._failed_in_row += 1
            raise FileRefused(str(error)) from None
        finally:
            self._reading = None
        if found is None:
            self._save_bookmark(reading.bookmark)
        return found

    # What is kept

    def _save_bookmark(self, bookmark: Bookmark) -> None:
        self.place.bookmark, self._saved_state = bookmark.plain(), bookmark.state
        self._save()

    def _save_now_and_then(self) -> None:
        if time.monotonic() - self._saved_at > SAVED_EVERY:
            self._save()
        self.progress.beat()

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        self.place.failed = self.failed
        with self._storing():
            lease.save_place(self.run, asdict(self.place))

    def _store(self, *, is_done: bool) -> None:
        """Write what was read of a version."""
        if not self.place.results and not is_done:
            return
        with self._storing():
            written = results.write(
                self.run,
                self.place,
                limit=self._limit,
                every=self._every,
                is_done=is_done,
            )
            self.progress.add(**asdict(written), versions=int(is_done))
            self.place = self.place.without_results(is_done=is_done)
            lease.save_place(self.run, asdict(self.place))
        self._saved_at = time.monotonic()

    def _give_up(self) -> None:
        """Leave what is due for tomorrow: the server says the same for every file."""
        logger.warning("%s: %s", self.run, GIVEN_UP)
        at = now()
        with self._storing():
            store_files.postpone_files(
                self.run.server.source, until=at + manifests.ASK_AGAIN, at=at
            )
            failure(self.run, Section.ARTIFACTS, GIVEN_UP, model_name="").save()


def _wanted(version: ModelVersion, row: ManifestRow, *, limit: int) -> WantedFile:
    run = version.run
    return WantedFile(
        version=VersionSnapshot(
            name=version.model_name,
            version=str(version.version_number),
            source=version.source_artifact_uri,
            run_id=version.source_run_id,
            fingerprint="",
        ),
        run=RunSnapshot(
            run_id=run.run_id, artifact_uri=run.artifact_uri, fingerprint=""
        )
        if run
        else None,
        root=version.artifact_root,
        path=row["path"],
        size=None if row.get("sha256") else row["size"],
        most=limit,
    )
