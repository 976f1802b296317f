"""Acting for one organization at a time.

Outside `acting_for` no tenant row can be seen or written: the database itself says so
(`accounts.walls`). Inside it, one transaction holds the organization's id in a setting
that PostgreSQL forgets at its end, so nothing can leak to the next job or request on
the same connection.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.db import connection, transaction

from accounts.exceptions import NoOrganization
from accounts.roles import Permission, Role, may

if TYPE_CHECKING:
    from accounts.models import Membership, Organization, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """Who acts, for whom, in which role, from where: what an audit entry says of it."""

    organization_id: int | None = None
    organization_name: str = ""
    actor: User | None = None
    role: Role | None = None
    origin: str = "system"  # console, API, command, sync, scheduler, system
    request_id: str = ""

    def may(self, permission: Permission) -> bool:
        """Tell whether the actor's role allows it; work without a person may all."""
        return self.actor is None or may(self.role, permission)


_acting: ContextVar[Acting | None] = ContextVar("acting", default=None)
_before_commit: list[Callable[[], None]] = []


def current() -> Acting | None:
    """Return who acts now, None outside any context."""
    return _acting.get()


def current_organization_id() -> int:
    """Return the id of the organization being acted for.

    Raises NoOrganization outside `acting_for`: a tenant row belongs to somebody.
    """
    acting = _acting.get()
    if acting is None or acting.organization_id is None:
        raise NoOrganization
    return acting.organization_id


def before_commit(act: Callable[[], None]) -> Callable[[], None]:
    """Register what the outermost context does last in its transaction."""
    _before_commit.append(act)
    return act


@contextmanager
def acting_for(
    organization: Organization,
    *,
    actor: User | None = None,
    role: Role | None = None,
    origin: str | None = None,
) -> Iterator[Acting]:
    """Work for `organization` in one transaction; contexts nest.

    Unless told otherwise the actor, role and origin are those of the outer context.
    Costs two queries, and two more when it is not the outermost.
    """
    outer = _acting.get()
    acting = replace(
        outer or Acting(request_id=uuid.uuid4().hex),
        organization_id=organization.pk,
        organization_name=organization.name,
    )
    if actor is not None:
        acting = replace(acting, actor=actor, role=role)
    if origin is not None:
        acting = replace(acting, origin=origin)
    with transaction.atomic():
        formerly = _set_organization(organization.pk)
        token = _acting.set(acting)
        try:
            yield acting
            if outer is None:
                seal()
        finally:
            _acting.reset(token)
        # Not in `finally`: an error rolls the savepoint back, and the setting with it.
        _restore_organization(formerly)


@contextmanager
def request_scope(*, origin: str) -> Iterator[None]:
    """Open the transaction of one request; `enter` says later for whom it acts."""
    token = _acting.set(Acting(origin=origin, request_id=uuid.uuid4().hex))
    try:
        with transaction.atomic():
            yield
    finally:
        _acting.reset(token)


def enter(membership: Membership, *, origin: str | None = None) -> None:
    """Act as a member for the rest of the request's transaction. Costs one query."""
    outer = _acting.get()
    if outer is None:
        raise NoOrganization
    _acting.set(
        replace(
            outer,
            organization_id=membership.organization_id,
            organization_name=membership.organization.name,
            actor=membership.user,
            role=Role(membership.role),
            origin=origin or outer.origin,
        )
    )
    _set_organization(membership.organization_id)


def seal() -> None:
    """Do what has to be done last before the transaction commits."""
    for act in _before_commit:
        act()


def memberships_of(user: User) -> list[Membership]:
    """Return the user's memberships in open organizations, by organization name.

    Their own rows are visible to users before any organization is entered.
    """
    from accounts.models import Membership

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.user', %s, true)", [str(user.pk)])
        found = list(
            Membership.objects.filter(user=user, organization__closed_at=None)
            .select_related("organization")
            .order_by("organization__name")
        )
        # The savepoint of an outer transaction would keep it.
        cursor.execute("SELECT set_config('app.user', '', true)")
    for membership in found:
        membership.user = user
    return found


@contextmanager
def entering(organization_id: int) -> Iterator[None]:
    """Point the database at another organization while a seal or a check works."""
    formerly = _set_organization(organization_id)
    yield
    _restore_organization(formerly)


def _set_organization(organization_id: int) -> str:
    """Enter the organization; return the setting that was in force before."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('app.organization', true), "
            "set_config('app.organization', %s, true)",
            [str(organization_id)],
        )
        return str(cursor.fetchone()[0] or "")


def _restore_organization(formerly: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.organization', %s, true)", [formerly])
