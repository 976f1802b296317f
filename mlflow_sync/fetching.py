"""Fetch in one thread, store in another: the server and the database work together.

One fetching thread is enough, for the server is the limit; the bounded queue between
the two keeps memory flat, whatever the size of the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Empty, Full, Queue
from threading import Event, Thread

from mlflow_sync.client import Client
from mlflow_sync.exceptions import FailureKind, SyncError
from mlflow_sync.snapshots import (
    ExperimentSnapshot,
    ModelSnapshot,
    RunSnapshot,
    VersionSnapshot,
)

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


Page = Models | ModelsEnd | Experiments | Versions


def pages(client: Client, *, skip: int) -> Iterator[Page]:
    """Yield the registry: all models, then experiments, then versions with runs.

    `skip` versions, which an earlier slice has stored, are listed without their runs.
    """
    for models in client.search_models():
        yield Models(models)
    yield ModelsEnd()
    experiments: set[str] = set()
    for found in client.search_experiments():
        experiments.update(experiment.experiment_id for experiment in found)
        yield Experiments(found)
    for versions in client.search_versions(page_size=VERSIONS_PER_PAGE):
        fresh = versions[skip:]
        skip = max(0, skip - len(versions))
        if fresh:
            yield _with_runs(client, fresh, experiments)


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
    return Versions(versions, {run.run_id: run for run in runs})


class Prefetched:
    """Iterate over pages that a thread fetches ahead; `idle` is called while waiting.

    An error of the thread is raised where its page would have come. Use as a context
    manager: leaving it ends the thread.
    """

    def __init__(self, source: Iterator[Page], *, idle: Callable[[], None]) -> None:
        self._source = source
        self._idle = idle
        self._queue: Queue[Page | Exception | None] = Queue(PAGES_AHEAD)
        self._unwanted = Event()
        self._thread = Thread(target=self._fetch, name="fetch", daemon=True)

    def __enter__(self) -> Prefetched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._unwanted.set()
        self._thread.join()

    def __iter__(self) -> Iterator[Page]:
        while True:
            try:
                page = self._queue.get(timeout=PATIENCE)
            except Empty:
                self._idle()
                continue
            if page is None:
                return
            if isinstance(page, Exception):
                raise page
            yield page

    def _fetch(self) -> None:
        last: Exception | None = None
        try:
            for page in self._source:
                if not self._put(page):
                    return
        except Exception as error:  # noqa: BLE001 - raised again in the waiting thread
            last = error
        self._put(last)

    def _put(self, page: Page | Exception | None) -> bool:
        """Queue a page; return False when nobody wants it any more."""
        while not self._unwanted.is_set():
            try:
                self._queue.put(page, timeout=0.2)
            except Full:
                continue
            return True
        return False
