"""Tracking servers with what lists show of their runs and models."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject

from inventory.models import RegisteredModel
from mlflow_sync.models import SyncRun, TrackingServer


def with_runs(servers: QuerySet[TrackingServer]) -> QuerySet[TrackingServer]:
    """Annotate servers with their latest sync and the numbers of their present models.

    `read_at` is when the latest sync began that could read the registry; `models_count`
    counts all models told, `outside_count` those of them that are out of scope.
    """
    runs = SyncRun.objects.filter(server=OuterRef("pk"))
    told = JSONObject(id="pk", status="status", error="error", queued_at="queued_at")
    models = RegisteredModel.objects.present().filter(source=OuterRef("source"))
    return servers.annotate(
        read_at=Subquery(runs.whole().values("started_at")[:1]),
        last_run=Subquery(runs.of_registry().values(told=told)[:1]),
        models_count=Subquery(
            models.order_by()
            .values("source")
            .annotate(count=Count("pk"))
            .values("count"),
            output_field=IntegerField(),
        ),
        outside_count=Subquery(
            models.out_of_scope()
            .order_by()
            .values("source")
            .annotate(count=Count("pk"))
            .values("count"),
            output_field=IntegerField(),
        ),
    )


def last_run(server: Any) -> SyncRun:
    """Return the latest run as `with_runs` told it, for reading only."""
    told = server.last_run
    return SyncRun(
        pk=told["id"],
        status=told["status"],
        error=told["error"],
        queued_at=datetime.fromisoformat(told["queued_at"]),
    )
