"""What a policy would open and close, worked out on today's inventory; nothing is written.

Both policies judge the same facts, by the rules alone that they judge otherwise; the
differences go through the very code that reconciles gaps, unsaved. So publishing does
what the preview says, as far as the inventory was judged and does not change.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db.models import Count
from django.utils.module_loading import import_string
from django.utils.timezone import now

from accounts import tenancy
from accounts.models import Organization
from compliance.covers import Covers
from compliance.engine import evaluate
from compliance.evaluation import CHUNK, judged_versions
from compliance.evidence import gather_facts
from compliance.facts import ModelFacts, SourceFacts
from compliance.gaps import Reconciliation, Subject, covers_in_force, gaps_of
from compliance.judgement import Judgement, Measure
from compliance.models import Evaluation, Gap, GapEvent
from compliance.policies import InForce, in_force
from compliance.policy import Content, judges_otherwise
from inventory.models import ModelVersion, Source

EXAMPLES = 3
OPENING = (GapEvent.OPENED, GapEvent.REOPENED)


@dataclass(frozen=True, slots=True)
class Example:
    """A version, or a source, whose gap would change."""

    subject: Subject
    id: int
    name: str


@dataclass(slots=True)
class Effect:
    """What would become of the gaps of one rule; opened counts the reopened too.

    A gap that a waiver in force is over would be waived, and not opened.
    """

    opened: int = 0
    closed: int = 0
    refreshed: int = 0
    undecided: int = 0
    waived: int = 0
    subjects: list[tuple[Subject, int]] = field(default_factory=list)  # a few
    examples: list[Example] = field(default_factory=list)


@dataclass(slots=True)
class Preview:
    """What would happen to gaps, counted as a report of evaluating counts it.

    The counts by severity leave missing fields apart.
    """

    versions: int = 0
    changed: int = 0  # versions and sources with another result
    events: Counter[str] = field(default_factory=Counter)
    rules: dict[str, Effect] = field(default_factory=lambda: defaultdict(Effect))
    before: Counter[int] = field(default_factory=Counter)  # open gaps by severity
    after: Counter[int] = field(default_factory=Counter)

    @property
    def opens(self) -> int:
        return sum(self.events[event.value] for event in OPENING)

    @property
    def closes(self) -> int:
        return self.events[GapEvent.CLOSED.value]

    @property
    def waives(self) -> int:
        return self.events[GapEvent.WAIVED.value]

    @property
    def regrades(self) -> int:
        return self.events[GapEvent.REFRESHED.value]

    def effects(self) -> list[tuple[str, Effect]]:
        """Return what would become of each rule's gaps, by the rules' ids."""
        return sorted(self.rules.items())

    def sentence(self) -> str:
        """Say it in a line: “This would open 12 gaps and close 3, on 40 versions.”."""
        told = f"This would open {_gaps(self.opens)} and close {_gaps(self.closes)}"
        if self.regrades:
            told += f"; {_gaps(self.regrades)} would stay, but be told otherwise"
        if self.waives:
            told += f"; {_gaps(self.waives)} would be waived"
        noun = "version" if self.versions == 1 else "versions"
        return f"{told}, among {self.versions:,} {noun}."


def _gaps(count: int) -> str:
    return f"{count:,} {'gap' if count == 1 else 'gaps'}"


def preview(content: Content, *, at: datetime | None = None) -> Preview:
    """Compare a content with the policy in force, on all present versions and sources.

    Works inside `acting_for`. Costs four queries per 1,500 versions, one for the
    waivers, and memory for 1,500, whatever their number.
    """
    at = at or now()
    current = in_force()
    wanted = InForce(current.number, content)
    found = Preview()
    differing = judges_otherwise(current.content, content)
    before, after = (
        _only(differing, Measure.of_versions(policy)) for policy in (current, wanted)
    )
    covers = covers_in_force(at.date())
    for models in _chunks():
        found.versions += len(models)
        if before.rules or after.rules:
            facts = gather_facts(list(models), today=at.date())
            _Comparison(found, "version", before, after, covers, at).add(facts, models)
    before, after = (
        _only(differing, Measure.of_sources(policy)) for policy in (current, wanted)
    )
    if before.rules or after.rules:
        fresh = {told.source_id: told for told in _source_facts()}
        _Comparison(found, "source", before, after, covers, at).add(fresh, {})
    _name_examples(found)
    _count_open(found)
    return found


def _only(rule_ids: frozenset[str], measure: Measure) -> Measure:
    return Measure(
        policy=measure.policy,
        rules=tuple(rule for rule in measure.rules if rule.id in rule_ids),
        thresholds=measure.thresholds,
    )


def _chunks() -> Iterator[dict[int, int]]:
    """Walk the ids of the versions that are judged, and of their models, by chunks."""
    last = 0
    while True:
        models = dict(
            judged_versions()
            .filter(pk__gt=last)
            .order_by("pk")
            .values_list("pk", "registered_model_id")[:CHUNK]
        )
        if not models:
            return
        yield models
        last = max(models)


def _source_facts() -> Iterable[SourceFacts]:
    """Ask whoever synchronizes sources how fresh they are."""
    organization = Organization.objects.get(pk=tenancy.current_organization_id())
    source_facts: Callable[[Organization], Iterable[SourceFacts]] = import_string(
        settings.SOURCE_FACTS
    )
    return source_facts(organization)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Lets gaps follow the one policy, then the other; counts what the second does."""

    found: Preview
    subject: Subject
    before: Measure
    after: Measure
    covers: Covers
    at: datetime

    def add(
        self,
        facts: Mapping[int, ModelFacts] | Mapping[int, SourceFacts],
        models: Mapping[int, int],
    ) -> None:
        """Compare a chunk; `models` maps versions to their models."""
        differing: list[tuple[Judgement, Judgement]] = []
        for key, told in facts.items():
            was, becomes = (
                Judgement.of(
                    key,
                    evaluate(told, each.rules, each.thresholds),
                    each,
                    registered_model_id=models.get(key),
                )
                for each in (self.before, self.after)
            )
            if was.fingerprint != becomes.fingerprint:
                differing.append((was, becomes))
        self.found.changed += len(differing)
        gaps = gaps_of(
            [was.subject_id for was, _ in differing],
            subject=self.subject,
            rule_ids={rule.id for rule in (*self.before.rules, *self.after.rules)},
        )
        for was, becomes in differing:
            self._follow(was, becomes, gaps[was.subject_id])

    def _follow(self, was: Judgement, becomes: Judgement, own: dict[str, Gap]) -> None:
        evaluation = Evaluation(
            **{f"{self.subject}_id": was.subject_id}, created_at=self.at
        )
        Reconciliation(self.subject, self.at, self.covers).apply(was, evaluation, own)
        self.found.after.subtract(_open(own))
        done = Reconciliation(self.subject, self.at, self.covers)
        done.apply(becomes, evaluation, own)
        self.found.after.update(_open(own))
        _note(self.found, done)


def _open(gaps: Mapping[str, Gap]) -> Counter[int]:
    return Counter(
        gap.severity
        for gap in gaps.values()
        if gap.is_open and gap.kind == Gap.Kind.RULE
    )


def _note(found: Preview, done: Reconciliation) -> None:
    found.events.update(done.counts)
    for subject_id, rule_id, event, _ in done.events:
        effect = found.rules[rule_id]
        if event in OPENING:
            effect.opened += 1
        elif event == GapEvent.CLOSED:
            effect.closed += 1
        elif event == GapEvent.REFRESHED:
            effect.refreshed += 1
        elif event == GapEvent.WAIVED:
            effect.waived += 1
        else:
            effect.undecided += 1
        if len(effect.subjects) < EXAMPLES:
            effect.subjects.append((done.subject, subject_id))


def _name_examples(found: Preview) -> None:
    """Costs two queries."""
    wanted: dict[Subject, set[int]] = {"version": set(), "source": set()}
    for effect in found.rules.values():
        for subject, subject_id in effect.subjects:
            wanted[subject].add(subject_id)
    versions = ModelVersion.objects.select_related("registered_model").only(
        "version_number", "registered_model__name"
    )
    names: dict[Subject, dict[int, str]] = {
        "version": {
            row.pk: str(row) for row in versions.filter(pk__in=wanted["version"])
        },
        "source": {
            row.pk: str(row) for row in Source.objects.filter(pk__in=wanted["source"])
        },
    }
    for effect in found.rules.values():
        effect.examples = [
            Example(subject, subject_id, names[subject][subject_id])
            for subject, subject_id in effect.subjects
        ]


def _count_open(found: Preview) -> None:
    """Count the gaps that are open now, and those that then would be. One query."""
    rows = (
        Gap.objects.open()
        .present()
        .filter(kind=Gap.Kind.RULE)
        .order_by()
        .values_list("severity")
        .annotate(Count("pk"))
    )
    found.before.update(dict(rows))
    found.after.update(found.before)
