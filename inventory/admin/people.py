"""Who is who: the names that are mapped to members, and those that are nobody's yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import markup
from accounts.console import RecordedByAct
from accounts.models import Membership, User
from accounts.pages import Page
from accounts.roles import Permission
from inventory.models import PersonName
from inventory.people import MAPPED_AT_ONCE, map_names, unmap_name, unresolved_names


@admin.register(PersonName)
class PersonNameAdmin(RecordedByAct, Page[PersonName]):
    """Names are chosen from those really seen; entries are never changed."""

    permissions: ClassVar = {
        "view": Permission.VIEW,
        "add": Permission.EDIT_GOVERNANCE,
        "delete": Permission.EDIT_GOVERNANCE,
    }
    list_display = ("shown_name", "shown_person", "made_by", "shown_made")
    list_select_related = ("person", "made_by")
    list_before_template = "inventory/names_head.html"
    search_fields = ("name", "person__name", "person__email")
    search_help_text = "Name or member"
    fields = ("name", "person", "made_by", "made_at")
    ordering = ("folded",)
    actions = None  # one by one: each is an act

    def for_list(self, rows: QuerySet[PersonName]) -> QuerySet[PersonName]:
        members = Membership.objects.active().filter(user=OuterRef("person"))
        return rows.annotate(is_member=Exists(members))

    def list_crumb(self) -> tuple[str, str]:
        return "People", super().list_crumb()[1]

    @admin.display(description="name", ordering="folded")
    def shown_name(self, entry: PersonName) -> SafeString:
        return format_html('<span class="vw-name" title="{0}">{0}</span>', entry.name)

    @admin.display(description="is", ordering="person__email")
    def shown_person(self, entry: Any) -> SafeString:
        if entry.is_member:
            return format_html("{}", entry.person)
        left = markup.chip("left", "weak", title="No active member: it names nobody")
        return format_html("{} {}", entry.person, left)

    @admin.display(description="since", ordering="made_at")
    def shown_made(self, entry: PersonName) -> SafeString:
        return markup.moment(entry.made_at)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Costs three queries beside the list's: the names that are nobody's."""
        more = {
            "unresolved": len(unresolved_names()),
            "may_map": self.has_add_permission(request),
        }
        return super().changelist_view(request, (extra_context or {}) | more)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist: Any = super().get_changelist_instance(request)
        if not changelist.result_count:
            changelist.empty_state = {
                "icon": "badge",
                "title": "No name is mapped yet",
                "text": "Members are known by their e-mail addresses. Other names that "
                "owners and approvers are told by can be mapped to members.",
            }
        return changelist

    def delete_model(self, request: HttpRequest, obj: PersonName) -> None:
        if told := unmap_name(obj).told:
            messages.info(request, told)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the names that are nobody's, and map those for which one chose a member.

        Costs four queries.
        """
        if not self.has_add_permission(request):
            raise PermissionDenied
        members = list(
            Membership.objects.active().order_by("user__name", "user__email")
        )
        chosen, faults = _chosen(request.POST, members), []
        if request.method == "POST":
            try:
                done = map_names(chosen)
            except ValidationError as refused:
                faults = refused.messages
            else:
                messages.success(request, _said(len(done.entries), done.told))
                return redirect(self._name("add"))
        return TemplateResponse(
            request,
            "inventory/names.html",
            self._context(request, members, chosen, faults),
        )

    def _context(
        self,
        request: HttpRequest,
        members: Sequence[Membership],
        chosen: Mapping[str, User | None],
        faults: Sequence[str],
    ) -> dict[str, Any]:
        seen = unresolved_names()
        return {
            **self.list_context(request, "Map names"),
            "members": members,
            "names": [
                (name, person.pk if (person := chosen.get(name.name)) else None)
                for name in seen[:MAPPED_AT_ONCE]
            ],
            "more": max(len(seen) - MAPPED_AT_ONCE, 0),
            "faults": faults,
        }


def _chosen(posted: Any, members: Sequence[Membership]) -> dict[str, User | None]:
    """Return the names for which a member was chosen; one who is none of them is None."""
    users = {str(member.user_id): member.user for member in members}
    told = zip(posted.getlist("name"), posted.getlist("person"), strict=False)
    return {name: users.get(person) for name, person in told if person}


def _said(count: int, told: str) -> str:
    return (
        f"{count} {'name was' if count == 1 else 'names were'} mapped. {told}".strip()
    )
