"""Attestations over REST: one or many at once, kept where contradicted, withdrawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, Q, QuerySet
from django_filters import ChoiceFilter, DateFilter
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import PersonSerializer
from accounts.rest import ReadOnlyTenantViewSet
from accounts.roles import Permission
from inventory import attestations as acts
from inventory.api.documents import ToldSerializer
from inventory.api.evidence import KeptFileSerializer
from inventory.api.filters import FlagFilter, IdFilter
from inventory.effective import contradictions
from inventory.fields import ATTESTABLE
from inventory.models import (
    Attestation,
    AttestationQuerySet,
    EvidenceFile,
    ModelVersion,
    RegisteredModel,
)

M = TypeVar("M", bound=Model)
FIELDS = [(name, item.label) for name, item in ATTESTABLE.items()]


class AttestationSerializer(serializers.ModelSerializer[Attestation]):
    """What somebody says that a field is; of a model it holds for all its versions."""

    state = serializers.ChoiceField(choices=Attestation.State.choices)
    model_version = serializers.IntegerField(source="version_id", allow_null=True)
    subject = serializers.CharField(help_text="The model or the version, by its name.")
    value = serializers.JSONField()
    evidence_file = KeptFileSerializer(allow_null=True)
    attested_by = PersonSerializer(allow_null=True)
    kept_by = PersonSerializer(allow_null=True)
    ended_by = PersonSerializer(
        allow_null=True, help_text="Null where it expired by itself."
    )

    class Meta:
        model = Attestation
        fields: tuple[str, ...] = (
            "id",
            "registered_model",
            "model_version",
            "subject",
            "field",
            "value",
            "reason",
            "state",
            "evidence_file",
            "expires_on",
            "attested_by",
            "attested_at",
            "contradicted_since",
            "kept_at",
            "kept_by",
            "kept_reason",
            "ended_at",
            "ended_by",
            "end_reason",
        )
        read_only_fields: tuple[str, ...] = fields


class ContradictionSerializer(serializers.Serializer[Any]):
    """What the source of a version tells, otherwise than what is attested."""

    model_version = serializers.IntegerField()
    value = serializers.JSONField()
    told = ToldSerializer(allow_null=True)
    seen = serializers.JSONField(
        help_text="What it told when somebody last decided; null: nothing."
    )


class AttestationDetailSerializer(AttestationSerializer):
    contradictions = serializers.SerializerMethodField(
        help_text="The versions whose source says otherwise, and nobody saw it."
    )

    class Meta(AttestationSerializer.Meta):
        fields = (*AttestationSerializer.Meta.fields, "contradictions")
        read_only_fields = fields

    @extend_schema_field(ContradictionSerializer(many=True))
    def get_contradictions(self, attestation: Attestation) -> Any:
        """Costs one query, and none where nothing is contradicted."""
        found = [
            {
                "model_version": version.pk,
                "value": entry["value"],
                "told": entry["told"],
                "seen": entry["seen"],
            }
            for version, entry in contradictions(attestation)
        ]
        return ContradictionSerializer(found, many=True).data


class NewAttestationSerializer(serializers.Serializer[Any]):
    """What is to be attested, of all that is named or of nothing."""

    model_versions = serializers.ListField(
        child=serializers.IntegerField(), required=False, default=list
    )
    registered_models = serializers.ListField(
        child=serializers.IntegerField(), required=False, default=list
    )
    field = serializers.CharField()
    value = serializers.JSONField()
    reason = serializers.CharField()
    expires_on = serializers.DateField(
        required=False,
        allow_null=True,
        default=None,
        help_text="The first day on which it holds no longer.",
    )
    evidence_file = serializers.IntegerField(
        required=False, allow_null=True, default=None
    )


class ReasonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField()


class DoneSerializer(serializers.Serializer[Any]):
    """What an act did, and in a sentence what followed."""

    attestations = AttestationSerializer(many=True)
    message = serializers.CharField(source="told")


class AttestationFilter(FilterSet):
    state = ChoiceFilter(
        choices=Attestation.State.choices,
        method="filter_state",
        label="What it is now.",
    )
    field = ChoiceFilter(choices=FIELDS)
    is_contradicted = FlagFilter(
        "contradicted_since", "isnull", exclude=True, label="The source says otherwise."
    )
    expires_before = DateFilter("expires_on", "lt")
    model_version = IdFilter("version")
    registered_model = IdFilter(
        "registered_model",
        method="filter_model",
        label="Of the model itself, or of a version of it.",
    )

    def filter_state(
        self, queryset: AttestationQuerySet, name: str, value: str
    ) -> AttestationQuerySet:
        return queryset.in_state(value)

    def filter_model(
        self, queryset: QuerySet[Attestation], name: str, value: int
    ) -> QuerySet[Attestation]:
        return queryset.filter(
            Q(registered_model=value) | Q(version__registered_model=value)
        )


class AttestationViewSet(ReadOnlyTenantViewSet[Attestation]):
    """What people attest, of models and versions, the newest first."""

    queryset = Attestation.objects.with_subjects()
    serializer_class = AttestationSerializer
    filterset_class = AttestationFilter
    permissions: ClassVar = {
        "create": Permission.ATTEST,
        "withdraw": Permission.ATTEST,
        "keep": Permission.ATTEST,
    }
    search_fields = (
        "reason",
        "registered_model__name",
        "version__registered_model__name",
    )
    ordering_fields = ("attested_at", "expires_on", "field")
    ordering = ("-attested_at",)

    def get_serializer_class(self) -> type[AttestationSerializer]:
        if self.action == "retrieve":
            return AttestationDetailSerializer
        return AttestationSerializer

    @extend_schema(request=NewAttestationSerializer, responses={201: DoneSerializer})
    def create(self, request: Request) -> Response:
        wanted = NewAttestationSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        told = wanted.validated_data
        file_id = told["evidence_file"]
        files = EvidenceFile.objects.all()
        done = acts.attest(
            field=told["field"],
            value=told["value"],
            reason=told["reason"],
            expires_on=told["expires_on"],
            versions=_all(
                ModelVersion.objects.select_related("registered_model"),
                told["model_versions"],
                name="model_versions",
            ),
            models=_all(
                RegisteredModel.objects.all(),
                told["registered_models"],
                name="registered_models",
            ),
            evidence_file=None
            if file_id is None
            else _all(files, [file_id], name="evidence_file")[0],
        )
        return Response(DoneSerializer(done).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=ReasonSerializer, responses=DoneSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """End it: what the source tells counts again."""
        done = acts.withdraw(self.get_object(), reason=_reason(request))
        return Response(DoneSerializer(done).data)

    @extend_schema(request=ReasonSerializer, responses=DoneSerializer)
    @action(detail=True, methods=["post"])
    def keep(self, request: Request, pk: str) -> Response:
        """Stay with it, having seen what the source says."""
        done = acts.keep(self.get_object(), reason=_reason(request))
        return Response(DoneSerializer(done).data)


def _reason(request: Request) -> str:
    wanted = ReasonSerializer(data=request.data)
    wanted.is_valid(raise_exception=True)
    reason: str = wanted.validated_data["reason"]
    return reason


def _all(rows: QuerySet[M], ids: Iterable[int], *, name: str) -> list[M]:
    """Return the rows of all these ids, or say which one there is not."""
    wanted = list(dict.fromkeys(ids))
    found = rows.in_bulk(wanted)
    if missing := [str(pk) for pk in wanted if pk not in found]:
        raise ValidationError({name: f"There is none with the id {missing[0]}."})
    return [found[pk] for pk in wanted]
