"""From results to gaps: open, refresh, close, reopen, and mark what cannot be checked.

What a waiver in force covers is waived where it would be open.

Everything works on one chunk inside the caller's `acting_for`, in bulk.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from django.db import connection, models

from accounts.tenancy import current_organization_id
from compliance import bulk
from compliance.catalogue import Entry
from compliance.covers import Cover, Covers
from compliance.engine import Outcome, Rule, Verdict
from compliance.judgement import GAP_KINDS, Judgement, Measure
from compliance.models import (
    WORK,
    Evaluation,
    Gap,
    GapEvent,
    ResultChange,
    RuleSet,
    Waiver,
)

LOCK_SPACE = 8  # first key of the advisory locks that keep two evaluations apart
SWITCHED_OFF = "The rule is no longer applied."
FAIL = Verdict.FAIL  # asked of every result: as an attribute it would cost a call

Subject = Literal["version", "source"]


@dataclass(slots=True)
class Reconciliation:
    """What changed results do to evaluations and gaps, worked out and then written."""

    subject: Subject
    at: datetime
    covers: Covers
    rule_set: int | None = None  # key of that of the measure, if this is to be written
    evaluations: list[Evaluation] = field(default_factory=list)
    new_gaps: list[Gap] = field(default_factory=list)
    changed_gaps: list[Gap] = field(default_factory=list)
    changes: list[tuple[ResultChange, Gap | None]] = field(default_factory=list)
    events: list[tuple[int, str, str, str]] = field(default_factory=list)
    blanks: dict[str, dict[str, Any]] = field(default_factory=dict)  # gaps, by rule

    @property
    def counts(self) -> Counter[str]:
        return Counter(event for _, _, event, _ in self.events)

    @property
    def digest(self) -> str:
        """Digest of all that happened to gaps, for the audit entry."""
        return hashlib.sha256(json.dumps(self.events).encode()).hexdigest()

    def apply(
        self, judgement: Judgement, evaluation: Evaluation, gaps: dict[str, Gap]
    ) -> None:
        """Work out what changes for one subject; `gaps` are all it ever had, by rule."""
        before = evaluation.results
        is_first = evaluation.pk is None and not before
        since_then: dict[str, str] = {}
        for rule_id, (rule, outcome) in judgement.outcomes.items():
            verdict = outcome.verdict
            if is_first and verdict is not FAIL and rule_id not in gaps:
                continue  # nothing follows from it
            former = before.get(rule_id)
            is_steady = former is not None and former["verdict"] == verdict
            if since := self._since(evaluation, former, verdict):
                told = judgement.stored.text(rule_id)
                since_then[rule_id] = f'{told[:-1]},"since":"{since}"}}'
            event, words = self._follow(judgement, rule, outcome, gaps)
            if former and not (is_steady and event is GapEvent.NONE):
                self._keep(
                    judgement.subject_id,
                    gaps.get(rule_id),
                    rule_id=rule_id,
                    before=former["verdict"],
                    after=verdict,
                    event=event,
                    detail=words,
                    policy=judgement.policy,
                )
        for rule_id in before.keys() - judgement.outcomes.keys():
            self._switch_off(judgement, gaps.get(rule_id), rule_id, before[rule_id])
        evaluation.results = judgement.stored.but(since_then)
        evaluation.facts = judgement.facts
        evaluation.rule_set_id = self.rule_set
        evaluation.fingerprint = judgement.fingerprint
        evaluation.judged = judgement.judged
        evaluation.policy = judgement.policy
        evaluation.changed_at = self.at
        count(evaluation, gaps.values())
        self.evaluations.append(evaluation)

    def _since(
        self, evaluation: Evaluation, former: dict[str, Any] | None, verdict: Verdict
    ) -> str | None:
        """Return since when the verdict is so, None: since the first evaluation."""
        if former and former["verdict"] == verdict:
            since: str | None = former.get("since")
            return since
        return None if evaluation.pk is None else self.at.isoformat()

    def _follow(
        self,
        judgement: Judgement,
        rule: Rule,
        outcome: Outcome,
        gaps: dict[str, Gap],
    ) -> tuple[GapEvent, str]:
        """Bring the rule's gap in line with its result, if the rule makes gaps.

        Return what happened, and why.
        """
        entry = rule.entry
        gap = gaps.get(entry.id)
        words = outcome.detail
        if gap is None and outcome.verdict is not FAIL:
            return GapEvent.NONE, words
        if entry.kind not in GAP_KINDS:
            return GapEvent.NONE, words
        cover = self.covers.of(
            entry.id,
            gap_id=gap.pk if gap else None,
            registered_model_id=judgement.registered_model_id,
        )
        if gap is not None:
            over = gap.waived_until
            event = gap.follow(entry, outcome, at=self.at, cover=cover)
            if event is not GapEvent.NONE:
                self.changed_gaps.append(gap)
            if event is GapEvent.UNWAIVED and over is not None:
                words = over_by_itself(over)
        else:
            event = GapEvent.OPENED
            gap = gaps[entry.id] = self._open(judgement.subject_id, entry, words)
            if cover is not None:
                event = gap.stand_under(cover)
        if event is GapEvent.WAIVED and cover is not None:
            words = cover.sentence
        if event is not GapEvent.NONE:
            self.events.append((judgement.subject_id, entry.id, event.value, words))
        return event, words

    def _open(self, subject_id: int, entry: Entry, detail: str) -> Gap:
        if (blank := self.blanks.get(entry.id)) is None:
            blank = self.blanks[entry.id] = self._blank(entry)
        own = {f"{self.subject}_id": subject_id, "detail": detail}
        gap = bulk.made(Gap, blank | own)
        self.new_gaps.append(gap)
        return gap

    def _blank(self, entry: Entry) -> dict[str, Any]:
        """Return the attributes that all gaps of a rule have in common when they open."""
        return bulk.blank(Gap) | {
            "rule_id": entry.id,
            "rule_version": entry.version,
            "kind": GAP_KINDS[entry.kind],
            "severity": entry.severity.value,
            "gate": entry.gate.value,
            "opened_at": self.at,
        }

    def _switch_off(
        self,
        judgement: Judgement,
        gap: Gap | None,
        rule_id: str,
        former: dict[str, Any],
    ) -> None:
        """Close the gap of a rule that judges no longer, and say why."""
        subject_id = judgement.subject_id
        event = GapEvent.NONE
        if gap is not None and not gap.is_closed:
            event = gap.close(at=self.at)
            self.changed_gaps.append(gap)
            self.events.append((subject_id, rule_id, event.value, SWITCHED_OFF))
        self._keep(
            subject_id,
            gap,
            rule_id=rule_id,
            before=former["verdict"],
            after=Verdict.NOT_APPLICABLE,
            event=event,
            detail=SWITCHED_OFF,
            policy=judgement.policy,
        )

    def _keep(self, subject_id: int, gap: Gap | None, **told: Any) -> None:
        """Keep a change of a result; the first results of a subject are none."""
        change = ResultChange(**{f"{self.subject}_id": subject_id}, at=self.at, **told)
        self.changes.append((change, gap))  # a new gap has no key yet

    def write(self) -> None:
        """Write everything, in four statements at most."""
        bulk.insert(self.evaluations, unless=("organization", self.subject))
        bulk.insert(self.new_gaps, with_keys=bool(self.changes))
        _update(Gap, self.changed_gaps)
        for change, gap in self.changes:
            change.gap_id = gap.pk if gap else None
        bulk.insert([change for change, _ in self.changes])


def reconcile(
    judgements: Sequence[Judgement], *, subject: Subject, at: datetime, rule_set: int
) -> Reconciliation:
    """Store changed results, and bring the gaps in line with them.

    `rule_set` is the key of that of their measure (`kept_rule_set`).
    Waits for another evaluation of the organization to end, and leaves alone what it
    judged on later facts, or under a later policy. Costs four queries to read, however
    many judgements; three where all are first ones.
    """
    lock_gaps()
    ids = [judgement.subject_id for judgement in judgements]
    within = {f"{subject}__in": ids}
    evaluations = {
        getattr(row, f"{subject}_id"): row
        for row in Evaluation.objects.defer("facts").filter(**within)
    }
    # What was never judged has no gaps: both are written in one transaction.
    gaps = gaps_of([each for each in ids if each in evaluations], subject=subject)

    done = Reconciliation(subject, at, covers_in_force(at.date()), rule_set)
    blank = bulk.blank(Evaluation) | {"created_at": at}
    for judgement in judgements:
        evaluation = evaluations.get(judgement.subject_id) or bulk.made(
            Evaluation, blank | {f"{subject}_id": judgement.subject_id}
        )
        if not _is_later(evaluation, judgement):
            done.apply(judgement, evaluation, gaps.get(judgement.subject_id, {}))
    done.write()
    return done


def kept_rule_set(measure: Measure) -> int:
    """Return the key of the measure's rule set, which is kept if it is a new one.

    Costs one query, three where it is new.
    """
    rule_sets = RuleSet.objects.filter(digest=measure.digest).values_list(
        "pk", flat=True
    )
    if (key := rule_sets.first()) is not None:
        return key
    lock_gaps()  # first of all locks: who waits for it must hold no row that others need
    (row,) = RuleSet.objects.bulk_create(
        [RuleSet(digest=measure.digest, rules=measure.as_applied())],
        update_conflicts=True,  # somebody kept it while we waited
        unique_fields=["organization", "digest"],
        update_fields=["digest"],
    )
    return row.pk


def gaps_of(
    ids: Sequence[int], *, subject: Subject, rule_ids: Collection[str] | None = None
) -> dict[int, dict[str, Gap]]:
    """Return all gaps that these versions or sources ever had, by rule. One query.

    With `rule_ids` those of these rules only. Asked of nothing it costs nothing.
    """
    gaps: dict[int, dict[str, Gap]] = {subject_id: {} for subject_id in ids}
    if not gaps:
        return gaps
    rows = Gap.objects.filter(**{f"{subject}__in": ids})
    if rule_ids is not None:
        rows = rows.filter(rule_id__in=rule_ids)
    for gap in rows:
        gaps[getattr(gap, f"{subject}_id")][gap.rule_id] = gap
    return gaps


def lock_gaps() -> None:
    """Wait until nobody else evaluates the organization, or decides on its waivers.

    Take it before any row of a waiver: evaluations, which hold it, point gaps to them.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)",
            [LOCK_SPACE, current_organization_id()],
        )


def covers_in_force(today: date) -> Covers:
    """Return all waivers in force. Costs one query."""
    return Covers(
        Cover(
            waiver_id=waiver.pk,
            rule_id=waiver.rule_id,
            gap_id=waiver.gap_id,
            registered_model_id=waiver.registered_model_id,
            until=waiver.ends_on,
            sentence=waiver.sentence,
        )
        for waiver in Waiver.objects.in_force(today).select_related("decided_by")
    )


def over_by_itself(last_day: date) -> str:
    return f"The waiver ended by itself on {last_day:%-d %B %Y}."


def _is_later(evaluation: Evaluation, judgement: Judgement) -> bool:
    if evaluation.policy > judgement.policy:
        return True
    if evaluation.judged is None or judgement.judged is None:
        return False
    return evaluation.judged > judgement.judged


def count(evaluation: Evaluation, gaps: Iterable[Gap]) -> None:
    """Count the open gaps by severity, those of missing fields and waived ones apart."""
    counts = Counter(
        "waived" if gap.status == Gap.Status.WAIVED else gap.counted_as
        for gap in gaps
        if not gap.is_closed
    )
    for name in Evaluation.COUNTS:
        setattr(evaluation, name, counts[name])


def _update(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    """Update whole rows by upsert, which is several times faster than bulk_update.

    Whole, but for what people decide about a gap's work: it may be another by now.
    """
    names = [
        column.name
        for column in model._meta.concrete_fields
        if column.name not in ("id", "organization", "version", "source", *WORK)
    ]
    model._default_manager.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["organization", "id"],
        update_fields=names,
    )
