"""Why a model counts as high-risk, on each of the two axes, which are never merged.

Pure. ADR-005 defines the operational risk; the other axis is the EU AI Act.
"""

from __future__ import annotations

from enum import StrEnum

from compliance.facts import MANDATORY, ModelFacts

# What the two functions below read, for the declarations of rules that call them.
AI_ACT_READS = ("regulatory_scope", "annex_iii_category")
OPERATIONAL_READS = (
    "criticality",
    "data_sensitivity",
    "regulatory_scope",
    "domain",
    "financial_impact_usd",
)
TIER_READS = (*OPERATIONAL_READS, "customer_facing", "rollback_ease")
HIGH_CLASS_READS = (
    *AI_ACT_READS,
    "declared_ai_act_class",
    "article_6_3_basis",
    "profiles_natural_persons",
)
A_HIGH_CLASS = "of a high-risk AI Act class"  # whose duties a rule asks for
EXEMPTIONS = ("a", "b", "c", "d")  # the conditions of Article 6(3)
OTHER_LAWS = MANDATORY - {"eu_ai_act"}
LIMITED = ("public", "internal")  # data to which access is no great matter
SENSITIVE = ("personal", "special_category", "phi", "financial")


def ai_act_reasons(facts: ModelFacts) -> list[str]:
    """Return why the EU AI Act may make the model high-risk, each as a clause."""
    reasons = []
    if "eu_ai_act" in facts.regulatory_scope:
        reasons.append("the EU AI Act is in scope")
    if facts.has_annex_iii_category:
        reasons.append(f"it is of Annex III category {facts.annex_iii_category}")
    return reasons


def operational_reasons(
    facts: ModelFacts, *, financial_impact_high_usd: float
) -> list[str]:
    """Return why the operational risk is high, each as a clause; none proves nothing.

    The EU AI Act in scope is not among them: it is the other axis.
    """
    reasons = []
    if facts.criticality == "critical":
        reasons.append("it is critical")
    if facts.data_sensitivity in SENSITIVE:
        reasons.append(f"its data is {facts.data_sensitivity}")
    if facts.has_regulated_domain:
        reasons.append(f"its domain is {facts.domain}")
    if laws := OTHER_LAWS.intersection(facts.regulatory_scope):
        reasons.append(f"{', '.join(sorted(laws))} is in scope")
    if (facts.financial_impact_usd or 0) > financial_impact_high_usd:
        reasons.append(
            f"its financial impact is above ${financial_impact_high_usd:,.0f} a year"
        )
    return reasons


def undeclared_inputs(facts: ModelFacts) -> list[str]:
    """Return the names of the facts without which a risk cannot be called not high."""
    inputs = {
        "regulatory_scope": facts.regulatory_scope,
        "data_sensitivity": facts.has_personal_data is not None,
        "criticality": facts.criticality,
        "financial_impact_usd": facts.financial_impact_usd is not None,
    }
    return [name for name, known in inputs.items() if not known]


class Tier(StrEnum):
    """The operational risk. Unclassified is treated as high, and never shown as such."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    UNCLASSIFIED = "unclassified"

    @property
    def rank(self) -> int:
        """The order of gravity; an unclassified risk has none."""
        return ("low", "medium", "high").index(self.value)


def tier(facts: ModelFacts, *, financial_impact_high_usd: float) -> Tier:
    """Return the operational risk by ADR-005: the first class that applies, from above.

    While an input is missing that could make it high, it is neither medium nor low.
    """
    if operational_reasons(facts, financial_impact_high_usd=financial_impact_high_usd):
        return Tier.HIGH
    if undeclared_inputs(facts):
        return Tier.UNCLASSIFIED
    if facts.financial_impact_usd or facts.customer_facing:
        return Tier.MEDIUM
    if facts.customer_facing is None or not facts.rollback_ease:
        return Tier.UNCLASSIFIED
    is_low = facts.rollback_ease == "easy" and facts.data_sensitivity in LIMITED
    return Tier.LOW if is_low else Tier.MEDIUM


def has_high_class(facts: ModelFacts) -> bool | None:
    """Tell whether the duties of a high-risk AI Act class apply; None: undeclared.

    An Annex III area makes a model high-risk, unless an exemption of Article 6(3) is
    claimed, which profiling natural persons rules out. A prohibited one has no lesser
    duties.
    """
    if facts.declared_ai_act_class in ("high", "prohibited"):
        return True
    if facts.has_annex_iii_category:
        is_exempt = facts.article_6_3_basis in EXEMPTIONS
        return not is_exempt or facts.profiles_natural_persons is True
    if facts.declared_ai_act_class in ("limited", "minimal"):
        return False
    out_of_scope = facts.regulatory_scope and "eu_ai_act" not in facts.regulatory_scope
    return False if out_of_scope or facts.has_no_annex_iii_category else None
