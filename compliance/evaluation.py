"""Judging all versions of an organization, and its sources, chunk by chunk.

A version is due when its row has changed since it was judged, so that a job which was
stopped anywhere goes on by simply asking again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F, Q, QuerySet
from django.utils.timezone import now

from accounts import audit
from accounts.models import Organization
from accounts.tenancy import acting_for
from compliance.catalogue import Kind, parameters
from compliance.engine import Rule, evaluate, rulebook
from compliance.evidence import gather_facts
from compliance.facts import SourceFacts
from compliance.gaps import Judgement, Reconciliation, reconcile
from compliance.models import Evaluation, GapEvent
from inventory.models import ModelVersion

CHUNK = 500
PACKS = ("starter",)


@dataclass(slots=True)
class Report:
    """What evaluating did. `last_id` is the place to go on from."""

    evaluated: int = 0  # versions
    changed: int = 0  # versions whose results are others than before
    opened: int = 0
    reopened: int = 0
    refreshed: int = 0
    closed: int = 0
    undecided: int = 0
    last_id: int = 0

    def add(self, other: Report) -> None:
        for name in REPORTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.last_id = other.last_id


REPORTED = (
    "evaluated", "changed", "opened", "reopened", "refreshed", "closed", "undecided"
)  # fmt: skip


def evaluate_organization(
    organization: Organization,
    *,
    only_due: bool = False,
    version_ids: Collection[int] | None = None,
    at: datetime | None = None,
) -> Report:
    """Judge the present versions: all, those whose rows have changed, or those named.

    Time and members can change an outcome as well: judge all once a day. Each chunk
    of 500 is one transaction; without a change it costs five queries and no write.
    """
    total = Report()
    for report in chunks(
        organization, only_due=only_due, version_ids=version_ids, at=at
    ):
        total.add(report)
    return total


def chunks(
    organization: Organization,
    *,
    only_due: bool = False,
    version_ids: Collection[int] | None = None,
    after: int = 0,
    at: datetime | None = None,
) -> Iterator[Report]:
    """Judge as `evaluate_organization`, one chunk an iteration, from `after` on.

    A job that has to stop keeps `last_id` of the last report, and goes on from it.
    """
    at = at or now()
    rules = version_rules()
    report = Report(evaluated=CHUNK, last_id=after)
    while report.evaluated == CHUNK:
        with acting_for(organization):
            due = _due(only_due, version_ids).filter(pk__gt=report.last_id)
            report = _evaluate_chunk(due, rules, at=at, after=report.last_id)
        if report.evaluated:
            yield report


def version_rules() -> tuple[Rule, ...]:
    """Return the rules that judge versions, as far as they are switched on."""
    return tuple(
        rule for rule in rulebook.switched_on(PACKS) if rule.entry.kind.judges_versions
    )


def evaluate_sources(
    organization: Organization,
    sources: Iterable[SourceFacts],
    *,
    at: datetime | None = None,
) -> Report:
    """Judge the sources; who synchronizes them hands the facts in.

    A source that is not handed in is read no longer: its gaps close.
    """
    at = at or now()
    rules = [
        rule
        for rule in rulebook.switched_on(PACKS)
        if rule.entry.kind is Kind.TRACKING_SERVER
    ]
    results = {
        facts.source_id: evaluate(facts, rules, parameters()) for facts in sources
    }
    report = Report()
    with acting_for(organization):
        known = dict(
            Evaluation.objects.exclude(source=None).values_list(
                "source_id", "fingerprint"
            )
        )
        judgements = (
            Judgement.of(source_id, results.get(source_id, []))
            for source_id in {**known, **results}
        )
        changed = [
            judgement
            for judgement in judgements
            if known.get(judgement.subject_id) != judgement.fingerprint
        ]
        if changed:
            _count(report, reconcile(changed, subject="source", at=at))
    return report


def _due(only_due: bool, version_ids: Collection[int] | None) -> QuerySet[ModelVersion]:
    versions = ModelVersion.objects.present()
    if version_ids is not None:
        versions = versions.filter(pk__in=version_ids)
    if only_due:
        versions = versions.filter(
            Q(evaluation=None) | ~Q(evaluation__judged=F("changed_at"))
        )
    return versions


def _evaluate_chunk(
    due: QuerySet[ModelVersion], rules: tuple[Rule, ...], *, at: datetime, after: int
) -> Report:
    rows = list(
        due.order_by("pk").values_list(
            "pk", "changed_at", "evaluation__fingerprint", "evaluation__judged"
        )[:CHUNK]
    )
    if not rows:
        return Report(last_id=after)
    facts = gather_facts([pk for pk, *_ in rows], today=at.date())
    thresholds = parameters()
    changed: list[Judgement] = []
    rejudged: defaultdict[datetime, list[int]] = defaultdict(list)
    for pk, changed_at, fingerprint, judged in rows:
        judgement = Judgement.of(
            pk, evaluate(facts[pk], rules, thresholds), judged=changed_at
        )
        if judgement.fingerprint != fingerprint:
            changed.append(judgement)
        elif judged != changed_at:
            rejudged[changed_at].append(pk)
    report = Report(evaluated=len(rows), changed=len(changed), last_id=rows[-1][0])
    if changed:
        _count(report, reconcile(changed, subject="version", at=at))
    for changed_at, version_ids in rejudged.items():
        Evaluation.objects.filter(version__in=version_ids).update(judged=changed_at)
    return report


def _count(report: Report, done: Reconciliation) -> None:
    """Count what happened to gaps, and say it in the trail."""
    counts = done.counts
    for event in GapEvent:
        if event is not GapEvent.NONE:
            setattr(report, event.value, counts[event.value])
    number = len(done.evaluations)
    noun = "model version" if done.subject == "version" else "source"
    audit.record(
        "gaps.reconciled",
        label=f"{number} {noun}" if number == 1 else f"{number} {noun}s",
        changes={**counts, "digest": done.digest},
    )
