"""Models that runs logged, told in two ways: MLflow 3 lists them, MLflow 2 tags runs.

A client of MLflow 2 tags its runs on a server of MLflow 3 too; one of MLflow 3 does not.
Both lists come in the order of ids, so that what is missing from a page is gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlflow_sync.client import rows
from mlflow_sync.snapshots import LoggedModelSnapshot

HISTORY = "mlflow.log-model.history"
# MLflow 2.9 and 2.22, on a database and on files, and 3.17 all understand this one.
LOGGING_RUNS = f"tags.`{HISTORY}` LIKE '%'"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedPage:
    """A page of models. `ids` are in order: their addresses, or the ids of their runs.

    The last page has no `token`. `doubtful` are runs whose tag does not tell all that
    they logged: MLflow cuts it off after 8000 characters, in the middle of its JSON.
    """

    ids: tuple[str, ...]
    models: tuple[LoggedModelSnapshot, ...]
    doubtful: tuple[str, ...] = ()
    token: str = ""


def read_models(page: Mapping[str, Any]) -> LoggedPage:
    found = rows.read_rows(page, "models", rows.read_logged_model)
    return LoggedPage(
        ids=tuple(model.address for model in found),
        models=tuple(found),
        token=_token(page),
    )


def read_runs(page: Mapping[str, Any]) -> LoggedPage:
    found = rows.read_rows(page, "runs", _read_run)
    return LoggedPage(
        ids=tuple(run_id for run_id, *_ in found),
        models=tuple(model for _, models, _ in found for model in models),
        doubtful=tuple(run_id for run_id, _, is_whole in found if not is_whole),
        token=_token(page),
    )


def _token(page: Mapping[str, Any]) -> str:
    return str(page.get("next_page_token") or "")


def _read_run(row: rows.Row) -> tuple[str, list[LoggedModelSnapshot], bool]:
    """Return the run's id, its models, and whether the tag tells all of them."""
    info: rows.Row = row["info"]
    run_id = str(info.get("run_id") or info["run_uuid"])
    data: rows.Row = row.get("data") or {}
    tags = {tag["key"]: tag.get("value") for tag in data.get("tags") or ()}
    entries, is_whole = read_history(str(tags.get(HISTORY) or ""))
    models: dict[str, LoggedModelSnapshot] = {}
    for entry in entries:
        path = entry.get("artifact_path")
        if not isinstance(path, str):
            is_whole = False
            continue
        path = path.strip("/")
        roots = (f"runs:/{run_id}", info.get("artifact_uri"))
        sources = tuple(f"{root}/{path}".rstrip("/") for root in roots if root)
        models[sources[0]] = LoggedModelSnapshot(
            address=sources[0],
            sources=sources,
            name=path or run_id,
            model_type=_flavors(entry),
            status=str(info.get("status") or ""),
            run_id=run_id,
            experiment_id=str(info.get("experiment_id") or ""),
            creation_timestamp=_moment(entry.get("utc_time_created")),
        )
    return run_id, list(models.values()), is_whole


def read_history(text: str) -> tuple[list[dict[str, Any]], bool]:
    """Read the entries of the tag as far as they are whole, and tell whether all are."""
    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    place = text.find("[") + 1
    try:
        while place:
            entry, end = decoder.raw_decode(text, place)
            if isinstance(entry, dict):
                found.append(entry)
            rest = text[end:].strip()
            if not rest.startswith(","):
                return found, rest == "]"
            place = len(text) - len(text[end:].lstrip(" ,"))
    except (ValueError, RecursionError):  # cut, or somebody else's
        return found, text == "[]"
    return found, False


def _flavors(entry: Mapping[str, Any]) -> str:
    flavors = entry.get("flavors")
    return ", ".join(sorted(map(str, flavors))) if isinstance(flavors, dict) else ""


def _moment(told: object) -> int | None:
    """Read `2026-11-24 09:35:08.658721`, which is in UTC, into milliseconds."""
    try:
        at = datetime.fromisoformat(str(told))
    except ValueError:
        return None
    return int(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000)
