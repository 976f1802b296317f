"""Why a model counts as high-risk, on each of the two axes, which are never merged.

Pure. ADR-005 defines the operational risk; the other axis is the EU AI Act.
"""

from __future__ import annotations

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
OTHER_LAWS = MANDATORY - {"eu_ai_act"}
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
