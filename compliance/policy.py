"""What a policy says, apart from who said it when: packs, rules, thresholds. Pure.

A policy holds differences only. What it does not mention is as the catalogue has it, so
a policy that says nothing but `packs: [starter]` is what applies where there is none.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from compliance.catalogue import (
    Entry,
    Gate,
    Severity,
    catalogue,
    is_always_on,
    parameters,
)
from compliance.engine import Rule, rulebook
from compliance.exceptions import PolicyError

PARTS = ("packs", "rules", "parameters")
LARGEST_NUMBER = 1000  # bits
SETTINGS = ("switched_on", "severity", "gate")
_SEVERITIES = {severity.name.lower(): severity for severity in Severity}
_GATES = {gate.value: gate for gate in Gate}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a policy says of one rule; None leaves it to packs and catalogue."""

    switched_on: bool | None = None
    severity: Severity | None = None
    gate: Gate | None = None

    def to_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if self.switched_on is not None:
            told["switched_on"] = self.switched_on
        if self.severity is not None:
            told["severity"] = self.severity.name.lower()
        if self.gate is not None:
            told["gate"] = self.gate.value
        return told


NO_SETTING = Setting()


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a policy says. Made by `read`, which lets nothing through that is unknown."""

    packs: tuple[str, ...] = ("starter",)
    rules: Mapping[str, Setting] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain values in one order, for one digest of one meaning."""
        return {
            "packs": list(self.packs),
            "rules": {key: self.rules[key].to_json() for key in sorted(self.rules)},
            "parameters": {
                key: self.parameters[key] for key in sorted(self.parameters)
            },
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, which anybody can recompute."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Return every parameter as it is under this policy."""
        return parameters(self.parameters)

    def setting(self, rule_id: str) -> Setting:
        return self.rules.get(rule_id, NO_SETTING)

    def graded(self, rule: Rule) -> Rule:
        """Return a rule with the severity and the gate that it has under this policy."""
        told = self.setting(rule.id)
        if told.severity is None and told.gate is None:
            return rule
        entry = replace(
            rule.entry,
            severity=told.severity or rule.entry.severity,
            gate=told.gate or rule.entry.gate,
        )
        return replace(rule, entry=entry)

    def rules_on(self) -> tuple[Rule, ...]:
        """Return the rules that judge under this policy, graded by it."""
        switches = {
            rule_id: told.switched_on
            for rule_id, told in self.rules.items()
            if told.switched_on is not None
        }
        return tuple(map(self.graded, rulebook.switched_on(self.packs, switches)))


DEFAULTS = Content()


def entry_of(rule_id: str) -> Entry | None:
    """Return what is known of a rule, one without code included."""
    rule = rulebook.get(rule_id)
    return rule.entry if rule else catalogue().rules.get(rule_id)


def read(raw: object) -> Content:
    """Understand what a form, a program or a file says.

    Raises PolicyError with every fault there is, each by its place.
    """
    if not isinstance(raw, Mapping):
        raise PolicyError(
            {
                "": "A policy is a mapping of packs, rules and parameters to what they are."
            }
        )
    faults: dict[str, str] = {
        f"{key}": f"A policy has no {_shown(key)}; it has {', '.join(PARTS)}."
        for key in raw
        if key not in PARTS
    }
    content = Content(
        packs=_packs(raw.get("packs"), faults),
        rules=MappingProxyType(_rules(raw.get("rules", {}), faults)),
        parameters=MappingProxyType(_parameters(raw.get("parameters", {}), faults)),
    )
    if faults:
        raise PolicyError(faults)
    return content


def kept(raw: Mapping[str, Any]) -> Content:
    """Understand what was published once, but for what nobody knows any more.

    A plug-in may have taken its rules away, and a range may be narrower today.
    """
    try:
        return read(raw)
    except PolicyError as error:
        return read(
            {
                "packs": [name for name in raw["packs"] if name in catalogue().packs],
                **{
                    part: {
                        name: told
                        for name, told in raw[part].items()
                        if f"{part}.{name}" not in error.faults
                    }
                    for part in ("rules", "parameters")
                },
            }
        )


def _packs(told: object, faults: dict[str, str]) -> tuple[str, ...]:
    if told is None:
        faults["packs"] = "A policy says which packs are on: packs is missing."
        return ()
    if not isinstance(told, list | tuple):
        faults["packs"] = f"packs is not a list: {_shown(told)}."
        return ()
    known = catalogue().packs
    for name in told:
        if not isinstance(name, str) or name not in known:
            faults["packs"] = (
                f"There is no pack {_shown(name)}; there are {', '.join(known)}."
            )
    return tuple(name for name in known if name in told)


def _rules(told: object, faults: dict[str, str]) -> dict[str, Setting]:
    if not isinstance(told, Mapping):
        faults["rules"] = f"rules is not a mapping: {_shown(told)}."
        return {}
    found = {}
    for rule_id, settings in told.items():
        place = f"rules.{rule_id}"
        entry = entry_of(rule_id) if isinstance(rule_id, str) else None
        if entry is None:
            faults[place] = f"There is no rule {_shown(rule_id)}."
        elif not isinstance(settings, Mapping):
            faults[place] = f"{rule_id} is not a mapping: {_shown(settings)}."
        elif wrong := " ".join(_faults_of(entry, settings)):
            faults[place] = wrong
        elif settings:
            found[entry.id] = _setting(settings)
    return found


def _faults_of(entry: Entry, told: Mapping[Any, Any]) -> Iterator[str]:
    for name, value in told.items():
        if name not in SETTINGS:
            yield f"{entry.id} has no {_shown(name)}; it has {', '.join(SETTINGS)}."
        elif name == "switched_on":
            if not isinstance(value, bool):
                yield f"{entry.id}: switched_on is neither true nor false: {_shown(value)}."
            elif not value and is_always_on(entry):
                yield (
                    f"{entry.id} cannot be switched off: missing fields, and what was "
                    "redacted, are gaps under every policy."
                )
        else:
            known: Mapping[str, object] = _SEVERITIES if name == "severity" else _GATES
            if not isinstance(value, str) or value not in known:
                yield (
                    f"{entry.id}: there is no {name} {_shown(value)}; there are "
                    f"{', '.join(known)}."
                )


def _setting(told: Mapping[str, Any]) -> Setting:
    return Setting(
        switched_on=told.get("switched_on"),
        severity=_SEVERITIES[told["severity"]] if "severity" in told else None,
        gate=_GATES[told["gate"]] if "gate" in told else None,
    )


def _parameters(told: object, faults: dict[str, str]) -> dict[str, float]:
    if not isinstance(told, Mapping):
        faults["parameters"] = f"parameters is not a mapping: {_shown(told)}."
        return {}
    found = {}
    for name, value in told.items():
        known = catalogue().parameters.get(name) if isinstance(name, str) else None
        place = f"parameters.{name}"
        if known is None:
            faults[place] = f"There is no parameter {_shown(name)}."
        elif isinstance(value, bool) or not isinstance(value, int | float):
            faults[place] = f"{name} is not a number: {_shown(value)}."
        elif not known.min <= value <= known.max:
            faults[place] = (
                f"{name} goes from {known.min:g} to {known.max:g} ({known.unit}): "
                f"{_shown(value)} is out of range."
            )
        else:
            found[known.name] = value
    return found


def _shown(value: object) -> str:
    """Return what was told, however long or deep it is, in a few words."""
    if isinstance(value, str):
        return f"“{value[:60]}”"
    if isinstance(value, int) and value.bit_length() > LARGEST_NUMBER:
        return "a number of many digits"  # Python writes out no more than so many
    return reprlib.repr(value)


def changes(before: Content, after: Content) -> list[str]:
    """Say in sentences what another content changes, none where they say the same."""
    return [
        *_changed_packs(before, after),
        *_changed_rules(before, after),
        *_changed_parameters(before, after),
    ]


def _changed_packs(before: Content, after: Content) -> Iterator[str]:
    for name, pack in catalogue().packs.items():
        if (name in before.packs) != (name in after.packs):
            switched = "on" if name in after.packs else "off"
            yield f"The pack “{pack.title}” is switched {switched}."


def _changed_rules(before: Content, after: Content) -> Iterator[str]:
    for rule_id in sorted(before.rules.keys() | after.rules.keys()):
        was, is_now = before.setting(rule_id), after.setting(rule_id)
        entry = entry_of(rule_id)
        name = f"{rule_id} “{entry.title}”" if entry else rule_id
        if was.switched_on != is_now.switched_on:
            yield f"{name} {_SWITCHED[is_now.switched_on]}."
        if was.severity != is_now.severity:
            usual = entry.severity if entry else None
            yield (
                f"{name}: severity {_graded(was.severity, usual)} → "
                f"{_graded(is_now.severity, usual)}."
            )
        if was.gate != is_now.gate:
            usual_gate = entry.gate if entry else None
            yield (
                f"{name}: gate {_graded(was.gate, usual_gate)} → "
                f"{_graded(is_now.gate, usual_gate)}."
            )


_SWITCHED = {
    True: "is switched on, whatever its packs",
    False: "is switched off, whatever its packs",
    None: "is on if one of its packs is",
}


def _graded(told: Severity | Gate | None, usual: Severity | Gate | None) -> str:
    if told is not None:
        return told.label.lower()
    return f"{usual.label.lower()} (as catalogued)" if usual else "as catalogued"


def _changed_parameters(before: Content, after: Content) -> Iterator[str]:
    for name in sorted(before.parameters.keys() | after.parameters.keys()):
        known = catalogue().parameters.get(name)
        usual = f"{known.value:g} (as catalogued)" if known else "as catalogued"
        was, is_now = (
            f"{content.parameters[name]:g}" if name in content.parameters else usual
            for content in (before, after)
        )
        if before.parameters.get(name) != after.parameters.get(name):
            yield f"{name}: {was} → {is_now}{f' {known.unit}' if known else ''}."


def judges_otherwise(before: Content, after: Content) -> frozenset[str]:
    """Return the ids of the rules whose results may differ between two contents.

    All others answer the same under both, with the same gap to follow.
    """
    was, is_now = _manners(before), _manners(after)
    return frozenset(
        rule_id
        for rule_id in was.keys() | is_now.keys()
        if was.get(rule_id) != is_now.get(rule_id)
    )


def _manners(content: Content) -> dict[str, tuple[Any, ...]]:
    thresholds = content.thresholds
    return {
        rule.id: (
            rule.entry.severity,
            rule.entry.gate,
            *(thresholds[name] for name in rule.thresholds),
        )
        for rule in content.rules_on()
    }
