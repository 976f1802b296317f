"""Fetch in one thread, store in another: the server and the database work together.

One fetching thread is enough, for the server is the limit; the bounded queue between
the two keeps memory flat, whatever the size of the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

from mlflow_sync.client import Client, Identity
from mlflow_sync.exceptions import FailureKind, SyncError
from mlflow_sync.normalize_text import clean_text
from mlflow_sync.scoping import Sieve
from mlflow_sync.snapshots import (
    ExperimentSnapshot,
    ModelSnapshot,
    RunSnapshot,
    VersionSnapshot,
)

T = TypeVar("T")

PAGES_AHEAD = 2
VERSIONS_PER_PAGE = 300  # their runs fit into one request of a bearable size
# Said of these runs, not of the server as a whole: the versions are stored without.
ABOUT_THE_PAGE = frozenset(
    {
        FailureKind.SERVER_ERROR,
        FailureKind.BAD_BODY,
        FailureKind.BAD_REQUEST,
        FailureKind.TOO_LARGE,
    }
)
PATIENCE = 5.0  # seconds between two looks at whether anybody still waits


@dataclass(frozen=True, slots=True)
class Models:
    page: list[ModelSnapshot]


@dataclass(frozen=True, slots=True)
class ModelsEnd:
    """All models have been told: what is not among them is gone or renamed."""


@dataclass(frozen=True, slots=True)
class Experiments:
    page: list[ExperimentSnapshot]


@dataclass(frozen=True, slots=True)
class Versions:
    """A page of versions with their runs by id; `failure` says why runs are missing."""

    page: list[VersionSnapshot]
    runs: dict[str, RunSnapshot] = field(default_factory=dict)
    failure: str = ""


Page = Identity | Models | ModelsEnd | Experiments | Versions


@dataclass(frozen=True, slots=True)
class Place:
    """How far earlier slices came in the list of versions: how many, and to which."""

    count: int = 0
    name: str = ""
    version: str = ""

    def after(self, version: VersionSnapshot) -> Place:
        """Return the place behind one more version."""
        return Place(self.count + 1, clean_text(version.name), version.version)

    def rest_of(
        self, page: list[VersionSnapshot], *, listed: int
    ) -> list[VersionSnapshot] | None:
        """Return what comes behind the place, of a page with `listed` versions before.

        The last version is the better mark: what is deleted or made before it moves the
        count. None where the whole page lies before the place.
        """
        for index, version in enumerate(page):
            if (clean_text(version.name), version.version) == (self.name, self.version):
                return page[index + 1 :]
        if listed + len(page) <= self.count:
            return None
        return page[self.count - listed :]


def pages(client: Client, *, place: Place, sieve: Sieve) -> Iterator[Page]:
    """Yield who answers, then all models, then experiments, then versions with runs.

    Versions up to `place`, which an earlier slice has stored, are listed without runs;
    those that are out of scope are left out.
    """
    yield client.identify()
    for models in client.search_models():
        yield Models(sieve.models(models))
    yield ModelsEnd()
    experiments: set[str] = set()
    for found in client.search_experiments():
        experiments.update(experiment.experiment_id for experiment in found)
        yield Experiments(found)
    listed, is_behind = 0, not place.count
    for page in client.search_versions(page_size=VERSIONS_PER_PAGE):
        versions = sieve.versions(page)
        rest = versions if is_behind else place.rest_of(versions, listed=listed)
        listed += len(versions)
        is_behind = rest is not None
        if rest:
            yield _with_runs(client, rest, experiments)


def _with_runs(
    client: Client, versions: list[VersionSnapshot], experiments: set[str]
) -> Versions:
    run_ids = {version.run_id for version in versions if version.run_id}
    try:
        runs = client.fetch_runs(run_ids, experiment_ids=experiments)
    except SyncError as error:
        if error.kind not in ABOUT_THE_PAGE:
            raise
        return Versions(versions, failure=str(error))
    told = {run.run_id: run for run in runs if run.run_id in run_ids}
    return Versions(versions, told)


@dataclass(frozen=True, slots=True)
class _End:
    """The last thing that a thread has to tell, with the error that ended it."""

    error: Exception | None = None


class Prefetched(Generic[T]):
    """Iterate over what a thread fetches ahead; `idle` is called while waiting.

    An error of the thread is raised where its item would have come. Use as a context
    manager: leaving it ends the thread, once the request that it is in has ended.
    """

    def __init__(self, source: Iterator[T], *, idle: Callable[[], None]) -> None:
        self._source = source
        self._idle = idle
        self._queue: Queue[T | _End] = Queue(PAGES_AHEAD)
        self._unwanted = Event()
        self._thread = Thread(target=self._fetch, name="fetch", daemon=True)

    def __enter__(self) -> Prefetched[T]:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._unwanted.set()
        self._thread.join(PATIENCE)
        while self._thread.is_alive():
            self._idle()
            self._thread.join(PATIENCE)

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                item = self._queue.get(timeout=PATIENCE)
            except Empty:
                self._idle()
                continue
            if not isinstance(item, _End):
                yield item
            elif item.error:
                raise item.error
            else:
                return

    def _fetch(self) -> None:
        end = _End()
        try:
            for item in self._source:
                if not self._put(item):
                    return
        except Exception as error:  # noqa: BLE001 - raised again in the waiting thread
            end = _End(error)
        self._put(end)

    def _put(self, item: T | _End) -> bool:
        """Queue an item; return False when nobody wants it any more."""
        while not self._unwanted.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except Full:
                continue
            return True
        return False
