"""Is the version approved, by whom might it be, and what asks for a person?"""

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
from compliance.facts import ModelFacts, RequestFacts
from compliance.risk import SENSITIVE

NOT_SET_UP = "Approvals are not set up."
NOT_FOR_PRODUCTION = "Production is not asked for."
TARGET_UNKNOWN = "Where the version shall be deployed is not declared."
AIM_READS = ("lifecycle_stage", "deployment_target")
HOUR = 3600  # seconds


@rulebook.rule(
    "VW-APR-001",
    reads=("lifecycle_stage", "approvals_set_up", "approved_at", "production_since"),
)
def production_version_is_approved(facts: ModelFacts) -> Outcome:
    if not facts.is_production:
        return not_applicable("The version is not in production.")
    if not facts.approvals_set_up:
        return unknown(NOT_SET_UP)
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


@rulebook.rule(
    "VW-APR-002",
    reads=("approvals_set_up", "approved_at", "approved_digest", "material_digest"),
)
def approval_fits_the_record(facts: ModelFacts) -> Outcome:
    if not facts.approvals_set_up:
        return unknown(NOT_SET_UP)
    if facts.approved_at is None:
        return not_applicable("The version is not approved.")
    if facts.approved_digest == facts.material_digest:
        return PASS
    return fail("Something material has changed since the version was approved.")


@rulebook.rule(
    "VW-APR-003", reads=("steps", "requester", "owner", "run_user", "version_creator")
)
def four_eyes_decide(facts: RequestFacts) -> Outcome:
    """The owner may decide, but not last."""
    if not facts.steps:
        return not_applicable("Nobody has decided yet.")
    told = []
    for step in facts.steps:
        roles = [
            role
            for role, who in (
                ("requested the approval", facts.requester),
                ("ran the training", facts.run_user),
                ("made the version", facts.version_creator),
                ("owns the model", facts.owner if step.is_final else ""),
            )
            if who and who.casefold() == step.by.casefold()
        ]
        told += [f"{step.by} decided, who {role}" for role in roles]
    people = [step.by.casefold() for step in facts.steps]
    twice = sorted({who for who in people if people.count(who) > 1})
    told += [f"{who} decided more than one step" for who in twice]
    return fail(f"Not four eyes: {'; '.join(told)}.") if told else PASS


@rulebook.rule(
    "VW-APR-005",
    reads=(
        *AIM_READS,
        "approvals_set_up",
        "previous_approved_version",
        "approved_types",
        "model_type",
    ),
)
def type_was_deployed_before(facts: ModelFacts) -> Outcome:
    if (undecided := _aim(facts)) is not None:
        return undecided
    if not facts.approvals_set_up:
        return unknown(NOT_SET_UP)
    if facts.previous_approved_version is None:
        return fail("No earlier version of the model was approved for production.")
    if facts.model_type in facts.approved_types:
        return PASS
    return fail(
        f"No earlier version of the type “{facts.model_type or 'not told'}” was approved."
    )


@rulebook.rule("VW-APR-006", reads=(*AIM_READS, "data_sensitivity"))
def data_is_not_sensitive(facts: ModelFacts) -> Outcome:
    if (undecided := _aim(facts)) is not None:
        return undecided
    if facts.has_personal_data is None:
        return unknown("Whether the data is personal or sensitive is not declared.")
    if facts.data_sensitivity in SENSITIVE:
        return fail(f"The data is {facts.data_sensitivity}.")
    return PASS


@rulebook.rule(
    "VW-APR-007",
    reads=(*AIM_READS, "financial_impact_usd"),
    thresholds=("financial_impact_high_usd",),
)
def financial_impact_is_limited(
    facts: ModelFacts, *, financial_impact_high_usd: float
) -> Outcome:
    if (undecided := _aim(facts)) is not None:
        return undecided
    impact = facts.financial_impact_usd
    if impact is None:
        return unknown("The financial impact is not recorded.")
    if impact <= financial_impact_high_usd:
        return PASS
    return fail(f"The financial impact is ${impact:,.0f} a year.")


@rulebook.rule("VW-APR-008", reads=(*AIM_READS, "domain", "regulatory_scope"))
def domain_is_not_regulated(facts: ModelFacts) -> Outcome:
    if (undecided := _aim(facts)) is not None:
        return undecided
    if facts.is_regulated is None:
        return unknown("Which regulations apply is not declared.")
    if not facts.is_regulated:
        return PASS
    if facts.has_regulated_domain:
        return fail(f"The domain is {facts.domain}.")
    return fail(f"In scope: {', '.join(facts.regulatory_scope)}.")


@rulebook.rule(
    "VW-APR-009",
    reads=(*AIM_READS, "deployment_traffic_percent"),
    thresholds=("traffic_human_pct",),
)
def traffic_is_limited(facts: ModelFacts, *, traffic_human_pct: float) -> Outcome:
    if (undecided := _aim(facts)) is not None:
        return undecided
    share = facts.deployment_traffic_percent
    if share is None:
        return unknown("The share of the traffic is not recorded.")
    if share <= traffic_human_pct:
        return PASS
    return fail(f"The version shall get {share:g} % of the traffic.")


@rulebook.rule(
    "VW-APR-010",
    reads=(*AIM_READS, "deployment_traffic_percent"),
    thresholds=("traffic_auto_pct",),
)
def target_is_harmless(facts: ModelFacts, *, traffic_auto_pct: float) -> Outcome:
    aim, share = facts.aims_at_production, facts.deployment_traffic_percent
    if aim is False or (share is not None and share < traffic_auto_pct):
        return PASS
    if aim is None or share is None:
        return unknown(
            TARGET_UNKNOWN if aim is None else "The traffic is not recorded."
        )
    return fail(f"The version shall get {share:g} % of the traffic of production.")


@rulebook.rule(
    "VW-APR-011",
    reads=("requested_at", "decided_at", "now"),
    thresholds=("review_sla_hours",),
)
def request_is_decided_in_time(
    facts: RequestFacts, *, review_sla_hours: float
) -> Outcome:
    if facts.decided_at:
        return not_applicable("The request is decided.")
    hours = (facts.now - facts.requested_at).total_seconds() / HOUR
    if hours < review_sla_hours:
        return PASS
    return fail(f"The request is open for more than {review_sla_hours:g} hours.")


@rulebook.rule("VW-APR-012", reads=("conditions", "now"))
def conditions_hold(facts: RequestFacts) -> Outcome:
    """A condition that is closed is met; a waiver is closed when it was revoked."""
    if not facts.conditions:
        return not_applicable("There is neither a condition nor a waiver.")
    today = facts.now.date()
    told = [
        f"“{item.name}” was due on {item.due_on}"
        for item in facts.conditions
        if not item.is_closed and item.due_on < today
    ]
    told += [
        f"“{item.name}” has no owner or no reason"
        for item in facts.conditions
        if not item.is_closed and not item.is_justified
    ]
    return fail(f"Not in order: {'; '.join(told)}.") if told else PASS


def _aim(facts: ModelFacts) -> Outcome | None:
    """Return why a trigger about production does not decide, None if it does."""
    aim = facts.aims_at_production
    if aim is None:
        return unknown(TARGET_UNKNOWN)
    return None if aim else not_applicable(NOT_FOR_PRODUCTION)
