"""The ways to a file, the first open one of which is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TypeVar

from mlflow_sync.client import locations
from mlflow_sync.client.locations import Folder, Place
from mlflow_sync.client.streaming import FileStream
from mlflow_sync.client.transport import API, Query, Transport
from mlflow_sync.exceptions import FailureKind, SyncError
from mlflow_sync.snapshots import RunSnapshot, VersionSnapshot

T = TypeVar("T")

# The object store behind the server failed, as it does without its credentials: it
# will again, and each try may take the server a minute.
STORE_FAILED = frozenset({FailureKind.SERVER_ERROR, FailureKind.TIME_OUT})
# A proxy lets the API through and not the routes of MLflow's pages.
_BLOCKED = frozenset(
    {
        FailureKind.NOT_FOUND,
        FailureKind.FORBIDDEN,
        FailureKind.UNAUTHORIZED,
        FailureKind.REDIRECT,
    }
)


class FileRoutes:
    """Hands out files through one transport, and learns which routes a proxy blocks."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._blocked: set[str] = set()
        self._last_located: tuple[tuple[str, str], Folder] | None = None

    def resolve(self, version: VersionSnapshot) -> str:
        """Return a version's source, or that of the version which it is a copy of."""
        source = version.source or ""
        if not locations.needs_resolving(source):
            return source
        target = f"{API}/model-versions/get-download-uri"
        query = [("name", version.name), ("version", version.version)]
        answer, _ = self._transport.repeat(
            partial(_once, self._transport.get_json, target, query), final=STORE_FAILED
        )
        return str(answer.get("artifact_uri", ""))

    def read(
        self, place: Place, version: VersionSnapshot, *, root: str, max_bytes: int
    ) -> bytes:
        """Return the content of a small file."""
        return self._by_open_route(
            locations.routes(place, version, root=root),
            lambda target, query: self._transport.send(
                "GET", target, query=query, max_bytes=max_bytes
            ),
        )

    @contextmanager
    def open(
        self,
        version: VersionSnapshot,
        path: str,
        *,
        run: RunSnapshot | None,
        root: str,
        begin: int = 0,
        validator: str = "",
    ) -> Iterator[FileStream]:
        """Yield the bytes of a file by the path that it was told under, of any size.

        `root` is that of the version's snapshot; nothing is listed again.
        """
        own, rest = self._located(version, run), Folder()
        if version.run_id:
            rest = Folder.of_run(version.run_id, prefix=f"runs:/{version.run_id}/")
        if rest.prefix and path.startswith(rest.prefix):
            place = Place(folder=rest, path=path.removeprefix(rest.prefix))
            root = (run.artifact_uri if run else "") or ""
        else:
            place = Place(folder=own, path=f"{own.base}/{path}".lstrip("/"))
            root = root.removesuffix(own.base).rstrip("/")
        with ExitStack() as stack:
            yield self._by_open_route(
                locations.routes(place, version, root=root),
                lambda target, query: stack.enter_context(
                    self._transport.stream(
                        target, query, begin=begin, validator=validator
                    )
                ),
            )

    def _located(self, version: VersionSnapshot, run: RunSnapshot | None) -> Folder:
        """Find the folder of a version, for file after file with one request at most."""
        key = (version.name, version.version)
        if self._last_located is None or self._last_located[0] != key:
            folder = locations.locate(self.resolve(version), version, run=run)
            self._last_located = key, folder
        return self._last_located[1]

    def _by_open_route(
        self,
        routes: Mapping[str, tuple[str, Query]],
        ask: Callable[[str, Query], T],
    ) -> T:
        """Ask for a file by the first route that is open. Raises the first one's error."""
        is_open = [name for name in routes if name not in self._blocked]
        failures: dict[str, SyncError] = {}
        for name in is_open or routes:
            target, query = routes[name]
            try:
                answer, _ = self._transport.repeat(
                    partial(_once, ask, target, query), final=STORE_FAILED
                )
            except SyncError as error:
                if error.kind not in _BLOCKED:
                    raise
                failures[name] = error
            else:
                self._blocked |= failures.keys()
                return answer
        raise next(iter(failures.values()))


def _once(ask: Callable[[str, Query], T], target: str, query: Query, _size: int) -> T:
    """Ask for one thing, of which there is nothing to halve."""
    return ask(target, query)
