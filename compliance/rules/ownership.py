"""Does somebody answer for the model, and is it said what it is for?"""

from __future__ import annotations

from compliance.engine import PASS, Outcome, missing, not_applicable, rulebook
from compliance.facts import ModelFacts


@rulebook.rule("VW-INV-001", reads=("owner", "incomplete"))
def model_has_an_owner(facts: ModelFacts) -> Outcome:
    """Any source will do here, the run's user included: VW-INV-002 weighs them."""
    return PASS if facts.owner else missing(facts, "No owner is recorded.")


@rulebook.rule(
    "VW-INV-003", reads=("business_purpose", "lifecycle_stage", "incomplete")
)
def business_purpose_is_stated(facts: ModelFacts) -> Outcome:
    if not facts.is_staged:
        return not_applicable("The version is neither in staging nor in production.")
    if facts.business_purpose:
        return PASS
    return missing(facts, "No business purpose is recorded.")
