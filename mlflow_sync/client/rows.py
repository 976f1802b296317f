"""Read rows of MLflow's JSON into snapshots.

Units and names stay MLflow's. Missing keys are None or empty. A row without its key
fields is a SyncError (bad_body) which says whose row it was.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from operator import itemgetter
from typing import Any, TypeVar

from mlflow_sync.exceptions import FailureKind, SyncError
from mlflow_sync.snapshots import (
    DatasetInput,
    ExperimentSnapshot,
    LoggedModelSnapshot,
    MetricPoint,
    ModelSnapshot,
    RunSnapshot,
    VersionSnapshot,
)

T = TypeVar("T")
Row = dict[str, Any]

_INTEGER = re.compile(r"-?[0-9]{1,19}")


def is_prompt(tags: Mapping[str, str]) -> bool:
    """Tell prompts from models: MLflow 3 keeps both in one table, 2.9 lists both."""
    return tags.get("mlflow.prompt.is_prompt", "").lower() == "true"


def read_rows(
    answer: Mapping[str, Any], name: str, read: Callable[[Row], T]
) -> list[T]:
    """Read the rows under `name` of a search's answer; no such key means no rows."""
    try:
        return [read(row) for row in answer.get(name) or ()]
    except (KeyError, TypeError, AttributeError, ValueError):
        raise SyncError(
            f"The tracking server's list “{name}” has a row that is not as MLflow "
            "makes them.",
            kind=FailureKind.BAD_BODY,
        ) from None


def read_model(row: Row) -> ModelSnapshot:
    _put_in_order(row.get("tags"))
    _put_in_order(row.get("aliases"), by="alias")
    _put_in_order(row.get("latest_versions"), by="current_stage")
    return ModelSnapshot(
        name=str(row["name"]),
        description=_text(row.get("description")),
        creation_timestamp=_integer(row.get("creation_timestamp")),
        last_updated_timestamp=_integer(row.get("last_updated_timestamp")),
        tags=_pairs(row.get("tags")),
        aliases=_pairs(row.get("aliases"), key="alias", value="version"),
        latest_versions=_pairs(
            row.get("latest_versions"), key="current_stage", value="version"
        ),
        fingerprint=fingerprint(row),
    )


def read_version(row: Row) -> VersionSnapshot:
    _put_in_order(row.get("tags"))
    return VersionSnapshot(
        name=str(row["name"]),
        version=str(row["version"]),
        creation_timestamp=_integer(row.get("creation_timestamp")),
        last_updated_timestamp=_integer(row.get("last_updated_timestamp")),
        description=_text(row.get("description")),
        user_id=_text(row.get("user_id")),
        current_stage=_text(row.get("current_stage")),
        source=_text(row.get("source")),
        run_id=_text(row.get("run_id")),
        status=_text(row.get("status")),
        tags=_pairs(row.get("tags")),
        fingerprint=fingerprint(row),
    )


def read_experiment(row: Row) -> ExperimentSnapshot:
    _put_in_order(row.get("tags"))
    return ExperimentSnapshot(
        experiment_id=str(row["experiment_id"]),
        name=str(row.get("name", "")),
        artifact_location=_text(row.get("artifact_location")),
        lifecycle_stage=_text(row.get("lifecycle_stage")),
        creation_time=_integer(row.get("creation_time")),
        last_update_time=_integer(row.get("last_update_time")),
        tags=_pairs(row.get("tags")),
        fingerprint=fingerprint(row),
    )


def read_run(row: Row) -> RunSnapshot:
    info: Row = row["info"]
    data: Row = row.get("data") or {}
    inputs: Row = row.get("inputs") or {}
    for name in ("metrics", "params", "tags"):
        _put_in_order(data.get(name))
    metrics: list[Row] = data.get("metrics") or []
    return RunSnapshot(
        run_id=str(info.get("run_id") or info["run_uuid"]),
        run_name=_text(info.get("run_name")),
        experiment_id=_text(info.get("experiment_id")),
        user_id=_text(info.get("user_id")),
        status=_text(info.get("status")),
        start_time=_integer(info.get("start_time")),
        end_time=_integer(info.get("end_time")),
        artifact_uri=_text(info.get("artifact_uri")),
        lifecycle_stage=_text(info.get("lifecycle_stage")),
        tags=_pairs(data.get("tags")),
        params=_pairs(data.get("params")),
        metrics={str(told["key"]): _number(told.get("value")) for told in metrics},
        metric_points={
            str(told["key"]): MetricPoint(
                _integer(told.get("step")), _integer(told.get("timestamp"))
            )
            for told in metrics
        },
        dataset_inputs=tuple(map(_dataset, inputs.get("dataset_inputs") or ())),
        fingerprint=fingerprint(row),
    )


def read_logged_model(row: Row) -> LoggedModelSnapshot:
    info: Row = row["info"]
    address = f"models:/{info['model_id']}"
    place = str(info.get("artifact_uri") or "").rstrip("/")
    return LoggedModelSnapshot(
        address=address,
        sources=(address, place) if place else (address,),
        name=str(info.get("name") or info["model_id"]),
        model_type=str(info.get("model_type") or ""),
        status=str(info.get("status") or "").removeprefix("LOGGED_MODEL_"),
        run_id=str(info.get("source_run_id") or ""),
        experiment_id=str(info.get("experiment_id") or ""),
        creation_timestamp=_integer(info.get("creation_timestamp_ms")),
    )


def fingerprint(row: Row) -> str:
    """Return the digest of a whole row, in hexadecimal."""
    canonical = json.dumps(row, sort_keys=True, separators=(",", ":"))
    return blake2b(canonical.encode(), digest_size=32).hexdigest()


def _put_in_order(entries: list[Row] | None, *, by: str = "key") -> None:
    """Sort a list that MLflow reads without an order, lest each reading differ."""
    if entries:
        entries.sort(key=itemgetter(by))


def _pairs(
    entries: Iterable[Row] | None, *, key: str = "key", value: str = "value"
) -> dict[str, str]:
    return {str(entry[key]): str(entry.get(value, "")) for entry in entries or ()}


def _dataset(entry: Row) -> DatasetInput:
    dataset: Row = entry.get("dataset") or {}
    return DatasetInput(
        name=str(dataset.get("name", "")),
        digest=str(dataset.get("digest", "")),
        source_type=str(dataset.get("source_type", "")),
        source=str(dataset.get("source", "")),
        context=_pairs(entry.get("tags")).get("mlflow.data.context", ""),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _integer(value: object) -> int | None:
    """Read an int64, which protobuf's own JSON writes as a string. None if it is none."""
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float:
    """Read a metric, which MLflow writes as "NaN" or "Infinity" where JSON has no word.

    What is no number at all is NaN too: logged, and not usable.
    """
    if not isinstance(value, (int, float, str)):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan
