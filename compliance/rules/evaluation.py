"""Was the model evaluated, and against what?"""

from __future__ import annotations

import re
from dataclasses import dataclass

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
from compliance.facts import ModelFacts
from compliance.risk import A_HIGH_CLASS, HIGH_CLASS_READS, has_high_class
from inventory.records import Section

SHOWN = 10  # names of metrics that a result lists
REPORT = "evaluation report"
ROBUSTNESS = re.compile(r"robust|stress|adversarial|perturbation", re.IGNORECASE)
LOWER_IS_BETTER = re.compile(
    r"(?:^|_)(?:loss|error|mae|mse|rmse|rmsle|mape|smape|wape|logloss|perplexity|wer|cer"
    r"|brier|latency|fpr|fnr)(?:_|$)"
)
HIGHER_IS_BETTER = re.compile(
    r"(?:^|_)(?:accuracy|acc|auc|roc|auroc|aucpr|precision|recall|f1|fbeta|r2|bleu|rouge"
    r"|map|ndcg|mrr|gini|ks|kappa|mcc|iou|dice)(?:_|$)"
)
STATED = re.compile(r"(?P<key>baseline_\S+?)=(?P<value>[-+.\deE]+)")
CHANGE_READS = (
    "primary_metric",
    "metrics",
    "baseline_ref",
    "baseline_metrics",
)


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


@dataclass(frozen=True, slots=True)
class Change:
    """How the primary metric of a version differs from its baseline."""

    metric: str
    value: float
    baseline: float

    @property
    def relative(self) -> float:
        """The change over the absolute baseline; where that is 0, the change itself."""
        change = self.value - self.baseline
        relative = change / abs(self.baseline) if self.baseline else change
        return round(relative, 9)  # 5 % is 5 %, not a hair more

    def told(self) -> str:
        return (
            f"{self.metric} is {self.value:.4g}, the baseline {self.baseline:.4g}: "
            f"a change of {self.relative:+.1%}"
        )

    def seen(self) -> dict[str, float | str]:
        return {
            "metric": self.metric,
            "value": self.value,
            "baseline": self.baseline,
            "relative change": self.relative,
        }


def change_of(facts: ModelFacts) -> Change | Outcome:
    """Return the change of the primary metric, or why it cannot be told.

    The baseline is a metric baseline_…, a value in the reference (baseline_auc=0.9),
    or what the version or run has that the reference names.
    """
    metric = facts.primary_metric
    if not metric:
        return unknown("No primary metric is declared.")
    if metric not in facts.metrics:
        return unknown(f"The primary metric {metric} was not logged.")
    baseline = facts.metrics.get(f"baseline_{metric}", _stated_baseline(facts, metric))
    if baseline is None:
        baseline = facts.baseline_metrics.get(metric)
    if baseline is None:
        return unknown(f"No baseline of {metric} is known.")
    return Change(metric, facts.metrics[metric], baseline)


def _stated_baseline(facts: ModelFacts, metric: str) -> float | None:
    match = STATED.fullmatch(facts.baseline_ref or "")
    if match is None or match["key"] != f"baseline_{metric}":
        return None
    try:
        return float(match["value"])
    except ValueError:
        return None


def is_greater_better(facts: ModelFacts) -> bool | None:
    """As declared, or by the metric's name; None where it tells neither."""
    if facts.greater_is_better is not None:
        return facts.greater_is_better
    name = (facts.primary_metric or "").casefold()
    if LOWER_IS_BETTER.search(name):
        return False
    return True if HIGHER_IS_BETTER.search(name) else None


@rulebook.rule(
    "VW-EVAL-002",
    reads=(*CHANGE_READS, "greater_is_better"),
    thresholds=("perf_drift_ok",),
)
def performance_holds(facts: ModelFacts, *, perf_drift_ok: float) -> Outcome:
    """Without a declared direction the metric's name tells which way is better."""
    change = change_of(facts)
    if isinstance(change, Outcome):
        return change
    greater = is_greater_better(facts)
    if greater is None:
        return unknown(f"Whether a greater {change.metric} is better is not declared.")
    worse = -change.relative if greater else change.relative
    if worse <= perf_drift_ok:
        return Outcome(PASS.verdict, inputs=change.seen())
    return fail(
        f"{change.told()} for the worse, and {perf_drift_ok:.1%} is tolerated.",
        **change.seen(),
    )


@rulebook.rule("VW-EVAL-003", reads=CHANGE_READS, thresholds=("perf_drift_review",))
def performance_changed_little(
    facts: ModelFacts, *, perf_drift_review: float
) -> Outcome:
    """A great improvement counts: it may be leakage."""
    change = change_of(facts)
    if isinstance(change, Outcome):
        return change
    if abs(change.relative) <= perf_drift_review:
        return Outcome(PASS.verdict, inputs=change.seen())
    return fail(
        f"{change.told()}; above {perf_drift_review:.1%} a person looks at it.",
        **change.seen(),
    )


@rulebook.rule(
    "VW-EVAL-004",
    reads=(
        "lifecycle_stage",
        "deployment_target",
        "unit_tests_pass_rate",
        "incomplete",
    ),
    thresholds=("unit_test_pass_rate",),
)
def unit_tests_pass(facts: ModelFacts, *, unit_test_pass_rate: float) -> Outcome:
    if not facts.is_candidate:
        return not_applicable("The version is no candidate for production.")
    rate = facts.unit_tests_pass_rate
    if rate is None:
        return missing(facts, "No result of unit tests is recorded.")
    if rate >= unit_test_pass_rate:
        return PASS
    return fail(f"{rate:.1%} of the unit tests passed, not {unit_test_pass_rate:.0%}.")


@rulebook.rule(
    "VW-EVAL-005",
    reads=("lifecycle_stage", "evidence_files", "artifacts_read", "incomplete"),
)
def evaluation_report_is_attached(facts: ModelFacts) -> Outcome:
    if not facts.is_production:
        return not_applicable("The version is not in production.")
    reports = [
        str(row["path"]) for row in facts.evidence_files if row.get("kind") == REPORT
    ]
    if reports:
        return Outcome(PASS.verdict, inputs={"files": reports[:SHOWN]})
    if not facts.artifacts_read:
        return unknown("The artifacts of the version have not been read.")
    return missing(
        facts,
        "No evaluation report is among the files.",
        sections=(Section.VERSION, Section.ARTIFACTS),
    )


@rulebook.rule(
    "VW-EVAL-006",
    reads=(*HIGH_CLASS_READS, "primary_metric", "decision_threshold", "incomplete"),
)
def metrics_are_fixed_beforehand(facts: ModelFacts) -> Outcome:
    """MLflow dates no tag: that both are declared is seen, not when they were."""
    lacking = without(
        {
            "primary metric": facts.primary_metric,
            "decision threshold": facts.decision_threshold,
        }
    )
    return demand(
        facts,
        of=has_high_class(facts),
        whose=A_HIGH_CLASS,
        met=not lacking,
        lacking=f"Not declared: {' and '.join(lacking)}.",
    )


@rulebook.rule(
    "VW-EVAL-007",
    reads=(
        *HIGH_CLASS_READS,
        "criticality",
        "metrics",
        "evidence_files",
        "artifact_manifest",
        "incomplete",
    ),
)
def robustness_is_shown(facts: ModelFacts) -> Outcome:
    names = [name for name in facts.metrics if ROBUSTNESS.search(name)]
    files = [
        str(row["path"])
        for row in (*facts.evidence_files, *facts.artifact_manifest)
        if ROBUSTNESS.search(str(row["path"]))
    ]
    is_high = has_high_class(facts)
    if facts.criticality == "critical":
        is_high = True
    elif facts.criticality is None and not is_high:
        is_high = None
    if names or files:
        seen = [*names, *dict.fromkeys(files)][:SHOWN]
        return (
            not_applicable(
                "It is not demanded: this is neither high-risk nor critical."
            )
            if is_high is False
            else Outcome(PASS.verdict, inputs={"shown by": seen})
        )
    return demand(
        facts,
        of=is_high,
        whose="high-risk or critical",
        met=False,
        lacking="Neither a metric nor a report shows robustness.",
        sections=(Section.RUN, Section.ARTIFACTS),
    )
