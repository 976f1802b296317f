"""Sync runs over REST: what was read, when, by whom, and how it went."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django_filters import ChoiceFilter, IsoDateTimeFilter, MultipleChoiceFilter
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import (
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
)
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts.api import PersonSerializer
from accounts.rest import ReadOnlyTenantViewSet
from accounts.roles import Permission
from inventory.api.filters import IdFilter
from mlflow_sync.models import SyncFailure, SyncRun, TrackingServer
from mlflow_sync.queueing import cancel_sync, confirm_absence

FAILURES_SHOWN = 100  # of a run; `failures/` lists them all


class ServerReference(serializers.ModelSerializer[TrackingServer]):
    """A tracking server, as its sync runs name it."""

    name = serializers.CharField(source="source.name")

    class Meta:
        model = TrackingServer
        fields = ("id", "name")
        read_only_fields = fields


class SyncCountsSerializer(serializers.Serializer[Any]):
    """What a sync has read and done so far."""

    def get_fields(self) -> dict[str, Any]:
        return {name: serializers.IntegerField(default=0) for name in SyncRun.COUNTS}


class SyncRunSerializer(serializers.ModelSerializer[SyncRun]):
    """One reading of a tracking server; it shows its progress while it runs."""

    server = ServerReference()
    requested_by = PersonSerializer(allow_null=True)
    counts = SyncCountsSerializer()
    failure_count = serializers.IntegerField(
        help_text="Sections of versions that could not be read."
    )

    class Meta:
        model = SyncRun
        fields: tuple[str, ...] = (
            "id",
            "server",
            "trigger",
            "requested_by",
            "reach",
            "targets",
            "version",
            "is_full",
            "with_artifacts",
            "accepted_absence",
            "status",
            "phase",
            "counts",
            "expected_versions",
            "failure_count",
            "error",
            "error_kind",
            "vanished",
            "source_uri",
            "workspace",
            "identity",
            "credential_fingerprint",
            "mlflow_version",
            "queued_at",
            "started_at",
            "heartbeat_at",
            "finished_at",
            "evaluated_at",
            "seconds",
        )
        read_only_fields: tuple[str, ...] = fields


class SyncFailureSerializer(serializers.ModelSerializer[SyncFailure]):
    """A section of a version that could not be read, and why."""

    class Meta:
        model = SyncFailure
        fields = ("id", "model_name", "version_number", "section", "reason")
        read_only_fields = fields


class SyncRunDetailSerializer(SyncRunSerializer):
    failures = serializers.SerializerMethodField(
        help_text=f"The first {FAILURES_SHOWN}; `failures/` lists them all."
    )

    class Meta(SyncRunSerializer.Meta):
        fields = (*SyncRunSerializer.Meta.fields, "failures")
        read_only_fields = fields

    @extend_schema_field(SyncFailureSerializer(many=True))
    def get_failures(self, run: SyncRun) -> Any:
        failures = run.failures.all()[:FAILURES_SHOWN]
        return SyncFailureSerializer(failures, many=True).data


class SyncRunFilter(FilterSet):
    server = IdFilter("server")
    source = IdFilter("server__source")
    status = MultipleChoiceFilter(choices=SyncRun.Status.choices, distinct=False)
    trigger = ChoiceFilter(choices=SyncRun.Trigger.choices)
    reach = ChoiceFilter(choices=SyncRun.Reach.choices)
    queued_since = IsoDateTimeFilter("queued_at", "gte")


class SyncRunViewSet(ReadOnlyTenantViewSet[Any]):
    """What was read from tracking servers, when, by whom, and how it went."""

    queryset = SyncRun.objects.select_related(
        "server__source", "requested_by"
    ).annotate(
        failure_count=Coalesce(
            Subquery(
                SyncFailure.objects.filter(sync_run=OuterRef("pk"))
                .order_by()
                .values("sync_run")
                .annotate(count=Count("pk"))
                .values("count")
            ),
            0,
        )
    )
    filterset_class = SyncRunFilter
    query_parameters: ClassVar = ()
    search_fields = ("server__source__name", "error")
    ordering_fields: ClassVar = {
        "queued_at": "queued_at",
        "finished_at": "finished_at",
        "seconds": "seconds",
    }
    ordering = ("-queued_at",)
    permissions: ClassVar = {
        "cancel": Permission.SYNC,
        "confirm_absence": Permission.EDIT_GOVERNANCE,
    }

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        if self.action == "failures":
            return SyncFailureSerializer
        return (
            SyncRunDetailSerializer if self.action == "retrieve" else SyncRunSerializer
        )

    @extend_schema(responses=SyncFailureSerializer(many=True), filters=False)
    @action(detail=True, query_parameters=("page", "page_size"))
    def failures(self, request: Request, pk: str) -> Response:
        """All sections of versions that could not be read."""
        page = self.paginate_queryset(self.get_object().failures.all())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(request=None, responses=SyncRunSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """End it, queued or running; what it has stored stays."""
        run = cancel_sync(self.get_object())
        return Response(SyncRunSerializer(self.queryset.get(pk=run.pk)).data)

    @extend_schema(
        request=None,
        responses={
            202: OpenApiResponse(
                SyncRunSerializer, description="The sync that follows."
            ),
            409: OpenApiResponse(description="One is queued or running already."),
        },
    )
    @action(detail=True, methods=["post"], url_path="confirm-absence")
    def confirm_absence(self, request: Request, pk: str) -> Response:
        """Say that the `vanished` were deleted; a sync that marks them absent follows."""
        run = confirm_absence(self.get_object(), trigger=SyncRun.Trigger.API)
        told = SyncRunSerializer(self.queryset.get(pk=run.pk))
        return Response(
            told.data,
            status=status.HTTP_202_ACCEPTED,
            headers={
                "Location": request.build_absolute_uri(f"/api/sync-runs/{run.pk}/")
            },
        )
