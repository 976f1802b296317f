"""The acts on members and their API tokens: check, change and entry in one."""

from __future__ import annotations

from datetime import timedelta

from accounts import audit, tenancy
from accounts.exceptions import NotAllowed
from accounts.models import ApiToken, Membership, Organization, User
from accounts.permissions import require
from accounts.roles import Permission, Role


def add_member(
    email: str, *, role: Role, name: str = "", password: str | None = None
) -> Membership:
    """Make somebody a member of the organization being acted for.

    A person who is not known yet gets an account; without a password they cannot
    sign in until an administrator sets one.
    """
    require(Permission.MANAGE_MEMBERS)
    user = User.objects.filter(email=email.strip().lower()).first()
    if user is None:
        user = User.objects.create_user(email, password, name=name)
    membership = Membership(user=user, role=role)
    membership.full_clean()
    membership.save()
    audit.record("member.added", membership, changes={"user": user.email, "role": role})
    return membership


def change_role(membership: Membership, role: Role) -> None:
    """Give a member another role; the last administrator stays one."""
    require(Permission.MANAGE_MEMBERS)
    before = Membership.objects.select_for_update().get(pk=membership.pk).role
    if before == role:
        return
    _keep_an_administrator(membership, before)
    membership.role = role
    membership.save()
    audit.record(
        "member.changed", membership, changes={"role": {"from": before, "to": role}}
    )


def remove_member(membership: Membership) -> None:
    """End a membership; the tokens it gave end with it. The account stays."""
    require(Permission.MANAGE_MEMBERS)
    _keep_an_administrator(membership, membership.role)
    ApiToken.objects.filter(
        user=membership.user, organization=membership.organization
    ).delete()
    audit.record("member.removed", membership, changes={"user": membership.user.email})
    membership.delete()


def _keep_an_administrator(membership: Membership, role: str) -> None:
    if role != Role.ADMINISTRATOR:
        return
    others = Membership.objects.filter(role=Role.ADMINISTRATOR).exclude(
        pk=membership.pk
    )
    # Locked, so that two administrators cannot remove each other at the same moment.
    if not others.select_for_update().exists():
        raise NotAllowed(
            f"{membership.user} is the last administrator: make somebody else one first."
        )


def issue_token(
    name: str,
    *,
    user: User,
    organization: Organization,
    expires_in: timedelta | None = timedelta(days=365),
) -> tuple[ApiToken, str]:
    """Make an API token for one's own use; the second value is the token, told once."""
    require(Permission.VIEW)
    token, key = ApiToken.objects.create(
        user, expiry=expires_in, name=name, organization=organization
    )
    audit.record("token.issued", label=str(token), changes={"expires": token.expiry})
    return token, key


def revoke_token(token: ApiToken) -> None:
    """End a token: one's own, or as administrator anybody's in the organization."""
    acting = tenancy.current()
    if acting is None or acting.actor != token.user:
        require(Permission.MANAGE_MEMBERS)
    audit.record("token.revoked", label=str(token))
    token.delete()
