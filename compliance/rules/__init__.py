"""The rules, by noun. Importing this package registers them all in the rulebook."""

from compliance.rules import (
    approval,
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
    "approval",
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
