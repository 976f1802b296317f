"""What a version's company tells: its model's other versions, and the runs it names.

Each question is asked once for all versions of a chunk, and only if one of them needs
the answer.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db.models import Case, F, Q, When

from compliance.facts import PRODUCTION_ALIASES
from inventory.models import ModelVersion, Run
from inventory.records import Stage

Row = Mapping[str, Any]

RUN_ID = re.compile(r"(?:runs:/)?([0-9a-f]{32})/?.*")
# A version of the model: 3, v3, version 3, models:/credit-scoring/3, credit-scoring@3.
VERSION = re.compile(r"(?:.*[/@: ])?(?:v|version[ _-]?)?(\d{1,9})", re.IGNORECASE)
# Which alias speaks of the version in service, the first one that is set.
SERVING = ("champion", "production", "prod", "live")


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """Facts under the names that `ModelFacts` gives them."""

    production_versions: int = 0
    champions: int = 0
    traffic_declared: bool = False
    serving_signature: Mapping[str, Any] = field(default_factory=dict)
    baseline_metrics: Mapping[str, float] = field(default_factory=dict)
    purpose_or_data_since: date | None = None


def company_of(rows: Collection[Row]) -> dict[int, Company]:
    """Return the company of each row of `evidence.gather_facts`, by the version's id.

    Costs up to two queries, none where no version of the rows is served, names a
    baseline, or has a dated privacy assessment.
    """
    wanted = _wanted(rows)
    asked = {
        row["registered_model_id"]
        for row in rows
        if _is_production(row) and row["governance"].get("dpia_date")
    }
    told = _versions(rows, wanted, asked)
    production = _production(told)
    others = {
        (row["registered_model_id"], row["version_number"]): row
        for row in told
        if row["version_number"] in wanted.get(row["registered_model_id"], ())
        and row["absent_since"] is None
    }
    since = _since(row for row in told if row["registered_model_id"] in asked)
    runs = _runs(rows)
    return {
        row["pk"]: Company(
            production_versions=production.get(row["registered_model_id"], (0, 0))[0],
            champions=len(set(_champions(row).values())),
            traffic_declared=_all_declare(production.get(row["registered_model_id"])),
            serving_signature=_serving_signature(row, others),
            baseline_metrics=_baseline_metrics(row, others, runs),
            purpose_or_data_since=since.get(row["pk"]),
        )
        for row in rows
    }


def _champions(row: Row) -> dict[str, int]:
    """Return the aliases of production that the model has, and their versions."""
    aliases: Mapping[str, int] = row["registered_model__aliases"]
    return {
        alias: number
        for alias, number in aliases.items()
        if alias.casefold() in PRODUCTION_ALIASES
    }


def _is_production(row: Row) -> bool:
    return bool(row["lifecycle_stage"] == Stage.PRODUCTION)


def _versions(
    rows: Iterable[Row], wanted: Mapping[int, set[int]], asked: Collection[int]
) -> list[Row]:
    """Return the versions of the rows' models that any of the questions is about.

    Those in production, those that rows are compared with, and of the models `asked`
    all, in the order they came. Documents come only of what is compared.
    """
    served = {row["registered_model_id"] for row in rows if _is_production(row)}
    if not (served or wanted):
        return []
    compared = Q(
        registered_model__in=wanted,
        version_number__in=set().union(*wanted.values()),
        absent_since=None,
    )
    return list(
        ModelVersion.objects.filter(
            Q(
                registered_model__in=served,
                lifecycle_stage=Stage.PRODUCTION,
                absent_since=None,
            )
            | compared
            | Q(registered_model__in=asked)
        )
        .order_by("registered_model", "created_at", "pk")
        .annotate(
            declares=Q(governance__has_key="deployment_traffic_percent"),
            signature_compared=Case(When(compared, then=F("signature"))),
            metrics_compared=Case(When(compared, then=F("metrics"))),
        )
        .values(
            *("registered_model_id", "pk", "version_number", "created_at"),
            *("lifecycle_stage", "absent_since", "dataset_reference"),
            *("business_purpose", "declares"),
            *("signature_compared", "metrics_compared"),
        )
    )


def _production(told: Iterable[Row]) -> dict[int, tuple[int, int]]:
    """Return how many versions are in production, and how many declare their traffic."""
    counted: dict[int, tuple[int, int]] = {}
    for row in told:
        if _is_production(row) and row["absent_since"] is None:
            number, declared = counted.get(row["registered_model_id"], (0, 0))
            counted[row["registered_model_id"]] = (
                number + 1,
                declared + bool(row["declares"]),
            )
    return counted


def _all_declare(counted: tuple[int, int] | None) -> bool:
    return counted is not None and counted[0] == counted[1]


def _wanted(rows: Iterable[Row]) -> dict[int, set[int]]:
    """Return the numbers of the versions that rows are compared with, by model."""
    wanted: defaultdict[int, set[int]] = defaultdict(set)
    for row in rows:
        for number in (_serving_version(row), _baseline_version(row)):
            if number is not None and number != row["version_number"]:
                wanted[row["registered_model_id"]].add(number)
    return wanted


def _serving_version(row: Row) -> int | None:
    """Return which version of the model is in service, as far as it is named."""
    champions = {alias.casefold(): n for alias, n in _champions(row).items()}
    for alias in SERVING:
        if alias in champions:
            return champions[alias]
    latest: Mapping[str, int] = row["registered_model__latest_versions"]
    return latest.get(Stage.PRODUCTION)


def _serving_signature(
    row: Row, others: Mapping[tuple[int, int], Row]
) -> Mapping[str, Any]:
    number = _serving_version(row)
    if number is None or number == row["version_number"]:
        return {}
    served = others.get((row["registered_model_id"], number))
    signature: Mapping[str, Any] = served["signature_compared"] if served else {}
    return signature


def _baseline(row: Row) -> str:
    told = row["governance"].get("baseline_ref")
    return told.strip() if isinstance(told, str) else ""


def _baseline_version(row: Row) -> int | None:
    told = _baseline(row)
    if RUN_ID.fullmatch(told):
        return None
    match = VERSION.fullmatch(told)
    return int(match[1]) if match else None


def _runs(rows: Iterable[Row]) -> dict[str, Mapping[str, float]]:
    """Return the metrics of the runs that are named as baselines, by run id."""
    ids = {match[1] for row in rows if (match := RUN_ID.fullmatch(_baseline(row)))}
    if not ids:
        return {}
    return dict(Run.objects.filter(run_id__in=ids).values_list("run_id", "metrics"))


def _baseline_metrics(
    row: Row,
    others: Mapping[tuple[int, int], Row],
    runs: Mapping[str, Mapping[str, float]],
) -> Mapping[str, float]:
    if match := RUN_ID.fullmatch(_baseline(row)):
        return runs.get(match[1], {})
    number = _baseline_version(row)
    if number is None:
        return {}
    named = others.get((row["registered_model_id"], number))
    metrics: Mapping[str, float] = named["metrics_compared"] if named else {}
    return metrics


def _since(told: Iterable[Row]) -> dict[int, date]:
    """Return since when the dataset and the purpose of a version are what they are.

    That is the day of the first version, going back without a gap, that names both
    alike. Asked only of production with a dated privacy assessment.
    """
    since: dict[int, date] = {}
    for _, versions in groupby(told, key=itemgetter("registered_model_id")):
        alike = itemgetter("dataset_reference", "business_purpose")
        for _, found in groupby(versions, key=alike):
            same = list(found)
            day = same[0]["created_at"].date()
            since |= dict.fromkeys((row["pk"] for row in same), day)
    return since
