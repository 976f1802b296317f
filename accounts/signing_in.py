"""Sign-ins on the trail. Django tells them by signals; there is no other hook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.signals import (
    user_logged_in,
    user_logged_out,
    user_login_failed,
)
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import audit, tenancy
from accounts.middleware import SESSION_KEY
from accounts.models import Membership, Organization, User
from accounts.roles import Role

LONGEST_EMAIL = 254


def username_tried(
    request: HttpRequest | None, credentials: Mapping[str, Any] | None
) -> str:
    """Return the address that failures are counted under, whatever its spelling."""
    given = credentials or (request.POST if request is not None else {})
    return str(given.get("username", "")).strip().lower()[:LONGEST_EMAIL]


@receiver(user_logged_in)
def signed_in(sender: type, request: HttpRequest | None, user: User, **_: Any) -> None:
    memberships = tell(user, "session.started")
    if request is not None and memberships:
        # From here on: another membership must not move an open session elsewhere.
        first = memberships[0].organization_id
        request.session.setdefault(SESSION_KEY, first)


@receiver(user_logged_out)
def signed_out(
    sender: type, request: HttpRequest | None, user: User | None, **_: Any
) -> None:
    if user is not None:
        tell(user, "session.ended")


@receiver(user_login_failed)
def sign_in_failed(sender: type, credentials: Mapping[str, Any], **_: Any) -> None:
    """Whose organization it would have been is not known: nobody has signed in."""
    audit.refuse(
        "session.refused",
        label=username_tried(None, credentials),
        reason="The e-mail address or the password is wrong, or the account is locked.",
    )


def tell(user: User, action: str) -> list[Membership]:
    """Write to the trail of every organization that the person can see into.

    Who can see into none is told to the trail of the installation.
    """
    memberships = tenancy.memberships_of(user)
    if not memberships:
        with tenancy.acting_for(Organization.installation(), origin="console"):
            audit.record(action, user, actor=user)
    for membership in memberships:
        with tenancy.acting_for(
            membership.organization,
            actor=user,
            role=Role(membership.role),
            origin="console",
        ):
            audit.record(action, user)
    return memberships
