"""Reading one file of any size for its digest, over drops of the connection and slices.

Memory never holds more than a chunk. A bookmark tells how far the reading is: the state
of the digest, and what names the content that it is of, so that the server goes on in the
middle only if the file still is the same.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from threading import Event
from typing import Any, Self

from mlflow_sync.client import Client, FileStream
from mlflow_sync.exceptions import FailureKind, FileRefused, SyncError
from mlflow_sync.files.sandbox import Digest, Inspection, Sandbox
from mlflow_sync.snapshots import RunSnapshot, VersionSnapshot

DROPS = (1.0, 2.0, 4.0)  # seconds before a file that stopped coming is gone on with
ENOUGH = 2**20  # bytes between two drops, after which the first is forgotten
MOST_BEGINNINGS = 3
CHECKPOINT = 20.0  # seconds between two bookmarks while a file is read

# The connection ended, or nothing came any more, while the file was on its way.
_DROPPED = frozenset({FailureKind.CLOSED, FailureKind.TIME_OUT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """How far a file was read; `first` is what an earlier reading of it found.

    Can be stored as JSON.
    """

    path: str
    state: str = ""
    validator: str = ""
    begun: int = 0
    first: str = ""

    @classmethod
    def of(cls, told: Mapping[str, Any] | None, path: str) -> Self:
        """Return the stored bookmark, or a new one if it is of another file."""
        return cls(**told) if told and told["path"] == path else cls(path=path)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFile:
    """A file of a version: where it lies, and how large it may be.

    `size` is what it has to be; None where it may have changed, or was never told.
    """

    version: VersionSnapshot
    run: RunSnapshot | None
    root: str
    path: str
    size: int | None
    most: int


class FileReading:
    """One file on its way, read in a thread; `bookmark` and `stop` are for all threads."""

    def __init__(
        self, file: WantedFile, sandbox: Sandbox, *, bookmark: Bookmark, stop: Event
    ) -> None:
        self.bookmark = bookmark
        self._file = file
        self._sandbox = sandbox
        self._stop = stop

    def read(self, client: Client) -> Inspection | None:
        """Return digest and size, or None if it was stopped: `bookmark` tells where.

        Raises FileRefused for what is no file to be read, SyncError, SandboxError.
        """
        drops = 0
        with self._sandbox.digest(self._file.path, state=self.bookmark.state) as digest:
            while True:  # a slice reads something, however late it is
                before = digest.size
                try:
                    found = self._go_on(client, digest)
                except _Dropped as drop:
                    drops = 1 if digest.size - before > ENOUGH else drops + 1
                    if drops > len(DROPS):
                        raise drop.error from None
                    self._stop.wait(DROPS[drops - 1])
                else:
                    if found:
                        return found
                if self._stop.is_set():
                    self._mark(digest)
                    return None

    def _go_on(self, client: Client, digest: Digest) -> Inspection | None:
        """Read from where the digest is; None where it is to be gone on with."""
        mark, file = self.bookmark, self._file
        begin = digest.size if mark.validator else 0
        with client.open_file(
            file.version, file.path, run=file.run, root=file.root,
            begin=begin, validator=mark.validator,
        ) as stream:  # fmt: skip
            if not stream.begin:
                self._begin(digest)
            elif stream.validator != mark.validator:
                # Another file, whatever it was asked for: the next round begins anew.
                self.bookmark = replace(mark, validator="", state="")
                return None
            self._check(stream)
            self.bookmark = replace(self.bookmark, validator=stream.validator)
            return self._take(stream, digest)

    def _begin(self, digest: Digest) -> None:
        """Begin with the first byte, unless that was done again and again."""
        if self.bookmark.begun == MOST_BEGINNINGS:
            raise FileRefused(
                f"It was begun {MOST_BEGINNINGS} times, and each time the connection, or "
                "the worker, ended before the file did."
            )
        if digest.size:
            digest.restart()
        self.bookmark = replace(self.bookmark, state="", begun=self.bookmark.begun + 1)

    def _check(self, stream: FileStream) -> None:
        """Refuse a file by the size that the server says it has."""
        file, size = self._file, stream.size
        if size is None:
            return
        if file.size is not None and size != file.size:
            raise FileRefused(
                f"MLflow listed it with {file.size:,} bytes, and serves {size:,}."
            )
        if size > file.most:
            raise FileRefused(f"It has {size:,} bytes, more than the limit.")

    def _take(self, stream: FileStream, digest: Digest) -> Inspection | None:
        marked = time.monotonic()
        chunks = iter(stream.chunks)
        while True:
            try:
                chunk = next(chunks, None)
            except SyncError as error:
                if error.kind in _DROPPED:
                    raise _Dropped(error) from None
                raise
            if chunk is None:
                break
            digest.update(chunk)
            self._bound(digest)
            if digest.size == stream.size:
                continue  # there is nothing behind it to go on with
            if self._stop.is_set():
                return None
            if time.monotonic() - marked > CHECKPOINT:
                self._mark(digest)
                marked = time.monotonic()
        if self._file.size is not None and digest.size != self._file.size:
            raise FileRefused(
                f"MLflow listed it with {self._file.size:,} bytes, and served "
                f"{digest.size:,}."
            )
        return digest.finish()

    def _bound(self, digest: Digest) -> None:
        """Stop where more comes than was told: sizes in headers may be missing, or lie."""
        most = self._file.most if self._file.size is None else self._file.size
        if digest.size > most:
            raise FileRefused(f"MLflow served more than {most:,} bytes.")

    def _mark(self, digest: Digest) -> None:
        """Note where to go on, if the server will."""
        if self.bookmark.validator and digest.size:
            self.bookmark = replace(self.bookmark, state=digest.state())


class _Dropped(Exception):
    def __init__(self, error: SyncError) -> None:
        super().__init__(str(error))
        self.error = error
