"""What the roles allow, for the API and the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission

from accounts import audit, tenancy
from accounts.exceptions import NotAllowed
from accounts.roles import Permission, Role

if TYPE_CHECKING:  # DRF's views import this module, by the settings
    from rest_framework.request import Request
    from rest_framework.views import APIView


def require(permission: Permission) -> None:
    """Raise NotAllowed, with a sentence, where the actor's role does not allow it.

    Acts call it first: the check, the change and its audit entry are one function. The
    refusal is on the audit trail whatever becomes of the transaction.
    """
    acting = tenancy.current()
    if acting is None or not acting.may(permission):
        reason = refusal(permission, acting.role if acting else None)
        audit.refuse("act.refused", reason=reason)
        raise NotAllowed(reason)


def refusal(permission: Permission, role: Role | None) -> str:
    """Return the sentence that tells somebody what their role does not allow."""
    if role is None:
        return f"“{permission.label}” is open to members only."
    return f"“{permission.label}” is not open to the role “{role.label}”."


class MemberPermission(BasePermission):
    """Lets members in as far as the view's `permissions` go.

    The view's `permissions` map an action (`list`, `create`, …) to a Permission.
    Reading needs VIEW where nothing else is named; an unnamed action that changes
    something is refused.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        acting = tenancy.current()
        if acting is None or acting.organization_id is None:
            return False
        action: str | None = getattr(view, "action", "")
        if action is None:  # no such method here: let the view answer 405
            return True
        named: Mapping[str, Permission] = getattr(view, "permissions", {})
        reads = request.method in SAFE_METHODS
        needed = named.get(action, Permission.VIEW if reads else None)
        if needed is not None and acting.may(needed):
            return True
        self.message = (
            refusal(needed, acting.role)
            if needed
            else "This cannot be done through the API."
        )
        audit.refuse("act.refused", reason=self.message)
        return False
