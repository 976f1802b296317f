"""The overview: what an officer wants to know first, from top to bottom.

Is the picture fresh, how does it stand in numbers, what changed since yesterday, and
how did the latest syncs go. Every number leads to the rows it counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum, Value
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from accounts import tenancy
from accounts.roles import Permission
from compliance.models import Gap, GapEvent, ResultChange, Waiver
from inventory.models import LifecycleEvent, ModelVersion, RegisteredModel
from inventory.records import Stage
from mlflow_sync.admin.rows import last_run, with_runs
from mlflow_sync.models import SyncRun, TrackingServer

RUNS_SHOWN = 6
CHANGES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Number:
    """A count, in words, and where the rows are that it counts."""

    label: str
    count: int
    address: str
    tone: str = ""


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return what the overview shows. Costs seven queries, however large the registry."""
    acting = tenancy.current()
    servers: list[Any] = list(
        with_runs(
            TrackingServer.objects.filter(removed_at=None).select_related("source")
        )
    )
    return (
        context
        | {
            "crumbs": [("Overview", "")],
            "servers": [
                (server, server.last_run and last_run(server)) for server in servers
            ],
            "may_add_servers": acting is not None
            and acting.may(Permission.MANAGE_SERVERS),
            "numbers": list(numbers()),
            "moves": LifecycleEvent.objects.exclude(from_stage="")
            .exclude(from_stage=Stage.NONE, to_stage="")  # it went as quietly as it was
            .select_related("version__registered_model")[:CHANGES_SHOWN],
            "gap_changes": ResultChange.objects.filter(version__isnull=False)
            .exclude(event__in=(GapEvent.NONE, GapEvent.REFRESHED))
            .select_related("version__registered_model")[:CHANGES_SHOWN],
            "runs": SyncRun.objects.select_related("server__source")[:RUNS_SHOWN],
        }
    )


def numbers() -> Iterator[Number]:
    """Yield the numbers, absolute ones, the quiet first. Costs two queries."""
    production = Q(lifecycle_stage=Stage.PRODUCTION)
    counted = ModelVersion.objects.present().aggregate(
        production=Count("pk", filter=production),
        blocked=Count("pk", filter=production & Q(evaluation__critical__gt=0)),
        incomplete=Count("pk", filter=~Q(incomplete={})),
        critical=Sum("evaluation__critical", default=0),
        high=Sum("evaluation__high", default=0),
    )
    rows = _counts(
        models=RegisteredModel.objects.present().in_scope(),
        waived=Gap.objects.waived().present(),
        requested=Waiver.objects.requested(),
        expiring=Waiver.objects.expiring(),
    )
    stage = {"stage": Stage.PRODUCTION.value}
    yield Number("Models", rows["models"], _list("inventory_registeredmodel"))
    yield Number(
        "Versions in production",
        counted["production"],
        _list("inventory_modelversion", **stage),
    )
    yield Number(
        "In production with critical gaps",
        counted["blocked"],
        _list("inventory_modelversion", **stage, severity="critical"),
        "alarm",
    )
    yield Number(
        "Open critical gaps",
        counted["critical"],
        _list("compliance_gap", severity="critical"),
        "alarm",
    )
    yield Number(
        "Open high gaps",
        counted["high"],
        _list("compliance_gap", severity="high"),
        "care",
    )
    yield Number(
        "Incomplete records",
        counted["incomplete"],
        _list("inventory_modelversion", completeness="unread"),
        "care",
    )
    yield Number(
        "Waived gaps",
        rows["waived"],
        _list("compliance_gap", status="waived", kind="all"),
    )
    yield Number(
        "Waivers to be decided on",
        rows["requested"],
        _list("compliance_waiver", queue="requested"),
        "care",
    )
    yield Number(
        "Waivers expiring in 30 days",
        rows["expiring"],
        _list("compliance_waiver", queue="expiring"),
        "care",
    )


def _counts(**rows: QuerySet[Any]) -> dict[str, int]:
    """Count rows of several kinds in one query."""
    first, *others = (
        found.order_by().values(kind_of_row=Value(name)).annotate(number=Count("pk"))
        for name, found in rows.items()
    )
    told = first.union(*others, all=True).values_list("kind_of_row", "number")
    return dict.fromkeys(rows, 0) | dict(told)


def _list(name: str, **query: str) -> str:
    address = reverse(f"admin:{name}_changelist")
    return f"{address}?{urlencode(query)}" if query else address
