"""What the roles allow, for the API and the console."""

from __future__ import annotations

from typing import ClassVar, cast

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
    """Members may read; a view names in `permissions` what its other acts need.

    `permissions` maps an action of the viewset to a Permission; what it does not name
    is refused.
    """

    permissions: ClassVar[dict[str, Permission]] = {}

    def has_permission(self, request: Request, view: APIView) -> bool:
        acting = tenancy.current()
        if acting is None or acting.organization_id is None:
            return False
        action = getattr(view, "action", None) or ""
        named: dict[str, Permission] = getattr(view, "permissions", {})
        needed = named.get(action)
        if needed is None:
            needed = named.get("*", Permission.VIEW)
            if request.method not in SAFE_METHODS and "*" not in named:
                return False
        if acting.may(needed):
            return True
        self.message = f"{needed.label} is not open to your role."
        refuse(
            request._request,
            "act.refused",
            label=f"{request.method} {request.path}",
            reason=cast(str, self.message),
        )
        return False
