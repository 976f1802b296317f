"""Is the version approved, and by whom might it be?"""

from __future__ import annotations

from compliance.engine import (
    PASS,
    Outcome,
    fail,
    missing,
    not_applicable,
    rulebook,
    unknown,
)
from compliance.facts import ModelFacts


@rulebook.rule(
    "VW-APR-001",
    reads=("lifecycle_stage", "approvals_set_up", "approved_at", "production_since"),
)
def production_version_is_approved(facts: ModelFacts) -> Outcome:
    if not facts.is_production:
        return not_applicable("The version is not in production.")
    if not facts.approvals_set_up:
        return unknown("Approvals are not set up.")
    if facts.approved_at is None:
        return fail("The version is in production without a valid approval.")
    if facts.production_since and facts.approved_at > facts.production_since:
        return fail("The version was approved only after it was seen in production.")
    return PASS


@rulebook.rule(
    "VW-APR-004",
    reads=(
        "lifecycle_stage",
        "data_sensitivity",
        "domain",
        "regulatory_scope",
        "compliance_approver",
        "approver_is_member",
        "incomplete",
    ),
)
def compliance_approver_is_named(facts: ModelFacts) -> Outcome:
    """The name told by MLflow is a claim: it says who is to decide, not that they did."""
    if not facts.is_staged:
        return not_applicable("The version is neither in staging nor in production.")
    if not facts.has_personal_data and not facts.is_regulated:
        if facts.has_personal_data is None or facts.is_regulated is None:
            return unknown(
                "Whether the domain is regulated or the data personal is not declared."
            )
        return not_applicable("Neither is the domain regulated nor the data personal.")
    if not facts.compliance_approver:
        return missing(facts, "No compliance approver is named.")
    if facts.approver_is_member is None:
        return unknown(f"“{facts.compliance_approver}” has not been looked up.")
    if facts.approver_is_member:
        return PASS
    return fail(
        f"“{facts.compliance_approver}” is not an active member with the role for it."
    )
