"""What is judged, in the console: gaps, policies, waivers, badges on other pages."""

from __future__ import annotations

from compliance.admin.frameworks import FrameworkAdmin
from compliance.admin.gaps import GapAdmin
from compliance.admin.judged import JudgedModelAdmin, JudgedVersionAdmin
from compliance.admin.policies import PolicyAdmin
from compliance.admin.waivers import WaiverAdmin

__all__ = (
    "FrameworkAdmin",
    "GapAdmin",
    "JudgedModelAdmin",
    "JudgedVersionAdmin",
    "PolicyAdmin",
    "WaiverAdmin",
)
