"""Pages of the console that belong to no model."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.middleware import SESSION_KEY, MemberRequest

_MINUTES = settings.AXES_COOLOFF_TIME.total_seconds() // 60


def locked_out(request: HttpRequest, *_: Any) -> HttpResponse:
    """Answer who tried too many passwords; called by django-axes."""
    context = admin.site.each_context(request) | {"minutes": _MINUTES}
    return render(
        request, "admin/locked.html", context, status=HTTPStatus.TOO_MANY_REQUESTS
    )


@login_required
@require_POST
def choose_organization(request: HttpRequest) -> HttpResponse:
    """Work in another of one's organizations from here on."""
    chosen = request.POST.get("organization", "")
    for membership in cast(MemberRequest, request).memberships:
        if str(membership.organization_id) == chosen:
            request.session[SESSION_KEY] = membership.organization_id
            rotate_token(request)  # a form opened before must not be saved here
            messages.success(request, f"You are in {membership.organization} now.")
            return redirect("admin:index")
    messages.error(request, "You are not a member of that organization.")
    return redirect("admin:index")
