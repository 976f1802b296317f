"""Does somebody answer for the model, and is it said what it is for?"""

from __future__ import annotations

import re

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
from compliance.facts import PRODUCTION_ALIASES, ModelFacts, day_of
from compliance.risk import HIGH_CLASS_READS, TIER_READS, Tier, has_high_class, tier
from inventory.records import Stage

# Accounts that run jobs, with or without a domain behind them.
TECHNICAL_ACCOUNT = re.compile(
    r"(?:root|admin|ubuntu|airflow|jenkins|gitlab|spark|hadoop|databricks|sagemaker"
    r"|mlflow|service|unknown|none|(?:svc|sa|bot|ci)[-_.].*)(?:@.*)?",
    re.IGNORECASE,
)
RISK_READS = tuple(dict.fromkeys((*TIER_READS, *HIGH_CLASS_READS)))


@rulebook.rule("VW-INV-001", reads=("owner", "incomplete"))
def model_has_an_owner(facts: ModelFacts) -> Outcome:
    """Any source will do here, the run's user included: VW-INV-002 weighs them."""
    return PASS if facts.owner else missing(facts, "No owner is recorded.")


@rulebook.rule("VW-INV-002", reads=("owner", "owner_is_weak"))
def owner_is_accountable(facts: ModelFacts) -> Outcome:
    if not facts.owner:
        return not_applicable("No owner is recorded.")
    if TECHNICAL_ACCOUNT.fullmatch(facts.owner.strip()):
        return fail(f"“{facts.owner}” is a technical account.")
    if facts.owner_is_weak:
        return fail(
            f"“{facts.owner}” is known only from who ran or registered something."
        )
    return PASS


@rulebook.rule(
    "VW-INV-003", reads=("business_purpose", "lifecycle_stage", "incomplete")
)
def business_purpose_is_stated(facts: ModelFacts) -> Outcome:
    if not facts.is_staged:
        return not_applicable("The version is neither in staging nor in production.")
    if facts.business_purpose:
        return PASS
    return missing(facts, "No business purpose is recorded.")


@rulebook.rule(
    "VW-INV-004",
    reads=("description", "model_name"),
    thresholds=("description_min_chars",),
)
def description_is_meaningful(
    facts: ModelFacts, *, description_min_chars: float
) -> Outcome:
    description = facts.description.strip()
    if not description:
        return fail("The model has no description.")
    if description.casefold() == facts.model_name.casefold():
        return fail("The description only repeats the model's name.")
    if len(description) < description_min_chars:
        return fail(
            f"The description has {len(description)} characters; it takes at least "
            f"{description_min_chars:g}."
        )
    return PASS


@rulebook.rule(
    "VW-INV-005",
    reads=(*RISK_READS, "lifecycle_stage", "intended_use", "limitations", "incomplete"),
    thresholds=("financial_impact_high_usd",),
)
def use_and_limitations_are_stated(
    facts: ModelFacts, *, financial_impact_high_usd: float
) -> Outcome:
    """High on either axis will do; an unclassified risk leaves the demand open."""
    if not facts.is_production:
        return not_applicable("The version is not in production.")
    by_tier = tier(facts, financial_impact_high_usd=financial_impact_high_usd)
    by_class = has_high_class(facts)
    is_high: bool | None = by_class
    if by_tier is Tier.HIGH:
        is_high = True
    elif by_tier is Tier.UNCLASSIFIED and not by_class:
        is_high = None
    lacking = without(
        {
            "intended use": facts.intended_use,
            "limitations": facts.limitations,
        }
    )
    return demand(
        facts,
        of=is_high,
        whose="a high-risk model",
        met=not lacking,
        lacking=f"Not stated: {' and '.join(lacking)}.",
    )


@rulebook.rule(
    "VW-INV-006",
    reads=("lifecycle_stage", "production_versions", "champions", "traffic_declared"),
)
def model_has_one_champion(facts: ModelFacts) -> Outcome:
    if not facts.is_production or facts.production_versions <= 1:
        return not_applicable("No other version of the model is in production.")
    if facts.champions == 1 or facts.traffic_declared:
        return PASS
    return fail(
        f"{facts.production_versions} versions are in production, {facts.champions or 'none'} "
        f"of them under an alias of production, and no split of the traffic is declared."
    )


@rulebook.rule("VW-INV-007", reads=("lifecycle_stage", "next_review_due", "today"))
def review_is_not_overdue(facts: ModelFacts) -> Outcome:
    if not facts.is_production or not facts.next_review_due:
        return not_applicable("No review is due of a version in production.")
    due = day_of(facts.next_review_due)
    if due is None:
        return unknown(f"“{facts.next_review_due}” is no date.")
    if facts.today <= due:
        return PASS
    return fail(f"The review was due on {due}.")


@rulebook.rule("VW-INV-008", reads=("lifecycle_stage", "deployment_status", "aliases"))
def retired_version_is_not_served(facts: ModelFacts) -> Outcome:
    if (
        facts.lifecycle_stage != Stage.ARCHIVED
        and facts.deployment_status != Stage.ARCHIVED.lower()
    ):
        return not_applicable("The version is not retired.")
    serving = [
        alias for alias in facts.aliases if alias.casefold() in PRODUCTION_ALIASES
    ]
    if not serving:
        return PASS
    return fail(f"The version is retired, but {', '.join(serving)} still points to it.")
