"""Rows become snapshots; what is missing is missing, and nothing is made up."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from mlflow_sync.client import rows
from mlflow_sync.snapshots import MetricPoint


def run_row(**data: Any) -> rows.Row:
    return {"info": {"run_id": "r1"}, "data": data}


def test_a_bare_run_has_nothing() -> None:
    found = rows.read_run({"info": {"run_uuid": "r1"}})
    assert (found.run_id, found.start_time, found.artifact_uri) == ("r1", None, None)
    assert (found.tags, found.params, found.metrics) == ({}, {}, {})
    assert found.dataset_inputs == ()


def test_bare_rows_have_nothing() -> None:
    assert rows.read_model({"name": "m"}).creation_timestamp is None
    assert rows.read_version({"name": "m", "version": 7}).version == "7"
    assert rows.read_experiment({"experiment_id": "1"}).lifecycle_stage is None


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("0.5", 0.5),
        ("1e308", 1e308),
        ('"Infinity"', math.inf),
        ('"-Infinity"', -math.inf),
        ("-Infinity", -math.inf),
        ('"0.25"', 0.25),
        ("7", 7.0),
    ],
)
def test_a_metric_is_a_float_however_it_is_written(told: str, expected: float) -> None:
    row = json.loads(f'{{"metrics": [{{"key": "m", "value": {told}}}]}}')
    assert rows.read_run(run_row(**row)).metrics == {"m": expected}


@pytest.mark.parametrize(
    "told", ["NaN", '"NaN"', "null", '"none"', "[]", "1" + "0" * 400]
)
def test_a_metric_that_is_no_number_is_nan_and_never_zero(told: str) -> None:
    row = json.loads(f'{{"metrics": [{{"key": "m", "value": {told}}}]}}')
    assert math.isnan(rows.read_run(run_row(**row)).metrics["m"])


@pytest.mark.parametrize(
    ("told", "point"),
    [
        ({"step": 7, "timestamp": 1700000000000}, (7, 1_700_000_000_000)),
        ({"step": "7", "timestamp": "1700000000000"}, (7, 1_700_000_000_000)),
        ({"step": -3}, (-3, None)),
        ({"step": "-3"}, (-3, None)),
        ({"timestamp": 0}, (None, 0)),
        ({"step": "9" * 5000, "timestamp": [1]}, (None, None)),
        ({"step": True, "timestamp": "٣"}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_a_metric_has_a_step_and_a_time_where_they_are_told(
    told: dict[str, Any], point: tuple[int | None, int | None]
) -> None:
    found = rows.read_run(run_row(metrics=[{"key": "auc", "value": 0.9, **told}]))
    assert found.metric_points == {"auc": MetricPoint(*point)}


@pytest.mark.parametrize(
    ("told", "expected"),
    [(17, 17), ("17", 17), (None, None), ("", None), ("soon", None), (1.5, None)],
)
def test_a_timestamp_is_an_integer_or_missing(told: Any, expected: int | None) -> None:
    row = {"name": "m", "creation_timestamp": told}
    assert rows.read_model(row).creation_timestamp == expected


def test_the_order_of_tags_and_metrics_is_not_a_change() -> None:
    """MLflow reads them without an order, so that it may differ each time."""
    first = [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]
    second = first[::-1]
    assert (
        rows.read_run(run_row(tags=first, params=list(first))).fingerprint
        == rows.read_run(run_row(tags=second, params=list(second))).fingerprint
    )


def test_a_field_that_is_not_read_counts_as_a_change() -> None:
    before = rows.read_version({"name": "m", "version": "1"})
    after = rows.read_version({"name": "m", "version": "1", "model_id": "m-1"})
    assert before.fingerprint != after.fingerprint


def test_a_row_with_bare_nan_and_lone_surrogates_has_a_fingerprint() -> None:
    row = json.loads('{"name": "m\\ud800", "odd": NaN}')
    assert len(rows.read_model(row).fingerprint) == 64
