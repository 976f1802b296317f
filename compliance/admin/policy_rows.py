"""A policy as its page and its form show it: rules by pack, and parameters.

Both are built from what was said, right or wrong, so that a form that was refused
comes back as it was filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from compliance.catalogue import (
    Gate,
    Parameter,
    Severity,
    catalogue,
    is_always_on,
)
from compliance.engine import Rule, rulebook

ALWAYS = "always"
OTHERS = "others"
_SEVERITIES = {level.name.lower(): level for level in sorted(Severity, reverse=True)}
_GATES = {gate.value: gate for gate in Gate}


@dataclass(frozen=True, slots=True)
class ShownRule:
    """A rule under a policy; `own_…` are what the policy itself says, or empty."""

    rule: Rule
    is_on: bool
    by: str  # what switches it on, or off
    own_switch: str
    own_severity: str
    own_gate: str
    fault: str

    @property
    def is_always_on(self) -> bool:
        return is_always_on(self.rule.entry)

    @property
    def severity(self) -> Severity:
        return _SEVERITIES.get(self.own_severity, self.rule.entry.severity)

    @property
    def gate(self) -> Gate:
        return _GATES.get(self.own_gate, self.rule.entry.gate)

    @property
    def is_regraded(self) -> bool:
        entry = self.rule.entry
        return (self.severity, self.gate) != (entry.severity, entry.gate)


@dataclass(frozen=True, slots=True)
class ShownPack:
    """Rules that are switched on together; each rule is in the first of its packs."""

    name: str
    title: str
    meaning: str
    is_pack: bool
    is_on: bool
    rules: tuple[ShownRule, ...]

    @property
    def on(self) -> int:
        return sum(shown.is_on for shown in self.rules)

    @property
    def is_open(self) -> bool:
        return self.is_on or any(
            shown.fault or shown.own_switch or shown.own_severity or shown.own_gate
            for shown in self.rules
        )


@dataclass(frozen=True, slots=True)
class ShownParameter:
    parameter: Parameter
    own: str  # as the policy says it, or empty
    fault: str
    used_by: tuple[str, ...]

    @property
    def usual(self) -> str:
        return f"{self.parameter.value:.12g}"

    @property
    def value(self) -> str:
        return self.own or f"{self.parameter.value:,.12g}"


def shown_packs(
    said: Mapping[str, Any], faults: Mapping[str, str]
) -> tuple[ShownPack, ...]:
    """Return the rules that have code, by pack, and last those of no pack."""
    on = set(said["packs"])
    by_pack: dict[str, list[ShownRule]] = {}
    for rule in rulebook:
        by_pack.setdefault(_home(rule), []).append(_shown_rule(rule, said, on, faults))
    return tuple(_packs(by_pack, on))


def _home(rule: Rule) -> str:
    packs = [name for name in rule.entry.packs if name in catalogue().packs]
    if packs:
        return packs[0]
    return ALWAYS if is_always_on(rule.entry) else OTHERS


def _packs(
    by_pack: Mapping[str, Iterable[ShownRule]], on: set[str]
) -> Iterator[ShownPack]:
    for name, pack in catalogue().packs.items():
        rules = tuple(by_pack.get(name, ()))
        yield ShownPack(name, pack.title, pack.meaning, True, name in on, rules)
    for name, title, meaning in (
        (ALWAYS, "Missing fields", "On under every policy, and counted apart."),
        (OTHERS, "Other rules", "Of no pack: each is switched on by itself."),
    ):
        if name in by_pack:
            is_on = name == ALWAYS
            yield ShownPack(name, title, meaning, False, is_on, tuple(by_pack[name]))


def _shown_rule(
    rule: Rule, said: Mapping[str, Any], on: set[str], faults: Mapping[str, str]
) -> ShownRule:
    told = said["rules"].get(rule.id, {})
    switch = told.get("switched_on")
    packs = [catalogue().packs[name].title for name in rule.entry.packs if name in on]
    if is_always_on(rule.entry):
        is_on, by = True, "under every policy"
    elif switch is not None:
        is_on, by = switch is True, "by itself"
    else:
        is_on, by = bool(packs), " and ".join(packs) or "none of its packs is on"
    return ShownRule(
        rule=rule,
        is_on=is_on,
        by=by,
        own_switch={True: "on", False: "off"}.get(switch, ""),
        own_severity=told.get("severity", ""),
        own_gate=told.get("gate", ""),
        fault=faults.get(f"rules.{rule.id}", ""),
    )


def shown_parameters(
    said: Mapping[str, Any], faults: Mapping[str, str]
) -> tuple[ShownParameter, ...]:
    """Return the thresholds, those that rules use first."""
    shown = [
        ShownParameter(
            parameter=parameter,
            own=_written(said["parameters"].get(parameter.name, "")),
            fault=faults.get(f"parameters.{parameter.name}", ""),
            used_by=tuple(
                rule.id for rule in rulebook if parameter.name in rule.thresholds
            ),
        )
        for parameter in catalogue().parameters.values()
    ]
    return tuple(sorted(shown, key=lambda each: not each.used_by))


def _written(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def posted(form: QueryDict, *, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a filled-in form says; what it does not show stays as `kept` has it."""
    rules = dict(kept["rules"])
    for rule in rulebook:
        told: dict[str, Any] = {}
        if switch := form.get(f"on-{rule.id}", ""):
            told["switched_on"] = {"on": True, "off": False}.get(switch, switch)
        for name in ("severity", "gate"):
            if value := form.get(f"{name}-{rule.id}", ""):
                told[name] = value
        rules.pop(rule.id, None)
        if told:
            rules[rule.id] = told
    return {
        "packs": [name for name in catalogue().packs if f"pack-{name}" in form],
        "rules": rules,
        "parameters": {
            name: _number(value)
            for name in catalogue().parameters
            if (value := form.get(f"parameter-{name}", "").strip())
        },
    }


def _number(text: str) -> float | str:
    """Return a number, or the text itself, of which the policy will say that it is none."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
