"""Gaps, rules, policies, waivers, frameworks and verdicts over REST."""

from __future__ import annotations

from compliance.api.checking import CheckVersionViewSet
from compliance.api.frameworks import FrameworkViewSet
from compliance.api.gaps import GapViewSet, ResultSerializer, results_of
from compliance.api.policies import PolicyViewSet
from compliance.api.rules import RuleViewSet
from compliance.api.waivers import WaiverViewSet

__all__ = (
    "CheckVersionViewSet",
    "FrameworkViewSet",
    "GapViewSet",
    "PolicyViewSet",
    "ResultSerializer",
    "RuleViewSet",
    "WaiverViewSet",
    "results_of",
)
