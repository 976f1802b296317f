"""How the API knows who calls: a token bound to an organization, or the session."""

from __future__ import annotations

from typing import cast

from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication as DrfSession
from rest_framework.request import Request

from accounts import tenancy
from accounts.middleware import MemberRequest, enter, refuse
from accounts.models import ApiToken, User


class TokenAuthentication(KnoxTokenAuthentication):
    """`Authorization: Bearer vw_…`; the token says which organization is meant."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        plain = cast(MemberRequest, request._request)
        try:
            found = super().authenticate(request)
        except exceptions.AuthenticationFailed:
            refuse(plain, "token.refused", reason="The API token is not valid.")
            raise
        if found is None:
            return None
        user, token = cast(tuple[User, ApiToken], found)
        for membership in tenancy.memberships_of(user):
            if membership.organization_id == token.organization_id:
                enter(plain, membership, origin="API")
                return user, token
        refuse(
            plain,
            "token.refused",
            reason=f"{user} is no longer a member of the token's organization.",
        )
        raise exceptions.AuthenticationFailed(
            "The token's owner is no longer a member of its organization."
        )


class SessionAuthentication(DrfSession):
    """The console's session; who has none is told 401, not 403."""

    def authenticate_header(self, request: Request) -> str:
        return "Session"
