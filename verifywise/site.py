"""The console: Django's admin, dressed with Unfold, open to members only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from django.contrib.admin import ModelAdmin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.db.models import Model
from django.http import HttpRequest
from unfold.sites import UnfoldAdminSite

from accounts.middleware import MemberRequest


class SignIn(AdminAuthenticationForm):
    """Tells no more than that it was wrong: not whether the address is known."""

    error_messages: dict[str, Any] = {
        **AdminAuthenticationForm.error_messages,
        "invalid_login": "The e-mail address or the password is wrong.",
    }


class Console(UnfoldAdminSite):
    login_form = SignIn
    index_title = "Overview"

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        """Take in our own pages only, which name the permissions they need.

        Those that libraries bring know no organization, and django-q2's would let
        whoever may add a schedule run any function.
        """
        if admin_class is not None and hasattr(admin_class, "permissions"):
            super().register(model_or_iterable, admin_class, **options)

    def has_permission(self, request: HttpRequest) -> bool:
        """Members of an open organization come in; roles decide what they find."""
        return bool(
            request.user.is_active
            and getattr(cast(MemberRequest, request), "organization", None)
        )
