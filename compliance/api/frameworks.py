"""The frameworks over REST: evidence for their controls, now or as of a moment."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils.timezone import now
from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
)
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.roles import Permission
from compliance.api.fields import GATES, SeverityField
from compliance.frameworks.control_map import Framework, Strength, control_map
from compliance.frameworks.counting import NO_EVIDENCE, State
from compliance.frameworks.exports.formats import FORMATS
from compliance.frameworks.lines import (
    GapLine,
    VersionLine,
    control_standings,
    lines_called,
    standings_in,
)
from compliance.frameworks.moments import moment_of
from compliance.frameworks.report import (
    ControlLine,
    Report,
    Scope,
    Summary,
    report,
    summaries,
)
from compliance.frameworks.taking import taken
from compliance.models import Standing

STATES = [(state.value, state.label) for state in State]
STRENGTHS = [(strength.value, strength.label) for strength in Strength]
EVIDENCE = [*STRENGTHS, (NO_EVIDENCE, "No evidence")]
SCOPE = ("in_production", "declared", "as_of")


class ScopeSerializer(serializers.Serializer[Any]):
    """Of which versions it tells, and as of when: all that are told, now, by default."""

    in_production = serializers.BooleanField(default=False)
    declared = serializers.BooleanField(
        default=False,
        help_text="Only versions whose regulatory scope names the framework.",
    )
    as_of = serializers.CharField(
        required=False,
        help_text="A day, meaning its end in UTC, or a moment, of the past.",
    )

    def validate_as_of(self, told: str) -> datetime | None:
        try:
            return moment_of(told, now=now())
        except ValueError as fault:
            raise serializers.ValidationError(str(fault)) from fault


class LinesSerializer(ScopeSerializer):
    """The versions behind a control's figures, or of all controls."""

    control = serializers.CharField(required=False, help_text="The id of one control.")
    evidence = serializers.ChoiceField(
        choices=EVIDENCE,
        required=False,
        help_text="Their best evidence for the control.",
    )
    state = serializers.ChoiceField(
        choices=STATES, required=False, help_text="How the control's rules stand."
    )

    def validate(self, told: dict[str, Any]) -> dict[str, Any]:
        if "control" not in told and ("evidence" in told or "state" in told):
            raise serializers.ValidationError(
                {"control": "Say of which control: evidence and state are of one."}
            )
        return told


class FileSerializer(ScopeSerializer):
    """Which file, of which versions and as of when."""

    format = serializers.ChoiceField(
        choices=[(each.key, each.label) for each in FORMATS.values()]
    )


class FrameworkSerializer(serializers.Serializer[Framework]):
    """A law or a standard: in force since a day, perhaps until one."""

    id = serializers.CharField()
    name = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.CharField()
    since = serializers.DateField(help_text="In force from this day on.")
    until = serializers.DateField(allow_null=True, help_text="Superseded on this day.")
    superseded_by = serializers.CharField()
    doubt = serializers.CharField(help_text="What we are not sure of.")


class SummarySerializer(serializers.Serializer[Summary]):
    """A framework, and how many of its controls there are of which kind.

    Each control counts once: for the first that is true of it.
    """

    id = serializers.CharField(source="framework.id")
    name = serializers.CharField(source="framework.name")
    title = serializers.CharField(source="framework.title")
    since = serializers.DateField(source="framework.since")
    until = serializers.DateField(source="framework.until", allow_null=True)
    versions = serializers.IntegerField()
    controls = serializers.IntegerField()
    outside = serializers.IntegerField(help_text="A registry cannot show them.")
    by_product = serializers.IntegerField(
        help_text="Evidenced by what VerifyWise does."
    )
    with_gaps = serializers.IntegerField(help_text="A gap is open somewhere.")
    undecided = serializers.IntegerField(
        help_text="A rule cannot be decided somewhere."
    )
    evidenced = serializers.IntegerField(
        help_text="Every version has direct or partial evidence."
    )
    partly = serializers.IntegerField()
    bare = serializers.IntegerField()


class FieldLineSerializer(serializers.Serializer[Any]):
    """A field that is evidence for a control."""

    field = serializers.CharField(source="field.name")
    title = serializers.CharField(source="field.label")
    strength = serializers.ChoiceField(choices=STRENGTHS)
    known = serializers.IntegerField(help_text="Of so many versions.")


class RuleLineSerializer(serializers.Serializer[Any]):
    """A rule about a control, and with how many versions it stands how."""

    rule_id = serializers.CharField()
    title = serializers.CharField(source="entry.title")
    is_of_sources = serializers.BooleanField(
        help_text="It judges sources: the numbers are of them."
    )
    states = serializers.DictField(child=serializers.IntegerField())


class CapabilitySerializer(serializers.Serializer[Any]):
    """What VerifyWise does for a control, or will do."""

    id = serializers.CharField()
    title = serializers.CharField()
    is_planned = serializers.BooleanField()


class ControlLineSerializer(serializers.Serializer[ControlLine]):
    """A control: how many versions have which evidence for it, and which gaps."""

    id = serializers.CharField(source="control.id")
    reference = serializers.CharField(source="control.reference")
    requirement = serializers.CharField(source="control.requirement")
    applies_from = serializers.DateField(source="control.applies_from", allow_null=True)
    outside = serializers.CharField(
        source="control.outside", help_text="Why a registry cannot show it; or empty."
    )
    evidence = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="Versions by their best evidence: direct, partial, context, none.",
    )
    states = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="Versions by the worst of its rules: open, undecided, waived, met, "
        "not_applicable.",
    )
    fields = FieldLineSerializer(many=True)  # type: ignore[assignment]  # the serializer's own
    rules = RuleLineSerializer(many=True)
    capabilities = CapabilitySerializer(many=True, source="control.capabilities")


class ReportSerializer(serializers.Serializer[Report]):
    """A framework with all its controls. Evidence for them, never compliance."""

    framework = FrameworkSerializer()
    in_production = serializers.BooleanField(source="scope.in_production")
    declared = serializers.BooleanField(source="scope.declared")
    as_of = serializers.DateTimeField(source="moment")
    is_in_force = serializers.BooleanField()
    versions = serializers.IntegerField(help_text="The denominator of all evidence.")
    policy = serializers.IntegerField(help_text="The number of the one in force.")
    map_revision = serializers.IntegerField()
    map_digest = serializers.CharField(source="framework.digest")
    kept_since = serializers.DateTimeField(
        source="first_kept",
        allow_null=True,
        help_text="Nothing can be told of before.",
    )
    controls = ControlLineSerializer(many=True)


class ValueSerializer(serializers.Serializer[Any]):
    value = serializers.JSONField(allow_null=True, help_text="Null: it was not told.")
    told_by = serializers.CharField()


class GapLineSerializer(serializers.Serializer[GapLine]):
    """A gap that was open or waived."""

    rule_id = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=STATES)
    severity = SeverityField()
    gate = serializers.ChoiceField(choices=GATES)
    detail = serializers.CharField()
    since = serializers.DateTimeField()
    unknown_since = serializers.DateTimeField(allow_null=True)
    waiver = serializers.CharField()


class VersionLineSerializer(serializers.Serializer[VersionLine]):
    """A version as it was called, what it told, and how the rules stood with it."""

    model_version = serializers.IntegerField(
        source="version_id", help_text="Its id in the inventory."
    )
    model = serializers.CharField(source="subject.model")
    version = serializers.IntegerField(source="subject.version")
    server = serializers.CharField(source="subject.source")
    lifecycle_stage = serializers.CharField(source="subject.stage")
    values = serializers.SerializerMethodField()
    states = serializers.DictField(child=serializers.ChoiceField(choices=STATES))
    gaps = GapLineSerializer(many=True)

    @extend_schema_field(serializers.DictField(child=ValueSerializer()))
    def get_values(self, line: VersionLine) -> Any:
        return {
            name: {"value": value.value, "told_by": value.told_by}
            for name, value in line.values.items()
        }


FRAMEWORK = OpenApiParameter("id", str, OpenApiParameter.PATH, description="EUAIA")


class FrameworkViewSet(GenericViewSet[Any]):
    """Laws and standards: for which controls there is evidence, and where it lacks."""

    queryset = Standing.objects.none()  # counts of rows, not rows
    serializer_class = SummarySerializer
    metadata_class = None
    lookup_value_regex = "[^/]+"
    permissions: ClassVar = {"export": Permission.EXPORT}
    query_parameters: ClassVar = SCOPE

    @extend_schema(parameters=[ScopeSerializer])
    def list(self, request: Request) -> Response:
        found = self.filter_queryset(summaries(self._scope(request)))  # type: ignore[arg-type]  # no rows
        page = self.paginate_queryset(found)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(parameters=[FRAMEWORK, ScopeSerializer], responses=ReportSerializer)
    def retrieve(self, request: Request, pk: str) -> Response:
        self.filter_queryset(self.get_queryset())  # refuses unknown parameters
        found = report(_framework(pk), self._scope(request))
        return Response(ReportSerializer(found).data)

    @extend_schema(
        parameters=[FRAMEWORK, LinesSerializer],
        responses=VersionLineSerializer(many=True),
    )
    @action(
        detail=True,
        query_parameters=(*SCOPE, "control", "evidence", "state", "page", "page_size"),
    )
    def versions(self, request: Request, pk: str) -> Response:
        """Tell the versions with their values, as they were at the moment."""
        self.filter_queryset(self.get_queryset())  # refuses unknown parameters
        framework = _framework(pk)
        told = LinesSerializer(data=request.query_params)
        told.is_valid(raise_exception=True)
        wanted = told.validated_data
        scope = _scope_of(wanted)
        rows = (
            standings_in(framework, scope)
            .exclude(version=None)
            .order_by(
                "version__registered_model__name", "-version__version_number", "pk"
            )
        )
        fields = framework.fields
        if "control" in wanted:
            control = framework.controls.get(wanted["control"])
            if control is None:
                raise ValidationError(
                    {"control": f"{framework.name} has no control {wanted['control']}."}
                )
            rows = control_standings(
                framework,
                control,
                scope,
                evidence=wanted.get("evidence", ""),
                state=wanted.get("state", ""),
            )
            fields = tuple(
                name for strength in Strength for name in control.fields[strength]
            )
        page = self.paginate_queryset(rows.values_list("version_id", flat=True)) or []
        lines = lines_called(
            framework, scope, page, moment=scope.at or now(), fields=fields
        )
        serializer: Any = VersionLineSerializer(lines, many=True)  # type: ignore[arg-type]  # many
        return self.get_paginated_response(serializer.data)

    @extend_schema(
        parameters=[FRAMEWORK, FileSerializer], responses={(200, "*/*"): bytes}
    )
    @action(detail=True, query_parameters=(*SCOPE, "format"))
    def export(self, request: Request, pk: str) -> HttpResponseBase:
        """Return the report as a file; the trail keeps who took it."""
        self.filter_queryset(self.get_queryset())  # refuses unknown parameters
        framework = _framework(pk)
        told = FileSerializer(data=request.query_params)
        told.is_valid(raise_exception=True)
        wanted = told.validated_data
        return taken(framework, _scope_of(wanted), wanted["format"])

    @staticmethod
    def _scope(request: Request) -> Scope:
        told = ScopeSerializer(data=request.query_params)
        told.is_valid(raise_exception=True)
        return _scope_of(told.validated_data)


def _scope_of(told: dict[str, Any]) -> Scope:
    return Scope(
        in_production=told["in_production"],
        declared=told["declared"],
        at=told.get("as_of"),
    )


def _framework(framework_id: str) -> Framework:
    framework = control_map().frameworks.get(framework_id)
    if framework is None:
        raise Http404
    return framework
