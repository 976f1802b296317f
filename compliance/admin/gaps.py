"""The list of gaps, worst first, and the page of one."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import markup
from accounts.filters import ChoiceFilter
from accounts.pages import RecordPage
from accounts.roles import Permission
from compliance import markup as parts
from compliance.admin.shown import shown_gap
from compliance.admin.waivers import ask_address
from compliance.catalogue import Severity
from compliance.markup import title
from compliance.models import Gap, GapQuerySet, Waiver
from inventory.admin.filters import ModelFilter as VersionsModelFilter
from inventory.admin.models import HEAVY

MOST_AT_ONCE = 200
TOO_MANY = (
    f"Choose {MOST_AT_ONCE} gaps at most. A rule that is not to count on a model, or on "
    "all models, needs one waiver only: ask for it on the page of any of its gaps."
)


class SeverityFilter(ChoiceFilter):
    title = "severity"
    parameter_name = "severity"
    choices_offered = tuple(
        (level.name.lower(), level.label) for level in sorted(Severity, reverse=True)
    )

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(severity=Severity[choice.upper()])


class RuleFilter(ChoiceFilter):
    """The rules of which there are gaps. Costs one query."""

    title = "rule"
    parameter_name = "rule"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        ids = Gap.objects.order_by("rule_id").values_list("rule_id", flat=True)
        return [
            (rule_id, f"{title(rule_id)} ({rule_id})") for rule_id in ids.distinct()
        ]

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(rule_id=choice)


class StatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status"
    default = "open"
    choices_offered = (
        ("open", "Open"),
        ("unknown", "Open, cannot be checked now"),
        ("waived", "Waived"),
        ("closed", "Closed"),
        ("absent", "Open, of versions no longer told"),
    )

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        gaps = cast(GapQuerySet, rows)
        if choice == "closed":
            return rows.filter(status=Gap.Status.CLOSED)
        if choice == "waived":
            return gaps.waived().present()
        rows = gaps.open()
        if choice == "absent":
            return rows.filter(version__absent_since__isnull=False)
        rows = gaps.open().present()
        return rows.filter(unknown_since__isnull=False) if choice == "unknown" else rows


class KindFilter(ChoiceFilter):
    title = "kind"
    parameter_name = "kind"
    default = Gap.Kind.RULE.value
    choices_offered = tuple((kind.value, str(kind.label)) for kind in Gap.Kind)

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(kind=choice)


class ModelFilter(VersionsModelFilter):
    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(version__registered_model_id=choice)


@admin.register(Gap)
class GapAdmin(RecordPage[Gap]):
    """Gaps are computed; people close them in MLflow, or ask for a waiver."""

    record_template = "compliance/gap.html"
    permissions: ClassVar = {
        "view": Permission.VIEW,
        "ask": Permission.ASK_WAIVER,
        "attest": Permission.ATTEST,
    }
    list_display = (
        "shown_severity",
        "shown_title",
        "shown_subject",
        "shown_detail",
        "shown_gate",
        "shown_since",
    )
    list_display_links = ("shown_title",)
    list_filter: ClassVar[Any] = (
        ModelFilter,
        SeverityFilter,
        StatusFilter,
        KindFilter,
        RuleFilter,
    )
    list_select_related = ("version__registered_model", "source")
    search_fields = ("rule_id", "detail", "version__registered_model__name")
    search_help_text = "Model, rule or words of the gap"
    ordering = ("-severity", "opened_at", "pk")
    actions = ("ask_for_waivers",)

    def for_list(self, rows: QuerySet[Gap]) -> QuerySet[Gap]:
        return rows.defer(*(f"version__{name}" for name in HEAVY))

    def for_page(self, rows: QuerySet[Gap]) -> QuerySet[Gap]:
        return rows.select_related(
            "version__registered_model", "source", "waiver__decided_by"
        ).prefetch_related("version__evaluation", "source__evaluation")

    @admin.display(description="severity", ordering="severity")
    def shown_severity(self, gap: Gap) -> SafeString:
        return parts.severity(gap.severity)

    @admin.display(description="gap", ordering="rule_id")
    def shown_title(self, gap: Gap) -> SafeString:
        return format_html(
            '<span class="vw-title">{}</span> <span class="vw-id">{}</span>',
            gap.title,
            gap.rule_id,
        )

    @admin.display(description="version", ordering="version__registered_model__name")
    def shown_subject(self, gap: Gap) -> SafeString:
        if gap.version is None:
            return format_html("{}", gap.source)
        return markup.link(subject_address(gap), gap.version)

    @admin.display(description="what was seen")
    def shown_detail(self, gap: Gap) -> SafeString:
        return format_html('<span class="vw-detail" title="{0}">{0}</span>', gap.detail)

    @admin.display(description="gate")
    def shown_gate(self, gap: Gap) -> str:
        return str(gap.get_gate_display())

    @admin.display(description="open since", ordering="opened_at")
    def shown_since(self, gap: Gap) -> SafeString:
        return markup.moment(gap.reopened_at or gap.opened_at)

    def has_ask_permission(self, request: HttpRequest) -> bool:
        return self._may("ask")

    @admin.action(description="Ask for a waiver…", permissions=["ask"])
    def ask_for_waivers(
        self, request: HttpRequest, queryset: QuerySet[Gap]
    ) -> HttpResponse | None:
        ids = list(queryset.values_list("pk", flat=True)[: MOST_AT_ONCE + 1])
        if len(ids) > MOST_AT_ONCE:
            messages.warning(request, TOO_MANY)
            return None
        return redirect(ask_address(ids))

    def record_context(self, request: HttpRequest, row: Gap) -> dict[str, Any]:
        """Costs two queries: the changes, and what waivers were asked for."""
        subject = row.version or row.source
        evaluation = getattr(subject, "evaluation", None)
        may_ask = self._may("ask") and row.is_open
        return {
            "shown": shown_gap(row, evaluation),
            "may_attest": self._may("attest") and not row.is_closed,
            "judged_under": evaluation.policy if evaluation else 0,
            "subject_address": subject_address(row),
            "gap_changes": list(row.changes.all()),
            "requests": list(row.waivers.requested()),
            "ask_address": ask_address([row.pk]) if may_ask else "",
            "inapplicable_address": ask_address([row.pk], Waiver.Kind.NOT_APPLICABLE)
            if may_ask
            else "",
        }


def subject_address(gap: Gap) -> str:
    """Return where the gap is shown among all that is known of its version."""
    if gap.version_id is None:
        return ""
    page = reverse("admin:inventory_modelversion_change", args=[gap.version_id])
    return f"{page}#{gap.rule_id}"
