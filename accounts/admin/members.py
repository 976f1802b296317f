"""The pages on which members are added, given another role, and removed."""

from __future__ import annotations

from smtplib import SMTPException
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminTextInputWidget

from accounts import invitations, markup
from accounts.console import ActForm, RecordedByAct, TenantAdmin
from accounts.members import add_member, change_role, remove_member
from accounts.models import Membership
from accounts.roles import Permission, Role


class RoleForm(ActForm[Membership]):
    class Meta:
        model = Membership
        fields = ("role",)

    def act(self) -> Membership:
        change_role(self.instance, Role(self.cleaned_data["role"]))
        return self.instance


class NewMemberForm(ActForm[Membership]):
    """A person is named by e-mail address; their account is made if there is none."""

    email = forms.EmailField(label="E-mail", widget=UnfoldAdminEmailInputWidget())
    name = forms.CharField(
        max_length=200,
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Used only if the person has no account yet.",
    )

    class Meta:
        model = Membership
        fields = ("role",)

    def act(self) -> Membership:
        told = self.cleaned_data
        return add_member(told["email"], role=Role(told["role"]), name=told["name"])


@admin.register(Membership)
class MembershipAdmin(RecordedByAct, TenantAdmin[Membership]):
    permissions: ClassVar = {
        "view": Permission.VIEW,
        "add": Permission.MANAGE_MEMBERS,
        "change": Permission.MANAGE_MEMBERS,
        "delete": Permission.MANAGE_MEMBERS,
    }
    list_display = ("shown_name", "shown_email", "role", "shown_sign_in", "created_at")
    list_filter = ("role",)
    list_select_related = ("user",)
    search_fields = ("user__email", "user__name")
    actions = None  # one by one: the last administrator has to stay

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[Membership]]:
        kwargs["form"] = RoleForm if change else NewMemberForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ("email", "name", "role")
        return ("shown_name", "shown_email", "role", "shown_sign_in", "created_at")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Any = None
    ) -> tuple[str, ...]:
        if obj is None:
            return ()
        return ("shown_name", "shown_email", "shown_sign_in", "created_at")

    @admin.display(description="name", ordering="user__name")
    def shown_name(self, membership: Membership) -> str:
        inactive = "" if membership.user.is_active else " (deactivated)"
        return f"{membership.user}{inactive}"

    @admin.display(description="e-mail", ordering="user__email")
    def shown_email(self, membership: Membership) -> str:
        return membership.user.email

    @admin.display(description="last sign-in", ordering="user__last_login")
    def shown_sign_in(self, membership: Membership) -> str:
        return markup.moment(membership.user.last_login)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def response_add(
        self, request: HttpRequest, obj: Membership, post_url_continue: Any = None
    ) -> HttpResponse:
        """Invite whoever has no password yet: by mail, or by a link to pass on."""
        if obj.user.has_usable_password():
            return super().response_add(request, obj, post_url_continue)
        link = invitations.link_for(obj.user, request)
        if not invitations.mail_is_set_up():
            context = self.admin_site.each_context(request)
            context |= {"title": f"Invite {obj.user}", "link": link, "opts": self.opts}
            return TemplateResponse(request, "accounts/invitation.html", context)
        try:
            invitations.mail(obj.user, obj.organization, link)
        except (OSError, SMTPException) as error:
            told = (
                f"{obj.user} was added, but the invitation could not be mailed: "
                f"{error}. Remove the member and add them again to repeat it."
            )
            self.message_user(request, told, messages.WARNING)
        else:
            told = f"An invitation was mailed to {obj.user.email}."
            self.message_user(request, told, messages.SUCCESS)
        return self.response_post_save_add(request, obj)

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
            return redirect("admin:accounts_membership_changelist")

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        remove_member(obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("user", "organization")
