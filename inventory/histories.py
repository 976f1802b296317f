"""The histories of a model, read from its events: who served when, whom an alias meant."""

from __future__ import annotations

from collections import defaultdict
from operator import attrgetter
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery

from inventory.models import (
    AliasEvent,
    LifecycleEvent,
    ModelVersion,
    Observed,
    RegisteredModel,
)
from inventory.records import Stage
from inventory.serving import (
    AliasMove,
    Between,
    Interval,
    Lifecycle,
    StageMove,
    Tenure,
    intervals,
    tenures,
)

_EVENT = ("from_stage", "to_stage", "told_by", "observed_after", "observed_before")


def serving(model: RegisteredModel) -> list[Interval]:
    """Return when which version was in production. Costs one query."""
    events = LifecycleEvent.objects.filter(
        # Absence too: what is told again may have served while it was hidden.
        Q(from_stage=Stage.PRODUCTION) | Q(to_stage__in=(Stage.PRODUCTION, "")),
        version__registered_model=model,
    )
    moves: defaultdict[ModelVersion, list[StageMove]] = defaultdict(list)
    for event in (
        events.order_by("observed_before", "id")
        .select_related("version")
        .only(*_EVENT, "version__version_number", "version__created_at")
    ):
        move = StageMove(
            event.from_stage, event.to_stage, event.told_by, _between(event)
        )
        moves[event.version].append(move)
    return intervals(
        Lifecycle(version.pk, version.version_number, version.created_at, of_version)
        for version, of_version in moves.items()
    )


def alias_history(model: RegisteredModel) -> list[Tenure]:
    """Return which versions the aliases of a model meant. Costs one query."""
    meant = ModelVersion.objects.filter(
        registered_model=OuterRef("registered_model"),
        version_number=OuterRef("to_version"),
        created_at__lte=OuterRef("observed_before"),
    ).order_by("-created_at")
    events: QuerySet[Any] = AliasEvent.objects.filter(registered_model=model).annotate(
        version=Subquery(meant.values("pk")[:1])
    )
    return tenures(
        AliasMove(event.alias, event.to_version, _between(event), event.version)
        for event in events.order_by("observed_before", "id")
    )


def _between(event: Observed) -> Between:
    return Between(event.observed_after, event.observed_before)


def timeline(version: ModelVersion) -> list[LifecycleEvent | AliasEvent]:
    """Return the moves of a version, and of aliases to it and from it, the newest first.

    Costs two queries.
    """
    stages = list(version.lifecycle.all())
    number = version.version_number
    aliases = AliasEvent.objects.filter(
        Q(from_version=number) | Q(to_version=number),
        registered_model=version.registered_model_id,
    )
    # Another version may have had the number before, or has it since.
    born = stages[-1].observed_after if stages else None
    if born:
        aliases = aliases.filter(observed_before__gt=born)
    if gone := version.absent_since:
        aliases = aliases.exclude(observed_after__gte=gone)
    return sorted([*stages, *aliases], key=attrgetter("observed_before"), reverse=True)
