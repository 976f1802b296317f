"""The inventory's pages with what is judged: badges, verdicts, gaps and their remedies."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import (
    F,
    IntegerField,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.functions import Coalesce, JSONObject
from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts import markup
from accounts.filters import ChoiceFilter
from compliance import markup as parts
from compliance.admin.shown import shown_checks, shown_gap
from compliance.catalogue import Severity
from compliance.markup import evaluation_of
from compliance.models import Evaluation, Gap, ResultChange
from compliance.standing import standing
from inventory.admin import ModelVersionAdmin, RegisteredModelAdmin
from inventory.admin.filters import having
from inventory.models import ModelVersion, RegisteredModel
from inventory.records import Stage

CHANGES_SHOWN = 30


class SeverityFilter(ChoiceFilter):
    """Models and versions with an open gap of a severity, a waived one, or with none."""

    title = "gaps"
    parameter_name = "severity"
    choices_offered = (
        *(
            (level.name.lower(), level.label)
            for level in sorted(Severity, reverse=True)
        ),
        ("missing_fields", "Missing fields"),
        ("waived", "Waived"),
        ("none", "No gaps"),
        ("unjudged", "Not judged yet"),
    )

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        if choice == "unjudged":
            return having(rows, Q(evaluation=None))
        some = Q()
        for name in Evaluation.COUNTS:
            some |= Q(**{f"evaluation__{name}__gt": 0})
        if choice != "none":
            return having(rows, Q(**{f"evaluation__{choice}__gt": 0}))
        if rows.model is ModelVersion:
            return rows.filter(~some, evaluation__isnull=False)
        gapless = rows.exclude(pk__in=having(rows, some).values("pk"))
        return gapless.filter(out_of_scope="")


class JudgedModelAdmin(RegisteredModelAdmin):
    """Models with the gaps of their present versions."""

    record_template = "compliance/model.html"
    list_display = (
        "shown_name",
        "shown_gaps",
        "shown_versions",
        "shown_production",
        "shown_owner",
        "shown_completeness",
        "shown_source",
        "shown_change",
    )
    list_filter = (SeverityFilter, *RegisteredModelAdmin.list_filter)

    def get_queryset(self, request: HttpRequest) -> QuerySet[RegisteredModel]:
        return with_gaps(super().get_queryset(request))

    @admin.display(description="open gaps", ordering="-gap_rank")
    def shown_gaps(self, model: Any) -> SafeString:
        return markup.NOTHING if model.out_of_scope else parts.badges(model.gap_counts)

    def versions_of(self, row: RegisteredModel) -> QuerySet[ModelVersion]:
        counts = Evaluation.objects.without_documents()
        return super().versions_of(row).prefetch_related(Prefetch("evaluation", counts))


class JudgedVersionAdmin(ModelVersionAdmin):
    """Versions with their gaps, each with what was seen and how it is closed."""

    record_template = "compliance/version.html"
    list_display = (
        "shown_version",
        "shown_stage",
        "shown_gaps",
        "shown_owner",
        "shown_sensitivity",
        "shown_completeness",
        "shown_source",
        "shown_change",
    )
    list_filter = (SeverityFilter, *ModelVersionAdmin.list_filter)

    def for_list(self, rows: QuerySet[ModelVersion]) -> QuerySet[ModelVersion]:
        """Costs one query more: the counts of the page's versions."""
        counts = Evaluation.objects.without_documents()
        return super().for_list(rows).prefetch_related(Prefetch("evaluation", counts))

    def for_page(self, rows: QuerySet[ModelVersion]) -> QuerySet[ModelVersion]:
        told = Evaluation.objects.told()
        return super().for_page(rows).prefetch_related(Prefetch("evaluation", told))

    @admin.display(description="open gaps", ordering="-evaluation__critical")
    def shown_gaps(self, version: ModelVersion) -> SafeString:
        return parts.badges_of(version)

    def record_context(self, request: HttpRequest, row: ModelVersion) -> dict[str, Any]:
        """Costs two queries beside the record's: live gaps, and their changes."""
        evaluation = evaluation_of(row)
        live = [
            shown_gap(gap, evaluation)
            for gap in Gap.objects.live()
            .filter(version=row)
            .select_related("waiver__decided_by")
        ]
        for shown in live:
            shown.gap.version = row
        gaps = [shown for shown in live if shown.gap.is_open]
        waived = [shown for shown in live if shown.gap.is_waived]
        return super().record_context(request, row) | {
            "evaluation": evaluation,
            "standing": standing(
                (gap for gap in gaps if not gap.is_missing_field),
                is_judged=evaluation is not None,
                is_production=row.lifecycle_stage == Stage.PRODUCTION,
                waived=len(waived),
            ),
            "gaps": [gap for gap in gaps if not gap.is_missing_field],
            "missing_fields": [gap for gap in gaps if gap.is_missing_field],
            "waived": waived,
            "checks": shown_checks(
                evaluation, without=[shown.gap.rule_id for shown in live]
            ),
            "gap_changes": list(
                ResultChange.objects.filter(version=row).exclude(event="none")[
                    :CHANGES_SHOWN
                ]
            ),
        }


def with_gaps(models: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    """Annotate models with the gaps of their present versions.

    `gap_counts` maps `Evaluation.COUNTS` to numbers, None where nothing was judged;
    `gap_rank` orders by the gravest. Subqueries: a page costs what its rows cost.
    """
    judged = (
        Evaluation.objects.filter(
            version__registered_model=OuterRef("pk"), version__absent_since=None
        )
        .order_by()
        .values("version__registered_model")
        .annotate(**{f"sum_{name}": Sum(name) for name in Evaluation.COUNTS})
    )
    told = JSONObject(**{name: f"sum_{name}" for name in Evaluation.COUNTS})
    rank = F("sum_critical") * 1_000_000 + F("sum_high") * 1_000 + F("sum_medium")
    return models.annotate(
        gap_counts=Subquery(judged.annotate(told=told).values("told")),
        gap_rank=Coalesce(
            Subquery(judged.annotate(rank=rank).values("rank")),
            -1,
            output_field=IntegerField(),
        ),
    )
