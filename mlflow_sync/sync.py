"""Copy one MLflow registry into the inventory.

Pages are fetched in a thread, compared by fingerprint, normalized and stored as they
come, one short transaction each; memory does not grow with the registry. A sync that
takes long saves its place and goes on in the next job.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.timezone import now

from accounts import audit, tenancy
from accounts.models import Organization
from inventory import store
from inventory.models import ModelVersion, RegisteredModel, Source
from inventory.records import ExperimentRecord, ModelRecord
from mlflow_sync import fetching, lease
from mlflow_sync.chunks import VersionChunk
from mlflow_sync.client import Client, Connection
from mlflow_sync.exceptions import FailureKind, SyncError
from mlflow_sync.models import SyncRun
from mlflow_sync.normalize import normalize_experiment, normalize_model
from mlflow_sync.sandbox import Sandbox
from mlflow_sync.servers import connection_to
from mlflow_sync.vocabulary import Vocabulary, default_vocabulary

logger = logging.getLogger(__name__)

SLICE = 240.0  # seconds of work after which a sync lets others have the worker
BEAT = 2.0  # seconds between two updates of the progress
# Under MLflow's auth a lost grant looks like an empty registry with status 200.
VANISHING_SHARE = 0.2
VANISHING_LEAST = 10

Progress = Callable[[SyncRun], None]


def advance(
    organization: Organization,
    run_id: int,
    *,
    patience: float = SLICE,
    progress: Progress | None = None,
) -> SyncRun | None:
    """Work on a sync run until it is over or `patience` seconds have passed.

    Returns the run: over, or queued again with its place saved; None where another
    worker has it. What MLflow can cause ends as a failed run, whose `error` is a
    sentence; anything else is a bug: the run is closed, and the exception goes on.
    """
    run = lease.claim(organization, run_id)
    if run is None:
        return None
    began = time.monotonic()
    sync = Sync(organization, run, until=began + patience, progress=progress)
    try:
        done = sync.work()
    except SyncError as error:
        logger.warning("Sync of %s failed: %s", run.server, error)
        run.seconds += time.monotonic() - began
        lease.finish(
            organization, run, SyncRun.Status.FAILED, error=str(error), kind=error.kind
        )
    except Exception:
        run.seconds += time.monotonic() - began
        lease.finish(
            organization,
            run,
            SyncRun.Status.FAILED,
            error="An internal error stopped the sync; the log of the worker tells more.",
            kind="internal",
        )
        raise
    else:
        run.seconds += time.monotonic() - began
        if done:
            status = SyncRun.Status.PARTIAL if sync.failed else SyncRun.Status.SUCCEEDED
            lease.finish(organization, run, status)
        else:
            lease.pause(organization, run, place=sync.place())
    return run


@dataclass(slots=True)
class Sync:
    """One slice of a sync run, and what it has to remember from page to page."""

    organization: Organization
    run: SyncRun
    until: float
    progress: Progress | None = None
    at: datetime = field(default_factory=now)
    vocabulary: Vocabulary = field(default_factory=default_vocabulary)
    failed: bool = False
    stored_versions: int = 0  # of the listing, in all slices
    model_names: set[str] = field(default_factory=set)
    version_keys: set[tuple[str, int]] = field(default_factory=set)
    unplaced: list[ModelRecord] = field(default_factory=list)
    experiments: dict[str, ExperimentRecord] = field(default_factory=dict)
    base: dict[str, int] = field(default_factory=dict)
    beaten: float = 0.0
    previous: datetime | None = None

    @property
    def source(self) -> Source:
        return self.run.server.source

    def work(self) -> bool:
        """Go on from the run's place; return whether the registry was read to its end."""
        skip = int(self.run.place.get("versions", 0))
        self.stored_versions = skip
        self.failed = bool(self.run.place.get("failed"))
        self.base = {name: self.run.count(name) for name in ("requests", "bytes")}
        connection = self._begin()
        with (
            Client(connection) as client,
            Client(connection) as artifact_client,
            Sandbox() as sandbox,
        ):
            try:
                pages = fetching.pages(client, skip=skip)
                with fetching.Prefetched(pages, idle=self._beat) as prefetched:
                    for page in prefetched:
                        self._take(page, artifact_client, sandbox)
                        self._count(client, artifact_client)
                        if isinstance(page, fetching.Versions) and self._is_late():
                            return False
                if skip:
                    self._list_again(client)
                self._mark_absent()
            finally:
                self._count(client, artifact_client)
        return True

    def place(self) -> dict[str, Any]:
        return {"versions": self.stored_versions, "failed": self.failed}

    def _is_late(self) -> bool:
        return time.monotonic() > self.until

    def _begin(self) -> Connection:
        """Note under which identity the registry is read; return how to reach it."""
        server, run = self.run.server, self.run
        with tenancy.acting_for(self.organization, origin="sync"):
            connection = connection_to(server)
            before = (
                SyncRun.objects.finished()
                .filter(server=server)
                .exclude(pk=run.pk)
                .filter(status__in=(SyncRun.Status.SUCCEEDED, SyncRun.Status.PARTIAL))
                .first()
            )
            secret = getattr(server, "secret", None)
            run.source_uri = server.url
            run.identity = server.get_auth_method_display()
            run.credential_fingerprint = secret.fingerprint() if secret else ""
            run.mlflow_version = server.mlflow_version
            if before:
                self.previous = before.started_at
                run.expected_versions = before.count("versions")
            run.save()
            return connection

    def _take(
        self, page: fetching.Page, artifact_client: Client, sandbox: Sandbox
    ) -> None:
        match page:
            case fetching.Models(models):
                self._phase("Reading models")
                self._store_models(
                    [
                        normalize_model(each, vocabulary=self.vocabulary)
                        for each in models
                    ]
                )
            case fetching.ModelsEnd():
                self._place_models()
            case fetching.Experiments(experiments):
                self._phase("Reading experiments")
                records = [
                    normalize_experiment(each, vocabulary=self.vocabulary)
                    for each in experiments
                ]
                self.experiments |= {each.experiment_id: each for each in records}
                with tenancy.acting_for(self.organization, origin="sync"):
                    store.store_experiments(self.source, records, at=self.at)
            case fetching.Versions():
                self._phase("Reading versions")
                self._store_versions(page, artifact_client, sandbox)

    def _store_models(self, records: list[ModelRecord]) -> None:
        """Store models whose name is known; a new name may be an old model's."""
        self.model_names |= {record.name for record in records}
        with tenancy.acting_for(self.organization, origin="sync"):
            present = RegisteredModel.objects.present().filter(source=self.source)
            if not present.exists():
                store.store_models(self.source, records, at=self.at)
                return
            known = set(
                present.filter(
                    name__in=[record.name for record in records]
                ).values_list("name", flat=True)
            )
            store.store_models(
                self.source,
                [record for record in records if record.name in known],
                at=self.at,
            )
        self.unplaced += [record for record in records if record.name not in known]

    def _place_models(self) -> None:
        """Tell renamed models from new ones, now that all names are known.

        MLflow keeps a model's creation time, to the millisecond, through a rename.
        """
        self.run.counts["models"] = len(self.model_names)
        if not self.unplaced:
            return
        with tenancy.acting_for(self.organization, origin="sync"):
            gone: dict[datetime | None, list[RegisteredModel]] = {}
            for row in RegisteredModel.objects.present().filter(source=self.source):
                if row.name not in self.model_names:
                    gone.setdefault(row.created_at, []).append(row)
            for record in self.unplaced:
                candidates = gone.pop(record.created_at, [])
                if record.created_at and len(candidates) == 1:
                    before = candidates[0].name
                    store.rename_model(candidates[0], record.name, at=self.at)
                    audit.record(
                        "registered_model.renamed",
                        candidates[0],
                        changes={"name": {"from": before, "to": record.name}},
                    )
            store.store_models(self.source, self.unplaced, at=self.at)
        self.unplaced = []

    def _store_versions(
        self, page: fetching.Versions, artifact_client: Client, sandbox: Sandbox
    ) -> None:
        """Compare, normalize and store one page; the network is never used inside
        a transaction."""
        chunk = VersionChunk(
            run=self.run,
            page=page,
            experiments=self.experiments,
            vocabulary=self.vocabulary,
            at=self.at,
            previous=self.previous,
        )
        with tenancy.acting_for(self.organization, origin="sync"):
            chunk.compare()
        chunk.read_artifacts(artifact_client, sandbox, between=self._beat)
        with tenancy.acting_for(self.organization, origin="sync"):
            report = chunk.store()
        self.version_keys |= chunk.keys
        self.stored_versions += len(page.page)
        self.failed = self.failed or bool(chunk.failures)
        self._add(
            versions=len(chunk.keys),
            created=report.created,
            updated=report.updated,
            unchanged=report.unchanged,
            incomplete=chunk.incomplete,
        )

    def _list_again(self, client: Client) -> None:
        """List all versions once more: earlier slices did not remember theirs."""
        self._phase("Looking for what is gone")
        for page in client.search_versions():
            self.version_keys |= {
                (version.name, int(version.version))
                for version in page
                if version.version.isdecimal()
            }

    def _mark_absent(self) -> None:
        """Mark what MLflow no longer tells, unless too much of it went at once."""
        with tenancy.acting_for(self.organization, origin="sync"):
            present = ModelVersion.objects.present().filter(source=self.source)
            total = 0
            gone = []
            for pk, name, number in present.values_list(
                "pk", "registered_model__name", "version_number"
            ):
                total += 1
                if (name, number) not in self.version_keys:
                    gone.append(pk)
            if len(gone) > VANISHING_LEAST and len(gone) > VANISHING_SHARE * total:
                raise SyncError(
                    f"Too much disappeared: {len(gone)} of {total} versions are no "
                    "longer told. Nothing was marked absent. Did the user lose a "
                    "permission in MLflow?",
                    kind=FailureKind.VANISHED,
                )
            versions = list(ModelVersion.objects.filter(pk__in=gone))
            store.mark_versions_absent(versions, at=self.at)
            models = [
                row
                for row in RegisteredModel.objects.present().filter(source=self.source)
                if row.name not in self.model_names
            ]
            store.mark_models_absent(models, at=self.at)
            if versions or models:
                audit.record(
                    "sync.absent",
                    self.run,
                    changes={
                        "versions": [str(row) for row in versions],
                        "models": [row.name for row in models],
                    },
                )
        self._add(absent=len(gone))

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
        self.run.counts["requests"] = self.base["requests"] + sum(
            client.requests for client in clients
        )
        self.run.counts["bytes"] = self.base["bytes"] + sum(
            client.bytes for client in clients
        )

    def _beat(self) -> None:
        """Show the progress, at most every BEAT seconds."""
        if time.monotonic() - self.beaten < BEAT:
            return
        self.beaten = time.monotonic()
        lease.beat(
            self.organization, self.run, phase=self.run.phase, counts=self.run.counts
        )
        if self.progress:
            self.progress(self.run)
