"""The control map: frameworks, their controls, and what can be evidence for each.

Source: `controls.yaml`, whose requirements are short words of our own, and the rules,
which name the controls they give evidence for. Laws are dated data: a framework is in
force from a day, perhaps until one, and a control may apply later than its framework.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache

from compliance.catalogue import control_data
from compliance.engine import rulebook

# What a registry cannot show, in the words of the map's keys.
OUTSIDE = {
    "organisation_level": "It is about the organization, not about a model.",
    "runtime_of_the_ai_system": "It is about the running system, which a registry "
    "does not see.",
    "use_context_and_people": "It is about how people use the system.",
    "data_content": "It is about what the data holds, which is not read.",
    "our_own_product_documentation": "It is about the papers of VerifyWise itself.",
}


class Strength(StrEnum):
    """How much a field that is known says of a control."""

    DIRECT = "direct"  # the value itself is what is to be recorded
    PARTIAL = "partial"  # it is one element of it
    CONTEXT = "context"  # it helps a reviewer, and proves nothing alone

    @property
    def label(self) -> str:
        return self.name.capitalize()


_STRENGTHS = {"d": Strength.DIRECT, "p": Strength.PARTIAL, "c": Strength.CONTEXT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """Something VerifyWise itself does that is evidence; `is_planned`: not yet."""

    id: str
    title: str
    is_planned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What a framework asks for, in our words, and what can be evidence for it."""

    id: str
    reference: str
    requirement: str
    by: str = ""  # provider, deployer, both; "": not told apart
    confidence: str = "high"
    doubt: str = ""
    applies_from: date | None = None  # None: as long as its framework is in force
    fields: Mapping[Strength, tuple[str, ...]]  # names of the record's fields
    rules: tuple[str, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    outside: str = ""  # why a registry cannot show it; "": it can

    @property
    def is_about_versions(self) -> bool:
        """Tell whether versions can show evidence for it, or lack it."""
        return bool(self.rules or any(self.fields.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """A law or a standard. In force from a day on, until the one it is superseded on."""

    id: str
    name: str
    title: str
    kind: str
    doubt: str = ""
    since: date
    until: date | None = None
    superseded_by: str = ""
    scope: frozenset[str] = frozenset()  # what `regulatory_scope` calls it; none: all
    controls: Mapping[str, Control]
    digest: str  # of all that decides what counts for which control

    def is_in_force(self, day: date) -> bool:
        return self.since <= day and (self.until is None or day < self.until)

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that are evidence for a control of it, in the map's order."""
        names = (
            name
            for control in self.controls.values()
            for strength in Strength
            for name in control.fields[strength]
        )
        return tuple(dict.fromkeys(names))

    @property
    def rules(self) -> tuple[str, ...]:
        names = (name for control in self.controls.values() for name in control.rules)
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlMap:
    as_of: date  # when the sources were last read
    revision: int
    frameworks: Mapping[str, Framework]

    def control(self, control_id: str) -> tuple[Framework, Control] | None:
        """Return a control and its framework; None for an id that nobody knows."""
        framework = self.frameworks.get(control_id.partition("-")[0])
        control = framework.controls.get(control_id) if framework else None
        return (framework, control) if framework and control else None

    @property
    def digest(self) -> str:
        """Digest of what counts for which control in all frameworks."""
        return _digest([each.digest for each in self.frameworks.values()])


def control_map() -> ControlMap:
    """Return the map as of the rules there are; plug-ins may have brought some."""
    return _read(tuple((rule.id, rule.entry.controls) for rule in rulebook))


@cache
def _read(rules: tuple[tuple[str, tuple[str, ...]], ...]) -> ControlMap:
    told = control_data()
    by_rule = _turned(rules)
    by_capability = _turned(
        (name, capability["controls"])
        for name, capability in told["capabilities"].items()
    )
    by_field: dict[Strength, Mapping[str, tuple[str, ...]]] = {
        strength: _turned(
            (name, evidence.get(letter, ()))
            for section in ("fields", "extension_fields")
            for name, evidence in told[section].items()
        )
        for letter, strength in _STRENGTHS.items()
    }
    outside = {
        control_id: OUTSIDE[reason]
        for reason, ids in told["out_of_reach"].items()
        for control_id in ids
    }
    capabilities = {
        name: Capability(
            id=name,
            title=capability["title"],
            is_planned=capability.get("planned", False),
        )
        for name, capability in told["capabilities"].items()
    }

    def control(control_id: str, framework: Mapping[str, object]) -> Control:
        its = told["controls"][control_id]
        days: Mapping[str, date] = framework.get("application", {})  # type: ignore[assignment]
        applies = its.get("applies", framework.get("applies"))
        return Control(
            id=control_id,
            reference=its["ref"],
            requirement=its["req"],
            by=its.get("by", ""),
            confidence=its["conf"],
            doubt=its.get("doubt", ""),
            applies_from=days[applies] if applies else None,
            fields={
                strength: names.get(control_id, ())
                for strength, names in by_field.items()
            },
            rules=by_rule.get(control_id, ()),
            capabilities=tuple(
                capabilities[name] for name in by_capability.get(control_id, ())
            ),
            outside=outside.get(control_id, ""),
        )

    frameworks = {}
    for framework_id, its in told["frameworks"].items():
        controls = {
            control_id: control(control_id, its)
            for control_id in told["controls"]
            if control_id.partition("-")[0] == framework_id
        }
        scope = sorted(its.get("scope", ()))
        frameworks[framework_id] = Framework(
            id=framework_id,
            name=its["name"],
            title=its["title"],
            kind=its["kind"].replace("_", " "),
            doubt=its.get("doubt", ""),
            since=its["from"],
            until=its.get("until"),
            superseded_by=its.get("superseded_by", ""),
            scope=frozenset(scope),
            controls=controls,
            digest=_digest(
                [
                    scope,
                    [(each.id, each.fields, each.rules) for each in controls.values()],
                ]
            ),
        )
    return ControlMap(
        as_of=told["as_of"], revision=told["revision"], frameworks=frameworks
    )


def _turned(told: Iterable[tuple[str, Iterable[str]]]) -> dict[str, tuple[str, ...]]:
    """Turn what names controls into what each control is named by."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, control_ids in told:
        for control_id in control_ids:
            found[control_id].append(name)
    return {control_id: tuple(names) for control_id, names in found.items()}


def _digest(told: object) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
