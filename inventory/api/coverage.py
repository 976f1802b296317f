"""Coverage over REST: which fields are known of how many versions and models."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from inventory.coverage import (
    FieldCoverage,
    Scope,
    coverage,
    told_values,
)
from inventory.models import ModelVersion
from inventory.records import FIELDS, Stage

STAGES = [(stage.value, stage.value) for stage in Stage]


class ScopeSerializer(serializers.Serializer[dict[str, Any]]):
    """Of which versions coverage is counted: all that are present unless narrowed."""

    lifecycle_stage = serializers.ChoiceField(choices=STAGES, required=False)
    source = serializers.IntegerField(  # type: ignore[assignment]  # not Field.source
        min_value=1, required=False
    )


class ToldBySerializer(serializers.Serializer[Any]):
    """Who told a field, and of how many versions."""

    source = serializers.CharField(  # type: ignore[assignment]  # not Field.source
        help_text="Such as “version tag”."
    )
    versions = serializers.IntegerField()


class CoverageSerializer(serializers.Serializer[FieldCoverage]):
    """Of how many versions, and models, a field is known."""

    field = serializers.CharField(source="field.name")
    title = serializers.CharField(source="field.label")
    group = serializers.CharField(source="field.group.label")
    versions = serializers.IntegerField(help_text="In all.")
    versions_known = serializers.IntegerField()
    models = serializers.IntegerField(help_text="In all.")
    models_known = serializers.IntegerField(
        help_text="With at least one version of which it is known."
    )
    weak = serializers.IntegerField(
        help_text="Versions of which only a weak source told it."
    )
    disputed = serializers.IntegerField(
        help_text="Versions of which another source said something else."
    )
    told_by = serializers.SerializerMethodField()

    @extend_schema_field(ToldBySerializer(many=True))
    def get_told_by(self, item: FieldCoverage) -> Any:
        return [
            {"source": source, "versions": number} for source, number in item.told_by
        ]


class ToldValueSerializer(serializers.Serializer[Any]):
    value = serializers.CharField()
    versions = serializers.IntegerField()
    is_in_vocabulary = serializers.BooleanField()


class FieldCoverageSerializer(CoverageSerializer):
    values = ToldValueSerializer(
        many=True, help_text="The most frequent ones; none of documents."
    )


FIELD = OpenApiParameter("id", str, OpenApiParameter.PATH, description="owner")


class CoverageViewSet(GenericViewSet[Any]):
    """Which fields can be seen at all: of how many versions and models each is known."""

    queryset = ModelVersion.objects.none()  # counts of rows, not rows
    serializer_class = CoverageSerializer
    metadata_class = None
    lookup_value_regex = "[^/]+"

    @extend_schema(parameters=[ScopeSerializer])
    def list(self, request: Request) -> Response:
        found = self.paginate_queryset(self._found(self._scope(request)))
        return self.get_paginated_response(self.get_serializer(found, many=True).data)

    @extend_schema(
        parameters=[FIELD, ScopeSerializer], responses=FieldCoverageSerializer
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        scope = self._scope(request)
        field = FIELDS.get(pk)
        if field is None:
            raise Http404
        (found,) = coverage(scope, {pk: field})
        values = ToldValueSerializer(told_values(field, scope), many=True)
        return Response({**self.get_serializer(found).data, "values": values.data})

    def _found(self, scope: Scope) -> Any:
        return self.filter_queryset(coverage(scope))  # type: ignore[arg-type]  # no rows

    @staticmethod
    def _scope(request: Request) -> Scope:
        told = ScopeSerializer(data=request.query_params)
        told.is_valid(raise_exception=True)
        return Scope(
            lifecycle_stage=told.validated_data.get("lifecycle_stage", ""),
            source_id=told.validated_data.get("source"),
        )
