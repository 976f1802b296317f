"""The engine: rules are pure functions from facts to an outcome.

A rule registers under an id of the catalogue and declares which facts it reads and
which thresholds it is given; the tests hold it to that. Everything else about it
(title, severity, gate, controls, remedy) is the catalogue's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from compliance import canonical
from compliance.catalogue import Entry, Kind, catalogue, is_always_on
from compliance.exceptions import CatalogueError
from compliance.facts import ModelFacts, RequestFacts, SourceFacts
from inventory.records import Section, is_known

logger = logging.getLogger(__name__)

CLOCKS = frozenset({"today", "now"})
# Moves with every sync: a result that showed it would be another one each time, and the
# sync runs tell it anyway.
MOVING = CLOCKS | {"last_synced_at"}


NO_SWITCHES: Mapping[str, bool] = MappingProxyType({})


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"  # the evidence needed to judge is missing
    NOT_APPLICABLE = "not_applicable"
    ERROR = "error"  # the rule itself crashed

    @property
    def label(self) -> str:
        return self.value.replace("_", " ").capitalize()

    @property
    def is_undecided(self) -> bool:
        """Neither met nor missed: such a verdict never closes a gap."""
        return self in (Verdict.UNKNOWN, Verdict.ERROR)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A rule's answer; `inputs` is what it saw inside documents such as metrics."""

    verdict: Verdict
    detail: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)


PASS = Outcome(Verdict.PASS)


def fail(detail: str, **inputs: Any) -> Outcome:
    return Outcome(Verdict.FAIL, detail, inputs)


def unknown(detail: str, **inputs: Any) -> Outcome:
    return Outcome(Verdict.UNKNOWN, detail, inputs)


def not_applicable(detail: str) -> Outcome:
    return Outcome(Verdict.NOT_APPLICABLE, detail)


# The sections whose tags can tell a field.
TELLING = (Section.VERSION, Section.RUN, Section.EXPERIMENT)


def missing(
    facts: ModelFacts, detail: str, *, sections: tuple[Section, ...] = TELLING
) -> Outcome:
    """Fail; or answer unknown while a section that could tell the value is unread.

    A rule that calls it reads `incomplete`.
    """
    for section in sections:
        if reason := facts.incomplete.get(section):
            return unknown(f"{detail} The {section} could not be read: {reason}")
    return fail(detail)


def without(told: Mapping[str, object]) -> list[str]:
    """Return the labels of what is not told: empty or None."""
    return [label for label, value in told.items() if not value]


def demand(
    facts: ModelFacts,
    *,
    of: bool | None,
    whose: str,
    met: object,
    lacking: str,
    sections: tuple[Section, ...] = TELLING,
) -> Outcome:
    """Judge a demand on some versions only; `of` tells whether on this one.

    Evidence that is there passes while it is open whether it is demanded. `whose` are
    the versions, in words: “a high-risk AI Act class”. A caller reads `incomplete`.
    """
    if of is False:
        return not_applicable(f"It is not demanded: this is not {whose}.")
    if met:
        return PASS
    if of is None:
        return unknown(f"Whether this is {whose} has not been declared.")
    return missing(facts, lacking, sections=sections)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A judgement, and what the catalogue says of it.

    `check` gets the facts, and the thresholds as keyword arguments.
    """

    entry: Entry
    check: Callable[..., Outcome]
    reads: tuple[str, ...]
    thresholds: tuple[str, ...] = ()
    id: str = field(init=False)
    # The facts that are shown with its result, sorted.
    shown: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.entry.id)
        known = FACTS[self.entry.kind]
        if strangers := set(self.reads) - set(known):
            raise CatalogueError(
                f"The rule {self.id} reads facts that do not exist: "
                f"{', '.join(sorted(strangers))}."
            )
        if strangers := set(self.thresholds) - set(catalogue().parameters):
            raise CatalogueError(
                f"The rule {self.id} asks for parameters that do not exist: "
                f"{', '.join(sorted(strangers))}."
            )
        shown = {name for name in self.reads if known[name] and name not in MOVING}
        object.__setattr__(self, "shown", tuple(sorted(shown)))

    @property
    def is_time_dependent(self) -> bool:
        """Tell whether time alone can change its outcome."""
        return not CLOCKS.isdisjoint(self.reads)


Facts = ModelFacts | SourceFacts | RequestFacts


def _facts_of(kind: type[Facts]) -> dict[str, bool]:
    """Map each fact to whether its value is plain, so that a result can show it whole."""
    return {
        item.name: not any(name in item.type for name in _COMPOUND)
        for item in fields(kind)
    }


_COMPOUND = ("Mapping[", "Redaction", "StepFacts", "ConditionFacts")
_SUBJECTS: Mapping[Kind, type[Facts]] = {
    Kind.TRACKING_SERVER: SourceFacts,
    Kind.PROCESS: RequestFacts,
}
FACTS: Mapping[Kind, Mapping[str, bool]] = {
    kind: _facts_of(_SUBJECTS.get(kind, ModelFacts)) for kind in Kind
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a rule said of one version or source, and the facts that it was shown."""

    rule: Rule
    outcome: Outcome
    facts: Mapping[str, Any]  # by the names of `rule.shown`

    @property
    def verdict(self) -> Verdict:
        return self.outcome.verdict

    def to_json(self) -> str:
        """Return what is stored of it alone, as canonical JSON: no key without a value.

        The inputs are what the rule saw besides the facts. Those are stored once for
        all rules, and what does not differ from subject to subject once for all.
        """
        outcome = self.outcome
        before, after = _around_inputs(outcome.verdict, outcome.detail)
        if not outcome.inputs:  # as of nearly all
            return before + after
        inputs = [
            canonical.key(name) + canonical.text(value)
            for name, value in sorted(outcome.inputs.items())
            if is_known(value)
        ]
        told = f'"inputs":{canonical.an_object(inputs)},' if inputs else ""
        return before + told + after


@lru_cache(maxsize=4096)  # most of what rules say they say of many versions
def _around_inputs(verdict: Verdict, detail: str) -> tuple[str, str]:
    """Return an object's text up to the inputs and from there on, in order of names."""
    before = f'{{"detail":{canonical.text(detail)},' if detail else "{"
    return before, f'"verdict":"{verdict.value}"}}'


def evaluate(
    facts: Facts,
    rules: Iterable[Rule],
    parameters: Mapping[str, float],
) -> list[Result]:
    """Judge one version or source by each rule; a crashing rule spoils only itself.

    Costs about 5 µs a rule. `parameters` are those of `catalogue.parameters()`.
    """
    return [_judge(rule, facts, parameters) for rule in rules]


def _judge(rule: Rule, facts: Facts, parameters: Mapping[str, float]) -> Result:
    shown = {name: getattr(facts, name) for name in rule.shown}
    thresholds = {name: parameters[name] for name in rule.thresholds}
    try:
        outcome = rule.check(facts, **thresholds)
    except Exception as error:  # rules are plug-ins: a bug must not hide other gaps
        logger.exception("Rule %s crashed", rule.id)
        outcome = Outcome(Verdict.ERROR, f"{type(error).__name__}: {error}")
    return Result(rule, outcome, shown)


class Rulebook:
    """The rules that have code, by id. Two of one id stop the start."""

    def __init__(self) -> None:
        self._rules: dict[str, Rule] = {}

    def rule(
        self, rule_id: str, *, reads: tuple[str, ...], thresholds: tuple[str, ...] = ()
    ) -> Callable[[Callable[..., Outcome]], Callable[..., Outcome]]:
        """Register a function as the rule of this id.

        Raises CatalogueError if the catalogue does not know the id, if there is such a
        rule already, or if a declared fact or threshold does not exist.
        """
        entry = catalogue().rules.get(rule_id)
        if entry is None:
            raise CatalogueError(f"The catalogue does not know the rule {rule_id}.")

        def register(check: Callable[..., Outcome]) -> Callable[..., Outcome]:
            self.add(Rule(entry=entry, check=check, reads=reads, thresholds=thresholds))
            return check

        return register

    def add(self, rule: Rule) -> None:
        """Register a rule with an entry of its own, as a plug-in may have it."""
        if other := self._rules.get(rule.id):
            raise CatalogueError(
                f"There are two rules {rule.id}: {_place(other)} and {_place(rule)}."
            )
        self._rules[rule.id] = rule

    def switched_on(
        self, packs: Collection[str], individually: Mapping[str, bool] = NO_SWITCHES
    ) -> tuple[Rule, ...]:
        """Return the rules of these packs, and those that are on whatever the packs.

        `individually` switches a rule on or off by its id, whatever its packs say.
        """
        chosen = set(packs)
        return tuple(
            rule
            for rule in self
            if is_always_on(rule.entry)
            or individually.get(rule.id, not chosen.isdisjoint(rule.entry.packs))
        )

    def get(self, rule_id: str) -> Rule | None:
        return self._rules.get(rule_id)

    def __getitem__(self, rule_id: str) -> Rule:
        return self._rules[rule_id]

    def __iter__(self) -> Iterator[Rule]:
        """Walk the rules in the order of the catalogue, those of plug-ins last."""
        order = {rule_id: number for number, rule_id in enumerate(catalogue().rules)}
        return iter(
            sorted(
                self._rules.values(), key=lambda rule: order.get(rule.id, len(order))
            )
        )

    def __len__(self) -> int:
        return len(self._rules)


def _place(rule: Rule) -> str:
    return f"{rule.check.__module__}.{rule.check.__name__}"


rulebook = Rulebook()
