"""The console: Django's admin, dressed with Unfold, open to members only."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest
from unfold.sites import UnfoldAdminSite

from accounts.middleware import MemberRequest


class Console(UnfoldAdminSite):
    index_title = "Overview"
    enable_nav_sidebar = True

    def has_permission(self, request: HttpRequest) -> bool:
        """Members of an open organization come in; roles decide what they find."""
        return bool(
            request.user.is_active
            and getattr(cast(MemberRequest, request), "organization", None)
        )
