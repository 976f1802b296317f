"""What the roles allow, for the API and the console."""

from __future__ import annotations

from collections.abc import Mapping

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import tenancy
from accounts.exceptions import NotAllowed
from accounts.middleware import refuse
from accounts.roles import Permission


def require(permission: Permission) -> None:
    """Raise NotAllowed, with a sentence, where the actor's role does not allow it.

    Acts call it first: the check, the change and its audit entry are one function.
    """
    acting = tenancy.current()
    if acting is None or not acting.may(permission):
        role = acting.role.label.lower() if acting and acting.role else "visitor"
        article = "an" if role[0] in "aeiou" else "a"
        raise NotAllowed(f"{permission.label} is not open to {article} {role}.")


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
            f"{needed.label} is not open to your role."
            if needed
            else "This cannot be done through the API."
        )
        refuse(
            request._request,
            "act.refused",
            label=f"{request.method} {request.path}",
            reason=self.message,
        )
        return False
