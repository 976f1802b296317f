"""The console's pages of members, their API tokens and the audit trail."""

from __future__ import annotations

from accounts.admin.members import MembershipAdmin
from accounts.admin.saved_views import SavedViewAdmin
from accounts.admin.tokens import ApiTokenAdmin
from accounts.admin.trail import AuditEventAdmin

__all__ = ("ApiTokenAdmin", "AuditEventAdmin", "MembershipAdmin", "SavedViewAdmin")
