"""Was security assessed, and is nothing secret told in the open?"""

from __future__ import annotations

from compliance.engine import (
    PASS,
    TELLING,
    Outcome,
    fail,
    missing,
    not_applicable,
    rulebook,
    unknown,
)
from compliance.facts import ModelFacts


@rulebook.rule(
    "VW-SEC-001", reads=("lifecycle_stage", "security_assessment_version", "incomplete")
)
def security_assessment_is_referenced(facts: ModelFacts) -> Outcome:
    if not facts.is_production:
        return not_applicable("The version is not in production.")
    if facts.security_assessment_version:
        return PASS
    return missing(facts, "No security assessment is recorded.")


@rulebook.rule("VW-SEC-003", reads=("redactions", "incomplete"))
def metadata_has_no_secret(facts: ModelFacts) -> Outcome:
    return redacted(facts, is_secret=True)


def redacted(facts: ModelFacts, *, is_secret: bool) -> Outcome:
    """Fail with each place, key and kind that was redacted; the value was not stored.

    Undecided while a section was not read, unless something was found already.
    """
    found = [item for item in facts.redactions if item.is_secret is is_secret]
    if found:
        places = [f"{item.place} {item.key} ({item.kind})" for item in found]
        return fail(f"Redacted: {', '.join(places)}.", redacted=places)
    for section in TELLING:
        if reason := facts.incomplete.get(section):
            return unknown(f"The {section} could not be read: {reason}")
    return PASS
