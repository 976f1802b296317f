"""What can go wrong with who acts for whom."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied


class NoOrganization(Exception):
    """Tenant rows were touched outside `acting_for`: a bug, never a user's mistake."""

    def __init__(self) -> None:
        super().__init__("Nobody is being acted for: enter `acting_for` first.")


class NotAllowed(PermissionDenied):
    """The act is not open to the actor. The message is for people; requests end as 403."""


class AuditError(Exception):
    """The audit trail could not be written or does not verify."""
