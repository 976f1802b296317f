"""Every request acts for one organization, in one transaction around the whole response.

Around the view alone would be too little: admin lists, template responses and exports
are rendered after it, and would come back empty with status 200.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from django.db import transaction
from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from accounts import audit, tenancy
from accounts.models import Membership, Organization, User

SESSION_KEY = "organization"


class MemberRequest(HttpRequest):
    """What the middleware puts on a request."""

    organization: Organization | None
    membership: Membership | None
    memberships: list[Membership]
    refusals: list[tuple[str, dict[str, Any]]]
    failed: bool


class TenancyMiddleware:
    """Enter the member's organization, seal the audit trail, put all back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, plain_request: HttpRequest) -> HttpResponseBase:
        request = cast(MemberRequest, plain_request)
        request.organization = request.membership = None
        request.memberships, request.refusals, request.failed = [], [], False
        signed_in = request.user.is_authenticated
        if not signed_in and "Authorization" not in request.headers:
            # Autocommit: no tenant row is visible, and sign-in counters stay counted.
            return self.get_response(request)

        with tenancy.request_scope(origin="console"):
            if signed_in:
                _enter_chosen(request)
            response = self.get_response(request)
            if response.status_code >= 500 or request.failed:  # noqa: PLR2004
                transaction.set_rollback(True)
            else:
                tenancy.seal()
            acting = tenancy.current()
        _tell_refusals(request, acting)
        if (
            isinstance(response, StreamingHttpResponse)
            and not isinstance(response, FileResponse)
            and request.organization
        ):
            response.streaming_content = inside(
                request.organization, cast(Iterator[bytes], response.streaming_content)
            )
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        cast(MemberRequest, request).failed = True


def _enter_chosen(request: MemberRequest) -> None:
    """Enter the organization chosen in the session, else the user's first."""
    request.memberships = tenancy.memberships_of(cast(User, request.user))
    chosen = request.session.get(SESSION_KEY)
    for membership in request.memberships:
        if membership.organization_id == chosen:
            break
    else:
        if not request.memberships:
            return
        membership = request.memberships[0]
    enter(request, membership, origin="console")


def enter(request: MemberRequest, membership: Membership, *, origin: str) -> None:
    """Act as this member for the rest of the request."""
    tenancy.enter(membership, origin=origin)
    request.membership = membership
    request.organization = membership.organization


def refuse(request: HttpRequest, action: str, **facts: Any) -> None:
    """Note a refused act; it is written after the rollback, in its own transaction."""
    cast(MemberRequest, request).refusals.append((action, facts))


def _tell_refusals(request: MemberRequest, acting: tenancy.Acting | None) -> None:
    if not request.refusals:
        return
    where = request.organization or Organization.installation()
    with tenancy.acting_for(
        where,
        actor=acting.actor if acting else None,
        role=acting.role if acting else None,
        origin=acting.origin if acting else "API",
    ):
        for action, facts in request.refusals:
            audit.record(action, **facts)


def inside(organization: Organization, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Stream from inside the organization: the request's transaction is over by then."""
    with tenancy.acting_for(organization):
        yield from chunks


def organization(request: HttpRequest) -> dict[str, Any]:
    """Tell templates which organization the page is about, and which others there are."""
    return {
        "organization": getattr(request, "organization", None),
        "membership": getattr(request, "membership", None),
        "memberships": getattr(request, "memberships", []),
    }
