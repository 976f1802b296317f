"""Copy one MLflow registry, or some of its models, into the inventory.

Threads ask the server; what they bring is compared by fingerprint, normalized and stored
as it comes, one short transaction a part; memory does not grow with the registry. A sync
that takes long saves its place and goes on in the next job.
"""

from __future__ import annotations

import logging
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from django.utils.timezone import now

from accounts import tenancy
from accounts.models import Organization
from inventory import store
from inventory.models import Source
from inventory.records import Section
from mlflow_sync import fetching, gone, lease, scoping, slices, unregistered
from mlflow_sync.chunks import VersionChunk, failure
from mlflow_sync.client import Connection, Identity, Pace
from mlflow_sync.comparison import Comparison, key_of
from mlflow_sync.exceptions import NormalizationError
from mlflow_sync.files.hashing import Hashing
from mlflow_sync.files.listing import FileReader
from mlflow_sync.files.sandbox import Sandbox
from mlflow_sync.fingerprints import normalizer_fingerprint
from mlflow_sync.mapping.own import own_vocabulary
from mlflow_sync.models import SyncFailure, SyncRun
from mlflow_sync.normalize.records import normalize_experiment
from mlflow_sync.normalize.text import clean_text
from mlflow_sync.normalize.vocabulary import Vocabulary
from mlflow_sync.placing import Placing
from mlflow_sync.progress import Progress, Watcher
from mlflow_sync.readers import Readers
from mlflow_sync.scoping import Sieve
from mlflow_sync.snapshots import (
    ExperimentSnapshot,
    ModelSnapshot,
    VersionSnapshot,
)
from mlflow_sync.turns import Turns

logger = logging.getLogger(__name__)

AHEAD = 2  # parts whose runs are asked for while one is being stored
FEW = 2 * AHEAD  # parts of a page, by which time the next is asked for

Snapshot = ModelSnapshot | ExperimentSnapshot
Part = tuple[list[VersionSnapshot], frozenset[str]]  # with the runs to ask for
Record = TypeVar("Record")


def advance(
    organization: Organization,
    run_id: int,
    *,
    patience: float = slices.LENGTH,
    watcher: Watcher | None = None,
) -> SyncRun | None:
    """Work on a sync run until it is over or `patience` seconds have passed.

    Returns the run: over, or queued again with its place saved and its job on the
    queue; None where another worker has it.
    """
    run = lease.claim(organization, run_id)
    if run is None:
        return None
    progress = Progress(organization, run, watcher=watcher)
    work = Hashing if run.reach == SyncRun.Reach.FILES else Sync
    try:
        slices.do(work(organization, run, progress, patience=patience))
    except lease.LeaseLost:
        logger.warning("%s was closed, or taken over, while it worked", run)
        return None
    return run


@dataclass(slots=True)
class Sync:
    """One slice of a sync run, and what it has to remember from page to page."""

    organization: Organization
    run: SyncRun
    progress: Progress
    patience: float
    vocabulary: Vocabulary = field(init=False)  # the organization's
    failed: bool = False
    place: fetching.Place = field(default_factory=fetching.Place)
    is_continued: bool = False
    looking: dict[str, Any] | None = None  # place, once the registry is read
    placing: Placing = field(init=False)
    turns: Turns = field(init=False)
    sieve: Sieve = field(default_factory=Sieve)
    versions: dict[str, array[int]] = field(default_factory=dict)  # told in this slice
    aliased: dict[str, set[str]] = field(default_factory=dict)  # versions by model
    experiments: set[str] = field(default_factory=set)
    parts: deque[Part] = field(default_factory=deque)  # not asked for yet
    waiting: deque[Future[fetching.Versions]] = field(default_factory=deque)
    listed: int = 0  # versions, in this slice and before
    previous: datetime | None = None
    failures: list[SyncFailure] = field(default_factory=list)  # not yet written

    def __post_init__(self) -> None:
        self.placing = Placing(self.source, is_whole=self.is_whole)
        if told := self.run.place:
            self.is_continued = True
            self.failed = told["failed"]
            self.place = fetching.Place(**told["versions"])
            self.looking = told["unregistered"]
        self.listed = self.place.count

    @property
    def source(self) -> Source:
        return self.run.server.source

    @property
    def is_whole(self) -> bool:
        return self.run.reach == SyncRun.Reach.REGISTRY

    def work(self) -> bool:
        """Go on from the run's place; return whether all was read to its end."""
        connection = self._begin()
        server = self.run.server
        with (
            Readers(
                connection,
                concurrency=server.concurrency,
                pace=Pace(server.request_budget),
                idle=self.progress.beat,
            ) as readers,
            Sandbox() as sandbox,
        ):
            files = FileReader(readers, sandbox)
            try:
                if self.looking is None and not self._read(readers, files):
                    return False
                return not self.is_whole or self._look_for_unregistered(readers)
            finally:
                self.progress.count(readers)

    def _read(self, readers: Readers, files: FileReader) -> bool:
        """Read models and versions; return False when it got late."""
        pages = readers.pages(
            fetching.pages(
                readers.lister,
                targets=self.run.targets,
                place=self.place,
                sieve=self.sieve,
            )
        )
        for page in pages:
            if not isinstance(page, fetching.Listed):
                pages.prefetch()
            self._take(page, readers)
            del page  # its versions go as their parts are stored
            self.progress.count(readers)
            while self.parts:
                if len(self.parts) <= FEW:
                    pages.prefetch()
                if not self._store_part(readers, files):
                    return False
        while self.waiting:
            if not self._store_part(readers, files):
                return False
        if self.is_whole:
            if self.is_continued:
                self._list_again(readers)
            self._mark_gone()
        return True

    def _is_late(self) -> bool:
        return self.progress.elapsed > self.patience

    def _begin(self) -> Connection:
        """Note under which identity the registry is read; return how to reach it."""
        server, run = self.run.server, self.run
        with tenancy.acting_for(self.organization, origin="sync"):
            lease.hold(run)
            connection = slices.identify(run)
            self.sieve = Sieve.of(server)
            before = SyncRun.objects.whole().filter(server=server).first()
            self.vocabulary = own_vocabulary()
            if not self.is_continued:
                # Of words that changed in between, the next sync has to know.
                run.read_with = normalizer_fingerprint(self.vocabulary)
            # Other code, or other words, make other records of the same runs.
            read_all = run.is_full or not before or before.read_with != run.read_with
            if before:
                self.previous = self.placing.previous = before.started_at
            if before and self.is_whole:
                run.turn = before.turn + 1
                run.expected_versions = before.count("versions")
            run.save()
        self.turns = Turns(
            source=self.source,
            turn=run.turn,
            of=1 if read_all else server.reread_within,
            now=now(),
            aliased=self.aliased,
        )
        return connection

    def _take(self, page: fetching.Page, readers: Readers) -> None:
        """Take in one page. The network is never used inside a transaction."""
        match page:
            case Identity():
                with self._storing():
                    slices.note_identity(self.run, page)
            case fetching.Models(models):
                self.progress.phase("Reading models")
                self.placing.names |= {clean_text(model.name) for model in models}
                self.aliased |= {
                    model.name: set(model.aliases.values())
                    for model in models
                    if model.aliases
                }
                told = self._records(models, self.sieve.normalize, Section.VERSION)
                with self._storing():
                    self.placing.store(told)
            case fetching.Experiments(experiments, is_first=is_first):
                if is_first:
                    self._finish_models()
                self.progress.phase("Reading experiments")
                records = self._records(
                    experiments, normalize_experiment, Section.EXPERIMENT
                )
                self.experiments |= {each.experiment_id for each in records}
                with self._storing():
                    store.store_experiments(self.source, records, at=now())
            case fetching.Listed(versions):
                self.progress.phase("Reading versions")
                self._cut(versions, readers)

    def _finish_models(self) -> None:
        with self._storing():
            self.placing.finish()
        self.run.counts["models"] = len(self.placing.names)
        self.run.counts["out_of_scope"] = scoping.settle(
            self.run,
            previous=self.previous,
            storing=self._storing,
            beat=self.progress.beat,
        )

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Write as `slices.storing` does, and what failed before along with it."""
        with slices.storing(self.organization, self.run):
            yield
            SyncFailure.objects.bulk_create(self.failures)
            self.failures = []

    def _records(
        self,
        rows: Iterable[Snapshot],
        normalize: Callable[..., Record],
        section: Section,
    ) -> list[Record]:
        """Put rows into our words; one that does not fit is left out, and told."""
        records = []
        for row in rows:
            try:
                records.append(normalize(row, vocabulary=self.vocabulary))
            except NormalizationError as error:
                self.failed = True
                if self.is_continued:
                    continue  # the first slice has told it
                name = row.name if isinstance(row, ModelSnapshot) else ""
                self.failures.append(
                    failure(self.run, section, str(error), model_name=name)
                )
        return records

    def _cut(self, versions: list[VersionSnapshot], readers: Readers) -> None:
        """Cut a page into parts, each with the runs that are to be read of it."""
        with tenancy.acting_for(self.organization, origin="sync"):
            self.parts.extend(
                self.turns.parts(versions, runs_per_part=readers.pace.runs_per_request)
            )
        self.listed += len(versions)
        self.progress.expect(self.listed)

    def _store_part(self, readers: Readers, files: FileReader) -> bool:
        """Store the next part, while those behind it are asked for.

        Returns False when it got late.
        """
        while self.parts and len(self.waiting) < AHEAD:
            versions, run_ids = self.parts.popleft()
            ask = partial(
                fetching.with_runs,
                versions=versions,
                asked=run_ids,
                experiment_ids=self.experiments,
            )
            self.waiting.append(readers.submit(ask))
        self._store_versions(readers.result(self.waiting.popleft()), files)
        self.progress.count(readers)
        return not self._is_late()

    def _store_versions(self, page: fetching.Versions, files: FileReader) -> None:
        """Compare a page, read the files that it takes, and store what changed."""
        known = Comparison(
            source=self.source,
            page=page,
            told_experiments=self.experiments,
            vocabulary=self.vocabulary,
        )
        chunk = VersionChunk(run=self.run, known=known, previous=self.previous)
        with tenancy.acting_for(self.organization, origin="sync"):
            chunk.compare()
        ready = chunk.read_artifacts(
            files, idle=self.progress.beat, is_late=self._is_late
        )
        with self._storing():
            if ready < len(page.page):
                chunk = chunk.first(ready)
                chunk.compare()
            report = chunk.store()
            self.failed = self.failed or bool(chunk.failures)
            self.place = self.place.after(page.page[:ready])
            self.progress.add(
                versions=len(chunk.keys),
                created=report.created,
                updated=report.updated,
                unchanged=report.unchanged,
                incomplete=chunk.incomplete,
            )
            self._save_place()
        for version in page.page[:ready]:
            self._tell(version)
        self.progress.beat()

    def _save_place(self) -> None:
        place = {
            "versions": asdict(self.place),
            "failed": self.failed,
            "unregistered": self.looking,
        }
        lease.save_place(self.run, place)

    def _tell(self, version: VersionSnapshot) -> None:
        """Remember that MLflow told a version, in whatever state."""
        if key := key_of(version):
            self.versions.setdefault(key[0], array("L")).append(key[1])

    def _list_again(self, readers: Readers) -> None:
        """List all versions once more: earlier slices did not remember theirs."""
        self.progress.phase("Looking for what is gone")
        pages = readers.pages(readers.lister.search_versions())
        for page in pages:
            pages.prefetch()
            for version in page:
                self._tell(version)
            self.progress.beat()

    def _mark_gone(self) -> None:
        absent = gone.mark_gone(
            self.organization,
            self.run,
            models=self.placing.names,
            versions=self.versions,
            previous=self.previous,
            beat=self.progress.beat,
        )
        self.progress.add(absent=absent)
        self.progress.beat()

    def _look_for_unregistered(self, readers: Readers) -> bool:
        """Return whether that is over; a failure of it leaves the registry as read."""
        if self.run.server.find_unregistered:
            self.progress.phase(unregistered.PHASE)
        found = unregistered.find(
            readers,
            self.run,
            place=self.looking,
            storing=self._storing,
            beat=self.progress.beat,
            is_late=self._is_late,
        )
        self.failed = self.failed or found.failed
        self.looking = found.place
        if self.looking is not None:
            with self._storing():
                self._save_place()
        return self.looking is None
