"""The list of gaps, worst first, and the page of one."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import markup
from accounts.admin.saved_views import OffersViews
from accounts.models import Membership
from accounts.roles import Permission
from compliance import markup as parts
from compliance.admin import gap_filters as filters
from compliance.admin.happenings import happenings
from compliance.admin.shown import shown_gap
from compliance.admin.trend import TrendPages
from compliance.admin.waivers import ask_address
from compliance.admin.working import WorkPages, work_address
from compliance.models import Evaluation, Gap, Waiver
from compliance.work import MOST_AT_ONCE
from inventory.admin.models import HEAVY
from inventory.people import person_named

TOO_MANY = (
    f"Choose {MOST_AT_ONCE} gaps at most. A rule that is not to count on a model, or on "
    "all models, needs one waiver only: ask for it on the page of any of its gaps."
)


@admin.register(Gap)
class GapAdmin(OffersViews[Gap], TrendPages, WorkPages):
    """Gaps are computed; people work on them, close them in MLflow, or ask for a waiver."""

    record_template = "compliance/gap.html"
    permissions: ClassVar = {
        "view": Permission.VIEW,
        "ask": Permission.ASK_WAIVER,
        "attest": Permission.ATTEST,
        "work": Permission.WORK_ON_GAPS,
    }
    list_name = "gaps"
    built_in_views = (
        ("Mine", "owner=me&kind=all"),
        ("Overdue", "due=overdue&kind=all"),
        ("Nobody’s", "owner=nobody"),
        ("Blocking production", "gate=block&stage=Production"),
        ("Waived, ending within 30 days", "status=ending&kind=all"),
    )
    neighbours = (("Trend", "admin:compliance_gap_trend"),)
    list_display = (
        "shown_severity",
        "shown_title",
        "shown_subject",
        "shown_owner",
        "shown_due",
        "shown_detail",
        "shown_gate",
        "shown_since",
    )
    list_display_links = ("shown_title",)
    list_filter: ClassVar[Any] = (
        filters.ModelFilter,
        filters.SeverityFilter,
        filters.StatusFilter,
        filters.OwnerFilter,
        filters.DueFilter,
        filters.StageFilter,
        filters.GateFilter,
        filters.KindFilter,
        filters.RuleFilter,
    )
    list_select_related = ("version__registered_model", "source", "owner")
    search_fields = ("rule_id", "detail", "version__registered_model__name")
    search_help_text = "Model, rule or words of the gap"
    ordering = ("-severity", "opened_at", "pk")
    actions = ("assign_gaps", "set_due_dates", "comment_on_gaps", "ask_for_waivers")

    def for_list(self, rows: QuerySet[Gap]) -> QuerySet[Gap]:
        members = Membership.objects.active().filter(user=OuterRef("owner"))
        return rows.defer(*(f"version__{name}" for name in HEAVY)).annotate(
            owner_is_member=Exists(members)
        )

    def for_page(self, rows: QuerySet[Gap]) -> QuerySet[Gap]:
        told = Evaluation.objects.told()
        return (
            rows.select_related(
                "version__registered_model", "source", "owner", "waiver__decided_by"
            )
            .prefetch_related(
                Prefetch("version__evaluation", told),
                Prefetch("source__evaluation", told),
            )
            .annotate(model_owner=person_named("version__owner"))
        )

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

    @admin.display(description="owner", ordering="owner__name")
    def shown_owner(self, gap: Any) -> SafeString:
        if gap.owner is None:
            return markup.NOTHING
        if gap.owner_is_member:
            return format_html('<span class="vw-short">{}</span>', gap.owner)
        left = markup.chip("left", "weak", title="No active member: it is nobody’s")
        return format_html('<span class="vw-short">{}</span> {}', gap.owner, left)

    @admin.display(description="due", ordering="due_on")
    def shown_due(self, gap: Gap) -> SafeString:
        return parts.due(gap)

    @admin.display(description="open since", ordering="opened_at")
    def shown_since(self, gap: Gap) -> SafeString:
        return markup.moment(gap.reopened_at or gap.opened_at)

    def has_work_permission(self, request: HttpRequest) -> bool:
        return self._may("work")

    @admin.action(description="Assign…", permissions=["work"])
    def assign_gaps(
        self, request: HttpRequest, queryset: QuerySet[Gap]
    ) -> HttpResponse | None:
        return self._choose(request, queryset, "assign")

    @admin.action(description="Set the due date…", permissions=["work"])
    def set_due_dates(
        self, request: HttpRequest, queryset: QuerySet[Gap]
    ) -> HttpResponse | None:
        return self._choose(request, queryset, "due")

    @admin.action(description="Comment…", permissions=["work"])
    def comment_on_gaps(
        self, request: HttpRequest, queryset: QuerySet[Gap]
    ) -> HttpResponse | None:
        return self._choose(request, queryset, "comment")

    def _choose(
        self, request: HttpRequest, queryset: QuerySet[Gap], act: str
    ) -> HttpResponse | None:
        """Lead to the page that asks for the rest; it leads back to the list as it is."""
        ids = list(queryset.values_list("pk", flat=True)[: MOST_AT_ONCE + 1])
        if len(ids) > MOST_AT_ONCE:
            messages.warning(request, f"Choose {MOST_AT_ONCE} gaps at most.")
            return None
        return redirect(work_address(act, ids, back=request.GET.urlencode()))

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
        """Costs three queries: what happened, waivers asked for, who may work on it."""
        subject = row.version or row.source
        evaluation = getattr(subject, "evaluation", None)
        may_ask = self._may("ask") and row.is_open
        return {
            "shown": shown_gap(row, evaluation),
            "may_attest": self._may("attest") and not row.is_closed,
            "judged_under": evaluation.policy if evaluation else 0,
            "subject_address": subject_address(row),
            "happenings": happenings(row),
            **self.work_context(row),
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
