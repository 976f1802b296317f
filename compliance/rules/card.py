"""Is there a model card, and does it tell of this version?

Cards are made in VerifyWise; until there are any, the rules are undecided.
"""

from __future__ import annotations

from compliance.engine import (
    PASS,
    Outcome,
    fail,
    not_applicable,
    rulebook,
    unknown,
)
from compliance.facts import ModelFacts
from compliance.risk import TIER_READS, Tier, tier

SECTIONS = ("performance", "data", "bias", "intended_use")
NO_CARDS = "Model cards are not set up."


@rulebook.rule(
    "VW-CARD-001",
    reads=(*TIER_READS, "cards_set_up", "card_sections"),
    thresholds=("financial_impact_high_usd",),
)
def high_risk_model_has_a_card(
    facts: ModelFacts, *, financial_impact_high_usd: float
) -> Outcome:
    """An unclassified risk is treated as high."""
    if not facts.cards_set_up:
        return unknown(NO_CARDS)
    risk = tier(facts, financial_impact_high_usd=financial_impact_high_usd)
    if risk not in (Tier.HIGH, Tier.UNCLASSIFIED):
        return not_applicable(f"The risk is {risk}.")
    if not facts.card_sections:
        return fail("There is no model card.")
    lacking = [name for name in SECTIONS if name not in facts.card_sections]
    if lacking:
        told = ", ".join(name.replace("_", " ") for name in lacking)
        return fail(f"The model card does not cover {told}.")
    return PASS


@rulebook.rule(
    "VW-CARD-002",
    reads=("cards_set_up", "card_sections", "card_digest", "record_digest"),
)
def card_matches_the_record(facts: ModelFacts) -> Outcome:
    if not facts.cards_set_up:
        return unknown(NO_CARDS)
    if not facts.card_sections:
        return not_applicable("There is no model card.")
    if facts.card_digest == facts.record_digest:
        return PASS
    return fail("The record has changed since the model card was made.")
