"""Small data made on the spot, and scikit-learn models really trained on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from sklearn import ensemble, linear_model, metrics
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from verifywise.demo.models import Case, Estimator

ROWS = 6_000  # half of them held out: fairness differences are then good to 0.03
POSITIVE_SHARE = 0.35
EVEN = 0.5  # where a score becomes a decision, and people fall into two groups
TREES: Mapping[str, Any] = {"n_estimators": 25, "max_depth": 5, "random_state": 7}

DECIDERS = {
    Estimator.LINEAR: (linear_model.LogisticRegression, {"C": 0.5, "max_iter": 200}),
    Estimator.FOREST: (ensemble.RandomForestClassifier, TREES),
    Estimator.BOOSTING: (ensemble.GradientBoostingClassifier, TREES),
}
FORECASTERS = {
    Estimator.LINEAR: (linear_model.Ridge, {"alpha": 1.0}),
    Estimator.FOREST: (ensemble.RandomForestRegressor, TREES),
    Estimator.BOOSTING: (ensemble.GradientBoostingRegressor, TREES),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A fitted pipeline with the tables it was fitted and tested on, target included."""

    pipeline: Any
    training: pd.DataFrame
    evaluation: pd.DataFrame
    params: Mapping[str, str]
    metrics: Mapping[str, float]


def train(case: Case) -> Trained:
    """Train the version of a case; the same case gives the same model.

    The weights are the model's and the rows the version's: versions learn the same
    thing from different data. Fairness is measured only where the case wants it.
    """
    task, version = case.model.task, case.version
    table, groups = _table(case)
    half = ROWS // 2
    training, evaluation = table[:half], table[half:]
    kinds = FORECASTERS if task.is_quantity else DECIDERS
    kind, params = kinds[version.estimator]
    pipeline = make_pipeline(StandardScaler(), kind(**params))
    features = list(task.features)
    pipeline.fit(training[features], training[task.target])
    truth = evaluation[task.target]
    if task.is_quantity:
        measured = _forecast_metrics(truth, pipeline.predict(evaluation[features]))
    else:
        scores = pipeline.predict_proba(evaluation[features])[:, 1]
        measured = _decision_metrics(truth, scores)
        if task.group and version.has_fairness:
            measured |= _fairness_metrics(
                truth, scores > EVEN, groups[half:], suffix=task.group
            )
    return Trained(
        pipeline=pipeline,
        training=training,
        evaluation=evaluation,
        params={"estimator": kind.__name__}
        | {key: str(value) for key, value in params.items()},
        metrics={key: round(float(value), 4) for key, value in measured.items()},
    )


def _table(case: Case) -> tuple[pd.DataFrame, Any]:
    """Return the rows, and to which of two groups of people each belongs."""
    task = case.model.task
    random = _random(case.model.name)
    weights = random.uniform(0.4, 1.2, len(task.features))
    weights[0], weights[1::2] = 1.2, -weights[1::2]
    random = _random(f"{case.model.name}/{case.number}")
    values = random.normal(size=(ROWS, len(weights)))
    groups = random.random(ROWS) < EVEN
    values[:, 0] += case.version.bias * groups
    outcome = values @ weights + random.normal(scale=0.8, size=ROWS)
    outcome += values[:, 1] * values[:, 2]  # what trees find and lines do not
    columns = {
        column: (mean + spread * values[:, index]).round(3)
        for index, (column, (mean, spread)) in enumerate(task.features.items())
    }
    if task.is_quantity:
        target = (2_000 + 120 * outcome).round(1)
    else:
        target = (outcome > np.quantile(outcome, 1 - POSITIVE_SHARE)).astype(int)
    return pd.DataFrame(columns | {task.target: target}), groups


def _random(name: str) -> np.random.Generator:
    return np.random.default_rng(crc32(name.encode()))


def _forecast_metrics(truth: Any, forecast: Any) -> dict[str, float]:
    return {
        "rmse": metrics.root_mean_squared_error(truth, forecast),
        "mae": metrics.mean_absolute_error(truth, forecast),
        "mape": metrics.mean_absolute_percentage_error(truth, forecast),
        "r2": metrics.r2_score(truth, forecast),
    }


def _decision_metrics(truth: Any, scores: Any) -> dict[str, float]:
    decisions = scores > EVEN
    return {
        "roc_auc": metrics.roc_auc_score(truth, scores),
        "accuracy": metrics.accuracy_score(truth, decisions),
        "precision": metrics.precision_score(truth, decisions),
        "recall": metrics.recall_score(truth, decisions),
        "f1_score": metrics.f1_score(truth, decisions),
    }


def _fairness_metrics(
    truth: Any, decisions: Any, groups: Any, *, suffix: str
) -> dict[str, float]:
    """Compare the two groups by how often, and how rightly, they are decided for."""
    chosen, other = decisions[groups].mean(), decisions[~groups].mean()
    hits, other_hits = (
        decisions[group & (truth == 1)].mean() for group in (groups, ~groups)
    )
    return {
        f"demographic_parity_difference_{suffix}": abs(chosen - other),
        f"disparate_impact_{suffix}": min(chosen, other) / max(chosen, other),
        f"equal_opportunity_difference_{suffix}": abs(hits - other_hits),
    }
