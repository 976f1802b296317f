"""Counting how versions stand before each control, many at once.

A set of versions is an integer here, with a bit for each, so that a union is `|` and a
size is `bit_count`: ten thousand versions are counted in the time of a few hundred
operations on each control.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import reduce
from operator import or_
from typing import Generic, NamedTuple, TypeVar

from compliance.frameworks.control_map import Control, Framework, Strength

NO_EVIDENCE = "none"


class State(StrEnum):
    """How a rule that makes gaps stands with a version, the worst first.

    Of a control it is the worst of its rules.
    """

    OPEN = "open"  # a gap is open, though it may not be checkable now
    UNDECIDED = "undecided"  # the rule cannot be decided: never met
    WAIVED = "waived"  # it still fails
    MET = "met"
    NOT_APPLICABLE = "not_applicable"

    @property
    def label(self) -> str:
        return LABELS[self]


LABELS = {
    State.OPEN: "Gap open",
    State.UNDECIDED: "Cannot be decided",
    State.WAIVED: "Waived",
    State.MET: "No gap",
    State.NOT_APPLICABLE: "Not applicable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """How one version, or one source, stood: what counting needs to know of it."""

    is_version: bool = True
    is_production: bool = False
    regulatory_scope: Collection[str] = ()
    known: Collection[str] = ()  # fields of the record
    states: Mapping[str, str] = field(default_factory=dict)  # rule -> State


class Segment(NamedTuple):
    """A part of the versions, counted apart: in production, and declared to be under it.

    Of a framework that nobody has to declare (no `scope`) every version is.
    """

    is_production: bool
    is_declared: bool


SEGMENTS = tuple(
    Segment(is_production, is_declared)
    for is_production in (False, True)
    for is_declared in (False, True)
)

# What is counted of a framework: "versions", "field:owner", "rule:VW-INV-001:open",
# "EUAIA-9.8:direct" and "EUAIA-9.8:open". Sources count for their rules only.
Counts = Counter[str]


def count(framework: Framework, masks: Masks) -> dict[Segment, Counts]:
    """Count versions and sources by segment. Sources are in the segment of no claims."""
    declared = masks.all
    if framework.scope:
        declared = _union(masks.scope[word] for word in framework.scope)
    segments = {
        segment: (masks.production if segment.is_production else ~masks.production)
        & (declared if segment.is_declared else ~declared)
        & masks.all
        for segment in SEGMENTS
    }
    found: dict[Segment, Counts] = {segment: Counter() for segment in SEGMENTS}
    for key, versions in _sets(framework, masks):
        for segment, inside in segments.items():
            if number := (versions & inside).bit_count():
                found[segment][key] += number
    for rule_id in framework.rules:
        for state, sources in masks.of_sources[rule_id].items():
            found[SEGMENTS[0]][f"source:{rule_id}:{state}"] += sources
    return {segment: counts for segment, counts in found.items() if counts}


@dataclass(slots=True)
class Masks:
    """Sets of versions, as bits: made once, and counted by each framework."""

    all: int = 0
    production: int = 0
    scope: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    known: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    states: defaultdict[str, defaultdict[str, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )
    of_sources: defaultdict[str, Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )

    @classmethod
    def of(cls, stood: Iterable[Stood]) -> Masks:
        masks = cls()
        scope, known = _Bits[str](), _Bits[str]()
        states = _Bits[tuple[str, str]]()
        production: list[int] = []
        number = 0
        for each in stood:
            if not each.is_version:
                for rule_id, state in each.states.items():
                    masks.of_sources[rule_id][state] += 1
                continue
            scope.add(number, each.regulatory_scope)
            known.add(number, each.known)
            states.add(number, each.states.items())
            if each.is_production:
                production.append(number)
            number += 1
        masks.all = (1 << number) - 1
        masks.production = _mask(production)
        masks.scope.update(scope.masks())
        masks.known.update(known.masks())
        for (rule_id, state), versions in states.masks():
            masks.states[rule_id][state] = versions
        return masks


What = TypeVar("What", bound=Hashable)


class _Bits(Generic[What]):
    """Collects which versions have what, and makes one integer of each at the end."""

    def __init__(self) -> None:
        self._numbers: defaultdict[What, list[int]] = defaultdict(list)

    def add(self, number: int, whats: Iterable[What]) -> None:
        for what in whats:
            self._numbers[what].append(number)

    def masks(self) -> Iterator[tuple[What, int]]:
        return ((what, _mask(numbers)) for what, numbers in self._numbers.items())


def _mask(numbers: list[int]) -> int:
    """Return the integer whose bits of these numbers are set, which ascend."""
    if not numbers:
        return 0
    octets = bytearray(numbers[-1] // 8 + 1)
    for number in numbers:
        octets[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(octets, "little")


def _sets(framework: Framework, masks: Masks) -> Iterator[tuple[str, int]]:
    yield "versions", masks.all
    for name in framework.fields:
        yield f"field:{name}", masks.known[name]
    for rule_id in framework.rules:
        for state in State:
            yield f"rule:{rule_id}:{state}", masks.states[rule_id][state]
    for control in framework.controls.values():
        yield from _sets_of(control, masks)


def _sets_of(control: Control, masks: Masks) -> Iterator[tuple[str, int]]:
    rest = masks.all
    if any(control.fields.values()):
        for strength in Strength:
            shown = _union(masks.known[name] for name in control.fields[strength])
            yield f"{control.id}:{strength}", shown & rest
            rest &= ~shown
        yield f"{control.id}:{NO_EVIDENCE}", rest
    rest = masks.all
    for state in State:
        stands = _union(masks.states[rule_id][state] for rule_id in control.rules)
        yield f"{control.id}:{state}", stands & rest
        rest &= ~stands


def _union(sets: Iterable[int]) -> int:
    return reduce(or_, sets, 0)
