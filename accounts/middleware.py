"""Every request acts for one organization, in one transaction around the whole response.

Around the view alone would be too little: admin lists, template responses and exports
are rendered after it, and would come back empty with status 200.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, cast

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from accounts import audit, tenancy
from accounts.exceptions import NotAllowed
from accounts.models import Membership, Organization, User

SESSION_KEY = "organization"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class MemberRequest(HttpRequest):
    """What the middleware puts on a request."""

    organization: Organization | None
    membership: Membership | None
    memberships: list[Membership]
    failed: bool


class TenancyMiddleware:
    """Enter the member's organization, seal the audit trail, put all back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, plain_request: HttpRequest) -> HttpResponseBase:
        request = cast(MemberRequest, plain_request)
        request.organization = request.membership = None
        request.memberships, request.failed = [], False
        signed_in = request.user.is_authenticated
        if not signed_in and "Authorization" not in request.headers:
            # Autocommit: no tenant row is visible, and sign-in counters stay counted.
            return self.get_response(request)

        doing = f"{request.method} {request.path}"
        with tenancy.request_scope(origin="console", doing=doing):
            if signed_in:
                _enter_chosen(request)
            response = self.get_response(request)
            if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                request.failed = True
            if request.failed:
                transaction.set_rollback(True)
            acting = tenancy.current()
        if (
            isinstance(response, StreamingHttpResponse)
            and not isinstance(response, FileResponse)  # reads a file, not the database
            and acting is not None
        ):
            chunks = cast(Iterator[bytes], response.streaming_content)
            response.streaming_content = inside(acting, chunks)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Roll back what raised; tell the trail of what Django's admin refused."""
        cast(MemberRequest, request).failed = True
        if isinstance(exception, PermissionDenied) and not isinstance(
            exception, NotAllowed
        ):
            reason = str(exception) or "This page is not open to the role."
            audit.refuse("act.refused", reason=reason)


def _enter_chosen(request: MemberRequest) -> None:
    """Enter the organization that the session is about, else the user's first.

    A form that was opened in an organization which is lost since must not be saved in
    another one: raises NotAllowed.
    """
    request.memberships = tenancy.memberships_of(cast(User, request.user))
    if not request.memberships:
        return
    chosen = request.session.get(SESSION_KEY)
    for membership in request.memberships:
        if membership.organization_id == chosen:
            break
    else:
        membership = request.memberships[0]
        request.session[SESSION_KEY] = membership.organization_id
        if chosen is not None and request.method not in SAFE_METHODS:
            raise NotAllowed("You are no longer in the organization of that page.")
    enter(request, membership, origin="console")


def enter(request: MemberRequest, membership: Membership, *, origin: str) -> None:
    """Act as this member for the rest of the request."""
    tenancy.enter(membership, origin=origin)
    request.membership = membership
    request.organization = membership.organization


def inside(acting: tenancy.Acting, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Stream as the member who asked: the request's transaction is over by then."""
    with tenancy.resuming(acting):
        yield from chunks


def organization(request: HttpRequest) -> dict[str, Any]:
    """Tell templates which organization the page is about, and which others there are."""
    return {
        "organization": getattr(request, "organization", None),
        "membership": getattr(request, "membership", None),
        "memberships": getattr(request, "memberships", []),
    }
