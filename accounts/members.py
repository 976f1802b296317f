"""The acts on members and their API tokens: check, change and entry in one."""

from __future__ import annotations

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db.models import Q

from accounts import audit, invitations, tenancy
from accounts.exceptions import NotAllowed
from accounts.models import ApiToken, Membership, User
from accounts.permissions import require
from accounts.roles import Permission, Role

TOKEN_LIFE = timedelta(days=365)


def add_member(
    email: str, *, role: Role, name: str = "", password: str | None = None
) -> Membership:
    """Make somebody a member of the organization being acted for.

    A person who is not known yet gets an account; without a password they choose one
    by `accounts.invitations`. Raises ValidationError naming the field.
    """
    require(Permission.MANAGE_MEMBERS)
    user = User.objects.filter(email=email.strip().lower()).first()
    if user is None:
        user = User.objects.create_user(email, password, name=name)
    elif Membership.objects.filter(user=user).exists():
        raise ValidationError({"email": f"{user.email} is a member already."})
    elif not user.has_usable_password():
        _accept_unproven(user)
    membership = Membership(user=user, role=role)
    membership.full_clean(validate_unique=False, validate_constraints=False)
    membership.save()
    audit.record("member.added", membership, changes={"user": user.email, "role": role})
    return membership


def _accept_unproven(user: User) -> None:
    """Take on an account that nobody has signed in to yet, under a link of our own."""
    if tenancy.memberships_of(user) and not invitations.mail_is_set_up():
        raise ValidationError(
            {
                "email": f"Another organization has invited {user.email}, who has not "
                "signed in yet: ask them to do so first."
            }
        )
    user.set_unusable_password()  # another one, which ends links given out before
    user.save(update_fields=["password"])


def change_role(membership: Membership, role: Role) -> None:
    """Give a member another role. Raises ValidationError for the last administrator."""
    require(Permission.MANAGE_MEMBERS)
    stored, has_others = _lock(membership)
    if stored.role == role:
        return
    _keep_an_administrator(stored, has_others=has_others)
    membership.role = role
    membership.full_clean(validate_unique=False, validate_constraints=False)
    membership.save()
    audit.record(
        "member.changed",
        membership,
        changes={"role": {"from": stored.role, "to": role}},
    )


def remove_member(membership: Membership) -> None:
    """End a membership; the tokens it gave end with it. The account stays.

    Raises ValidationError for the last administrator.
    """
    require(Permission.MANAGE_MEMBERS)
    stored, has_others = _lock(membership)
    _keep_an_administrator(stored, has_others=has_others)
    for token in ApiToken.objects.filter(
        user=membership.user, organization=membership.organization
    ):
        revoke_token(token)
    audit.record("member.removed", membership, changes={"user": membership.user.email})
    membership.delete()


def issue_token(
    name: str, *, user: User | None = None, expires_in: timedelta | None = TOKEN_LIFE
) -> ApiToken:
    """Make an API token for the acting member; its `told_once` is told only here.

    Work without a person names the `user`, who must be a member. None as `expires_in`
    makes one that stays. Raises ValidationError naming the field.
    """
    require(Permission.VIEW)
    acting = tenancy.current() or tenancy.Acting()
    user = user or acting.actor
    if user is None or acting.actor not in (None, user):
        raise NotAllowed("An API token is made by whom it is for.")
    if not Membership.objects.filter(user=user).exists():
        raise NotAllowed(f"{user} is not a member of {acting.organization_name}.")
    wanted = ApiToken(
        name=name.strip(), user=user, organization_id=tenancy.current_organization_id()
    )
    wanted.full_clean(exclude=["digest", "token_key"], validate_constraints=False)
    if wanted.namesakes().exists():
        raise ValidationError(
            {"name": f"You have a token named {wanted.name} already."}
        )
    token, key = ApiToken.objects.create(
        user,
        expiry=expires_in,
        name=wanted.name,
        organization_id=wanted.organization_id,
    )
    token.told_once = key
    audit.record("token.issued", label=str(token), changes={"expires": token.expiry})
    return token


def revoke_token(token: ApiToken) -> None:
    """End a token: one's own, or as administrator anybody's in the organization."""
    acting = tenancy.current() or tenancy.Acting()
    if acting.actor != token.user:
        require(Permission.MANAGE_MEMBERS)
    if acting.organization_id != token.organization_id:
        raise NotAllowed("The API token belongs to another organization.")
    audit.record("token.revoked", label=str(token))
    token.delete()


def _lock(membership: Membership) -> tuple[Membership, bool]:
    """Return the membership as it is now, and whether another administrator is active.

    All administrators are locked, always in one order: two of them cannot remove each
    other at the same moment.
    """
    rows = (
        Membership.objects.select_for_update(of=("self",))
        .select_related("user")
        .filter(Q(pk=membership.pk) | Q(role=Role.ADMINISTRATOR))
        .order_by("pk")
    )
    found = {row.pk: row for row in rows}
    if membership.pk not in found:
        raise NotAllowed(f"{membership.user} is not a member any more.")
    return found.pop(membership.pk), any(
        row.role == Role.ADMINISTRATOR and row.user.is_active for row in found.values()
    )


def _keep_an_administrator(membership: Membership, *, has_others: bool) -> None:
    if membership.role == Role.ADMINISTRATOR and not has_others:
        raise ValidationError(
            {
                "role": f"{membership.user} is the last administrator: "
                "make somebody else one first."
            }
        )
