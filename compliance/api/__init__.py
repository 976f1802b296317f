"""Gaps, policies and rules over REST."""

from __future__ import annotations

from compliance.api.gaps import GapViewSet, ResultSerializer, results_of
from compliance.api.policies import PolicyViewSet
from compliance.api.rules import RuleViewSet

__all__ = (
    "GapViewSet",
    "PolicyViewSet",
    "ResultSerializer",
    "RuleViewSet",
    "results_of",
)
