"""The canonical record of a model version over REST, and its changes.

One entry of `modelInventory` is one record: every field of `inventory.records.FIELDS`
at its top level, null (of lists and documents: empty) where it is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar, cast

from django.db.models import F, JSONField, QuerySet
from django_filters import CharFilter, IsoDateTimeFilter, MultipleChoiceFilter
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import PersonSerializer
from accounts.rest import ReadOnlyTenantViewSet, TenantViewSet
from inventory.api.documents import (
    CompletenessSerializer,
    DatasetInputSerializer,
    EnvironmentSerializer,
    EvidenceFileSerializer,
    FileCountsSerializer,
    IngestedSerializer,
    ManifestRowSerializer,
    MetricPointSerializer,
    MlmodelSerializer,
    ToldOtherwiseSerializer,
    ToldSerializer,
)
from inventory.api.filters import FlagFilter, IdFilter, PresenceFilter
from inventory.api.histories import LifecycleEventSerializer
from inventory.api.models import SourceReference
from inventory.changes import ACTIONS, FieldChange, field_changes
from inventory.models import ModelVersion
from inventory.records import (
    FIELDS,
    GOVERNANCE_FIELDS,
    Field,
    Kind,
    Stage,
    is_known,
)

EMPTY: Mapping[Kind, Any] = {Kind.LIST: [], Kind.DOCUMENT: {}}
LISTS = ("artifact_manifest", "evidence_files")  # documents that are lists of mappings
DESCRIBED = {
    "artifact_manifest": ManifestRowSerializer,
    "evidence_files": EvidenceFileSerializer,
    "runtime_environment": EnvironmentSerializer,
}
# Large columns, which are not read where `fields` does not ask for them.
DOCUMENTS = frozenset(
    column.name
    for column in ModelVersion._meta.concrete_fields
    if isinstance(column, JSONField)
)
# Columns of the run, which are joined where an entry tells them.
OF_RUN = ("metric_points", "unusable_metrics")
TYPES: Mapping[Kind, dict[str, Any]] = {
    Kind.TEXT: {"type": ["string", "null"]},
    Kind.CHOICE: {"type": ["string", "null"]},
    Kind.LIST: {"type": "array", "items": {"type": "string"}},
    Kind.NUMBER: {"type": ["number", "null"]},
    Kind.BOOLEAN: {"type": ["boolean", "null"]},
    Kind.TIME: {"type": ["string", "null"], "format": "date-time"},
    Kind.DOCUMENT: {"type": "object", "additionalProperties": {}},
}


class RecordValue(serializers.Field[Any, Any, Any, Any]):
    """The value of one field of the record, as it is stored; unknown is null or empty."""

    def __init__(self, field: Field) -> None:
        super().__init__(read_only=True, label=field.label)
        self.field = field

    def get_attribute(self, instance: ModelVersion) -> Any:
        value = instance.value(self.field.name)
        if is_known(value):
            return value
        return [] if self.field.name in LISTS else EMPTY.get(self.field.kind)

    def to_representation(self, value: Any) -> Any:
        return value


class RecordValueSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Tells the schema what a `RecordValue` holds."""

    target_class = RecordValue

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        field: Field = self.target.field
        schema = dict(TYPES[field.kind])
        if described := DESCRIBED.get(field.name):
            schema = auto_schema.resolve_serializer(described, direction).ref
        if field.name in LISTS:
            schema = {"type": "array", "items": schema}
        elif field.choices:
            schema["description"] = (
                f"As told; the vocabulary is {', '.join(field.choices)}."
            )
        return schema


class VersionSerializer(serializers.ModelSerializer[ModelVersion]):
    """The canonical record of a model version, with where each value came from.

    The context's `fields`, if there are any, are those of the entry.
    """

    source = SourceReference()  # type: ignore[assignment]  # not Field.source
    aliases = serializers.ListField(child=serializers.CharField())
    tags = serializers.DictField(child=serializers.CharField())
    metric_points = serializers.SerializerMethodField(
        help_text="Metric, also one without a number → where and when it was logged."
    )
    unusable_metrics = serializers.SerializerMethodField(
        help_text="Metric that is no finite number → “NaN”, “Infinity”, …"
    )
    dataset_inputs = DatasetInputSerializer(many=True)
    flavors = serializers.ListField(child=serializers.CharField())
    mlmodel = MlmodelSerializer()
    artifact_root = serializers.CharField(
        help_text="Where the server says that the files lie; empty: it did not."
    )
    artifact_backend = serializers.CharField(
        help_text="What stores them: “Amazon S3”, “MLflow artifact proxy”, …"
    )
    provenance = serializers.SerializerMethodField(help_text="Field → who told it.")
    others = serializers.SerializerMethodField(
        help_text="Field → what else was told, and did not count."
    )
    ingested = serializers.DictField(
        child=IngestedSerializer(),
        help_text="Attested field → what its source tells of it.",
    )
    incomplete = serializers.DictField(
        child=serializers.CharField(),
        help_text="Section → why the last sync could not read it.",
    )
    completeness = serializers.SerializerMethodField(
        help_text="Fields of groups 1 to 6 that are known, and how many there are."
    )
    files = serializers.SerializerMethodField(
        help_text="The files of `artifact_manifest` by what is known of their content."
    )
    lifecycle_events = LifecycleEventSerializer(source="lifecycle", many=True)

    class Meta:
        model = ModelVersion
        fields: tuple[str, ...] = (
            "id",
            "source",
            "registered_model",
            "version_description",
            "native_stage",
            "registration_status",
            "aliases",
            "tags",
            "run",
            "run_found",
            "metric_points",
            "unusable_metrics",
            "dataset_inputs",
            "signature",
            "flavors",
            "mlmodel",
            "artifact_root",
            "artifact_backend",
            "redactions",
            "provenance",
            "others",
            "ingested",
            "incomplete",
            "completeness",
            "files",
            "files_due_at",
            "lifecycle_events",
            "first_seen_at",
            "changed_at",
            "absent_since",
        )
        read_only_fields: tuple[str, ...] = fields

    def get_fields(self) -> dict[str, Any]:
        found = super().get_fields()
        entry = {name: found.pop(name) for name in ("id", "source", "registered_model")}
        entry |= {name: RecordValue(field) for name, field in FIELDS.items()}
        entry |= found
        asked: Iterable[str] = self.context.get("fields") or entry
        return {name: entry[name] for name in asked}

    @extend_schema_field(serializers.DictField(child=MetricPointSerializer()))
    def get_metric_points(self, version: Any) -> dict[str, Any]:
        return version.metric_points or {}

    @extend_schema_field(serializers.DictField(child=serializers.CharField()))
    def get_unusable_metrics(self, version: Any) -> dict[str, str]:
        return version.unusable_metrics or {}

    @extend_schema_field(serializers.DictField(child=ToldSerializer()))
    def get_provenance(self, version: ModelVersion) -> dict[str, Any]:
        return {name: _told(told) for name, told in version.provenance.items()}

    @extend_schema_field(
        serializers.DictField(
            child=serializers.ListField(child=ToldOtherwiseSerializer())
        )
    )
    def get_others(self, version: ModelVersion) -> dict[str, Any]:
        return {
            name: [{"value": value, **_told(told)} for value, told in losers]
            for name, losers in version.others.items()
        }

    @extend_schema_field(FileCountsSerializer)
    def get_files(self, version: ModelVersion) -> dict[str, int]:
        return {
            "hashed": version.files_hashed,
            "waiting": version.files_waiting,
            "too_large": version.files_too_large,
            "changed": version.files_changed,
        }

    @extend_schema_field(CompletenessSerializer)
    def get_completeness(self, version: ModelVersion) -> dict[str, int]:
        known, applicable = version.completeness
        return {"known": known, "applicable": applicable}


def _told(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored `Told` with all its keys."""
    return {"source": told["source"], "key": "", "weak": False, "raw": "", **told}


class VersionFilter(PresenceFilter):
    source = IdFilter("source")
    registered_model = IdFilter("registered_model")
    model_name = CharFilter("registered_model__name", label="The whole name.")
    version_number = IdFilter("version_number")
    lifecycle_stage = MultipleChoiceFilter(
        choices=[(stage.value, stage.value) for stage in Stage], distinct=False
    )
    owner = CharFilter("owner", "iexact")
    risk_category = CharFilter("risk_category", "iexact")
    data_sensitivity = CharFilter("data_sensitivity", "iexact")
    is_incomplete = FlagFilter(
        "incomplete",
        method="filter_incomplete",
        label="A section of it could not be read.",
    )
    has_changed_files = FlagFilter(
        "files_changed",
        method="filter_changed_files",
        label="A file of it is no longer what it was when it was first read.",
    )
    is_demo = FlagFilter("source__is_demo")
    changed_since = IsoDateTimeFilter("changed_at", "gte")

    def filter_changed_files(
        self, queryset: QuerySet[ModelVersion], name: str, value: bool
    ) -> QuerySet[ModelVersion]:
        if value:
            return queryset.filter(files_changed__gt=0)
        return queryset.filter(files_changed=0)

    def filter_incomplete(
        self, queryset: QuerySet[ModelVersion], name: str, value: bool
    ) -> QuerySet[ModelVersion]:
        return (
            queryset.exclude(incomplete={}) if value else queryset.filter(incomplete={})
        )


FIELDS_PARAMETER = OpenApiParameter(
    "fields",
    {"type": "array", "items": {"type": "string"}},
    explode=False,
    description="Only these keys of an entry, separated by commas. Much less is read.",
)


@extend_schema_view(
    list=extend_schema(parameters=[FIELDS_PARAMETER]),
    retrieve=extend_schema(parameters=[FIELDS_PARAMETER]),
)
class VersionViewSet(ReadOnlyTenantViewSet[ModelVersion]):
    """Model versions: one entry is one canonical record."""

    queryset = ModelVersion.objects.select_related("source", "registered_model")
    serializer_class = VersionSerializer
    filterset_class = VersionFilter
    query_parameters = ("fields",)
    search_fields = (
        "registered_model__name",
        "description",
        "business_purpose",
        "owner",
    )
    ordering_fields: ClassVar = {
        "model_name": "registered_model__name",
        "version_number": "version_number",
        "owner": "owner",
        "completeness": "known_fields",
        "created_at": "created_at",
        "last_updated_at": "last_updated_at",
        "changed_at": "changed_at",
    }
    ordering = ("model_name", "-version_number")

    def get_queryset(self) -> QuerySet[ModelVersion]:
        versions = super().get_queryset()
        if self.tells("lifecycle_events"):
            versions = versions.prefetch_related("lifecycle")
        versions = versions.annotate(
            **{name: F(f"run__{name}") for name in OF_RUN if self.tells(name)}
        )
        if wanted := set(self.asked):
            if not wanted.isdisjoint(GOVERNANCE_FIELDS):
                wanted.add("governance")
            versions = versions.defer(*(DOCUMENTS - wanted))
        return versions

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "fields": self.asked}

    def tells(self, key: str) -> bool:
        """Tell whether the answer is to have this key."""
        return not self.asked or key in self.asked

    @cached_property
    def asked(self) -> tuple[str, ...]:
        """Return the keys that `fields` names, none for all of them."""
        told = self.request.query_params.get("fields") if self.request else None
        if told is None:
            return ()
        names = tuple(dict.fromkeys(name.strip() for name in told.split(",")))
        there = cast(VersionSerializer, self.get_serializer_class()()).fields
        if strangers := [name for name in names if name not in there]:
            raise ValidationError({"fields": f"An entry has no key “{strangers[0]}”."})
        return names


class FieldChangeSerializer(serializers.Serializer[FieldChange]):
    """A field of a record took another value."""

    field = serializers.CharField()
    key = serializers.CharField(help_text="The place inside a document, or empty.")
    action = serializers.ChoiceField(choices=list(ACTIONS.values()))
    old = serializers.JSONField(help_text="Null where it was unknown.")
    new = serializers.JSONField(help_text="Null where it is unknown now.")
    changed_by = PersonSerializer(
        allow_null=True, help_text="Null where a sync changed it."
    )
    changed_at = serializers.DateTimeField()


class ChangeHistoryViewSet(TenantViewSet[Any]):
    """How a record became what it is, field by field, the newest change first."""

    queryset = ModelVersion.objects.all()
    serializer_class = FieldChangeSerializer
    query_parameters = ("page", "page_size")

    @extend_schema(responses=FieldChangeSerializer(many=True))
    def retrieve(self, request: Request, pk: str) -> Response:
        changes = self.paginate_queryset(field_changes(self.get_object()))
        return self.get_paginated_response(self.get_serializer(changes, many=True).data)
