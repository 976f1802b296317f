"""How versions and sources were judged, and what people decided about it."""

from __future__ import annotations

from compliance.models.gaps import (
    RULE_ID_LENGTH,
    SEVERITIES,
    VERDICTS,
    Evaluation,
    Gap,
    GapEvent,
    GapQuerySet,
    ResultChange,
)

__all__ = (
    "RULE_ID_LENGTH",
    "SEVERITIES",
    "VERDICTS",
    "Evaluation",
    "Gap",
    "GapEvent",
    "GapQuerySet",
    "ResultChange",
)
