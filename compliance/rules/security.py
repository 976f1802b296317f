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
from compliance.facts import ModelFacts, SourceFacts, day_of

CLEAN = ("passed", "pass", "clean", "ok", "success", "true", "no_findings")


@rulebook.rule(
    "VW-SEC-001", reads=("lifecycle_stage", "security_assessment_version", "incomplete")
)
def security_assessment_is_referenced(facts: ModelFacts) -> Outcome:
    if not facts.is_production:
        return not_applicable("The version is not in production.")
    if facts.security_assessment_version:
        return PASS
    return missing(facts, "No security assessment is recorded.")


@rulebook.rule(
    "VW-SEC-002",
    reads=(
        "lifecycle_stage",
        "deployment_target",
        "security_scan_status",
        "security_vulnerabilities",
        "security_scan_date",
        "training_ended_at",
        "incomplete",
    ),
    thresholds=("security_vulnerabilities_max",),
)
def security_scan_is_clean(
    facts: ModelFacts, *, security_vulnerabilities_max: float
) -> Outcome:
    """A clean scan counts without a number; a number above the limit never does."""
    if not facts.is_candidate:
        return not_applicable("The version is no candidate for production.")
    status, count = facts.security_scan_status, facts.security_vulnerabilities
    if count is not None and count > security_vulnerabilities_max:
        return fail(f"The security scan found {count:g} vulnerabilities.")
    if not status:
        return missing(facts, "No security scan is recorded.")
    if status.casefold() not in CLEAN:
        return fail(f"The security scan is “{status}”, not passed.")
    if not facts.security_scan_date:
        return PASS
    scanned = day_of(facts.security_scan_date)
    if scanned is None:
        return unknown(f"The scan's date “{facts.security_scan_date}” is no date.")
    ended = facts.training_ended_at
    if ended and scanned < ended.date():
        return fail(f"The scan of {scanned} is older than the end of the training.")
    return PASS


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


@rulebook.rule(
    "VW-SEC-004",
    reads=("is_encrypted", "is_verified", "is_local", "has_identity", "can_write"),
)
def connection_is_secure(facts: SourceFacts) -> Outcome:
    """A connection that does not leave the machine needs no encryption.

    Whether the identity may write cannot be tested without writing, which we never do.
    """
    if facts.is_encrypted is None:
        return not_applicable("The source is not read over a connection.")
    lacking = []
    if not facts.is_local:
        if not facts.is_encrypted:
            lacking.append("it is not encrypted")
        elif not facts.is_verified:
            lacking.append("the server's certificate is not verified")
    if not facts.has_identity:
        lacking.append("it names no identity")
    if facts.can_write:
        lacking.append("its identity may write")
    if not lacking:
        return PASS
    return fail(f"The connection to {facts.name}: {', '.join(lacking)}.")
