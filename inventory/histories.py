"""The histories of a model, read from its events: who served when, whom an alias meant."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

from django.db.models import OuterRef, Q, Subquery

from inventory.models import AliasEvent, LifecycleEvent, ModelVersion, RegisteredModel
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


def serving(model: RegisteredModel) -> list[Interval]:
    """Return when which version was in production. Costs one query."""
    events = LifecycleEvent.objects.filter(
        # Absence too: what is told again may have served while it was hidden.
        Q(from_stage=Stage.PRODUCTION) | Q(to_stage__in=(Stage.PRODUCTION, "")),
        version__registered_model=model,
    )
    rows = events.order_by("version", "observed_before", "id").values_list(
        "version",
        "version__version_number",
        "version__created_at",
        "from_stage",
        "to_stage",
        "told_by",
        "observed_after",
        "observed_before",
    )
    return intervals(
        Lifecycle(
            *identity,
            [
                StageMove(before, after, told_by, Between(*observed))
                for _, _, _, before, after, told_by, *observed in moves
            ],
        )
        for identity, moves in groupby(rows, key=itemgetter(slice(3)))
    )


def alias_history(model: RegisteredModel) -> list[Tenure]:
    """Return which versions the aliases of a model meant. Costs one query."""
    meant = ModelVersion.objects.filter(
        registered_model=OuterRef("registered_model"),
        version_number=OuterRef("to_version"),
        created_at__lte=OuterRef("observed_before"),
    ).order_by("-created_at")
    rows = (
        AliasEvent.objects.filter(registered_model=model)
        .annotate(version=Subquery(meant.values("pk")[:1]))
        .order_by("observed_before", "id")
        .values_list(
            "alias", "to_version", "observed_after", "observed_before", "version"
        )
    )
    return tenures(
        AliasMove(alias, number, Between(after, before), version)
        for alias, number, after, before, version in rows
    )
