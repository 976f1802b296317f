"""What can go wrong with who acts for whom."""

from __future__ import annotations


class NoOrganization(Exception):
    """Tenant rows were touched outside `acting_for`: a bug, never a user's mistake."""

    def __init__(self) -> None:
        super().__init__("Nobody is being acted for: enter `acting_for` first.")


class NotAllowed(Exception):
    """The actor's role does not allow the act. The message is for people."""


class AuditError(Exception):
    """The audit trail could not be written or does not verify."""
