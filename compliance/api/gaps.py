"""Gaps over REST. They are computed: read and worked on here, and closed in MLflow."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.core.validators import RegexValidator
from django.db.models import Prefetch, Q, QuerySet
from django_filters import (
    CharFilter,
    ChoiceFilter,
    IsoDateTimeFilter,
    MultipleChoiceFilter,
    TypedMultipleChoiceFilter,
)
from drf_spectacular.utils import (
    OpenApiExample,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers

from accounts.api import PersonSerializer
from accounts.rest import ReadOnlyTenantViewSet
from compliance.api.fields import GATES, SEVERITIES, SeverityField
from compliance.api.trend import Trends
from compliance.api.work import GapCommentSerializer, Work
from compliance.catalogue import Severity
from compliance.engine import rulebook
from compliance.models import VERDICTS, Evaluation, Gap, GapQuerySet, ResultChange
from compliance.models.work import due, owned_by
from inventory.api import DOCUMENTS, SourceReference
from inventory.api.filters import FlagFilter, IdFilter, PresenceFilter
from inventory.models import ModelVersion
from inventory.records import Stage

WHOSE = "It is the id of a member's user, “me” or “nobody”."


class RemedySerializer(serializers.Serializer[Any]):
    """What to do, and the very call for this model and version, ready to be copied."""

    text = serializers.CharField()
    code = serializers.CharField(help_text="Python; empty where no call puts it right.")
    attestable_fields = serializers.ListField(
        child=serializers.CharField(),
        help_text="Of the record: those that close it when people attest them.",
    )


class VersionReference(serializers.ModelSerializer[ModelVersion]):
    """A model version, as its gaps name it."""

    class Meta:
        model = ModelVersion
        fields = (
            "id",
            "registered_model",
            "model_name",
            "version_number",
            "lifecycle_stage",
            "owner",
        )
        read_only_fields = fields


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "An open gap",
            response_only=True,
            value={
                "id": 7,
                "rule_id": "VW-OWN-001",
                "title": "Every model has an owner",
                "kind": "rule",
                "severity": "high",
                "gate": "block",
                "status": "open",
                "detail": "There is no owner.",
                "model_version": {
                    "id": 12,
                    "registered_model": 4,
                    "model_name": "credit-scoring",
                    "version_number": 3,
                    "lifecycle_stage": "Production",
                    "owner": "",
                },
                "source": {
                    "id": 1,
                    "name": "Production MLflow",
                    "kind": "mlflow",
                    "is_demo": False,
                },
                "remedy": {
                    "text": "Set the tag owner to a person.",
                    "code": "client.set_model_version_tag("
                    '"credit-scoring", "3", "owner", "<person>")',
                    "attestable_fields": ["owner"],
                },
                "controls": ["EUAIA-26"],
                "rule_version": 1,
                "opened_at": "2026-11-20T08:00:00Z",
                "reopened_at": None,
                "closed_at": None,
                "unknown_since": None,
                "waiver": None,
                "waived_until": None,
                "owner": {"id": 4, "email": "max@example.org", "name": "Max"},
                "due_on": "2026-12-31",
                "is_overdue": False,
            },
        )
    ]
)
class GapSerializer(serializers.ModelSerializer[Gap]):
    """A rule that a model version, or a source, does not meet."""

    title = serializers.CharField(help_text="Of the rule.")
    severity = SeverityField()
    gate = serializers.ChoiceField(choices=GATES)
    status = serializers.ChoiceField(
        choices=Gap.Status.choices,
        source="current_status",
        help_text="As of today: what is waived is neither open nor closed.",
    )
    model_version = VersionReference(
        source="version", allow_null=True, help_text="Null where a source is judged."
    )
    source = serializers.SerializerMethodField()  # type: ignore[assignment]  # not Field.source
    remedy = RemedySerializer(allow_null=True)
    controls = serializers.ListField(
        child=serializers.CharField(),
        source="entry.controls",
        default=list,
        help_text="What a pass would be evidence for.",
    )
    owner = PersonSerializer(allow_null=True, help_text="Whose work it is.")
    is_overdue = serializers.BooleanField()

    class Meta:
        model = Gap
        fields: tuple[str, ...] = (
            "id",
            "rule_id",
            "title",
            "kind",
            "severity",
            "gate",
            "status",
            "detail",
            "model_version",
            "source",
            "remedy",
            "controls",
            "rule_version",
            "opened_at",
            "reopened_at",
            "closed_at",
            "unknown_since",
            "waiver",
            "waived_until",
            "owner",
            "due_on",
            "is_overdue",
        )
        read_only_fields: tuple[str, ...] = fields

    @extend_schema_field(SourceReference)
    def get_source(self, gap: Gap) -> Any:
        return SourceReference(gap.version.source if gap.version else gap.source).data


class ResultSerializer(serializers.Serializer[Any]):
    """The latest answer of a rule, and what it answered on."""

    rule_id = serializers.CharField()
    title = serializers.CharField()
    verdict = serializers.ChoiceField(choices=VERDICTS)
    detail = serializers.CharField()
    inputs = serializers.DictField(help_text="The facts that the rule saw.")
    thresholds = serializers.DictField(child=serializers.FloatField())
    version = serializers.IntegerField(help_text="Of the rule.")
    policy = serializers.IntegerField(
        help_text="The number of the policy under which it was judged."
    )
    since = serializers.DateTimeField(help_text="When the verdict became what it is.")


def results_of(evaluation: Evaluation | None) -> list[dict[str, Any]]:
    """Return the latest result of every rule that was on, in the order of the rulebook."""
    if evaluation is None:
        return []
    known = [rule.id for rule in rulebook if rule.id in evaluation.results]
    gone = sorted(evaluation.results.keys() - set(known))
    return [result_of(evaluation, rule_id) for rule_id in (*known, *gone)]


def result_of(evaluation: Evaluation, rule_id: str) -> dict[str, Any]:
    rule = rulebook.get(rule_id)
    return {
        "rule_id": rule_id,
        "title": rule.entry.title if rule else rule_id,
        **evaluation.result(rule_id),
        "policy": evaluation.policy,
    }


class GapChangeSerializer(serializers.ModelSerializer[ResultChange]):
    """What happened to a gap after it was opened first."""

    class Meta:
        model = ResultChange
        fields = ("at", "event", "before", "after", "detail", "policy")
        read_only_fields = fields


class GapDetailSerializer(GapSerializer):
    result = serializers.SerializerMethodField(
        help_text="What the rule said last; null where it is switched off."
    )
    changes = GapChangeSerializer(many=True)
    comments = GapCommentSerializer(many=True)

    class Meta(GapSerializer.Meta):
        fields = (*GapSerializer.Meta.fields, "result", "changes", "comments")
        read_only_fields = fields

    @extend_schema_field(ResultSerializer(allow_null=True))
    def get_result(self, gap: Gap) -> Any:
        evaluation = getattr(gap.version or gap.source, "evaluation", None)
        if evaluation is None or gap.rule_id not in evaluation.results:
            return None
        return ResultSerializer(result_of(evaluation, gap.rule_id)).data


class GapFilter(PresenceFilter):
    absent_since = "version__absent_since"

    status = MultipleChoiceFilter(
        choices=Gap.Status.choices,
        distinct=False,
        method="filter_status",
        label="As of today.",
    )
    severity = TypedMultipleChoiceFilter(
        choices=SEVERITIES,
        coerce=lambda name: Severity[name.upper()],
        distinct=False,
    )
    kind = ChoiceFilter(choices=Gap.Kind.choices)
    rule_id = CharFilter("rule_id")
    model_version = IdFilter("version")
    registered_model = IdFilter("version__registered_model")
    model_name = CharFilter("version__registered_model__name", label="The whole name.")
    source = IdFilter(
        "source", method="filter_source", label="Of the version, or judged itself."
    )
    lifecycle_stage = MultipleChoiceFilter(
        "version__lifecycle_stage",
        choices=[(stage.value, stage.value) for stage in Stage],
        distinct=False,
    )
    owner = CharFilter(
        method="filter_owner",
        validators=[RegexValidator(r"^(me|nobody|[0-9]{1,18})$", WHOSE)],
        label="Of the gap: the id of a member's user, “me” or “nobody”.",
    )
    due = ChoiceFilter(
        choices=(("week", "within 7 days"), ("none", "no day is set")),
        method="filter_due",
        label="When it is to be closed.",
    )
    overdue = FlagFilter(
        "due_on", method="filter_overdue", label="It should have been closed by now."
    )
    model_owner = CharFilter("version__owner", "iexact", label="Of the version.")
    cannot_be_checked = FlagFilter("unknown_since", "isnull", exclude=True)
    opened_since = IsoDateTimeFilter("opened_at", "gte")

    def filter_status(
        self, queryset: QuerySet[Gap], name: str, value: list[str]
    ) -> QuerySet[Gap]:
        gaps = cast(GapQuerySet, queryset)
        return gaps.of(*map(Gap.Status, value)) if value else gaps

    def filter_owner(
        self, queryset: QuerySet[Gap], name: str, value: str
    ) -> QuerySet[Gap]:
        return queryset.filter(owned_by(value))

    def filter_due(
        self, queryset: QuerySet[Gap], name: str, value: str
    ) -> QuerySet[Gap]:
        return queryset.filter(due(value))

    def filter_overdue(
        self, queryset: QuerySet[Gap], name: str, value: bool
    ) -> QuerySet[Gap]:
        found = due("overdue")
        return queryset.filter(found) if value else queryset.exclude(found)

    def filter_presence(
        self, queryset: QuerySet[Any], name: str, value: str
    ) -> QuerySet[Any]:
        """Count that a version is no longer told among the gaps of the present."""
        if value == "present":
            return cast("GapQuerySet", queryset).present()
        return super().filter_presence(queryset, name, value)

    def filter_source(
        self, queryset: QuerySet[Gap], name: str, value: int
    ) -> QuerySet[Gap]:
        return queryset.filter(Q(source=value) | Q(version__source=value))


class GapViewSet(Work, Trends, ReadOnlyTenantViewSet[Gap]):
    """The gaps, open, waived and closed, worst first."""

    queryset = Gap.objects.select_related(
        "source", "version__source", "version__registered_model", "owner"
    ).defer(*(f"version__{name}" for name in DOCUMENTS))
    filterset_class = GapFilter
    search_fields = ("rule_id", "detail", "version__registered_model__name")
    ordering_fields: ClassVar = {
        "severity": "severity",
        "opened_at": "opened_at",
        "closed_at": "closed_at",
        "due_on": "due_on",
        "rule_id": "rule_id",
        "model_name": "version__registered_model__name",
    }
    ordering = ("-severity", "opened_at")

    def get_queryset(self) -> QuerySet[Gap]:
        gaps = super().get_queryset()
        if self.action == "retrieve":
            told = Evaluation.objects.told()
            return gaps.prefetch_related(
                Prefetch("version__evaluation", told),
                Prefetch("source__evaluation", told),
                "changes",
                "comments__author",
            )
        return gaps

    def get_serializer_class(self) -> type[GapSerializer]:
        return GapDetailSerializer if self.action == "retrieve" else GapSerializer
