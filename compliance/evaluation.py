"""Judging all versions of an organization, and its sources, chunk by chunk.

A version is due when its row has changed since it was judged, or when another policy
is in force, so that a job which was stopped anywhere goes on by simply asking again.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils.timezone import now

from accounts import audit
from accounts.models import Organization
from accounts.tenancy import acting_for
from compliance.engine import evaluate
from compliance.evidence import compliance_officers, facts_of
from compliance.facts import ModelFacts, SourceFacts
from compliance.frameworks import standings
from compliance.gaps import (
    Reconciliation,
    kept_rule_set,
    lock_gaps,
    reconcile,
)
from compliance.judgement import Judgement, Measure
from compliance.models import Evaluation, GapEvent, Policy
from compliance.policies import in_force
from inventory.models import ModelVersion

CHUNK = 1500  # versions in one transaction, and in memory


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
    waived: int = 0
    unwaived: int = 0  # whose waiver is over
    last_id: int = 0

    def add(self, other: Report) -> None:
        for name in REPORTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.last_id = other.last_id


REPORTED = (
    "evaluated", "changed", "opened", "reopened", "refreshed", "closed", "undecided",
    "waived", "unwaived",
)  # fmt: skip


def evaluate_organization(
    organization: Organization,
    *,
    only_due: bool = False,
    version_ids: Collection[int] | None = None,
    at: datetime | None = None,
) -> Report:
    """Judge the versions: all, those that are due, or those named.

    Time, members and other versions can change an outcome as well: judge all once a
    day. Each chunk of 1,500 is one transaction; without a change it costs what its facts
    cost, and writes nothing. Who may approve is asked once, and what is judged by.
    """
    total = Report()
    for report in chunks(
        organization, only_due=only_due, version_ids=version_ids, at=at
    ):
        total.add(report)
    if version_ids is None or total.evaluated:
        keep_standings(organization, version_ids)
    return total


def keep_standings(
    organization: Organization, version_ids: Collection[int] | None = None
) -> None:
    """Keep how versions stand before the frameworks, now that they were judged.

    Who walks `chunks` does so at the end, or when they have to stop. Each 2,000
    versions are one transaction; what is left undone is done the next time.
    """
    is_behind = True
    while is_behind:
        with acting_for(organization):
            if version_ids is None:
                is_behind = standings.catch_up()
            else:
                standings.keep(version_ids)
                is_behind = False


def chunks(
    organization: Organization,
    *,
    only_due: bool = False,
    version_ids: Collection[int] | None = None,
    after: int = 0,
    at: datetime | None = None,
) -> Iterator[Report]:
    """Judge as `evaluate_organization`, one chunk an iteration, from `after` on.

    A job that has to stop keeps `last_id` of the last report, and goes on from it. A
    policy that is published meanwhile applies from the next chunk on. At the end comes
    `keep_standings`.
    """
    at = at or now()
    measure: Measure | None = None
    rule_set = 0
    approvers: frozenset[str] | None = None
    report = Report(evaluated=CHUNK, last_id=after)
    while report.evaluated == CHUNK:
        with acting_for(organization), _keeping_everything():
            if approvers is None:
                approvers = compliance_officers()
            due = facts_of(
                _due(only_due, version_ids).filter(pk__gt=report.last_id),
                today=at.date(),
                approvers=approvers,
                limit=CHUNK,
                also=COLUMNS,
            )
            first = next(due, None)
            if first is None:
                return
            number = first[0]["in_force"]
            if measure is None or measure.policy != number:
                measure = Measure.of_versions(in_force())
                rule_set = kept_rule_set(measure)
            report = _evaluate_chunk(
                chain([first], due), measure, at=at, rule_set=rule_set
            )
            del first
        yield report


# When a version changed, how it was judged last, and the policy in force.
COLUMNS = (
    "changed_at",
    "evaluation__fingerprint",
    "evaluation__judged",
    "evaluation__policy",
    "in_force",
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
    report = Report()
    with acting_for(organization):
        measure = Measure.of_sources(in_force())
        results = {
            facts.source_id: evaluate(facts, measure.rules, measure.thresholds)
            for facts in sources
        }
        known = {
            source_id: told
            for source_id, *told in Evaluation.objects.exclude(source=None).values_list(
                "source_id", "fingerprint", "policy"
            )
        }
        judgements = [
            Judgement.of(source_id, results.get(source_id, []), measure)
            for source_id in {**known, **results}
        ]
        changed = [
            judgement
            for judgement in judgements
            if known.get(judgement.subject_id, [""])[0] != judgement.fingerprint
        ]
        if changed:
            rule_set = kept_rule_set(measure)
            done = reconcile(changed, subject="source", at=at, rule_set=rule_set)
            _count(report, done)
            ids = [judgement.subject_id for judgement in changed]
            standings.keep(ids, subject="source")
        if any(policy != measure.policy for _, policy in known.values()):
            _outdated(measure).exclude(source=None).update(policy=measure.policy)
    return report


@contextmanager
def _keeping_everything() -> Iterator[None]:
    """Put off the search for cyclic garbage, in this process, while a chunk is judged.

    All that a chunk makes is kept to its end, and then goes by itself: walking it again
    and again finds nothing, and takes as long as half of the rules.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _outdated(measure: Measure) -> QuerySet[Evaluation]:
    """Return what an earlier policy judged; a later one is never put back."""
    return Evaluation.objects.filter(policy__lt=measure.policy)


def judged_versions() -> QuerySet[ModelVersion]:
    """Return the versions that are judged: those present, and those that vanished.

    Of a vanished one the last facts are judged; that it vanished may be a gap. What is
    absent because its model is out of scope is nobody's fault, and is left alone.
    """
    return ModelVersion.objects.filter(
        Q(absent_since=None) | Q(registered_model__out_of_scope="")
    )


def _due(only_due: bool, version_ids: Collection[int] | None) -> QuerySet[ModelVersion]:
    """Return the versions to judge, each with the number of the policy in force."""
    newest = Policy.objects.newest_number()
    versions = judged_versions().annotate(in_force=newest)
    if version_ids is not None:
        versions = versions.filter(pk__in=version_ids)
    if only_due:
        versions = versions.filter(
            Q(evaluation=None)
            | ~Q(evaluation__judged=F("changed_at"))
            | ~Q(evaluation__policy=F("in_force"))
        )
    return versions


def make_due(version_ids: Collection[int]) -> None:
    """Let versions be judged again though their rows did not change. Costs two queries."""
    lock_gaps()
    Evaluation.objects.filter(version__in=version_ids).update(judged=None)


def _evaluate_chunk(
    due: Iterable[tuple[Mapping[str, Any], ModelFacts]],
    measure: Measure,
    *,
    at: datetime,
    rule_set: int,
) -> Report:
    report = Report()
    changed: list[Judgement] = []
    rejudged: defaultdict[datetime, list[int]] = defaultdict(list)
    outdated: list[int] = []
    for row, facts in due:
        report.evaluated += 1
        report.last_id = row["pk"]
        judgement = Judgement.of(
            row["pk"],
            evaluate(facts, measure.rules, measure.thresholds),
            measure,
            judged=row["changed_at"],
            registered_model_id=row["registered_model_id"],
        )
        if judgement.fingerprint != row["evaluation__fingerprint"]:
            changed.append(judgement)
            continue
        if row["evaluation__judged"] != row["changed_at"]:
            rejudged[row["changed_at"]].append(row["pk"])
        if row["evaluation__policy"] != measure.policy:
            outdated.append(row["pk"])
    report.changed = len(changed)
    if changed:
        done = reconcile(changed, subject="version", at=at, rule_set=rule_set)
        _count(report, done)
    for changed_at, version_ids in rejudged.items():
        Evaluation.objects.filter(version__in=version_ids).update(judged=changed_at)
    if outdated:
        _outdated(measure).filter(version__in=outdated).update(policy=measure.policy)
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
