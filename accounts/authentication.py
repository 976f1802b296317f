"""How the API knows who calls: a token bound to an organization, or the session."""

from __future__ import annotations

from typing import cast

from django.utils.timezone import now
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication as DrfSession
from rest_framework.request import Request

from accounts import audit, tenancy
from accounts.middleware import MemberRequest, enter
from accounts.models import ApiToken, User


class TokenAuthentication(KnoxTokenAuthentication):
    """`Authorization: Bearer vw_…`; the token says which organization is meant."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        try:
            found = super().authenticate(request)
        except exceptions.AuthenticationFailed:
            raise refused("The API token is not valid, or no longer.") from None
        if found is None:
            return None
        user, token = cast(tuple[User, ApiToken], found)
        for membership in tenancy.memberships_of(user):
            if membership.organization_id == token.organization_id:
                enter(cast(MemberRequest, request._request), membership, origin="API")
                return user, token
        raise refused("The API token's owner is not in its organization any more.")

    def authenticate_credentials(self, token: bytes) -> tuple[User, ApiToken]:
        if not token.replace(b"_", b"").isalnum():  # bytes that no text column can hold
            raise exceptions.AuthenticationFailed
        return cast(tuple[User, ApiToken], super().authenticate_credentials(token))

    def _cleanup_token(self, auth_token: ApiToken) -> bool:
        """Tell whether the token has expired; it stays listed until it is revoked."""
        return auth_token.expiry is not None and auth_token.expiry < now()


def refused(reason: str) -> exceptions.AuthenticationFailed:
    """Note a refused token on the audit trail, and return what to raise."""
    audit.refuse("token.refused", reason=reason)
    return exceptions.AuthenticationFailed(reason)


class SessionAuthentication(DrfSession):
    """The console's session; who has none is told 401, not 403."""

    def authenticate_header(self, request: Request) -> str:
        return "Session"
