"""Copy one MLflow registry into the inventory.

Pages are fetched in a thread, compared by fingerprint, normalized and stored as they
come, one short transaction each; memory does not grow with the registry. A sync that
takes long saves its place and goes on in the next job.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from django.utils.timezone import now

from accounts import tenancy
from accounts.models import Organization
from inventory import store
from inventory.models import Source
from inventory.records import Section
from mlflow_sync import fetching, gone, lease, scoping, unregistered
from mlflow_sync.chunks import VersionChunk, failure
from mlflow_sync.client import AuthMethod, Client, Connection, Identity
from mlflow_sync.comparison import Comparison, key_of
from mlflow_sync.exceptions import NormalizationError, SyncError
from mlflow_sync.files import FileReader
from mlflow_sync.models import SyncFailure, SyncRun
from mlflow_sync.normalize import normalize_experiment
from mlflow_sync.normalize_text import clean_text
from mlflow_sync.placing import Placing
from mlflow_sync.queueing import enqueue_sync
from mlflow_sync.sandbox import Sandbox
from mlflow_sync.scoping import Sieve
from mlflow_sync.servers import connection_to
from mlflow_sync.snapshots import (
    ExperimentSnapshot,
    ModelSnapshot,
    VersionSnapshot,
)
from mlflow_sync.vocabulary import Vocabulary, default_vocabulary

logger = logging.getLogger(__name__)

SLICE = 240.0  # seconds of work after which a sync lets others have the worker
BEAT = 2.0  # seconds between two updates of the progress
INTERNAL = "An internal error stopped the sync; the log of the worker tells more."

LABELS = {
    AuthMethod.NONE: "No user name and no token",
    AuthMethod.BASIC: "User name and password",
    AuthMethod.TOKEN: "Bearer token",
}
IDENTITY_LENGTH = 200

Progress = Callable[[SyncRun], None]
Snapshot = ModelSnapshot | ExperimentSnapshot
Record = TypeVar("Record")


def advance(
    organization: Organization,
    run_id: int,
    *,
    patience: float = SLICE,
    progress: Progress | None = None,
) -> SyncRun | None:
    """Work on a sync run until it is over or `patience` seconds have passed.

    Returns the run: over, or queued again with its place saved and its job on the
    queue; None where another worker has it. What MLflow can cause ends as a failed run,
    whose `error` is a sentence; anything else is a bug: the run is closed, and the
    exception goes on.
    """
    run = lease.claim(organization, run_id)
    if run is None:
        return None
    sync = Sync(organization, run, patience=patience, progress=progress)
    try:
        _work(sync)
    except lease.LeaseLost:
        logger.warning("%s was closed, or taken over, while it worked", run)
        return None
    return run


def _work(sync: Sync) -> None:
    """Do a slice and say how it ended."""
    organization, run = sync.organization, sync.run
    failed = SyncRun.Status.FAILED
    try:
        done = sync.work()
    except SyncError as error:
        logger.warning("Sync of %s failed: %s", run.server, error)
        lease.finish(organization, run, failed, error=str(error), kind=error.kind)
    except KeyboardInterrupt:
        told = "The sync was interrupted."
        lease.finish(organization, run, failed, error=told, kind="interrupted")
        raise
    except lease.LeaseLost:
        raise
    except Exception:
        lease.finish(organization, run, failed, error=INTERNAL, kind="internal")
        raise
    else:
        if done:
            status = SyncRun.Status.PARTIAL if sync.failed else SyncRun.Status.SUCCEEDED
            lease.finish(organization, run, status)
            return
        with tenancy.acting_for(organization, origin="sync"):
            lease.pause(organization, run, place=sync.saved())
            enqueue_sync(run)


@dataclass(slots=True)
class Sync:
    """One slice of a sync run, and what it has to remember from page to page."""

    organization: Organization
    run: SyncRun
    patience: float
    progress: Progress | None = None
    vocabulary: Vocabulary = field(default_factory=default_vocabulary)
    failed: bool = False
    place: fetching.Place = field(default_factory=fetching.Place)
    is_continued: bool = False
    looking: dict[str, Any] | None = None  # place, once the registry is read
    placing: Placing = field(init=False)
    sieve: Sieve = field(default_factory=Sieve)
    versions: dict[str, set[int]] = field(default_factory=dict)  # told in this slice
    experiments: set[str] = field(default_factory=set)
    previous: datetime | None = None
    began: float = field(default_factory=time.monotonic)
    beaten: float = 0.0
    failures: list[SyncFailure] = field(default_factory=list)  # not yet written
    base: dict[str, int] = field(default_factory=dict)
    worked: float = 0.0  # seconds, in the slices before

    def __post_init__(self) -> None:
        self.placing = Placing(self.source)
        self.worked = self.run.seconds
        self.base = {name: self.run.count(name) for name in ("requests", "bytes")}
        if told := self.run.place:
            self.is_continued = True
            self.failed = told["failed"]
            self.place = fetching.Place(**told["versions"])
            self.looking = told.get("unregistered")

    @property
    def source(self) -> Source:
        return self.run.server.source

    def work(self) -> bool:
        """Go on from the run's place; return whether the registry was read to its end."""
        connection = self._begin()
        with (
            Client(connection) as client,
            Client(connection) as artifact_client,
            Sandbox() as sandbox,
        ):
            files = FileReader(artifact_client, sandbox)
            try:
                if self.looking is None:
                    pages = fetching.pages(client, place=self.place, sieve=self.sieve)
                    with fetching.Prefetched(pages, idle=self._beat) as prefetched:
                        for page in prefetched:
                            self._take(page, files)
                            self._count(client, artifact_client)
                            if isinstance(page, fetching.Versions) and self._is_late():
                                return False
                    if self.is_continued:
                        self._list_again(client)
                    self._mark_gone()
                return self._look_for_unregistered(client)
            finally:
                self._count(client, artifact_client)

    def saved(self) -> dict[str, Any]:
        """Return what the next slice needs, as JSON."""
        return {
            "versions": asdict(self.place),
            "failed": self.failed,
            "unregistered": self.looking,
        }

    def _is_late(self) -> bool:
        return time.monotonic() > self.began + self.patience

    def _begin(self) -> Connection:
        """Note under which identity the registry is read; return how to reach it."""
        server, run = self.run.server, self.run
        with tenancy.acting_for(self.organization, origin="sync"):
            lease.hold(run)
            connection = connection_to(server)
            self.sieve = Sieve.of(server)
            before = SyncRun.objects.filter(
                server=server,
                status__in=SyncRun.READ,
            ).first()
            secret = getattr(server, "secret", None)
            run.source_uri = server.url
            run.identity = LABELS[AuthMethod(connection.auth_method)]
            if connection.headers:
                run.identity += f", header {', '.join(sorted(connection.headers))}"
            run.credential_fingerprint = secret.fingerprint() if secret else ""
            if before:
                self.previous = before.started_at
                run.expected_versions = before.count("versions")
            run.save()
            return connection

    def _take(self, page: fetching.Page, files: FileReader) -> None:
        """Take in one page. The network is never used inside a transaction."""
        match page:
            case Identity():
                self._identify(page)
            case fetching.Models(models):
                self._phase("Reading models")
                self.placing.names |= {clean_text(model.name) for model in models}
                told = self._records(models, self.sieve.normalize, Section.VERSION)
                with self._storing():
                    self.placing.store(told)
            case fetching.ModelsEnd():
                with self._storing():
                    self.placing.finish()
                self.run.counts["models"] = len(self.placing.names)
                self.run.counts["out_of_scope"] = scoping.settle(
                    self.run, storing=self._storing, beat=self._beat
                )
            case fetching.Experiments(experiments):
                self._phase("Reading experiments")
                records = self._records(
                    experiments, normalize_experiment, Section.EXPERIMENT
                )
                self.experiments |= {each.experiment_id for each in records}
                with self._storing():
                    store.store_experiments(self.source, records, at=now())
            case fetching.Versions():
                self._phase("Reading versions")
                self._store_versions(page, files)

    def _identify(self, identity: Identity) -> None:
        run = self.run
        if identity.username:
            run.identity += f", known to MLflow as “{clean_text(identity.username)}”"
        run.identity = run.identity[:IDENTITY_LENGTH]
        run.mlflow_version = identity.mlflow_version
        with self._storing():
            run.save(update_fields=["identity", "mlflow_version"])

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Write in one transaction, in which the run is certainly ours."""
        with tenancy.acting_for(self.organization, origin="sync"):
            lease.hold(self.run)
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
        ready = chunk.read_artifacts(files, idle=self._beat, is_late=self._is_late)
        with self._storing():
            if ready < len(page.page):
                chunk = chunk.first(ready)
                chunk.compare()
            report = chunk.store()
        for version in page.page[:ready]:
            self._tell(version)
            self.place = self.place.after(version)
        self.failed = self.failed or bool(chunk.failures)
        self._add(
            versions=len(chunk.keys),
            created=report.created,
            updated=report.updated,
            unchanged=report.unchanged,
            incomplete=chunk.incomplete,
        )

    def _tell(self, version: VersionSnapshot) -> None:
        """Remember that MLflow told a version, in whatever state."""
        if key := key_of(version):
            self.versions.setdefault(key[0], set()).add(key[1])

    def _list_again(self, client: Client) -> None:
        """List all versions once more: earlier slices did not remember theirs."""
        self._phase("Looking for what is gone")
        pages = client.search_versions()
        with fetching.Prefetched(pages, idle=self._beat) as prefetched:
            for page in prefetched:
                for version in page:
                    self._tell(version)
                self._beat()

    def _mark_gone(self) -> None:
        absent = gone.mark_gone(
            self.organization,
            self.run,
            models=self.placing.names,
            versions=self.versions,
            beat=self._beat,
        )
        self._add(absent=absent)

    def _look_for_unregistered(self, client: Client) -> bool:
        """Return whether that is over; a failure of it leaves the registry as read."""
        if self.run.server.find_unregistered:
            self._phase(unregistered.PHASE)
        found = unregistered.find(
            client,
            self.run,
            place=self.looking,
            storing=self._storing,
            beat=self._beat,
            is_late=self._is_late,
        )
        self.failed = self.failed or found.failed
        self.looking = found.place
        return found.place is None

    # Progress

    def _phase(self, phase: str) -> None:
        if self.run.phase != phase:
            self.run.phase = phase
            self.beaten = 0.0
        self._beat()

    def _add(self, **counts: int) -> None:
        for name, more in counts.items():
            self.run.counts[name] = self.run.count(name) + more
        self._beat()

    def _count(self, *clients: Client) -> None:
        """Bring requests, bytes and seconds up to date."""
        for name in ("requests", "bytes"):
            more = sum(getattr(client, name) for client in clients)
            self.run.counts[name] = self.base[name] + more
        self.run.seconds = self.worked + time.monotonic() - self.began

    def _beat(self) -> None:
        """Show the progress, at most every BEAT seconds."""
        if time.monotonic() - self.beaten < BEAT:
            return
        self.beaten = time.monotonic()
        lease.beat(self.organization, self.run)
        if self.progress:
            self.progress(self.run)
