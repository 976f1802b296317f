"""Was bias assessed, and is it within the policy?

A threshold of parity is policy, not law. That nobody is affected has to be declared;
silence leaves these rules undecided.
"""

from __future__ import annotations

import re

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

NOBODY = "Nobody is affected, as declared, and the data is not personal."

# Differences between groups, whatever the attribute behind them; not ratios.
PARITY = re.compile(
    r"^(?!.*ratio).*(demographic_parity|statistical_parity|dp_diff|(^|_)dpd(_|$))",
    re.IGNORECASE,
)
PEOPLE_READS = (
    "fairness_metrics",
    "data_sensitivity",
    "annex_iii_category",
    "affected_groups",
    "profiles_natural_persons",
    "decision_automation",
)


def concerns_people(facts: ModelFacts) -> bool | None:
    """Decisions about people, personal data or Annex III; None while undeclared."""
    about = facts.affects_people
    if about or facts.has_personal_data or facts.has_annex_iii_category:
        return True
    return False if about is False and facts.has_personal_data is False else None


@rulebook.rule("VW-FAIR-001", reads=(*PEOPLE_READS, "incomplete"))
def bias_is_assessed(facts: ModelFacts) -> Outcome:
    if facts.fairness_metrics:
        return Outcome(PASS.verdict, inputs={"metrics": sorted(facts.fairness_metrics)})
    match concerns_people(facts):
        case True:
            return missing(facts, "No fairness metric is recorded.")
        case False:
            return not_applicable(NOBODY)
        case None:
            return unknown("Whether people are affected has not been declared.")


@rulebook.rule(
    "VW-FAIR-002", reads=PEOPLE_READS, thresholds=("demographic_parity_max",)
)
def demographic_parity_is_low(
    facts: ModelFacts, *, demographic_parity_max: float
) -> Outcome:
    """The greatest absolute difference over all protected attributes decides."""
    differences = {
        name: abs(value)
        for name, value in (facts.fairness_metrics or {}).items()
        if PARITY.match(name)
    }
    if not differences:
        if concerns_people(facts) is False:
            return not_applicable(NOBODY)
        return unknown("No demographic parity difference is recorded.")
    worst = max(differences, key=lambda name: differences[name])
    if differences[worst] < demographic_parity_max:
        return Outcome(PASS.verdict, inputs=differences)
    return fail(
        f"{worst} is {differences[worst]:.4g}; it has to be below "
        f"{demographic_parity_max:.4g}.",
        **differences,
    )
