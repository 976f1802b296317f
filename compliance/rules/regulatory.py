"""Are the regulations in scope known, and the risk that follows from them?"""

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
from compliance.risk import (
    AI_ACT_READS,
    EXEMPTIONS,
    OPERATIONAL_READS,
    TIER_READS,
    Tier,
    ai_act_reasons,
    operational_reasons,
    tier,
    undeclared_inputs,
)
from inventory.records import AI_ACT_CLASSES, TIERS


@rulebook.rule(
    "VW-REG-001",
    reads=tuple(
        dict.fromkeys(
            (
                *AI_ACT_READS,
                *OPERATIONAL_READS,
                "risk_category",
                "declared_tier",
                "declared_ai_act_class",
                "incomplete",
            )
        )
    ),
    thresholds=("financial_impact_high_usd",),
)
def high_risk_model_names_its_category(
    facts: ModelFacts, *, financial_impact_high_usd: float
) -> Outcome:
    """Each axis is judged by itself, and only where it is in question.

    The AI Act, or an Annex III category, asks for a declared AI Act class; a high
    operational risk, for any other reason, asks for a declared tier. One never answers
    for the other, but the word “high” of risk_category is in both vocabularies. An
    unclassified risk is not a high one here, or every untagged model would fail.
    """
    by_act = ai_act_reasons(facts)
    by_operation = operational_reasons(
        facts, financial_impact_high_usd=financial_impact_high_usd
    )
    if not by_act and not by_operation:
        if undeclared := undeclared_inputs(facts):
            return unknown(
                "Whether the risk is high cannot be told without "
                f"{', '.join(undeclared)}."
            )
        return not_applicable(
            "The EU AI Act is not in scope, and the risk is not high."
        )

    open_questions = []
    if by_act and facts.declared_ai_act_class not in AI_ACT_CLASSES:
        open_questions.append(f"no AI Act class is declared, but {', '.join(by_act)}")
    if by_operation and facts.declared_tier not in TIERS:
        open_questions.append(
            f"no risk tier is declared, but {', '.join(by_operation)}"
        )
    if not open_questions:
        return PASS
    told = (
        f"The risk category is “{facts.risk_category}”: "
        if facts.risk_category
        else "No risk category is recorded: "
    )
    return missing(facts, f"{told}{'; '.join(open_questions)}.")


@rulebook.rule(
    "VW-REG-002", reads=("lifecycle_stage", "regulatory_scope", "incomplete")
)
def regulatory_scope_is_declared(facts: ModelFacts) -> Outcome:
    if not facts.is_production:
        return not_applicable("The version is not in production.")
    if facts.regulatory_scope:
        return PASS
    return missing(facts, "No regulatory scope is recorded.")


@rulebook.rule(
    "VW-REG-003",
    reads=tuple(
        dict.fromkeys(
            (
                *TIER_READS,
                "declared_tier",
                "declared_ai_act_class",
                "annex_iii_category",
                "article_6_3_basis",
                "override_signed",
            )
        )
    ),
    thresholds=("financial_impact_high_usd",),
)
def declared_risk_is_not_too_low(
    facts: ModelFacts, *, financial_impact_high_usd: float
) -> Outcome:
    """Each axis by itself: the tier by ADR-005, the class by the Annex III category."""
    computed = tier(facts, financial_impact_high_usd=financial_impact_high_usd)
    seen = {"computed tier": computed.value}
    declared = facts.declared_tier
    too_low, judged = [], False
    if declared in TIERS and computed is not Tier.UNCLASSIFIED:
        judged = True
        if Tier(declared).rank < computed.rank:
            too_low.append(f"the declared tier is {declared}, computed is {computed}")
    if facts.declared_ai_act_class and facts.has_annex_iii_category:
        judged = True
        is_exempt = facts.article_6_3_basis in EXEMPTIONS
        if facts.declared_ai_act_class in ("limited", "minimal") and not is_exempt:
            too_low.append(
                f"the declared AI Act class is {facts.declared_ai_act_class}, but it is "
                f"of Annex III category {facts.annex_iii_category}"
            )
    if too_low:
        if facts.override_signed:
            return Outcome(PASS.verdict, inputs=seen)
        return fail(f"Declared too low: {'; '.join(too_low)}.", **seen)
    if judged:
        return Outcome(PASS.verdict, inputs=seen)
    if declared is None and facts.declared_ai_act_class is None:
        return not_applicable("No risk is declared.")
    return unknown("The declared risk cannot be compared: the computed one is unknown.")
