"""The pages of the audit trail: to search, to read, to verify; nothing to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action

from accounts import audit, markup
from accounts.console import TenantAdmin
from accounts.filters import ChoiceFilter
from accounts.middleware import MemberRequest
from accounts.models import AuditEvent, Membership
from accounts.roles import Permission

NOBODY = "none"  # VerifyWise itself, or somebody who was not signed in


class ActionFilter(ChoiceFilter):
    """Costs one query over the organization's actions."""

    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        actions = AuditEvent.objects.order_by("action").values_list("action", flat=True)
        return [(name, name) for name in actions.distinct()]

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(action=choice)


class ActorFilter(ChoiceFilter):
    """Members, and VerifyWise itself; who is a member no longer is found by search."""

    title = "actor"
    parameter_name = "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        members = Membership.objects.select_related("user").order_by("user__name")
        people = [(str(member.user_id), str(member.user)) for member in members]
        return [(NOBODY, "Nobody signed in"), *people]

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(actor=None if choice == NOBODY else choice)


@admin.register(AuditEvent)
class AuditEventAdmin(TenantAdmin[AuditEvent]):
    permissions: ClassVar = {"view": Permission.READ_TRAIL}
    list_display = (
        "sequence",
        "shown_time",
        "shown_actor",
        "action",
        "shown_object",
        "shown_reason",
    )
    list_display_links = ("sequence", "shown_time")
    list_filter = (ActionFilter, ActorFilter)
    date_hierarchy = "at"
    search_fields = ("object_label", "actor_name", "action", "reason", "request_id")
    search_help_text = "Search by object, person, action, reason or request id"
    ordering = ("-sequence",)
    actions = None
    actions_list = ("verify",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "sequence",
                    "shown_time",
                    "shown_actor",
                    "action",
                    "shown_object",
                    "shown_changes",
                    "reason",
                )
            },
        ),
        ("Where it came from", {"fields": ("origin", "request_id")}),
        (
            "Proof",
            {
                "fields": (
                    "digest",
                    "previous_digest",
                    "signature",
                    "key_id",
                    "format",
                )
            },
        ),
    )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        about = [request.GET.get(name, "") for name in ("object_type", "object_id")]
        title = f"Audit trail of {' '.join(about)}" if all(about) else "Audit trail"
        told = {"title": title} | (extra_context or {})
        return super().changelist_view(request, told)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        told = {"title": "Audit event", "show_history": False} | (extra_context or {})
        return super().change_view(request, object_id, form_url, told)

    @action(description="Verify the trail", url_path="verify", permissions=["view"])
    def verify(self, request: MemberRequest) -> HttpResponse:
        """Recompute the whole chain and say what was found. Changes nothing."""
        assert request.organization is not None  # noqa: S101 - or nobody may view
        found = audit.verify(request.organization)
        level = messages.SUCCESS if found.intact else messages.ERROR
        self.message_user(request, found.sentence(), level)
        return redirect("admin:accounts_auditevent_changelist")

    @admin.display(description="time", ordering="at")
    def shown_time(self, event: AuditEvent) -> str:
        return markup.exact(event.at)

    @admin.display(description="actor", ordering="actor_name")
    def shown_actor(self, event: AuditEvent) -> str:
        role = event.actor_role.replace("_", " ")
        return f"{event.actor_name} ({role})" if role else event.actor_name

    @admin.display(description="object")
    def shown_object(self, event: AuditEvent) -> SafeString:
        label = event.object_label or event.object_type
        if not event.object_type:
            return format_html("{}", label)
        page = f"admin:{event.object_type.replace('.', '_')}_change"
        try:
            return markup.link(reverse(page, args=[event.object_id]), label)
        except NoReverseMatch:  # it has no page of its own
            return format_html("{}", label)

    @admin.display(description="reason")
    def shown_reason(self, event: AuditEvent) -> SafeString:
        return markup.folded(event.reason)

    @admin.display(description="changes")
    def shown_changes(self, event: AuditEvent) -> SafeString:
        if not event.changes:
            return markup.NOTHING
        rows = (
            (name, *_before_and_after(told)) for name, told in event.changes.items()
        )
        return format_html(
            '<table class="vw-pairs"><thead><tr><th scope="col">Field</th>'
            '<th scope="col">Before</th><th scope="col">After</th></tr></thead>'
            "<tbody>{}</tbody></table>",
            format_html_join(
                "", '<tr><th scope="row">{}</th><td>{}</td><td>{}</td></tr>', rows
            ),
        )


def _before_and_after(told: Any) -> tuple[SafeString, SafeString]:
    if isinstance(told, Mapping) and told.keys() == {"from", "to"}:
        return markup.value(told["from"]), markup.value(told["to"])
    return markup.NOTHING, markup.value(told)
