"""Sign-ins on the trail. Django tells them by signals; there is no other hook."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import (
    user_logged_in,
    user_logged_out,
    user_login_failed,
)
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import audit, tenancy
from accounts.models import Organization, User
from accounts.roles import Role


@receiver(user_logged_in)
def signed_in(sender: type, request: HttpRequest | None, user: User, **_: Any) -> None:
    _tell(user, "session.started")


@receiver(user_logged_out)
def signed_out(
    sender: type, request: HttpRequest | None, user: User | None, **_: Any
) -> None:
    if user is not None:
        _tell(user, "session.ended")


@receiver(user_login_failed)
def sign_in_failed(sender: type, credentials: dict[str, Any], **_: Any) -> None:
    """Whose organization it would have been is not known: nobody has signed in."""
    with tenancy.acting_for(Organization.installation(), origin="console"):
        audit.record(
            "session.refused",
            label=str(credentials.get("username", ""))[:254],
            reason="The e-mail address or the password is wrong, or the account is locked.",
        )


def _tell(user: User, action: str) -> None:
    """Write to the trail of every organization that the person can see into."""
    for membership in tenancy.memberships_of(user):
        with tenancy.acting_for(
            membership.organization,
            actor=user,
            role=Role(membership.role),
            origin="console",
        ):
            audit.record(action, user)
