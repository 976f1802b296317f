"""The rule catalogue as data: what each rule demands, and how a miss is put right.

Source: `catalogue.yaml`, and `controls.yaml` for the controls it refers to. Pure: the
engine builds on it, and knows no framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from compliance.exceptions import CatalogueError, ParameterError

FOLDER = Path(__file__).parent


class Severity(IntEnum):
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        return self.name.capitalize()


class Gate(StrEnum):
    """What an open gap does to an approval for production."""

    BLOCK = "block"  # it cannot be granted without a waiver
    REVIEW = "review"  # a person has to decide
    WARN = "warn"  # it is shown
    INFO = "info"  # a hint

    @property
    def label(self) -> str:
        return self.name.capitalize()


class Kind(StrEnum):
    """What a rule judges, and what its failure is."""

    GAP = "gap"  # of a model version
    MISSING_FIELD = "missing_field"  # a gap as well, counted apart
    TRIGGER = "trigger"  # of a model version: routes an approval, never a gap
    PROCESS = "process"  # of an approval request
    TRACKING_SERVER = "tracking_server"  # of a source, once for all its models

    @property
    def judges_versions(self) -> bool:
        return self in (Kind.GAP, Kind.MISSING_FIELD, Kind.TRIGGER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the catalogue says of one rule."""

    id: str
    title: str
    severity: Severity
    gate: Gate
    kind: Kind = Kind.GAP
    origin: str  # where the rule comes from: integration-design, adr-005, law, …
    when: str
    check: str
    fix: str
    code: str = ""  # the remedy, with {model} and {version} to be filled in
    fields: tuple[str, ...] = ()  # of the record, that close the gap when attested
    beyond: str = ""  # why none does
    controls: tuple[str, ...]
    packs: tuple[str, ...] = ()
    doubt: str = ""
    version: int = 1  # counted up when a changed predicate judges anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A threshold of a rule; `value` is what applies unless an organization differs.

    It makes sense from `min` to `max`, which both are allowed.
    """

    name: str
    value: float
    min: float
    max: float
    unit: str
    compare: str  # at_most, at_least, strictly_less, strictly_greater, equal
    origin: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """Rules that are switched on together."""

    name: str
    title: str
    meaning: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    rules: Mapping[str, Entry]
    packs: Mapping[str, Pack]
    parameters: Mapping[str, Parameter]
    always_on: frozenset[str]
    fields: Mapping[str, str]  # what to set for an empty field of the risk group


@cache
def catalogue() -> Catalogue:
    """Read the catalogue, once. Costs about 30 ms.

    Raises CatalogueError where an entry cannot be understood; the message names it.
    """
    return _parse(_load("catalogue.yaml"))


@cache
def control_data() -> Mapping[str, Any]:
    """Read `controls.yaml`, once; `frameworks.control_map` makes sense of it."""
    return MappingProxyType(_load("controls.yaml"))


def evidenced_by(field_name: str) -> tuple[str, ...]:
    """Return the ids of the controls that a canonical field is direct evidence for."""
    return tuple(control_data()["fields"][field_name].get("d", ()))


def is_always_on(entry: Entry) -> bool:
    """Tell whether a rule judges whatever the packs: missing fields, and redactions."""
    return entry.kind is Kind.MISSING_FIELD or entry.id in catalogue().always_on


def parameters(own: Mapping[str, object] = MappingProxyType({})) -> Mapping[str, float]:
    """Return the thresholds in force: the catalogue's, and over them an organization's.

    Raises ParameterError for a name that the catalogue does not know, and for a value
    that is not a number.
    """
    values = {name: known.value for name, known in catalogue().parameters.items()}
    for name, value in own.items():
        if name not in values:
            raise ParameterError(f"There is no parameter {name}.")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ParameterError(f"The parameter {name} is not a number: {value!r}.")
        values[name] = value
    return MappingProxyType(values)


def _load(name: str) -> dict[str, Any]:
    text = (FOLDER / name).read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return loaded


def _parse(raw: Mapping[str, Any]) -> Catalogue:
    packs = {
        name: Pack(
            name=name,
            title=pack["title"],
            meaning=pack["meaning"],
            rules=tuple(pack["rules"]),
        )
        for name, pack in raw["packs"].items()
    }
    rules = {
        rule_id: _entry(rule_id, rule, packs) for rule_id, rule in raw["rules"].items()
    }
    for pack in packs.values():
        if strangers := set(pack.rules) - set(rules):
            raise CatalogueError(
                f"The pack {pack.name} names rules that do not exist: "
                f"{', '.join(sorted(strangers))}."
            )
    return Catalogue(
        rules=MappingProxyType(rules),
        packs=MappingProxyType(packs),
        parameters=MappingProxyType(
            {
                name: Parameter(name=name, **parameter)
                for name, parameter in raw["parameters"].items()
            }
        ),
        always_on=frozenset(raw["always_on"]),
        fields=MappingProxyType(raw["fields"]),
    )


def _entry(rule_id: str, rule: Mapping[str, Any], packs: Mapping[str, Pack]) -> Entry:
    tags = rule.get("tags", {})
    try:
        return Entry(
            id=rule_id,
            title=rule["title"],
            severity=Severity[rule["severity"].upper()],
            gate=Gate(rule["gate"]),
            kind=Kind(rule.get("kind", Kind.GAP)),
            origin=rule["origin"],
            when=rule["when"],
            check=rule["check"],
            fix=rule["fix"],
            code=rule.get("code") or tag_calls(tags),
            fields=() if "beyond" in rule else tuple(rule.get("fields", tags)),
            beyond=rule.get("beyond", ""),
            controls=tuple(rule["controls"]),
            packs=tuple(name for name, pack in packs.items() if rule_id in pack.rules),
            doubt=rule.get("doubt", ""),
            version=rule.get("version", 1),
        )
    except (KeyError, ValueError) as error:
        raise CatalogueError(f"The catalogue's entry {rule_id}: {error}.") from error


def tag_calls(tags: Mapping[str, str]) -> str:
    """Return the calls that set these tags on a model version, one a line.

    >>> print(tag_calls({"owner": "<person>"}))
    client.set_model_version_tag({model}, {version}, "owner", "<person>")
    """
    return "\n".join(
        f'client.set_model_version_tag({{model}}, {{version}}, "{key}", "{value}")'
        for key, value in tags.items()
    )
