"""The rules, by noun. Importing this package registers them all in the rulebook."""

from compliance.rules import (
    ai_act,
    approval,
    card,
    environment,
    evaluation,
    fairness,
    fields,
    lineage,
    operations,
    ownership,
    privacy,
    regulatory,
    security,
)

__all__ = (
    "ai_act",
    "approval",
    "card",
    "environment",
    "evaluation",
    "fairness",
    "fields",
    "lineage",
    "operations",
    "ownership",
    "privacy",
    "regulatory",
    "security",
)
