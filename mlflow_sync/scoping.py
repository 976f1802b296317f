"""The scope of a server at work: on what is told, what is stored, and what people set."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.timezone import now

from accounts import audit
from inventory import store
from inventory.models import ModelVersion, RegisteredModel
from inventory.records import ModelRecord
from mlflow_sync.exceptions import BadPattern, FailureKind, SyncError
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.normalize.vocabulary import Vocabulary
from mlflow_sync.scope import Scope, normalize_within
from mlflow_sync.snapshots import ModelSnapshot, VersionSnapshot

CHUNK = 200  # versions that are marked in one transaction
LEFT = "Their models are out of scope: they are no longer read."


@dataclass(slots=True)
class Sieve:
    """What of a listing is in scope. Models come first, then the versions of them.

    It remembers the names that are out of scope, and nothing else.
    """

    scope: Scope = field(default_factory=Scope)
    _outside: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, server: TrackingServer) -> Sieve:
        """Raises SyncError where a pattern is none; saving a server refuses it."""
        try:
            return cls(server.scope)
        except BadPattern as error:
            raise SyncError(
                f"The scope of the server is not well-formed. {error}",
                kind=FailureKind.BAD_SETTING,
            ) from error

    def models(self, page: list[ModelSnapshot]) -> list[ModelSnapshot]:
        """Take note of the models of a page; all of them are listed."""
        if not self.scope.is_everything:
            self._outside |= {model.name for model in page if self.scope.reason(model)}
        return page

    def versions(self, page: list[VersionSnapshot]) -> list[VersionSnapshot]:
        """Leave out the versions of models that are out of scope."""
        if not self._outside:
            return page
        return [version for version in page if version.name not in self._outside]

    def normalize(
        self, snapshot: ModelSnapshot, *, vocabulary: Vocabulary
    ) -> ModelRecord:
        return normalize_within(snapshot, scope=self.scope, vocabulary=vocabulary)


def settle(
    run: SyncRun,
    *,
    previous: datetime | None,
    storing: Callable[[], AbstractContextManager[None]],
    beat: Callable[[], None],
) -> int:
    """Mark the versions of models that left the scope; return how many models are out.

    Call it when all models are stored, and before anything is looked for that may be
    gone: that somebody decides not to read a model is no loss to wonder about. `storing`
    opens a transaction, `previous` is when the last whole sync began. Costs two queries
    where nothing left.
    """
    source = run.server.source
    there = RegisteredModel.objects.present().out_of_scope().filter(source=source)
    with storing():
        outside = there.count()
        left = list(
            ModelVersion.objects.present()
            .filter(source=source, registered_model__in=there)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
    for start in range(0, len(left), CHUNK):
        with storing():
            rows = list(
                ModelVersion.objects.present()
                .filter(pk__in=left[start : start + CHUNK])
                .select_related("registered_model")
            )
            store.mark_versions_absent(rows, at=now(), previous_sync=previous)
            audit.record(
                "sync.out_of_scope",
                run,
                changes={"versions": [str(row) for row in rows]},
                reason=LEFT,
            )
        beat()
    return outside


def preview(server: TrackingServer) -> str:
    """Say in a sentence what the scope of a server means for the models known of it.

    The tags of a model that is out of scope are not stored: where they would decide,
    only the next sync can tell. Reads the names and tags of all models, once.
    """
    scope = server.scope
    known = RegisteredModel.objects.present().filter(source=server.source).order_by()
    total = outside = unknown = 0
    for name, tags, was_outside in known.values_list(
        "name", "tags", "out_of_scope"
    ).iterator(chunk_size=2000):
        total += 1
        if scope.reason_of_name(name):
            outside += 1
        elif was_outside and scope.tags:
            unknown += 1
        elif scope.reason_of_tags(tags):
            outside += 1
    if not total:
        return "No model of this server is known yet: the first sync tells."
    told = (
        f"Of {total:,} {'model' if total == 1 else 'models'} known, {outside:,} will be "
        "out of scope from the next sync on."
    )
    if unknown:
        told += (
            f" Of {unknown:,} more their tags decide, which are not stored while they "
            "are out of scope."
        )
    return told
