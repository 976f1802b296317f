"""How versions and sources were judged, and what people decided about it."""

from __future__ import annotations

from compliance.models.changes import ResultChange
from compliance.models.evaluations import Evaluation
from compliance.models.events import GapEvent
from compliance.models.gaps import (
    GATES,
    RULE_ID_LENGTH,
    SEVERITIES,
    VERDICTS,
    Gap,
    GapQuerySet,
)
from compliance.models.policies import Policy, PolicyEditor, PolicyQuerySet
from compliance.models.rule_sets import RuleSet
from compliance.models.standings import (
    FRAMEWORK_LENGTH,
    Framework,
    FrameworkTally,
    Standing,
    StandingQuerySet,
)
from compliance.models.waivers import Waiver
from compliance.models.work import LONGEST_COMMENT, WORK, GapComment

__all__ = (
    "FRAMEWORK_LENGTH",
    "GATES",
    "LONGEST_COMMENT",
    "RULE_ID_LENGTH",
    "SEVERITIES",
    "VERDICTS",
    "WORK",
    "Evaluation",
    "Framework",
    "FrameworkTally",
    "Gap",
    "GapComment",
    "GapEvent",
    "GapQuerySet",
    "Policy",
    "PolicyEditor",
    "PolicyQuerySet",
    "ResultChange",
    "RuleSet",
    "Standing",
    "StandingQuerySet",
    "Waiver",
)
