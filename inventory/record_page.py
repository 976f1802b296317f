"""The canonical record as people read it: each value, who told it, what lost against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from accounts.history import FieldChange
from inventory.backends import backend_of
from inventory.effective import contradicts
from inventory.fields import ATTESTABLE
from inventory.models import ModelVersion
from inventory.records import FIELDS, Field, Group, Kind, Section, is_known

# Where a value is told decides which section of the version it is as fresh as.
_SECTIONS = {
    "run": Section.RUN,
    "dataset": Section.RUN,
    "experiment": Section.EXPERIMENT,
    "artifact": Section.ARTIFACTS,
    "artifacts": Section.ARTIFACTS,
}

_ARTIFACT_URIS = ("source_artifact_uri", "artifact_uri")


@dataclass(frozen=True, slots=True)
class Source:
    """Who told a value, in the words of `inventory.records.Told`."""

    words: str
    is_weak: bool
    raw: str
    section: Section

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Source:
        source = told.get("source", "")
        return cls(
            words=f"{source} {told.get('key', '')}".rstrip(),
            is_weak=bool(told.get("weak")),
            raw=told.get("raw", ""),
            section=_SECTIONS.get(source.partition(" ")[0], Section.VERSION),
        )


@dataclass(frozen=True, slots=True)
class Ingested:
    """What the source tells of a field that is attested, if it tells anything."""

    value: Any
    source: Source | None
    attestation: int
    is_contradiction: bool  # which nobody has decided on

    @classmethod
    def of(cls, version: ModelVersion, name: str) -> Ingested | None:
        entry = version.ingested.get(name)
        if entry is None:
            return None
        return cls(
            value=entry["value"],
            source=Source.of(entry["told"]) if entry["told"] else None,
            attestation=entry["attestation"],
            is_contradiction=contradicts(entry, version.value(name)),
        )

    @property
    def is_known(self) -> bool:
        return is_known(self.value)


@dataclass(frozen=True, slots=True)
class Shown:
    """One field of the record; `unread` says why its section is older than the rest."""

    field: Field
    value: Any
    source: Source | None
    others: tuple[tuple[Any, Source], ...]
    unread: str
    ingested: Ingested | None

    @property
    def is_attestable(self) -> bool:
        return self.field.name in ATTESTABLE

    @property
    def is_known(self) -> bool:
        return is_known(self.value)

    @property
    def is_document(self) -> bool:
        return self.field.kind is Kind.DOCUMENT

    @property
    def backend(self) -> str:
        """What stores the artifacts that the value leads to, "" for other values."""
        return backend_of(self.value) if self.field.name in _ARTIFACT_URIS else ""

    @property
    def is_strange(self) -> bool:
        """Tell whether the value is outside the vocabulary of its field."""
        choices = self.field.choices
        return bool(choices and self.is_known and self.value not in choices)


@dataclass(frozen=True, slots=True)
class ShownGroup:
    group: Group
    fields: tuple[Shown, ...]

    @property
    def known(self) -> tuple[Shown, ...]:
        return tuple(shown for shown in self.fields if shown.is_known)

    @property
    def unknown(self) -> tuple[Shown, ...]:
        return tuple(shown for shown in self.fields if not shown.is_known)


@dataclass(frozen=True, slots=True)
class ShownMetric:
    """The last value of a metric, and where and when the run logged it, if it told."""

    name: str
    value: float | None
    word: str  # instead of a value: "NaN", "Infinity"
    step: int | None
    at: datetime | None


def metrics(version: ModelVersion) -> list[ShownMetric]:
    """Return the metrics of a version by name, those without a number too.

    Costs no query if the run was selected along.
    """
    run = version.run
    told: dict[str, Any] = dict(run.unusable_metrics) if run else {}
    told |= version.metrics
    points = run.metric_points if run else {}
    return [_metric(name, told[name], points.get(name, {})) for name in sorted(told)]


def _metric(name: str, told: Any, point: Mapping[str, Any]) -> ShownMetric:
    at = point.get("at")
    return ShownMetric(
        name=name,
        value=None if isinstance(told, str) else told,
        word=told if isinstance(told, str) else "",
        step=point.get("step"),
        at=datetime.fromisoformat(at) if at else None,
    )


def groups(version: ModelVersion) -> list[ShownGroup]:
    """Return the record of a version, group by group. Costs no query."""
    return [ShownGroup(group, tuple(_fields(version, group))) for group in Group]


def shown(version: ModelVersion, field: Field) -> Shown:
    """Return one field of the record of a version. Costs no query."""
    name = field.name
    told = version.provenance.get(name)
    source = Source.of(told) if told else None
    return Shown(
        field=field,
        value=version.value(name),
        source=source,
        others=tuple(
            (value, Source.of(loser)) for value, loser in version.others.get(name, ())
        ),
        unread=version.incomplete.get(source.section, "") if source else "",
        ingested=Ingested.of(version, name),
    )


def _fields(version: ModelVersion, group: Group) -> Iterator[Shown]:
    return (shown(version, field) for field in FIELDS.values() if field.group is group)


def words(change: FieldChange) -> FieldChange:
    """Call the columns of a version by the words for the fields in them."""
    column, key = change.column, change.key
    field = FIELDS.get(key if column in _OF_FIELDS else column)
    if column in _OF_FIELDS and field:
        label = f"{field.label}{_OF_FIELDS[column]}"
        before, after = map(_told, (change.before, change.after))
        return replace(change, label=label, key="", before=before, after=after)
    label = field.label if field else _COLUMNS.get(column, change.label)
    return replace(change, label=label)


# Documents whose keys are fields of the record, and what they say of a field.
_OF_FIELDS = {
    "governance": "",
    "provenance": ": told by",
    "others": ": told as well",
    "ingested": ": told, and attested otherwise",
}
_COLUMNS = {"tags": "Version tag", "incomplete": "Not read"}


def _told(value: Any) -> Any:
    """Return who told something in words; anything else as it is."""
    if isinstance(value, Mapping) and "source" in value:
        source = Source.of(value)
        return f"{source.words}{' (weak)' if source.is_weak else ''}"
    if isinstance(value, Mapping) and "attestation" in value:
        return value["value"]
    if isinstance(value, list) and value and isinstance(value[0], list):
        return [f"{other} ({_told(told)})" for other, told in value]
    return value
