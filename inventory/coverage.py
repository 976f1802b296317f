"""Which fields we can see at all: of how many versions and models each is known.

Coverage comes before compliance: a rule about a field that nobody tells says nothing of
the models. Versions that are no longer told do not count.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import (
    CharField,
    Count,
    F,
    JSONField,
    Q,
    QuerySet,
    TextField,
)
from django.db.models.fields.json import KT

from inventory.models import ModelVersion, RegisteredModel
from inventory.records import FIELDS, GOVERNANCE_FIELDS, Field, Group, Kind

VALUES_SHOWN = 20
LONGEST_VALUE = 120  # characters that are shown of a told value
OBSERVED = "read off the registry"  # what no tag told, such as the time of creation

_WHO_TOLD = """
    SELECT told.key, told.value->>'source',
        coalesce((told.value->>'weak')::boolean, false), count(*)
    FROM ({versions}) AS version
    CROSS JOIN LATERAL jsonb_each(version.provenance) AS told
    GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldCoverage:
    """Of how many versions, and models, a field is known, and who told it."""

    field: Field
    versions: int  # in all
    versions_known: int
    models: int  # in all
    models_known: int  # with at least one version of which it is known
    weak: int  # versions of which only a weak source told it
    disputed: int  # versions of which another source said something else
    told_by: tuple[tuple[str, int], ...]  # source -> versions, the most frequent first

    @property
    def versions_unknown(self) -> int:
        return self.versions - self.versions_known


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Of which versions coverage is counted: all that are present unless narrowed."""

    lifecycle_stage: str = ""
    source_id: int | None = None

    def versions(self) -> QuerySet[ModelVersion]:
        found = ModelVersion.objects.present().order_by()
        if self.lifecycle_stage:
            found = found.filter(lifecycle_stage=self.lifecycle_stage)
        if self.source_id is not None:
            found = found.filter(source=self.source_id)
        return found


def known(name: str, *, path: str = "") -> Q:
    """Return the condition that a field of a version is known.

    It answers in the database as `records.is_known` does of the value. `path` leads to
    the version, such as `versions__`.
    """
    if name in GOVERNANCE_FIELDS:
        return Q(**{f"{path}governance__has_key": name})
    if name == "model_name":
        return Q(**{f"{path}pk__isnull": False})  # every version has one
    column = ModelVersion._meta.get_field(name)
    if isinstance(column, JSONField):
        return ~Q(**{f"{path}{name}__in": [{}, []]})
    if isinstance(column, CharField | TextField):
        return ~Q(**{f"{path}{name}": ""})
    return Q(**{f"{path}{name}__isnull": False})


def coverage(scope: Scope, fields: Mapping[str, Field] = FIELDS) -> list[FieldCoverage]:
    """Return the coverage of these fields, all of the record by default.

    Costs two queries.
    """
    counts = scope.versions().aggregate(
        versions=Count("pk"),
        models=Count("registered_model", distinct=True),
        **{f"versions_{name}": Count("pk", filter=known(name)) for name in fields},
        **{
            f"models_{name}": Count(
                "registered_model", filter=known(name), distinct=True
            )
            for name in fields
        },
        **{
            f"disputed_{name}": Count("pk", filter=Q(others__has_key=name))
            for name in fields
        },
    )
    told_by, weak = _told_by(scope)
    return [
        FieldCoverage(
            field=field,
            versions=counts["versions"],
            versions_known=counts[f"versions_{name}"],
            models=counts["models"],
            models_known=counts[f"models_{name}"],
            weak=weak[name],
            disputed=counts[f"disputed_{name}"],
            told_by=_with_observed(told_by[name], counts[f"versions_{name}"]),
        )
        for name, field in fields.items()
    ]


def by_group(found: list[FieldCoverage]) -> dict[Group, list[FieldCoverage]]:
    groups: dict[Group, list[FieldCoverage]] = {group: [] for group in Group}
    for item in found:
        groups[item.field.group].append(item)
    return groups


def _told_by(scope: Scope) -> tuple[defaultdict[str, Counter[str]], Counter[str]]:
    """Return who told the known fields, and of how many versions only weakly."""
    versions, arguments = scope.versions().values("provenance").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(_WHO_TOLD.format(versions=versions), arguments)
        rows: list[tuple[str, str, bool, int]] = cursor.fetchall()
    told_by: defaultdict[str, Counter[str]] = defaultdict(Counter)
    weak: Counter[str] = Counter()
    for name, source, is_weak, number in rows:
        told_by[name][source] += number
        if is_weak:
            weak[name] += number
    return told_by, weak


def _with_observed(told: Counter[str], number: int) -> tuple[tuple[str, int], ...]:
    """Add the versions of which nobody told the field and the registry shows it."""
    if (observed := number - told.total()) > 0:
        told = told + Counter({OBSERVED: observed})
    return tuple(told.most_common())


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldValue:
    """A value that is told for a field, and of how many versions."""

    value: str
    versions: int
    is_in_vocabulary: bool


def told_values(field: Field, scope: Scope) -> list[ToldValue]:
    """Return the most frequent values of a field; none of documents. Costs one query."""
    if field.kind is Kind.DOCUMENT:
        return []
    value: Any = F(field.name)
    if field.name in GOVERNANCE_FIELDS:
        value = KT(f"governance__{field.name}")
    elif field.name == "model_name":
        value = F("registered_model__name")
    rows = (
        scope.versions()
        .filter(known(field.name))
        .values(told=value)
        .annotate(number=Count("pk"))
        .order_by("-number", "told")[:VALUES_SHOWN]
    )
    return [
        ToldValue(
            value=_shown(row["told"]),
            versions=row["number"],
            is_in_vocabulary=not field.choices or str(row["told"]) in field.choices,
        )
        for row in rows
    ]


def _shown(value: Any) -> str:
    told = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return told if len(told) <= LONGEST_VALUE else f"{told[:LONGEST_VALUE]}…"


def models_lacking(field: Field, scope: Scope) -> QuerySet[RegisteredModel]:
    """Return the models with `versions_known` and `versions_all`, the barest first."""
    inside = Q(versions__absent_since=None)
    if scope.lifecycle_stage:
        inside &= Q(versions__lifecycle_stage=scope.lifecycle_stage)
    if scope.source_id is not None:
        inside &= Q(versions__source=scope.source_id)
    return (
        RegisteredModel.objects.present()
        .annotate(
            versions_all=Count("versions", filter=inside),
            versions_known=Count(
                "versions", filter=inside & known(field.name, path="versions__")
            ),
        )
        .filter(versions_all__gt=0)
        .order_by(F("versions_known") - F("versions_all"), "name", "pk")
    )


def versions_lacking(field: Field, scope: Scope) -> QuerySet[ModelVersion, int]:
    """Return the ids of the versions of which a field is unknown, model by model."""
    return (
        scope.versions()
        .exclude(known(field.name))
        .order_by("registered_model__name", "-version_number")
        .values_list("pk", flat=True)
    )
