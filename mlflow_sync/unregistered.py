"""Looking for models that runs logged and nobody registered, at the end of a sync.

The lists come by id, so that what is stored between the ids of a page and is not on it is
gone: no more is remembered than how far the list was read, however long it is. Scopes do
not bear on it: they are of registered names, and these models have none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils.timezone import now

from accounts import audit
from inventory import unregistered as store
from inventory.models import (
    NAME_LENGTH,
    Experiment,
    ModelVersion,
    RegisteredModel,
    Source,
    UnregisteredModel,
)
from inventory.records import UnregisteredRecord
from mlflow_sync.client import LoggedPage
from mlflow_sync.exceptions import FailureKind, SyncError
from mlflow_sync.models import SyncFailure, SyncRun
from mlflow_sync.normalize.text import clean_text, clean_uri, utc
from mlflow_sync.readers import Readers
from mlflow_sync.snapshots import LoggedModelSnapshot

PHASE = "Looking for unregistered models"
SECTION = "unregistered"  # of the failures
EXPERIMENTS = 1000  # of one search: its token holds them all

_ID_LENGTH = 64
_STATUS_LENGTH = 40
_LOGGED = UnregisteredModel.Kind.LOGGED_MODEL
_SINCE = 3  # the MLflow that has them
_DISORDER = (
    "The tracking server does not list by id what was logged, as it was asked to."
)
_DOUBTFUL = (
    "Of {count} {runs} not all logged models are told: the tag mlflow.log-model.history "
    "was cut off by MLflow, or is not as MLflow writes it. The first is run {first}."
)


@dataclass(slots=True)
class Place:
    """How far the lists are read: which one, and how far in it."""

    step: int = 0
    token: str = ""
    last: str = ""  # id
    doubtful: int = 0  # runs whose tag does not tell all of their models
    first_doubtful: str = ""

    def go_to(self, step: int) -> None:
        self.step, self.token, self.last = step, "", ""

    def doubt(self, run_ids: Sequence[str]) -> None:
        if run_ids and not self.doubtful:
            self.first_doubtful = clean_text(run_ids[0])
        self.doubtful += len(run_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How a slice of looking ended; `place` is where the next one goes on, if any."""

    place: dict[str, Any] | None = None
    failed: bool = False


def find(
    readers: Readers,
    run: SyncRun,
    *,
    place: Mapping[str, Any] | None,
    storing: Callable[[], AbstractContextManager[None]],
    beat: Callable[[], None],
    is_late: Callable[[], bool],
) -> Found:
    """Bring the list of unregistered models up to date, from `place` on.

    Where the server is not to be searched, what was found before is marked absent. What
    MLflow can cause is a failure of this phase alone, on the run's record: what was read
    of the registry stands. `storing` opens a transaction.
    """
    source = run.server.source
    if not run.server.find_unregistered:
        with storing():
            store.forget(source, at=now())
        return Found()
    search = _Search(
        readers=readers,
        run=run,
        place=Place(**(place or {})),
        storing=storing,
        beat=beat,
    )
    try:
        if not search.work(is_late):
            return Found(place=asdict(search.place))
    except SyncError as error:
        search.fail(str(error))
        return Found(failed=True)
    search.finish()
    return Found(failed=bool(search.place.doubtful))


@dataclass(slots=True, kw_only=True)
class _Search:
    """One slice of looking; `place` moves on with every page that is stored."""

    readers: Readers
    run: SyncRun
    place: Place
    storing: Callable[[], AbstractContextManager[None]]
    beat: Callable[[], None]
    elsewhere: set[int] = field(default_factory=set)

    @property
    def source(self) -> Source:
        return self.run.server.source

    def work(self, is_late: Callable[[], bool]) -> bool:
        """Read the lists; return whether to their end, or only until it became late."""
        groups = self._groups()
        steps = [(kind, group) for kind in UnregisteredModel.Kind for group in groups]
        self._look_elsewhere()
        while self.place.step < len(steps):
            kind, group = steps[self.place.step]
            try:
                for page in self._pages(kind, group):
                    self._take(page, kind, group)
                    self.beat()
                    if page.token and is_late():
                        return False
            except SyncError as error:
                if not self._is_of_mlflow_2(error, kind):
                    raise
                self.place.go_to(len(groups))  # to the lists of the other kind
                continue
            self.place.go_to(self.place.step + 1)
            if self.place.step < len(steps) and is_late():
                return False
        return True

    def finish(self) -> None:
        """Mark what no list was asked for, and say what is doubtful."""
        found = UnregisteredModel.objects.listed().filter(source=self.source)
        with self.storing():
            store.mark_absent_elsewhere(self.source, at=now())
            self.run.counts["unregistered"] = found.count()
        if count := self.place.doubtful:
            self.fail(
                _DOUBTFUL.format(
                    count=count,
                    runs="run" if count == 1 else "runs",
                    first=self.place.first_doubtful,
                )
            )

    def fail(self, reason: str) -> None:
        with self.storing():
            SyncFailure.objects.create(
                sync_run=self.run, section=SECTION, reason=clean_text(reason)
            )

    def _groups(self) -> list[list[str]]:
        """Return the active experiments, as many together as one search asks for."""
        with self.storing():
            there = Experiment.objects.filter(
                source=self.source, lifecycle_stage="active"
            )
            ids = list(
                there.order_by("experiment_id").values_list("experiment_id", flat=True)
            )
        return [ids[at : at + EXPERIMENTS] for at in range(0, len(ids), EXPERIMENTS)]

    def _look_elsewhere(self) -> None:
        """Remember what versions are made from that are out of scope, and not stored.

        As a number each, some 80 bytes. Costs a pass over the list of versions, and only
        where a model is out of scope.
        """
        outside = RegisteredModel.objects.present().out_of_scope()
        with self.storing():
            names = set(
                outside.filter(source=self.source).values_list("name", flat=True)
            )
        if not names:
            return
        for page in self.readers.pages(self.readers.lister.search_versions()):
            self.elsewhere |= {
                hash(clean_uri(version.source).rstrip("/"))
                for version in page
                if clean_text(version.name) in names
            }
            self.beat()

    def _pages(
        self, kind: UnregisteredModel.Kind, group: Sequence[str]
    ) -> Iterator[LoggedPage]:
        client = self.readers.lister
        search = (
            client.search_logged_models
            if kind is _LOGGED
            else client.search_logging_runs
        )
        return self.readers.pages(search(group, token=self.place.token))

    def _is_of_mlflow_2(self, error: SyncError, kind: UnregisteredModel.Kind) -> bool:
        """Tell whether an error only says that MLflow 2 has no logged models."""
        major = self.run.mlflow_version.partition(".")[0]
        has_them = major.isdecimal() and int(major) >= _SINCE
        return kind is _LOGGED and error.kind is FailureKind.NOT_FOUND and not has_them

    def _take(
        self, page: LoggedPage, kind: UnregisteredModel.Kind, group: Sequence[str]
    ) -> None:
        """Store a page, and what is missing between its ids; move the place behind it."""
        if list(page.ids) != sorted(page.ids):
            raise SyncError(_DISORDER, kind=FailureKind.BAD_BODY)
        place = self.place
        # A page may begin with what ended the one before: rows came in between.
        upto = max((place.last, *page.ids[-1:]))
        models = [model for model in page.models if _is_storable(model)]
        left_out = [model.run_id for model in page.models if not _is_storable(model)]
        place.doubt([*page.doubtful, *left_out])
        at = now()
        with self.storing():
            registered = self._registered(models)
            changes = store.store_unregistered(
                self.source,
                [_record(model, kind) for model in models],
                registered=registered,
                at=at,
            )
            changes.absent = store.mark_absent_between(
                self.source,
                kind,
                experiments=group,
                after=place.last,
                upto=upto if page.token else None,
                told=[clean_text(model.address) for model in models],
                at=at,
            )
            if changes:
                audit.record("sync.unregistered", self.run, changes=asdict(changes))
        place.token, place.last = page.token, upto

    def _registered(self, models: Sequence[LoggedModelSnapshot]) -> set[str]:
        """Return the addresses of models that some version is made from."""
        sources = {
            model.address: {clean_uri(source) for source in model.sources}
            for model in models
        }
        known = set(
            ModelVersion.objects.present()
            .filter(
                source=self.source,
                source_artifact_uri__in=set().union(*sources.values()),
            )
            .values_list("source_artifact_uri", flat=True)
        )
        return {
            clean_text(address)
            for address, told in sources.items()
            if not known.isdisjoint(told)
            or not self.elsewhere.isdisjoint(map(hash, told))
        }


def _is_storable(model: LoggedModelSnapshot) -> bool:
    return len(model.address) <= NAME_LENGTH and len(model.run_id) <= _ID_LENGTH


def _record(
    model: LoggedModelSnapshot, kind: UnregisteredModel.Kind
) -> UnregisteredRecord:
    told: dict[str, Any] = {
        "kind": kind.value,
        "external_id": clean_text(model.address),
        "name": clean_text(model.name)[:NAME_LENGTH],
        "model_type": clean_text(model.model_type),
        "status": clean_text(model.status)[:_STATUS_LENGTH],
        "run_id": clean_text(model.run_id),
        "experiment_id": clean_text(model.experiment_id)[:_ID_LENGTH],
        "created_at": utc(model.creation_timestamp),
    }
    fingerprint = hashlib.sha256(repr(sorted(told.items())).encode()).hexdigest()
    return UnregisteredRecord(**told, fingerprint=fingerprint)
