"""The inventory over REST with what the apps above it know: gaps, and as-of times."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, ClassVar

from django.db.models import OuterRef, Prefetch, Q, QuerySet, Subquery, Sum
from django.db.models.functions import JSONObject
from django_filters import MultipleChoiceFilter
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.roles import Permission
from compliance.api import ResultSerializer, results_of
from compliance.models import Evaluation
from inventory import api as inventory
from inventory.models import ModelVersion, RegisteredModel
from inventory.records import Section
from mlflow_sync.api import SyncRunSerializer, SyncRunViewSet
from mlflow_sync.as_of import as_of, last_reads
from mlflow_sync.files import runs as file_runs
from mlflow_sync.models import SyncRun

GAPS = [(name, name.replace("_", " ")) for name in Evaluation.COUNTS]


class GapCountsSerializer(serializers.Serializer[Any]):
    """Open gaps by severity; empty fields are counted apart."""

    def get_fields(self) -> dict[str, Any]:
        return {name: serializers.IntegerField() for name in Evaluation.COUNTS}


class AsOfSerializer(serializers.Serializer[Any]):
    """As of when each section is as it is shown; null where that is not known."""

    def get_fields(self) -> dict[str, Any]:
        return {
            section.value: serializers.DateTimeField(allow_null=True)
            for section in Section
        }


class GapsFilter(MultipleChoiceFilter):
    """What has open gaps of one of these severities; `path` leads to the evaluation."""

    def __init__(self, path: str) -> None:
        super().__init__(
            choices=GAPS, distinct=False, label="With open gaps of this severity."
        )
        self.path = path

    def filter(self, qs: QuerySet[Any], value: list[str]) -> QuerySet[Any]:
        if not value:
            return qs
        judged = Q(*((name + "__gt", 0) for name in value), _connector=Q.OR)
        versions = Evaluation.objects.filter(judged, version__absent_since=None)
        return qs.filter(pk__in=versions.values(self.path))


class RegisteredModelSerializer(inventory.RegisteredModelSerializer):
    gaps = GapCountsSerializer(
        allow_null=True, help_text="Of all present versions; null: none was judged yet."
    )
    as_of = serializers.SerializerMethodField(
        help_text="When the last sync began that read its source."
    )

    class Meta(inventory.RegisteredModelSerializer.Meta):
        fields = (*inventory.RegisteredModelSerializer.Meta.fields, "gaps", "as_of")
        read_only_fields = fields

    def get_as_of(self, model: RegisteredModel) -> datetime | None:
        read = self.context["reads"]().get(model.source_id)
        return None if read is None or model.is_absent else read.rows


class RegisteredModelFilter(inventory.RegisteredModelFilter):
    gaps = GapsFilter("version__registered_model")


class RegisteredModelViewSet(inventory.RegisteredModelViewSet):
    """Registered models, with the newest version in each stage and their open gaps."""

    queryset = inventory.RegisteredModelViewSet.queryset.annotate(
        gaps=Subquery(
            Evaluation.objects.filter(
                version__registered_model=OuterRef("pk"), version__absent_since=None
            )
            .order_by()
            .values("version__registered_model")
            .annotate(
                told=JSONObject(**{name: Sum(name) for name in Evaluation.COUNTS})
            )
            .values("told")
        )
    )
    serializer_class = RegisteredModelSerializer
    filterset_class = RegisteredModelFilter

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "reads": cache(last_reads)}

    def last_read(self, model: RegisteredModel) -> datetime | None:
        read = last_reads().get(model.source_id)
        return read.rows if read else None


class VersionSerializer(inventory.VersionSerializer):
    gaps = GapCountsSerializer(
        source="evaluation", allow_null=True, help_text="Null: not judged yet."
    )
    as_of = serializers.SerializerMethodField()

    class Meta(inventory.VersionSerializer.Meta):
        fields = (*inventory.VersionSerializer.Meta.fields, "gaps", "as_of")
        read_only_fields = fields

    @extend_schema_field(AsOfSerializer)
    def get_as_of(self, version: ModelVersion) -> dict[Section, datetime | None]:
        return as_of(version, self.context["reads"]())


class VersionFilter(inventory.VersionFilter):
    gaps = GapsFilter("version")


class VersionViewSet(inventory.VersionViewSet):
    """Model versions: one entry is one canonical record, with its open gaps."""

    serializer_class = VersionSerializer
    filterset_class = VersionFilter

    permissions: ClassVar = {"verify_files": Permission.SYNC}

    def get_queryset(self) -> QuerySet[ModelVersion]:
        versions = super().get_queryset()
        if not self.tells("gaps"):
            return versions
        return versions.prefetch_related(
            Prefetch("evaluation", Evaluation.objects.without_documents())
        )

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "reads": cache(last_reads)}

    @extend_schema(responses=ResultSerializer(many=True), filters=False)
    @action(detail=True, query_parameters=("page", "page_size"))
    def results(self, request: Request, pk: str) -> Response:
        """The latest answer of every rule, with what it saw and which thresholds."""
        judged = Evaluation.objects.told().filter(version=self.get_object())
        page = self.paginate_queryset(results_of(judged.first()))
        return self.get_paginated_response(ResultSerializer(page, many=True).data)

    @extend_schema(
        request=None,
        responses={
            202: OpenApiResponse(
                SyncRunSerializer,
                description="Queued; the sync run tells its progress.",
            ),
            409: OpenApiResponse(
                description="A sync of the server is queued or running."
            ),
        },
    )
    @action(detail=True, methods=["post"], url_path="verify-files")
    def verify_files(self, request: Request, pk: str) -> Response:
        """Read all files now, up to the server's limit, and compare their digests."""
        run = file_runs.verify_files(self.get_object(), trigger=SyncRun.Trigger.API)
        told = SyncRunSerializer(SyncRunViewSet.queryset.get(pk=run.pk))
        return Response(
            told.data,
            status=status.HTTP_202_ACCEPTED,
            headers={
                "Location": request.build_absolute_uri(f"/api/sync-runs/{run.pk}/")
            },
        )
