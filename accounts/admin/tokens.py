"""The pages on which members make and revoke their API tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.timezone import now
from unfold.widgets import UnfoldAdminSelectWidget

from accounts import markup, tenancy
from accounts.console import ActForm, RecordedByAct, TenantAdmin
from accounts.members import issue_token, revoke_token
from accounts.models import ApiToken
from accounts.roles import Permission

LIVES = ((30, "30 days"), (90, "90 days"), (365, "a year"))


class NewTokenForm(ActForm[ApiToken]):
    days = forms.TypedChoiceField(
        label="Valid for",
        choices=LIVES,
        coerce=int,
        initial=90,
        widget=UnfoldAdminSelectWidget(),
    )

    class Meta:
        model = ApiToken
        fields = ("name",)

    def act(self) -> ApiToken:
        told = self.cleaned_data
        return issue_token(told["name"], expires_in=timedelta(days=told["days"]))


@admin.register(ApiToken)
class ApiTokenAdmin(RecordedByAct, TenantAdmin[ApiToken]):
    """Members see their own tokens; who manages members sees, and ends, all."""

    permissions: ClassVar = {
        "view": Permission.VIEW,
        "add": Permission.VIEW,
        "delete": Permission.VIEW,
    }
    form = NewTokenForm
    list_display = ("name", "user", "created", "shown_expiry")
    list_select_related = ("user",)
    search_fields = ("name", "user__email", "user__name")
    ordering = ("-created",)
    actions = None  # one by one: each is an act

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        tokens = super().get_queryset(request)
        acting = tenancy.current()
        if acting is not None and acting.may(Permission.MANAGE_MEMBERS):
            return tokens
        return tokens.filter(user=tenancy.current_actor())

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ("name", "days")
        return ("name", "user", "created", "shown_expiry")

    @admin.display(description="expires", ordering="expiry")
    def shown_expiry(self, token: ApiToken) -> SafeString:
        if token.expiry is not None and token.expiry < now():
            return markup.chip("expired", "weak", title=markup.exact(token.expiry))
        return markup.moment(token.expiry)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def response_add(
        self, request: HttpRequest, obj: ApiToken, post_url_continue: Any = None
    ) -> HttpResponse:
        """Show the token in the answer itself: no session or cookie ever holds it."""
        context = self.admin_site.each_context(request)
        context |= {"title": f"Token {obj.name}", "token": obj, "opts": self.opts}
        return TemplateResponse(request, "accounts/token.html", context)

    def delete_model(self, request: HttpRequest, obj: ApiToken) -> None:
        revoke_token(obj)
