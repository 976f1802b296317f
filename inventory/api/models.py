"""Sources and registered models over REST."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, Max, OuterRef, QuerySet
from django.db.models.functions import JSONObject
from django_filters import (
    CharFilter,
    ChoiceFilter,
    IsoDateTimeFilter,
    MultipleChoiceFilter,
)
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rest import ReadOnlyTenantViewSet
from inventory.api.filters import FlagFilter, IdFilter, PresenceFilter
from inventory.api.histories import (
    ALIAS,
    AT,
    IntervalSerializer,
    MomentParameter,
    TenureSerializer,
)
from inventory.histories import alias_history, serving
from inventory.models import (
    ModelVersion,
    RegisteredModel,
    RegisteredModelQuerySet,
    Source,
)
from inventory.records import Stage
from inventory.serving import Interval


class SourceSerializer(serializers.ModelSerializer[Source]):
    class Meta:
        model = Source
        fields = ("id", "name", "kind", "is_demo", "created_at")
        read_only_fields = fields


class SourceReference(serializers.ModelSerializer[Source]):
    """A source, as other resources name it."""

    class Meta:
        model = Source
        fields = ("id", "name", "kind", "is_demo")
        read_only_fields = fields


class SourceFilter(FilterSet):
    kind = MultipleChoiceFilter(choices=Source.Kind.choices, distinct=False)
    is_demo = FlagFilter("is_demo")


class SourceViewSet(ReadOnlyTenantViewSet[Source]):
    """Where models come from."""

    queryset = Source.objects.all()
    serializer_class = SourceSerializer
    filterset_class = SourceFilter
    search_fields = ("name",)
    ordering_fields: ClassVar = {"name": "name", "created_at": "created_at"}
    ordering = ("name",)


class RegisteredModelSerializer(serializers.ModelSerializer[RegisteredModel]):
    """A logical model, without its versions (`modelInventory?registered_model=…`)."""

    source = SourceReference()  # type: ignore[assignment]  # not Field.source
    tags = serializers.DictField(child=serializers.CharField())
    aliases = serializers.DictField(
        child=serializers.IntegerField(), help_text="Alias → version."
    )
    latest_versions = serializers.SerializerMethodField(
        help_text="Lifecycle stage → the newest version in it."
    )
    version_count = serializers.SerializerMethodField(
        help_text="Versions that the source still tells."
    )

    class Meta:
        model = RegisteredModel
        fields: tuple[str, ...] = (
            "id",
            "source",
            "name",
            "description",
            "created_at",
            "last_updated_at",
            "tags",
            "aliases",
            "latest_versions",
            "version_count",
            "out_of_scope",
            "first_seen_at",
            "changed_at",
            "absent_since",
        )
        read_only_fields: tuple[str, ...] = fields

    def get_latest_versions(self, model: RegisteredModel) -> dict[str, int]:
        return {told["stage"]: told["latest"] for told in _stages(model)}

    def get_version_count(self, model: RegisteredModel) -> int:
        return sum(told["versions"] for told in _stages(model))


def _stages(model: Any) -> list[dict[str, Any]]:
    """Return what `RegisteredModelViewSet.queryset` annotated."""
    stages: list[dict[str, Any]] = model.stages
    return stages


class RegisteredModelFilter(PresenceFilter):
    source = IdFilter("source")
    name = CharFilter("name", label="The whole name.")
    lifecycle_stage = ChoiceFilter(
        choices=[(stage.value, stage.value) for stage in Stage],
        method="filter_stage",
        label="Some present version is in this stage.",
    )
    in_scope = FlagFilter(
        "out_of_scope",
        method="filter_scope",
        label="Its versions are read; `out_of_scope` says of the others why not.",
    )
    is_demo = FlagFilter("source__is_demo")
    changed_since = IsoDateTimeFilter("changed_at", "gte")

    def filter_scope(
        self, queryset: RegisteredModelQuerySet, name: str, value: bool
    ) -> RegisteredModelQuerySet:
        return queryset.in_scope() if value else queryset.out_of_scope()

    def filter_stage(
        self, queryset: QuerySet[RegisteredModel], name: str, value: str
    ) -> QuerySet[RegisteredModel]:
        versions = ModelVersion.objects.present().filter(lifecycle_stage=value)
        return queryset.filter(pk__in=versions.values("registered_model"))


@extend_schema_view(
    serving=extend_schema(responses=IntervalSerializer(many=True), parameters=[AT]),
    aliases=extend_schema(responses=TenureSerializer(many=True), parameters=[ALIAS]),
)
class RegisteredModelViewSet(ReadOnlyTenantViewSet[RegisteredModel]):
    """Registered models, with the newest version in each lifecycle stage."""

    queryset = RegisteredModel.objects.select_related("source").annotate(
        stages=ArraySubquery(
            ModelVersion.objects.filter(
                registered_model=OuterRef("pk"), absent_since=None
            )
            .order_by()
            .values("lifecycle_stage")
            .annotate(latest=Max("version_number"), versions=Count("pk"))
            .values(
                told=JSONObject(
                    stage="lifecycle_stage", latest="latest", versions="versions"
                )
            )
        )
    )
    serializer_class = RegisteredModelSerializer
    filterset_class = RegisteredModelFilter
    query_parameters: tuple[str, ...] = ()
    search_fields = ("name", "description")
    ordering_fields: ClassVar = {
        "name": "name",
        "created_at": "created_at",
        "last_updated_at": "last_updated_at",
        "changed_at": "changed_at",
    }
    ordering = ("name",)

    @extend_schema(filters=False)
    @action(detail=True, query_parameters=("at", "page", "page_size"))
    def serving(self, request: Request, pk: str) -> Response:
        """Which version was in production when; with `at`, which one was at a moment."""
        moment = MomentParameter(data=request.query_params)
        moment.is_valid(raise_exception=True)
        model = self.get_object()
        found = serving(model)
        context: dict[str, Any] = {}
        if at := moment.validated_data.get("at"):
            judge = partial(
                Interval.certainty, moment=at, last_read=self.last_read(model)
            )
            found = [interval for interval in found if judge(interval)]
            context["certainty"] = judge
        page = self.paginate_queryset(found)
        told = IntervalSerializer(page, many=True, context=context)
        return self.get_paginated_response(told.data)

    @extend_schema(filters=False)
    @action(detail=True, query_parameters=("alias", "page", "page_size"))
    def aliases(self, request: Request, pk: str) -> Response:
        """Which versions the aliases of a model pointed to, and when."""
        alias = request.query_params.get("alias")
        found = [
            tenure
            for tenure in alias_history(self.get_object())
            if alias in (None, tenure.alias)
        ]
        page = self.paginate_queryset(found)
        return self.get_paginated_response(TenureSerializer(page, many=True).data)

    def last_read(self, model: RegisteredModel) -> datetime | None:
        """Return when the last sync began; the inventory itself does not know."""
        return None
