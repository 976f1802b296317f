"""Is the sensitivity of the data known, and is personal data assessed?"""

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
from compliance.rules.security import redacted
from inventory.records import SENSITIVITIES

ASSESSED = ("completed", "approved")


@rulebook.rule(
    "VW-PRIV-001",
    reads=(
        "lifecycle_stage",
        "data_sensitivity",
        "privacy_assessment_status",
        "incomplete",
    ),
)
def personal_data_is_assessed(facts: ModelFacts) -> Outcome:
    if not facts.is_production:
        return not_applicable("The version is not in production.")
    if facts.has_personal_data is None:
        return unknown("Whether the model handles personal data is not declared.")
    if not facts.has_personal_data:
        return not_applicable(f"The data is {facts.data_sensitivity}, not personal.")
    status = facts.privacy_assessment_status
    if status.casefold() in ASSESSED:
        return PASS
    if status:
        return fail(f"The privacy assessment is “{status}”, not completed.")
    return missing(facts, "No privacy assessment is recorded.")


@rulebook.rule("VW-PRIV-002", reads=("data_sensitivity", "incomplete"))
def data_sensitivity_is_declared(facts: ModelFacts) -> Outcome:
    if not facts.data_sensitivity:
        return missing(facts, "No data sensitivity is recorded.")
    if facts.data_sensitivity in SENSITIVITIES:
        return PASS
    return fail(
        f"The data sensitivity “{facts.data_sensitivity}” is none of "
        f"{', '.join(SENSITIVITIES)}."
    )


@rulebook.rule("VW-PRIV-005", reads=("redactions", "incomplete"))
def metadata_has_no_personal_data(facts: ModelFacts) -> Outcome:
    return redacted(facts, is_secret=False)
