"""Was bias assessed, and is it within the policy?

A threshold of parity is policy, not law. That nobody is affected has to be declared;
silence leaves these rules undecided.
"""

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
)
from compliance.facts import ModelFacts
from compliance.risk import A_HIGH_CLASS, HIGH_CLASS_READS, has_high_class
from inventory.records import Section

NOBODY = "Nobody is affected, as declared, and the data is not personal."

# Differences between groups, whatever the attribute behind them; not ratios.
PARITY = re.compile(
    r"^(?!.*ratio).*(demographic_parity|statistical_parity|dp_diff|(^|_)dpd(_|$))",
    re.IGNORECASE,
)
IMPACT = re.compile(r"disparate_impact(?!.*difference)", re.IGNORECASE)
SLICED = re.compile(r"by[-_]?group|per[-_]?group|slice", re.IGNORECASE)
# What follows a metric's name and is no group of people.
NO_GROUP = frozenset(
    {"train", "training", "val", "validation", "valid", "test", "eval", "mean", "std",
     "min", "max", "ci", "lower", "upper", "micro", "macro", "weighted", "score"}
)  # fmt: skip
GROUPS_WANTED = 2
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


@rulebook.rule(
    "VW-FAIR-003", reads=("fairness_metrics",), thresholds=("disparate_impact_min",)
)
def disparate_impact_is_small(
    facts: ModelFacts, *, disparate_impact_min: float
) -> Outcome:
    """The smallest ratio over all protected attributes decides; above 1 it is turned."""
    ratios = {
        name: 1 / value if value > 1 else value
        for name, value in (facts.fairness_metrics or {}).items()
        if IMPACT.search(name)
    }
    if not ratios:
        return not_applicable("No disparate impact ratio is recorded.")
    worst = min(ratios, key=lambda name: ratios[name])
    if ratios[worst] >= disparate_impact_min:
        return Outcome(PASS.verdict, inputs=ratios)
    return fail(
        f"{worst} is {ratios[worst]:.4g}; it has to be at least "
        f"{disparate_impact_min:.4g}.",
        **ratios,
    )


@rulebook.rule(
    "VW-FAIR-004",
    reads=(
        *HIGH_CLASS_READS,
        "primary_metric",
        "metrics",
        "artifact_manifest",
        "incomplete",
    ),
)
def performance_is_shown_by_group(facts: ModelFacts) -> Outcome:
    """Metrics named <primary metric>_<group>, or a file of slices."""
    is_high = has_high_class(facts)
    if is_high is False:
        return not_applicable("It is not demanded: this is no high-risk AI Act class.")
    files = [
        str(row["path"])
        for row in facts.artifact_manifest
        if SLICED.search(str(row["path"]))
    ]
    groups = _groups(facts)
    if len(groups) >= GROUPS_WANTED or files:
        return Outcome(PASS.verdict, inputs={"groups": groups, "files": files})
    if is_high and not facts.primary_metric:
        return unknown("No primary metric is declared.")
    return demand(
        facts,
        of=is_high,
        whose=A_HIGH_CLASS,
        met=False,
        lacking=f"{facts.primary_metric} is not shown for two groups or more.",
        sections=(Section.RUN, Section.ARTIFACTS),
    )


def _groups(facts: ModelFacts) -> list[str]:
    """Return the groups for which the primary metric was logged."""
    if not facts.primary_metric:
        return []
    named = re.compile(re.escape(facts.primary_metric) + r"[_./:-](?P<group>.+)")
    found = (named.fullmatch(name) for name in facts.metrics)
    return sorted(
        match["group"] for match in found if match and match["group"] not in NO_GROUP
    )
