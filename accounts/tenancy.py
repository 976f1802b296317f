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
from dataclasses import dataclass, field, replace
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
    origin: str = "system"  # console, API, command, sync, scheduler, webhook, system
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    doing: str = ""  # of a request: its method and path
    afterwards: list[Callable[[], None]] = field(default_factory=list, compare=False)

    def may(self, permission: Permission) -> bool:
        """Tell whether the actor's role allows it.

        Work without a person may all, once it has entered an organization; a request
        that has not yet shown whose it is may nothing.
        """
        if self.actor is None:
            return self.organization_id is not None
        return may(self.role, permission)


_acting: ContextVar[Acting | None] = ContextVar("acting", default=None)
_before_commit: list[Callable[[], None]] = []


def current() -> Acting | None:
    """Return who acts now, None outside any context."""
    return _acting.get()


def current_actor() -> User | None:
    """Return the person who acts now; None for the program itself."""
    acting = _acting.get()
    return acting.actor if acting else None


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


def afterwards(act: Callable[[], None]) -> None:
    """Do something once the outermost transaction is over, committed or rolled back."""
    acting = _acting.get()
    if acting is None:
        act()
    else:
        acting.afterwards.append(act)


@contextmanager
def acting_for(
    organization: Organization,
    *,
    actor: User | None = None,
    role: Role | None = None,
    origin: str | None = None,
) -> Iterator[Acting]:
    """Work for `organization` in one transaction; contexts nest.

    Unless told otherwise the actor and origin are those of the outer context; so is
    the role, but in the same organization only. The outermost context seals the audit
    trail under a lock that lasts until the transaction ends: inside a transaction of
    the caller's own, that is until the caller's ends.
    Costs one query beside the transaction's or savepoint's own.
    """
    outer = _acting.get()
    acting = replace(
        outer or Acting(),
        organization_id=organization.pk,
        organization_name=organization.name,
    )
    if actor is not None:
        acting = replace(acting, actor=actor, role=role)
    elif outer is not None and outer.organization_id != organization.pk:
        acting = replace(acting, role=None)
    if origin is not None:
        acting = replace(acting, origin=origin)
    if outer is None:
        with _outermost(acting):
            yield acting
        return
    with transaction.atomic(), entering(organization.pk):
        token = _acting.set(acting)
        try:
            yield acting
        finally:
            _acting.reset(token)


@contextmanager
def request_scope(*, origin: str, doing: str = "") -> Iterator[None]:
    """Open the transaction of one request; `enter` says later for whom it acts."""
    with _outermost(Acting(origin=origin, doing=doing)):
        yield


@contextmanager
def resuming(acting: Acting) -> Iterator[None]:
    """Go on as in a request that is over, in a transaction of its own: for streams."""
    with _outermost(acting):
        yield


@contextmanager
def _outermost(acting: Acting) -> Iterator[None]:
    formerly = _acting.get()  # a test's: in production nothing is outside of this
    has_own_transaction = not connection.in_atomic_block
    token = _acting.set(acting)
    try:
        with transaction.atomic():
            if acting.organization_id is not None:
                _show(acting.organization_id)
            yield
            if transaction.get_rollback():
                return
            for act in _before_commit:
                act()
            if not has_own_transaction:  # whose end would make PostgreSQL forget
                _show(formerly.organization_id if formerly else None)
    finally:
        _acting.reset(token)
        while acting.afterwards:
            acting.afterwards.pop(0)()


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
    _show(membership.organization_id)


def memberships_of(user: User) -> list[Membership]:
    """Return the user's memberships in open organizations, by organization name.

    Their own rows are visible to users before any organization is entered.
    Costs three queries.
    """
    from accounts.models import Membership

    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.user', %s, true)", [str(user.pk)])
        found = list(
            Membership.objects.filter(user=user, organization__closed_at=None)
            .select_related("organization")
            .order_by("organization__name")
        )
        # Or the rest of an outer transaction would see them too.
        cursor.execute("SELECT set_config('app.user', '', true)")
    for membership in found:
        membership.user = user
    return found


@contextmanager
def entering(organization_id: int) -> Iterator[None]:
    """Show another organization's rows, in a transaction that `acting_for` opened.

    Not put back after an error: the rollback does that.
    """
    acting = _acting.get()
    formerly = acting.organization_id if acting else None
    if formerly == organization_id:
        yield
        return
    _show(organization_id)
    yield
    if not transaction.get_rollback():
        _show(formerly)


def _show(organization_id: int | None) -> None:
    """Change the setting that the walls read, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('app.organization', %s, true)",
            ["" if organization_id is None else str(organization_id)],
        )
