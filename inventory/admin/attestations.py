"""The list of attestations, and the page of one with what can be decided on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from accounts import markup
from accounts.filters import ChoiceFilter
from accounts.roles import Permission
from inventory import attestations as acts
from inventory import markup as parts
from inventory.admin.attesting import AttestingPages, ReasonForm
from inventory.admin.filters import ModelFilter
from inventory.effective import contradictions
from inventory.fields import ATTESTABLE
from inventory.models import Attestation, AttestationQuerySet
from inventory.models.attestations import today
from inventory.record_page import Source

State = Attestation.State
SOON = timedelta(days=30)


class FieldFilter(ChoiceFilter):
    title = "field"
    parameter_name = "field"
    choices_offered = tuple((name, item.label) for name, item in ATTESTABLE.items())

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(field=choice)


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    default = State.IN_FORCE.value
    choices_offered = tuple((state.value, str(state.label)) for state in State)

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return cast(AttestationQuerySet, rows).in_state(choice)


class AttentionFilter(ChoiceFilter):
    """What somebody has to decide on, now or soon."""

    title = "to decide"
    parameter_name = "attention"
    choices_offered = (
        ("contradicted", "MLflow says otherwise"),
        ("expiring", "Expires within 30 days"),
    )

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        if choice == "contradicted":
            return rows.filter(contradicted_since__isnull=False)
        return (
            cast(AttestationQuerySet, rows)
            .in_force()
            .filter(expires_on__lte=today() + SOON)
        )


class OfModelFilter(ModelFilter):
    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(
            Q(registered_model=choice) | Q(version__registered_model=choice)
        )


@admin.register(Attestation)
class AttestationAdmin(AttestingPages):
    """Attestations are made, kept and withdrawn by the acts; nobody edits one."""

    record_template = "inventory/attestation.html"
    permissions: ClassVar[dict[str, Permission]] = {
        "view": Permission.VIEW,
        "attest": Permission.ATTEST,
    }
    list_display = (
        "shown_field",
        "shown_subject",
        "shown_value",
        "shown_state",
        "shown_attested",
        "shown_expiry",
    )
    list_filter: ClassVar[Any] = (
        OfModelFilter,
        FieldFilter,
        StateFilter,
        AttentionFilter,
    )
    search_fields = (
        "reason",
        "registered_model__name",
        "version__registered_model__name",
    )
    search_help_text = "Model, or words of the reason"
    ordering = ("-attested_at", "-pk")

    def for_list(self, rows: QuerySet[Attestation]) -> QuerySet[Attestation]:
        return cast(AttestationQuerySet, rows).with_subjects()

    for_page = for_list

    def get_urls(self) -> list[URLPattern]:
        wrap, name = self.admin_site.admin_view, "inventory_attestation"
        return [
            path(f"<int:pk>/{act}/", wrap(view), name=f"{name}_{act}")
            for act, view in (
                ("withdraw", self.withdraw_view),
                ("keep", self.keep_view),
            )
        ] + super().get_urls()

    @admin.display(description="field", ordering="field")
    def shown_field(self, row: Attestation) -> str:
        return row.label

    @admin.display(description="of")
    def shown_subject(self, row: Attestation) -> SafeString:
        every = "" if row.version_id else " (all versions)"
        return format_html(
            '{}<span class="vw-subtle">{}</span>',
            markup.link(row.subject.get_absolute_url(), row.subject),
            every,
        )

    @admin.display(description="value")
    def shown_value(self, row: Attestation) -> SafeString:
        return markup.value(row.value)

    @admin.display(description="state")
    def shown_state(self, row: Attestation) -> SafeString:
        return parts.attestation_state(row)

    @admin.display(description="attested", ordering="attested_at")
    def shown_attested(self, row: Attestation) -> SafeString:
        return format_html(
            '{} <span class="vw-subtle">{}</span>',
            row.attested_by or "VerifyWise",
            markup.moment(row.attested_at),
        )

    @admin.display(description="expires", ordering="expires_on")
    def shown_expiry(self, row: Attestation) -> SafeString | str:
        return f"{row.expires_on:%-d %b %Y}" if row.expires_on else markup.NOTHING

    def record_context(self, request: HttpRequest, row: Attestation) -> dict[str, Any]:
        """Costs one query more where the source says otherwise."""
        may_decide = self._may("attest") and row.state == State.IN_FORCE
        return {
            "attestation": row,
            "form": ReasonForm() if may_decide else None,
            "contradictions": [
                (version, entry["value"], Source.of(entry["told"] or {}))
                for version, entry in contradictions(row)
            ],
        }

    @method_decorator(require_POST)
    def withdraw_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._decide(request, pk, acts.withdraw, "{} was withdrawn.")

    @method_decorator(require_POST)
    def keep_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._decide(request, pk, acts.keep, "{} stays as it is.")

    def _decide(
        self,
        request: HttpRequest,
        pk: int,
        act: Callable[..., acts.Done],
        sentence: str,
    ) -> HttpResponse:
        row = self.visible(request, str(pk))
        if row is None:
            raise Http404
        try:
            done = act(row, reason=request.POST.get("reason", ""))
        except ValidationError as refused:
            messages.warning(request, " ".join(refused.messages))
        else:
            messages.success(request, f"{sentence.format(row)} {done.told}".strip())
        return redirect(row)
