"""The list of waivers, the page of one with the acts on it, and the form to ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from accounts import markup, tenancy
from accounts.filters import ChoiceFilter
from accounts.pages import RecordPage
from accounts.roles import Permission
from compliance import waivers as acts
from compliance.admin.asking import AskForm
from compliance.exceptions import WaiverSettled
from compliance.markup import title
from compliance.models import Gap, Waiver
from compliance.models.waivers import WaiverQuerySet

GAPS_SHOWN = 50
# Each act on a waiver, and what is said when it is done.
ACTS: Mapping[str, tuple[Callable[..., Waiver], str]] = {
    "approve": (acts.approve, "{} was approved."),
    "refuse": (acts.refuse, "{} was refused."),
    "withdraw": (acts.withdraw, "{} was withdrawn."),
    "revoke": (acts.revoke, "{} was revoked: its gaps are open again."),
}


class QueueFilter(ChoiceFilter):
    """Where a waiver stands as of today."""

    title = "queue"
    parameter_name = "queue"
    choices_offered = (
        ("requested", "To be decided on"),
        ("in_force", "In force"),
        ("expiring", "Expiring in 30 days"),
        ("ended", "Ended"),
    )

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        waivers = cast(WaiverQuerySet, rows)
        narrowed: Mapping[str, Callable[[], QuerySet[Any]]] = {
            "requested": waivers.requested,
            "in_force": waivers.in_force,
            "expiring": waivers.expiring,
            "ended": waivers.ended,
        }
        return narrowed[choice]()


class KindFilter(ChoiceFilter):
    title = "kind"
    parameter_name = "kind"
    choices_offered = tuple((kind.value, str(kind.label)) for kind in Waiver.Kind)

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(kind=choice)


@admin.register(Waiver)
class WaiverAdmin(RecordPage[Waiver]):
    """Waivers are asked for on the pages of gaps, and decided on here."""

    record_template = "compliance/waiver.html"
    list_display = (
        "shown_status",
        "shown_rule",
        "shown_subject",
        "shown_reason",
        "shown_end",
        "shown_requested",
    )
    list_display_links = ("shown_rule",)
    list_filter: ClassVar[Any] = (QueueFilter, KindFilter)
    list_select_related = (
        "gap__version__registered_model",
        "gap__source",
        "registered_model",
        "requested_by",
    )
    search_fields = ("rule_id", "reason", "registered_model__name")
    search_help_text = "Rule, model or words of the reason"
    ordering = ("-requested_at", "-pk")
    actions = None  # one by one: each is a decision

    def for_page(self, rows: QuerySet[Waiver]) -> QuerySet[Waiver]:
        return rows.select_related(
            *self.list_select_related, "decided_by", "ended_by", "renews"
        )

    @admin.display(description="status", ordering="status")
    def shown_status(self, waiver: Waiver) -> SafeString:
        return status_chip(waiver)

    @admin.display(description="rule", ordering="rule_id")
    def shown_rule(self, waiver: Waiver) -> SafeString:
        return format_html(
            '<span class="vw-title">{}</span> <span class="vw-id">{}</span>',
            title(waiver.rule_id),
            waiver.rule_id,
        )

    @admin.display(description="on")
    def shown_subject(self, waiver: Waiver) -> str:
        if waiver.gap is not None:
            return str(waiver.gap.version or waiver.gap.source)
        return str(waiver.registered_model or "all models")

    @admin.display(description="reason")
    def shown_reason(self, waiver: Waiver) -> SafeString:
        return format_html(
            '<span class="vw-detail" title="{0}">{0}</span>', waiver.reason
        )

    @admin.display(description="last day", ordering="ends_on")
    def shown_end(self, waiver: Waiver) -> SafeString | str:
        if waiver.ends_on is None:
            return markup.NOTHING
        day = f"{waiver.ends_on:%-d %b %Y}"
        return markup.chip(day, "high") if waiver.is_expiring else day

    @admin.display(description="asked for", ordering="requested_at")
    def shown_requested(self, waiver: Waiver) -> SafeString:
        return format_html(
            "{} {}", waiver.requested_by, markup.moment(waiver.requested_at)
        )

    def record_context(self, request: HttpRequest, row: Waiver) -> dict[str, Any]:
        """Costs three queries: the renewals, the waived gaps and their number."""
        waived = Gap.objects.waived().filter(waiver=row)
        return {
            "waiver": row,
            "rule_title": title(row.rule_id),
            "status_chip": status_chip(row),
            "renewals": list(row.renewals.all()),
            "waived_count": waived.count(),
            "waived_gaps": list(
                waived.select_related("version__registered_model", "source")[
                    :GAPS_SHOWN
                ]
            ),
            "acts": list(open_acts(row)),
            "renew_address": renew_address(row),
        }

    def get_urls(self) -> list[URLPattern]:
        wrap, name = self.admin_site.admin_view, "compliance_waiver"
        return [
            path("ask/", wrap(self.ask_view), name=f"{name}_ask"),
            path("<int:pk>/act/", wrap(self.act_view), name=f"{name}_act"),
            *super().get_urls(),
        ]

    @method_decorator(require_POST)
    def act_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Do what the pressed button says; whether the role may the act says."""
        waiver: Waiver | None = self.get_object(request, str(pk))
        if waiver is None or request.POST.get("act") not in ACTS:
            raise Http404
        act, done = ACTS[request.POST["act"]]
        try:
            with transaction.atomic():
                act(waiver, reason=request.POST.get("reason", ""))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        except WaiverSettled as error:
            messages.warning(request, str(error))
        else:
            messages.success(request, done.format(waiver))
        return redirect(waiver)

    def ask_view(self, request: HttpRequest) -> HttpResponse:
        """Show the form for gaps, or to renew; ask, and lead to what was asked for."""
        acting = tenancy.current()
        if acting is None or not acting.may(Permission.ASK_WAIVER):
            raise PermissionDenied
        about = self._about(request)
        kind = request.GET.get("kind", "")
        form = AskForm(request.POST or None, kind=kind, **about)
        if request.method == "POST" and form.is_valid():
            asked = form.asked
            if len(asked) == 1:
                messages.success(
                    request, f"{asked[0]} was asked for: somebody else decides on it."
                )
                return redirect(asked[0])
            messages.success(
                request,
                f"{len(asked)} waivers were asked for: somebody else decides on them.",
            )
            waiting = reverse("admin:compliance_waiver_changelist")
            return redirect(f"{waiting}?{urlencode({'queue': 'requested'})}")
        context = {
            **self.list_context(request, form.heading),
            "form": form,
            **about,
        }
        return TemplateResponse(request, "compliance/waiver_ask.html", context)

    def _about(self, request: HttpRequest) -> dict[str, Any]:
        """Return the gaps, or the waiver to renew, that the address names."""
        if renews := request.GET.get("renews", ""):
            waiver = self.get_object(request, renews)
            if waiver is None:
                raise Http404
            return {"gaps": [], "renews": waiver}
        ids = request.GET.get("gaps", "").split(",")
        if not all(pk.isdecimal() for pk in ids):
            raise Http404
        gaps = list(
            Gap.objects.filter(pk__in=ids).select_related(
                "version__registered_model", "source"
            )
        )
        if len(gaps) != len(set(ids)):
            raise Http404
        return {"gaps": gaps, "renews": None}


def status_chip(waiver: Waiver) -> SafeString:
    """Return the status as of today, with whether it is about to end."""
    status = waiver.current_status
    if waiver.is_expiring:
        return markup.chip("Expiring", "high", title="In force for 30 days at most")
    if status is Waiver.Status.APPROVED:
        return markup.chip("In force", "good")
    tone = "medium" if status is Waiver.Status.REQUESTED else "weak"
    return markup.chip(status.label, tone)


def open_acts(waiver: Waiver) -> list[str]:
    """Return what the person at the console may do with a waiver now."""
    acting = tenancy.current()
    if acting is None or acting.actor is None:
        return []
    own = waiver.requested_by == acting.actor
    decides = acting.may(Permission.APPROVE_WAIVER)
    if waiver.is_requested:
        mine = ["withdraw"] if own else []
        return ["approve", "refuse"] if decides and not own else mine
    return ["revoke"] if waiver.is_in_force and decides else []


def renew_address(waiver: Waiver) -> str:
    """Return where it is renewed, empty where that is not open."""
    acting = tenancy.current()
    is_open = waiver.current_status in (Waiver.Status.APPROVED, Waiver.Status.EXPIRED)
    if not is_open or acting is None or not acting.may(Permission.ASK_WAIVER):
        return ""
    return (
        f"{reverse('admin:compliance_waiver_ask')}?{urlencode({'renews': waiver.pk})}"
    )


def ask_address(gaps: list[int], kind: Waiver.Kind = Waiver.Kind.WAIVER) -> str:
    """Return where one asks for a waiver of these gaps."""
    query = {"gaps": ",".join(map(str, gaps)), "kind": kind.value}
    return f"{reverse('admin:compliance_waiver_ask')}?{urlencode(query)}"
