"""What a framework's page, its API resource and its exports tell, now or in the past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.timezone import now

from compliance.catalogue import Entry, Kind
from compliance.engine import rulebook
from compliance.frameworks.control_map import Control, Framework, Strength, control_map
from compliance.frameworks.counting import (
    NO_EVIDENCE,
    SEGMENTS,
    Counts,
    Segment,
    State,
    count,
)
from compliance.frameworks.tallies import stood_at
from compliance.models import FrameworkTally, Standing
from compliance.policies import in_force
from inventory.records import FIELDS, Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Of which versions a framework tells: all that were present, unless narrowed.

    `at` is the moment that it tells of, None is now.
    """

    in_production: bool = False  # those in production only
    declared: bool = False  # those whose regulatory scope names the framework only
    at: datetime | None = None

    def segments(self) -> list[Segment]:
        return [
            segment
            for segment in SEGMENTS
            if (segment.is_production or not self.in_production)
            and (segment.is_declared or not self.declared)
        ]

    @property
    def words(self) -> str:
        told = ["all versions", "versions in production"][self.in_production]
        return f"{told} declared to be under it" if self.declared else told


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldLine:
    """A field that is evidence for a control, and of how many versions it is known."""

    field: Field
    strength: Strength
    known: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLine:
    """A rule that gives evidence for a control, and with how many it stands how.

    `states` is empty where it judges nothing: it is switched off, or is about what is
    not recorded yet.
    """

    rule_id: str
    entry: Entry
    states: Mapping[State, int]  # of versions, or of sources
    is_on: bool  # by the policy
    is_of_sources: bool = False

    @property
    def is_judging(self) -> bool:
        return any(self.states.values())

    @property
    def why_not(self) -> str:
        """Say why it judges nothing."""
        if not self.is_on:
            return "is switched off by the policy"
        return _SILENT.get(self.entry.kind, "has judged nothing here")


_SILENT = {
    Kind.TRIGGER: "sends an approval to a person, and makes no gap",
    Kind.PROCESS: "is about approvals, which are not recorded yet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlLine:
    """A control: with how much evidence for it, and with which gaps.

    Both count versions: `evidence` those whose best evidence is of a strength, or that
    have none; `states` those with which its rules stand how, by the worst of them. The
    first sums up to all versions wherever a field is evidence, the second to those
    that a rule judges.
    """

    control: Control
    evidence: Mapping[str, int]  # Strength or "none" -> versions
    states: Mapping[State, int]
    fields: tuple[FieldLine, ...]
    rules: tuple[RuleLine, ...]

    @property
    def evidenced(self) -> int:
        """Count the versions with direct or partial evidence."""
        return self.evidence[Strength.DIRECT] + self.evidence[Strength.PARTIAL]

    @property
    def judged(self) -> int:
        return sum(self.states.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A framework as of a moment. `versions` is the denominator of all evidence."""

    framework: Framework
    scope: Scope
    moment: datetime  # `scope.at`, or now
    versions: int
    policy: int  # number of the one that applied at the moment
    map_revision: int
    first_kept: datetime | None  # nothing can be told of before
    controls: tuple[ControlLine, ...]

    @property
    def is_past(self) -> bool:
        return self.scope.at is not None

    @property
    def is_in_force(self) -> bool:
        return self.framework.is_in_force(self.moment.date())


def report(framework: Framework, scope: Scope) -> Report:
    """Return the report. Costs three queries, at any number of versions.

    One of the past counts the versions as they stood, which takes the longer the more
    there were.
    """
    counts = _counts([framework], scope)[framework.id]
    policy = in_force(scope.at)
    on = {rule.id for rule in policy.content.rules_on()}
    return Report(
        framework=framework,
        scope=scope,
        moment=scope.at or now(),
        versions=counts["versions"],
        policy=policy.number,
        map_revision=control_map().revision,
        first_kept=first_kept(),
        controls=tuple(_line(each, counts, on) for each in framework.controls.values()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A framework in the list of all: how many controls there are of which kind.

    A control is counted once: with a gap open somewhere, or undecided somewhere, or with
    direct or partial evidence of every version, or of some, or of none.
    """

    framework: Framework
    versions: int
    controls: int
    with_gaps: int
    undecided: int
    evidenced: int
    partly: int
    bare: int
    by_product: int  # evidenced by what VerifyWise does, not by versions
    outside: int


def summaries(scope: Scope) -> list[Summary]:
    """Return all frameworks. Costs one query."""
    frameworks = list(control_map().frameworks.values())
    counts = _counts(frameworks, scope)
    return [_summary(each, counts[each.id]) for each in frameworks]


def kind_of(line: ControlLine, versions: int) -> str:
    """Return which figure of a summary counts the control."""
    if line.control.outside:
        return "outside"
    if not line.control.is_about_versions:
        return "by_product"
    if line.states[State.OPEN]:
        return "with_gaps"
    if line.states[State.UNDECIDED]:
        return "undecided"
    if line.evidenced == versions and versions:
        return "evidenced"
    return "partly" if line.evidenced or line.states[State.MET] else "bare"


def first_kept() -> datetime | None:
    """Return since when it is kept how versions stand; None before any was judged."""
    first = Standing.objects.order_by("since").values_list("since", flat=True)
    return first.first()


def _counts(frameworks: Iterable[Framework], scope: Scope) -> dict[str, Counts]:
    """Return the counts of frameworks: of now from the tallies, of the past anew."""
    segments = scope.segments()
    found: dict[str, Counts] = {each.id: Counter() for each in frameworks}
    if scope.at is not None:
        masks = stood_at(scope.at)
        for each in frameworks:
            for segment, counts in count(each, masks).items():
                if segment in segments:
                    found[each.id].update(counts)
        return found
    for row in FrameworkTally.objects.filter(framework__in=found):
        if Segment(row.is_production, row.is_declared) in segments:
            found[row.framework].update(row.counts)
    return found


def _summary(framework: Framework, counts: Counts) -> Summary:
    versions = counts["versions"]
    lines = [_line(each, counts, ()) for each in framework.controls.values()]
    kinds = Counter(kind_of(line, versions) for line in lines)
    return Summary(
        framework=framework,
        versions=versions,
        controls=len(lines),
        **{kind: kinds[kind] for kind in KINDS},
    )


KINDS = (
    "with_gaps",
    "undecided",
    "evidenced",
    "partly",
    "bare",
    "by_product",
    "outside",
)


def _line(control: Control, counts: Counts, on: Collection[str]) -> ControlLine:
    return ControlLine(
        control=control,
        evidence={
            each: counts[f"{control.id}:{each}"] for each in (*Strength, NO_EVIDENCE)
        },
        states={state: counts[f"{control.id}:{state}"] for state in State},
        fields=tuple(
            FieldLine(
                field=FIELDS[name], strength=strength, known=counts[f"field:{name}"]
            )
            for strength in Strength
            for name in control.fields[strength]
        ),
        rules=tuple(_rule_line(rule_id, counts, on) for rule_id in control.rules),
    )


def _rule_line(rule_id: str, counts: Counts, on: Collection[str]) -> RuleLine:
    entry = rulebook[rule_id].entry
    of_sources = entry.kind is Kind.TRACKING_SERVER
    prefix = "source" if of_sources else "rule"
    return RuleLine(
        rule_id=rule_id,
        entry=entry,
        states={state: counts[f"{prefix}:{rule_id}:{state}"] for state in State},
        is_on=rule_id in on,
        is_of_sources=of_sources,
    )
