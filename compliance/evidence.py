"""From rows to facts: everything a rule may read, in a constant number of queries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import fields
from datetime import date
from typing import Any

from django.db import models
from django.db.models import Case, F, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import JSONObject

from accounts.roles import Role
from compliance.company import Company, company_of
from compliance.facts import ModelFacts
from inventory.models import Experiment, LifecycleEvent, ModelVersion, folded
from inventory.models.attestations import ATTESTED
from inventory.people import names_of
from inventory.records import FIELDS, GOVERNANCE_FIELDS, Kind, Redaction, Stage

DELETED = "deleted"
LONGEST_SAID = 100  # characters of a value that a dispute shows
_JOINED = {"redactions"}  # of the version, and of what it came from
_FACTS = {item.name for item in fields(ModelFacts)} - _JOINED
_RECORD = [each for each in ModelVersion._meta.concrete_fields if each.name in _FACTS]
_COLUMNS = tuple(column.name for column in _RECORD)
_PLAIN = tuple(each.name for each in _RECORD if not isinstance(each, models.JSONField))
# Fetched as one document: most are empty, and to read each by itself takes longer.
_DOCUMENTS = (
    *(each.name for each in _RECORD if isinstance(each, models.JSONField)),
    "governance",
    "provenance__owner",
    "provenance_of_disputed",
    "others",
    "redactions",
    "registered_model__aliases",
    "registered_model__latest_versions",
    "registered_model__redactions",
    "run__redactions",
    "experiment_redactions",
)
_TUPLES = (
    "regulatory_scope",
    "artifact_manifest",
    "evidence_files",
    "aliases",
    "dataset_inputs",
    "flavors",
)


def gather_facts(version_ids: Collection[int], *, today: date) -> dict[int, ModelFacts]:
    """Return the facts of these versions by their ids.

    Costs two queries, however many; up to two more where versions are in production,
    name a baseline, or have a dated privacy assessment.

    A value that its field cannot hold, because somebody told “lots” for a number, is
    unknown to the rules. Facts about approvals stay empty until there are approvals.
    """
    found = facts_of(
        ModelVersion.objects.filter(pk__in=version_ids),
        today=today,
        approvers=compliance_officers(),
    )
    return {row["pk"]: facts for row, facts in found}


def facts_of(
    versions: QuerySet[ModelVersion],
    *,
    today: date,
    approvers: frozenset[str],
    limit: int | None = None,
    also: Collection[str] = (),
) -> Iterator[tuple[Mapping[str, Any], ModelFacts]]:
    """Walk rows, with the columns `also`, and their facts, in the order of ids.

    Costs one query less than `gather_facts`: the caller knows the approvers. Facts are
    made as they are asked for, and a row is let go with them: to come back to either
    when the processor has forgotten it costs more than to make it.
    """
    rows = list(
        versions.annotate(
            experiment_redactions=Subquery(
                Experiment.objects.filter(
                    source=OuterRef("source"), experiment_id=OuterRef("experiment_id")
                ).values("redactions")[:1]
            ),
            production_since=Subquery(
                LifecycleEvent.objects.filter(
                    version=OuterRef("pk"), to_stage=Stage.PRODUCTION
                )
                .order_by("observed_before")
                .values("observed_before")[:1]
            ),
            # The longest document of a version, of which few tell more than the owner.
            provenance_of_disputed=Case(When(~Q(others={}), then=F("provenance"))),
        )
        .annotate(documents=JSONObject(**{name: F(name) for name in _DOCUMENTS}))
        .order_by("pk")
        .values(
            "pk",
            *_PLAIN,
            "documents",
            "artifacts_fingerprint",
            "registered_model_id",
            "registered_model__name",
            "run__lifecycle_stage",
            "production_since",
            *also,
        )[:limit]
    )
    for row in rows:
        row.update(row.pop("documents"))
    company = company_of(rows)
    rows.reverse()
    while rows:
        row = rows.pop()
        yield (
            row,
            _facts(row, company.pop(row["pk"]), approvers=approvers, today=today),
        )


def compliance_officers() -> frozenset[str]:
    """Return the addresses and names of the active members who approve for compliance.

    Costs one query.
    """
    return names_of(Role.COMPLIANCE_OFFICER)


def _facts(
    row: Mapping[str, Any], company: Company, *, approvers: frozenset[str], today: date
) -> ModelFacts:
    values = {name: row[name] for name in _COLUMNS}
    for name in _TUPLES:
        values[name] = tuple(values[name])
    for name, value in row["governance"].items():
        if name in GOVERNANCE_FIELDS:
            values[name] = _READ[FIELDS[name].kind](value)
    approver = folded(values["compliance_approver"])
    return ModelFacts(
        **values,
        model_name=row["registered_model__name"],
        today=today,
        artifacts_read=bool(row["artifacts_fingerprint"]),
        run_deleted=row["run__lifecycle_stage"] == DELETED,
        owner_is_weak=bool((row["provenance__owner"] or {}).get("weak")),
        disputes=_disputes(row, values),
        approver_is_member=approver in approvers if approver else None,
        production_since=row["production_since"],
        production_versions=company.production_versions,
        champions=company.champions,
        traffic_declared=company.traffic_declared,
        serving_signature=company.serving_signature,
        baseline_metrics=company.baseline_metrics,
        purpose_or_data_since=company.purpose_or_data_since,
        redactions=_redactions(
            row["redactions"],
            row["registered_model__redactions"],
            row["run__redactions"],
            row["experiment_redactions"],
        ),
    )


def _disputes(
    row: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, tuple[str, ...]]:
    """Return what sources say otherwise than the one believed, where all prove something.

    What is attested is settled: somebody has decided between them.
    """
    disputes = {}
    for name, others in row["others"].items():
        told = row["provenance_of_disputed"].get(name, {})
        if told.get("source") == ATTESTED:
            continue
        said = [(values.get(name), told), *others]
        strong = [(value, source) for value, source in said if not source.get("weak")]
        if name in FIELDS and len(strong) > 1:
            disputes[name] = tuple(_said(value, source) for value, source in strong)
    return disputes


def _said(value: Any, told: Mapping[str, Any]) -> str:
    value = told.get("raw") if value is None else value
    shown = (
        ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    )
    where = f"{told.get('source', '')} {told.get('key', '')}".strip()
    return f"{shown[:LONGEST_SAID]} ({where})"


def _redactions(*told: list[dict[str, Any]] | None) -> tuple[Redaction, ...]:
    """Join what was redacted on the version and on what it came from, each once."""
    return tuple(
        dict.fromkeys(Redaction(**item) for items in told for item in items or ())
    )


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _list(value: Any) -> tuple[str, ...] | None:
    return tuple(map(str, value)) if isinstance(value, list) and value else None


def _document(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) and value else None


_READ: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: _text,
    Kind.CHOICE: _text,
    Kind.TIME: _text,
    Kind.LIST: _list,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.DOCUMENT: _document,
}
