"""List the files of a version and of its run, and read the few that tell much.

Everything is asked of the tracking server, never of an object store, and nothing is
written, unpacked or executed here: names and bytes are handed on as they came.
"""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mlflow_sync.client import locations
from mlflow_sync.client.batching import Asked, Listings, is_answered, list_many
from mlflow_sync.client.connection import MEBIBYTE
from mlflow_sync.client.file_routes import STORE_FAILED, FileRoutes
from mlflow_sync.client.locations import Folder, Place
from mlflow_sync.client.transport import Query, Transport
from mlflow_sync.exceptions import FailureKind, SyncError
from mlflow_sync.snapshots import (
    ArtifactsSnapshot,
    FileSnapshot,
    RunSnapshot,
    VersionSnapshot,
)

logger = logging.getLogger(__name__)

NOTHING_KNOWN: Listings = MappingProxyType({})
ENVIRONMENT_FILES = ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt")
_REPORT = re.compile(
    r"(?is).*(model[_-]?card|evaluation|bias|fairness).*\.(md|json|txt)"
)

_SIZE = re.compile(r"[0-9]{1,19}")  # an int64

MAX_DEPTH = 5  # folders below the one that is listed
MAX_FOLDERS = 50  # requests for one listing
MAX_FILES = 1000  # of one listing
MAX_PATH = 4096  # characters
MAX_READ_FILES = 24  # of one version
MAX_FILE_BYTES = MEBIBYTE
MAX_READ_BYTES = 4 * MEBIBYTE  # of one version

# What is said of these files, not of the server as a whole.
ABOUT_FILES = frozenset(
    {
        *STORE_FAILED,
        FailureKind.NOT_FOUND,
        FailureKind.FORBIDDEN,
        FailureKind.REDIRECT,
        FailureKind.NOT_MLFLOW,
        FailureKind.BAD_REQUEST,
        FailureKind.BAD_BODY,
        FailureKind.CLOSED,
        FailureKind.TOO_LARGE,
    }
)


@dataclass(slots=True, kw_only=True)
class _Gathered:
    """What is known so far of the files of one version, by the path that is told."""

    version: VersionSnapshot
    known: Listings
    roots: dict[str, str] = field(default_factory=dict)  # prefix -> root_uri
    places: dict[str, Place] = field(default_factory=dict)
    sizes: dict[str, int | None] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    store_failure: str = ""

    def add(self, place: Place, size: int | None) -> None:
        self.places[place.told] = place
        self.sizes[place.told] = size

    def stop(self, folder: Folder, *, after: int) -> None:
        """Note that a listing was not read to its end."""
        self.failures[folder.prefix] = f"The listing was stopped after {after:,} files."

    @contextmanager
    def noting(self, told: str) -> Iterator[None]:
        """Keep the reason why a file could not be had; let through what is graver."""
        try:
            yield
        except SyncError as error:
            if error.kind not in ABOUT_FILES:
                raise
            self.failures[told] = str(error)
            if not told and error.kind in STORE_FAILED:
                self.store_failure = str(error)

    def wanted(self) -> list[str]:
        """Return what is to be read, environment files first."""
        return sorted(
            (
                told
                for told, place in self.places.items()
                if told not in self.contents
                and (told in ENVIRONMENT_FILES or _REPORT.fullmatch(place.name))
            ),
            key=lambda told: (told not in ENVIRONMENT_FILES, told),
        )


class ArtifactReader:
    """Lists the artifacts of versions through one transport, and reads a few of them."""

    def __init__(self, transport: Transport, routes: FileRoutes) -> None:
        self._transport = transport
        self._routes = routes

    def list_ahead(
        self, versions: Sequence[tuple[VersionSnapshot, RunSnapshot | None]]
    ) -> Listings:
        """List what many versions have of their runs' files, ten listings a request.

        Returns nothing where MLflow has no GraphQL: then it is not asked again.
        """
        asked: dict[Asked, None] = {}
        for version, run in versions:
            source = version.source or ""
            if not locations.needs_resolving(source):
                folder = locations.locate(source, version, run=run)
                if folder.run_id:
                    asked[folder.run_id, folder.base] = None
            if version.run_id:
                asked[version.run_id, ""] = None
        pace = self._transport.pace
        if not asked or not pace.may_batch:
            return {}
        try:
            return list_many(self._transport, list(asked))
        except SyncError as error:
            logger.info("Listings are asked for one by one: %s", error)
            pace.may_batch = False
            return {}

    def fetch(
        self,
        version: VersionSnapshot,
        *,
        run: RunSnapshot | None,
        known: Listings = NOTHING_KNOWN,
    ) -> ArtifactsSnapshot:
        """Gather the files below a version's source, then the others of its run.

        What `list_ahead` has listed is not asked for again.

        Paths are relative to the source; those of the run's other files begin with
        `runs:/<run id>/`. `failures` has the path of each file that was wanted and not
        read, and "" or `runs:/<run id>/` for a listing that is not whole.
        """
        gathered = _Gathered(version=version, known=known)
        folder = Folder()
        with gathered.noting(""):
            folder = locations.locate(self._routes.resolve(version), version, run=run)
            self._list_source(gathered, folder)
        if version.run_id:
            self._list_rest_of_run(gathered, version.run_id, folder)
        self._read_wanted(gathered)

        root = gathered.roots.get("")
        return ArtifactsSnapshot(
            root=f"{root}/{folder.base}".rstrip("/") if root else version.source or "",
            files=tuple(
                FileSnapshot(path=told, size=size)
                for told, size in sorted(gathered.sizes.items())
            ),
            contents=gathered.contents,
            failures=gathered.failures,
            store_failure=gathered.store_failure,
        )

    def _list_source(self, gathered: _Gathered, folder: Folder) -> None:
        if not folder.endpoint:
            gathered.failures[""] = "MLflow cannot list the files of this source."
            self._read_known_names(gathered, folder)
            return
        try:
            self._walk(gathered, folder)
        except SyncError as error:
            # Files outlive a purged run.
            if error.kind is FailureKind.NOT_FOUND:
                self._read_known_names(gathered, folder)
            raise

    def _list_rest_of_run(
        self, gathered: _Gathered, run_id: str, folder: Folder
    ) -> None:
        is_of_run = folder.run_id == run_id
        if is_of_run and not folder.base:
            return  # the source is the whole of the run
        rest = Folder.of_run(run_id, prefix=f"runs:/{run_id}/")
        # A run and its logged models lie in one store, which may take a minute to fail.
        if gathered.store_failure and folder.endpoint and folder.run_id in ("", run_id):
            gathered.failures[rest.prefix] = gathered.store_failure
            return
        with gathered.noting(rest.prefix):
            try:
                self._walk(gathered, rest, skipped=folder.base if is_of_run else "")
            except SyncError as error:
                # That a run was purged is told with the run, not with its files.
                if error.kind is not FailureKind.NOT_FOUND:
                    raise

    def _walk(self, gathered: _Gathered, folder: Folder, *, skipped: str = "") -> None:
        """List a folder and those below it, the nearest first, within the bounds."""
        waiting = deque([(folder.base, 0)])
        asked = found = 0
        while waiting:
            if asked == MAX_FOLDERS:
                gathered.stop(folder, after=found)
                return
            path, depth = waiting.popleft()
            answer = self._list(gathered, folder, path)
            asked += 1
            gathered.roots[folder.prefix] = str(answer.get("root_uri", "")).rstrip("/")
            for entry in _entries(answer):
                if found == MAX_FILES:
                    gathered.stop(folder, after=found)
                    return
                place = Place(folder=folder, path=str(entry.get("path", "")))
                if len(place.path) > MAX_PATH:
                    gathered.failures[f"{place.path[:MAX_PATH]}…"] = (
                        f"The path is longer than {MAX_PATH:,} characters."
                    )
                elif not locations.lies_below(place.path, path):
                    gathered.failures[place.path] = (
                        "The path leads out of the folder that was listed."
                    )
                elif not entry.get("is_dir"):
                    gathered.add(place, _size(entry))
                    found += 1
                elif place.path != skipped and depth < MAX_DEPTH:
                    waiting.append((place.path, depth + 1))
                elif place.path != skipped:
                    gathered.failures[place.told] = (
                        f"The folder lies deeper than {MAX_DEPTH} levels: it was not "
                        "listed."
                    )

    def _list(self, gathered: _Gathered, folder: Folder, path: str) -> dict[str, Any]:
        query = folder.listing(path)
        known = is_answered(query, gathered.known) if folder.run_id else None
        return known or self._ask(folder.endpoint, query)

    def _read_known_names(self, gathered: _Gathered, folder: Folder) -> None:
        """Ask for the environment files by name, where no listing tells of them."""
        for name in ENVIRONMENT_FILES:
            place = Place(folder=folder, path=f"{folder.base}/{name}".lstrip("/"))
            try:
                content = self._read(gathered, place)
            except SyncError as error:
                if error.kind is FailureKind.NOT_FOUND:
                    continue  # nobody said that there was such a file
                raise
            gathered.add(place, len(content))
            gathered.contents[name] = content

    def _read_wanted(self, gathered: _Gathered) -> None:
        read = total = 0
        store_failed = ""
        for told in gathered.wanted():
            size = gathered.sizes[told] or 0
            if store_failed:
                gathered.failures[told] = store_failed
            elif size > MAX_FILE_BYTES:
                gathered.failures[told] = (
                    f"The file is larger than {MAX_FILE_BYTES:,} bytes: it was not read."
                )
            elif read == MAX_READ_FILES or total + size > MAX_READ_BYTES:
                gathered.failures[told] = (
                    "The version has too many reports to read all."
                )
            else:
                read += 1
                with gathered.noting(told):
                    try:
                        content = self._read(gathered, gathered.places[told])
                    except SyncError as error:
                        if error.kind in STORE_FAILED:
                            store_failed = str(error)
                        raise
                    _check_size(content, listed=gathered.sizes[told])
                    gathered.contents[told] = content
                    total += len(content)

    def _read(self, gathered: _Gathered, place: Place) -> bytes:
        root = gathered.roots.get(place.folder.prefix, "")
        return self._routes.read(
            place, gathered.version, root=root, max_bytes=MAX_FILE_BYTES
        )

    def _ask(self, endpoint: str, query: Query) -> dict[str, Any]:
        began = time.monotonic()
        answer, _ = self._transport.repeat(
            lambda _: self._transport.get_json(endpoint, query), final=STORE_FAILED
        )
        self._transport.pace.note_listing(time.monotonic() - began)
        return answer


def _entries(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a folder holds, the files that are read first, lest a bound drop them.

    Raises SyncError (bad_body) if that is no list of files.
    """
    entries = answer.get("files") or []
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) for entry in entries
    ):
        raise SyncError(
            "The tracking server's list of files is not as MLflow makes them.",
            kind=FailureKind.BAD_BODY,
        )
    return sorted(entries, key=_is_read_late)


def _is_read_late(entry: dict[str, Any]) -> bool:
    return str(entry.get("path", "")).rpartition("/")[2] not in ENVIRONMENT_FILES


def _check_size(content: bytes, *, listed: int | None) -> None:
    """Refuse what is not the file that was listed, such as the page of a proxy.

    Its digest would be kept as the first one. Raises SyncError (bad_body).
    """
    if listed is not None and len(content) != listed:
        raise SyncError(
            f"MLflow listed it with {listed:,} bytes, and served {len(content):,}.",
            kind=FailureKind.BAD_BODY,
        )


def _size(entry: dict[str, Any]) -> int | None:
    size = str(entry.get("file_size", ""))
    return int(size) if _SIZE.fullmatch(size) else None
