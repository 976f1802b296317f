"""The metrics of a run: which can be used, and where and when each was logged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mlflow_sync.normalize.text import clean_text, utc
from mlflow_sync.snapshots import MetricPoint

# MLflow stores an infinite metric as the greatest double, about 1.797e308.
_UNUSABLE_FROM = 1e308
_STORED_INFINITY = 1.79e308


def usable_and_not(
    told: Mapping[str, float],
) -> tuple[dict[str, float], dict[str, str]]:
    """Part metrics into numbers, and words for those that are no finite number."""
    metrics: dict[str, float] = {}
    unusable: dict[str, str] = {}
    for name, value in told.items():
        if -_UNUSABLE_FROM < value < _UNUSABLE_FROM:
            metrics[clean_text(name)] = value
        else:
            unusable[clean_text(name)] = _why_unusable(value)
    return metrics, unusable


def points(told: Mapping[str, MetricPoint]) -> dict[str, dict[str, Any]]:
    """Return step and time of each metric, without what was not told or is no time."""
    found = {}
    for name, (step, timestamp) in told.items():
        point: dict[str, Any] = {} if step is None else {"step": step}
        if at := _moment(timestamp):
            point["at"] = at
        if point:
            found[clean_text(name)] = point
    return found


@lru_cache(maxsize=1024)  # what is logged together has one time
def _moment(timestamp: int | None) -> str:
    """Return a moment as JSON columns hold it, "" where there is none."""
    at = utc(timestamp)
    return at.isoformat().replace("+00:00", "Z") if at else ""


def _why_unusable(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if abs(value) < _STORED_INFINITY:
        return f"{value:g}"
    return "Infinity" if value > 0 else "-Infinity"
