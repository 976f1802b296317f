"""The versions and gaps behind a framework's figures, with the very values, as of a moment.

How each version stood is kept (`Standing`); what was told of it then is its row history.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from compliance.catalogue import Gate, Severity
from compliance.frameworks.control_map import Control, Framework, Strength
from compliance.frameworks.counting import State
from compliance.frameworks.report import Scope
from compliance.markup import title
from compliance.models import Standing, StandingQuerySet
from inventory.models import ModelVersion, RegisteredModel, Source
from inventory.records import GOVERNANCE_FIELDS

BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A version as it was called at the moment; of a source only `source` is told."""

    source: str
    model: str = ""
    version: int | None = None
    stage: str = ""

    def __str__(self) -> str:
        return f"{self.model} version {self.version}" if self.model else self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a field said, and who told it: “version tag owner”, “attested by …”."""

    value: Any  # as JSON has it; None is unknown
    told_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapLine:
    """A gap that was open or waived."""

    subject: Subject
    rule_id: str
    title: str
    state: State  # OPEN or WAIVED
    severity: Severity
    gate: Gate
    detail: str
    since: datetime
    unknown_since: datetime | None = None  # open, but not checkable since
    waiver: str = ""  # who waived it, until when and why


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLine:
    """A version, the values that are evidence, and how the rules stood with it."""

    version_id: int
    subject: Subject
    values: Mapping[str, Value]  # field -> value
    states: Mapping[str, State]  # rule -> state
    gaps: tuple[GapLine, ...]


def standings_in(framework: Framework, scope: Scope) -> StandingQuerySet:
    """Return how the versions of a scope stood; sources are in none that is narrowed."""
    rows = Standing.objects.at(scope.at)
    if scope.in_production:
        rows = rows.filter(is_production=True)
    if scope.declared and framework.scope:
        said = Q()
        for word in sorted(framework.scope):
            said |= Q(regulatory_scope__contains=[word])
        rows = rows.filter(said)
    return rows


def version_lines(
    framework: Framework, scope: Scope, *, moment: datetime
) -> Iterator[VersionLine]:
    """Return all versions of a scope, by source, model and number, the newest first.

    `moment` is `scope.at`, or now. Costs four queries for 500 versions.
    """
    rows = standings_in(framework, scope).exclude(version=None)
    ids = [pk for pk in rows.values_list("version_id", flat=True) if pk]
    order = sorted(subjects(ids, moment).items(), key=_place)
    for first in range(0, len(order), BATCH):
        chunk = dict(order[first : first + BATCH])
        yield from lines_of(framework, scope, chunk, moment=moment)


def lines_called(
    framework: Framework,
    scope: Scope,
    version_ids: Iterable[int | None],
    *,
    moment: datetime,
    fields: Collection[str],
) -> list[VersionLine]:
    """Return the lines of a page of versions, as they were called. Costs six queries."""
    ids = [pk for pk in version_ids if pk]
    called = subjects(ids, moment)
    chunk = {pk: called[pk] for pk in ids if pk in called}
    return list(lines_of(framework, scope, chunk, moment=moment, fields=fields))


def lines_of(
    framework: Framework,
    scope: Scope,
    chunk: Mapping[int, Subject],
    *,
    moment: datetime,
    fields: Collection[str] | None = None,
) -> Iterator[VersionLine]:
    """Return the lines of these versions, in their order. Costs two queries.

    `fields` are those of the framework, unless told.
    """
    names = framework.fields if fields is None else tuple(fields)
    values = _values(chunk, names, moment)
    rules = set(framework.rules)
    standings = {
        row.version_id: row
        for row in Standing.objects.at(scope.at).filter(version__in=chunk)
    }
    for version_id, subject in chunk.items():
        row = standings.get(version_id)
        if row is None:  # it stands no longer, since somebody asked for it
            continue
        yield VersionLine(
            version_id=version_id,
            subject=subject,
            values=values[version_id],
            states={
                rule_id: State(state)
                for rule_id, state in row.states.items()
                if rule_id in rules
            },
            gaps=tuple(_gap_lines(row, subject, rules)),
        )


def source_gaps(framework: Framework, scope: Scope) -> list[GapLine]:
    """Return the gaps of sources, none of them where a scope is narrowed."""
    if scope.in_production or scope.declared:
        return []
    rules = set(framework.rules)
    rows = list(Standing.objects.at(scope.at).exclude(source=None))
    names = _names([row.source_id for row in rows if row.source_id], scope.at)
    return [
        line
        for row in rows
        for line in _gap_lines(
            row, Subject(source=names.get(row.source_id or 0, "")), rules
        )
    ]


def subjects(version_ids: Collection[int], moment: datetime) -> dict[int, Subject]:
    """Return what versions were called at a moment, by id. Costs four queries."""
    rows = _history(ModelVersion, version_ids, moment).values(
        "id", "version_number", "registered_model_id", "source_id", "lifecycle_stage"
    )
    told = list(rows)
    models = {row["registered_model_id"] for row in told}
    names = dict(_history(RegisteredModel, models, moment).values_list("id", "name"))
    sources = _names({row["source_id"] for row in told}, moment)
    return {
        row["id"]: Subject(
            source=sources.get(row["source_id"], ""),
            model=names.get(row["registered_model_id"], ""),
            version=row["version_number"],
            stage=row["lifecycle_stage"],
        )
        for row in told
    }


def _place(item: tuple[int, Subject]) -> tuple[str, str, int, int]:
    """Return where a version comes in a list: by model and source, the newest first."""
    version_id, subject = item
    return subject.model, subject.source, -(subject.version or 0), version_id


def _names(source_ids: Collection[int], moment: datetime | None) -> dict[int, str]:
    """Return what sources were called; one without history is called as it is now."""
    now_called = dict(
        Source.objects.filter(pk__in=source_ids).values_list("pk", "name")
    )
    if moment is None:
        return now_called
    return now_called | dict(
        _history(Source, source_ids, moment).values_list("id", "name")
    )


def _history(model: Any, ids: Collection[int], moment: datetime) -> QuerySet[Any]:
    """Return the last history row of each of these rows before a moment."""
    rows: QuerySet[Any] = model.history.filter(id__in=ids, history_date__lte=moment)
    return rows.order_by("id", "-history_date", "-history_id").distinct("id")


def _values(
    chunk: Mapping[int, Subject], names: Sequence[str], moment: datetime
) -> dict[int, dict[str, Value]]:
    columns = [name for name in names if name not in GOVERNANCE_FIELDS]
    rows = _history(ModelVersion, chunk, moment).values(
        "id",
        "governance",
        "provenance",
        *(name for name in columns if name != "model_name"),
    )
    return {
        row["id"]: {name: _value(row, name, chunk[row["id"]]) for name in names}
        for row in rows
    }


def _value(row: Mapping[str, Any], name: str, subject: Subject) -> Value:
    if name == "model_name":
        return Value(value=subject.model)
    value = row["governance"].get(name) if name in GOVERNANCE_FIELDS else row[name]
    if isinstance(value, datetime):
        value = value.isoformat()
    if value in ("", [], {}):
        value = None
    told = row["provenance"].get(name, {})
    words = f"{told.get('source', '')} {told.get('key', '')}".strip()
    return Value(value=value, told_by=words)


def _gap_lines(
    row: Standing, subject: Subject, rules: Collection[str]
) -> Iterator[GapLine]:
    for rule_id, told in row.gaps.items():
        if rule_id not in rules:
            continue
        unknown = told.get("unknown_since")
        yield GapLine(
            subject=subject,
            rule_id=rule_id,
            title=title(rule_id),
            state=State.WAIVED if "waiver" in told else State.OPEN,
            severity=Severity(told["severity"]),
            gate=Gate(told["gate"]),
            detail=told["detail"],
            since=datetime.fromisoformat(told["since"]),
            unknown_since=datetime.fromisoformat(unknown) if unknown else None,
            waiver=told.get("waiver", ""),
        )


def control_standings(
    framework: Framework,
    control: Control,
    scope: Scope,
    *,
    evidence: str = "",
    state: str = "",
) -> StandingQuerySet:
    """Return how the versions of a scope stood, by model and number.

    `evidence` leaves those whose best evidence for the control is of this strength, or
    that have none, and `state` those with which its rules stand so, by the worst.
    """
    rows = standings_in(framework, scope).exclude(version=None)
    if evidence:
        rows = rows.filter(_evidenced(control, evidence))
    if state:
        rows = rows.filter(_stands(control, State(state)))
    return rows.order_by(
        "version__registered_model__name", "-version__version_number", "pk"
    )


def _evidenced(control: Control, evidence: str) -> Q:
    found = Q()
    for strength in Strength:
        known = Q(known__has_any_keys=list(control.fields[strength]))
        if strength == evidence:
            return found & known
        found &= ~known
    return found


def _stands(control: Control, state: State) -> Q:
    found = Q()
    for each in State:
        stands = Q(pk=None)  # nobody
        for rule_id in control.rules:
            stands |= Q(states__contains={rule_id: each})
        if each is state:
            return found & stands
        found &= ~stands
    return found
