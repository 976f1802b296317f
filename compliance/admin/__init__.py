"""What is judged, in the console: gaps, policies, badges on the inventory's pages."""

from __future__ import annotations

from compliance.admin.gaps import GapAdmin
from compliance.admin.judged import JudgedModelAdmin, JudgedVersionAdmin
from compliance.admin.policies import PolicyAdmin

__all__ = ("GapAdmin", "JudgedModelAdmin", "JudgedVersionAdmin", "PolicyAdmin")
