"""Is the sensitivity of the data known, and is personal data assessed?"""

from __future__ import annotations

from compliance.engine import (
    PASS,
    Outcome,
    demand,
    fail,
    missing,
    not_applicable,
    rulebook,
    unknown,
    without,
)
from compliance.facts import ModelFacts, day_of
from compliance.rules.security import redacted
from inventory.records import SENSITIVITIES

EXPLANATION = "explanation"  # a kind of evidence file
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


@rulebook.rule(
    "VW-PRIV-003",
    reads=(
        "lifecycle_stage",
        "data_sensitivity",
        "privacy_assessment_status",
        "dpia_date",
        "purpose_or_data_since",
        "today",
        "incomplete",
    ),
    thresholds=("privacy_assessment_max_days",),
)
def privacy_assessment_covers_the_version(
    facts: ModelFacts, *, privacy_assessment_max_days: float
) -> Outcome:
    """A dataset or purpose changes with the first version that names another one."""
    if (
        not facts.is_production
        or not facts.has_personal_data
        or facts.privacy_assessment_status.casefold() not in ASSESSED
    ):
        return not_applicable(
            "No personal data in production has a privacy assessment here."
        )
    if not facts.dpia_date:
        return missing(facts, "The privacy assessment has no date.")
    assessed = day_of(facts.dpia_date)
    if assessed is None:
        return unknown(f"The assessment's date “{facts.dpia_date}” is no date.")
    changed = facts.purpose_or_data_since
    if changed and assessed < changed:
        return fail(
            f"The assessment of {assessed} is older than the dataset or the purpose, "
            f"which are so since {changed}."
        )
    age = (facts.today - assessed).days
    if age > privacy_assessment_max_days:
        return fail(
            f"The assessment of {assessed} is older than "
            f"{privacy_assessment_max_days:g} days."
        )
    return PASS


@rulebook.rule(
    "VW-PRIV-004",
    reads=(
        "data_sensitivity",
        "regulatory_scope",
        "compliance_approver",
        "incomplete",
    ),
)
def health_data_is_in_scope_of_hipaa(facts: ModelFacts) -> Outcome:
    if facts.has_personal_data is None:
        return unknown("Whether the model handles health data is not declared.")
    lacking = without(
        {
            "hipaa in the regulatory scope": "hipaa" in facts.regulatory_scope,
            "a compliance approver": facts.compliance_approver,
        }
    )
    return demand(
        facts,
        of=facts.data_sensitivity == "phi",
        whose="about health data (phi)",
        met=not lacking,
        lacking=f"Not recorded: {' and '.join(lacking)}.",
    )


@rulebook.rule("VW-PRIV-005", reads=("redactions", "incomplete"))
def metadata_has_no_personal_data(facts: ModelFacts) -> Outcome:
    return redacted(facts, is_secret=False)


@rulebook.rule(
    "VW-PRIV-006",
    reads=(
        "decision_automation",
        "affected_groups",
        "profiles_natural_persons",
        "human_oversight_ref",
        "explanation_ref",
        "evidence_files",
        "incomplete",
    ),
)
def automated_decisions_have_a_human_route(facts: ModelFacts) -> Outcome:
    """An explanation is a method that is named, or a file that explains."""
    is_automated: bool | None = facts.decision_automation == "solely_automated"
    if facts.decision_automation is None or (
        is_automated and facts.affects_people is None
    ):
        is_automated = None
    elif not facts.affects_people:
        is_automated = False
    explains = any(row.get("kind") == EXPLANATION for row in facts.evidence_files)
    lacking = without(
        {
            "human oversight": facts.human_oversight_ref,
            "a method of explanation": facts.explanation_ref or explains,
        }
    )
    return demand(
        facts,
        of=is_automated,
        whose="a solely automated decision about people",
        met=not lacking,
        lacking=f"Not documented: {' and '.join(lacking)}.",
    )
