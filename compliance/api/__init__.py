"""Gaps, rules, policies and waivers over REST."""

from __future__ import annotations

from compliance.api.gaps import GapViewSet, ResultSerializer, results_of
from compliance.api.policies import PolicyViewSet
from compliance.api.rules import RuleViewSet
from compliance.api.waivers import WaiverViewSet

__all__ = (
    "GapViewSet",
    "PolicyViewSet",
    "ResultSerializer",
    "RuleViewSet",
    "WaiverViewSet",
    "results_of",
)
