"""Read a tracking server's registry, page by page."""

from __future__ import annotations

import re
import time
from collections.abc import (
    Callable,
    Collection,
    Container,
    Hashable,
    Iterator,
    Sequence,
)
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from mlflow_sync.client import logged, probing, rows
from mlflow_sync.client.artifacts import NOTHING_KNOWN, ArtifactReader
from mlflow_sync.client.batching import Listings
from mlflow_sync.client.connection import Connection
from mlflow_sync.client.file_routes import FileRoutes
from mlflow_sync.client.logged import LoggedPage
from mlflow_sync.client.pace import RUNS_PER_REQUEST, Pace
from mlflow_sync.client.streaming import FileStream
from mlflow_sync.client.transport import API, DELAYS, Query, Transport
from mlflow_sync.exceptions import FailureKind, SyncError
from mlflow_sync.snapshots import (
    ArtifactsSnapshot,
    ExperimentSnapshot,
    ModelSnapshot,
    RunSnapshot,
    VersionSnapshot,
)

T = TypeVar("T")

VERSIONS_PER_PAGE = 1500
LOGGED_PER_REQUEST = 1000  # about a megabyte
MAX_PAGES = 10_000

# What MLflow itself accepts; all else cannot be the id of a run, and would break the
# filter it is quoted in.
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w-]{0,255}", re.ASCII)


class Client:
    """One tracking server, read over REST; use it as a context manager.

    All methods raise SyncError, after up to three more tries where the failure may
    pass. `requests` and `bytes` count what was sent and received so far.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        delays: Sequence[float] = DELAYS,
        sleep: Callable[[float], object] = time.sleep,
        pace: Pace | None = None,
    ) -> None:
        self._transport = Transport(connection, delays=delays, sleep=sleep, pace=pace)
        self._routes = FileRoutes(self._transport)
        self._artifacts = ArtifactReader(self._transport, self._routes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def probe(self) -> probing.Probe:
        """Test the connection with five requests, none of them repeated."""
        return probing.probe(self._transport)

    def identify(self) -> probing.Identity:
        """Say which MLflow answers, and as whom, with at most two requests."""
        return probing.identify(self._transport)

    def search_models(
        self, *, name: str | None = None, page_size: int = 500
    ) -> Iterator[list[ModelSnapshot]]:
        """Yield all registered models by name, or that of a name; at most 1000 a page.

        Prompts are left out, so that a page may be empty.
        """
        for page in self._search(
            "registered-models",
            [("order_by", "name ASC"), *_named(name)],
            page_size=page_size,
            read=rows.read_model,
            key=lambda model: model.name,
        ):
            yield [
                model
                for model in page
                if name in (None, model.name) and not rows.is_prompt(model.tags)
            ]

    def search_versions(
        self, *, name: str | None = None, page_size: int | None = None
    ) -> Iterator[list[VersionSnapshot]]:
        """Yield all versions by name and number, or a model's; at most 10,000 a page.

        Prompts are left out, so that a page may be empty.
        """
        order = [("order_by", "name ASC"), ("order_by", "version_number ASC")]
        for page in self._search(
            "model-versions",
            [*order, *_named(name)],
            page_size=page_size or VERSIONS_PER_PAGE,
            read=rows.read_version,
            key=lambda version: (version.name, version.version),
        ):
            yield [
                version
                for version in page
                if name in (None, version.name) and not rows.is_prompt(version.tags)
            ]

    def search_experiments(
        self, *, page_size: int = 500
    ) -> Iterator[list[ExperimentSnapshot]]:
        """Yield all experiments, deleted ones too, in pages of at most 50,000."""
        return self._search(
            "experiments",
            [("view_type", "ALL"), ("order_by", "experiment_id ASC")],
            page_size=page_size,
            read=rows.read_experiment,
            key=lambda experiment: experiment.experiment_id,
        )

    def fetch_runs(
        self, run_ids: Collection[str], *, experiment_ids: Collection[str]
    ) -> list[RunSnapshot]:
        """Return the runs of these ids, deleted ones too; purged ones are absent.

        One request for every 300 ids, or fewer where the server struggled. MLflow
        searches only within `experiment_ids`.
        """
        wanted = [run for run in dict.fromkeys(run_ids) if _RUN_ID.fullmatch(run)]
        if not experiment_ids:
            return []
        found: dict[str, RunSnapshot] = {}
        while wanted:
            size = self._transport.pace.runs_per_request
            chunk, wanted = wanted[:size], wanted[size:]
            for page in self._run_pages(chunk, sorted(experiment_ids)):
                for run in rows.read_rows(page, "runs", rows.read_run):
                    found[run.run_id] = run
        return list(found.values())

    def list_ahead(
        self, versions: Sequence[tuple[VersionSnapshot, RunSnapshot | None]]
    ) -> Listings:
        """Return listings for `fetch_artifacts`, several for the price of one request.

        None where MLflow cannot give them so. Raises nothing.
        """
        return self._artifacts.list_ahead(versions)

    def search_logged_models(
        self, experiment_ids: Collection[str], *, token: str = ""
    ) -> Iterator[LoggedPage]:
        """Yield the logged models of these experiments by id, in pages of 1000.

        MLflow 2 has none, and answers 404. A page's token goes on from there, with the
        same experiments only: MLflow compares them.
        """
        body = {
            "experiment_ids": sorted(experiment_ids),
            "order_by": [{"field_name": "model_id", "ascending": True}],
        }
        ask = self._posting("logged-models", body)
        for page in self._pages("models", ask, LOGGED_PER_REQUEST, token=token):
            yield logged.read_models(page)

    def search_logging_runs(
        self, experiment_ids: Collection[str], *, token: str = ""
    ) -> Iterator[LoggedPage]:
        """Yield the models that runs logged as MLflow 2 does, by run, 300 runs a page."""
        body = {
            "experiment_ids": sorted(experiment_ids),
            "filter": logged.LOGGING_RUNS,
            "order_by": ["attributes.run_id ASC"],
            "run_view_type": "ACTIVE_ONLY",
        }
        ask = self._posting("runs", body)
        for page in self._pages("runs", ask, RUNS_PER_REQUEST, token=token):
            yield logged.read_runs(page)

    def fetch_artifacts(
        self,
        version: VersionSnapshot,
        *,
        run: RunSnapshot | None = None,
        known: Listings = NOTHING_KNOWN,
    ) -> ArtifactsSnapshot:
        """List the files of a version and of its run, and read the few that tell much.

        What the server cannot list or read is told in `failures`; SyncError is raised
        only when the server as a whole is out of reach.
        """
        return self._artifacts.fetch(version, run=run, known=known)

    def open_file(
        self,
        version: VersionSnapshot,
        path: str,
        *,
        run: RunSnapshot | None = None,
        root: str = "",
        begin: int = 0,
        validator: str = "",
    ) -> AbstractContextManager[FileStream]:
        """Open a file that `fetch_artifacts` told, to be taken chunk by chunk.

        With `begin` and the `validator` of a stream before, a server that can goes on
        from that byte on, if it is still the same file. `root` is the snapshot's.
        """
        return self._routes.open(
            version, path, run=run, root=root, begin=begin, validator=validator
        )

    def _search(
        self,
        resource: str,
        query: Query,
        *,
        page_size: int,
        read: Callable[[rows.Row], T],
        key: Callable[[T], Hashable],
    ) -> Iterator[list[T]]:
        """Yield every row of a search once.

        MLflow pages by offset: a row that is added meanwhile pushes others onto the
        next page, where they come again.
        """
        name = resource.replace("-", "_")
        before: Container[Hashable] = ()

        def ask(token: str, size: int) -> dict[str, Any]:
            page: Query = [*query, ("max_results", size)]
            if token:
                page = [*page, ("page_token", token)]
            return self._transport.get_json(f"{API}/{resource}/search", page)

        for page in self._pages(name, ask, page_size):
            found = {key(item): item for item in rows.read_rows(page, name, read)}
            yield [item for place, item in found.items() if place not in before]
            before = found.keys()

    def _run_pages(
        self, run_ids: list[str], experiment_ids: list[str]
    ) -> Iterator[dict[str, Any]]:
        quoted = ", ".join(f"'{run_id}'" for run_id in run_ids)
        body = {
            "experiment_ids": experiment_ids,
            "filter": f"attributes.run_id IN ({quoted})",
            "run_view_type": "ALL",
        }

        # A page that is just full comes with a token to an empty one.
        return self._pages("runs", self._posting("runs", body), len(run_ids) + 1)

    def _posting(
        self, resource: str, body: dict[str, Any]
    ) -> Callable[[str, int], dict[str, Any]]:
        """Return how to ask for a page of a search that is a POST."""

        def ask(token: str, size: int) -> dict[str, Any]:
            page = body | {"max_results": size}
            if token:
                page |= {"page_token": token}
            return self._transport.post_json(f"{API}/{resource}/search", page)

        return ask

    def _pages(
        self,
        name: str,
        ask: Callable[[str, int], dict[str, Any]],
        size: int,
        *,
        token: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Follow the page tokens to the end; a page may be empty and not the last.

        A page that proves too much for the server, or for our bounds, is asked for
        again in half the size, and so are those after it.
        """
        seen: set[str] = set()
        while True:
            page, size = self._transport.repeat(partial(ask, token), size=size)
            yield page
            token = page.get("next_page_token") or ""
            if not token:
                return
            if token in seen or len(seen) == MAX_PAGES:
                raise SyncError(
                    f"The tracking server's list “{name}” has no end: its pages "
                    "repeat themselves.",
                    kind=FailureKind.BAD_BODY,
                )
            seen.add(token)

    @property
    def requests(self) -> int:
        return self._transport.requests

    @property
    def bytes(self) -> int:
        return self._transport.bytes


def _named(name: str | None) -> Query:
    """Return the filter by a name: none for a name that MLflow's filters cannot quote."""
    if name is None or {"'", '"'} <= set(name):
        return []
    quote = "'" if '"' in name else '"'
    return [("filter", f"name = {quote}{name}{quote}")]
