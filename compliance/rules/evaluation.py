"""Was the model evaluated, and against what?"""

from __future__ import annotations

from compliance.engine import PASS, Outcome, missing, not_applicable, rulebook
from compliance.facts import ModelFacts

SHOWN = 10  # names of metrics that a result lists


@rulebook.rule(
    "VW-EVAL-001",
    reads=(
        "lifecycle_stage",
        "metrics",
        "baseline_ref",
        "previous_approved_version",
        "incomplete",
    ),
)
def baseline_metrics_are_present(facts: ModelFacts) -> Outcome:
    """Any metric but MLflow's system metrics counts as an evaluation metric.

    The baseline is a reference, a metric named baseline_…, or the version that was
    approved before. A version which only was in production earlier is none: nobody
    has judged it.
    """
    if not facts.is_production:
        return not_applicable("The version is not in production.")
    baselines = [name for name in facts.metrics if name.startswith("baseline")]
    metrics = [
        name
        for name in facts.metrics
        if not name.startswith("system/") and name not in baselines
    ]
    if not metrics:
        return missing(facts, "No evaluation metric is recorded.")
    if not (facts.baseline_ref or facts.previous_approved_version or baselines):
        return missing(facts, "No baseline is recorded for the metrics.")
    return Outcome(
        PASS.verdict,
        inputs={"metrics": sorted(metrics)[:SHOWN], "baselines": sorted(baselines)},
    )
