"""From results to gaps: open, refresh, close, reopen, and mark what cannot be checked.

What a waiver in force covers is waived where it would be open.

Everything works on one chunk inside the caller's `acting_for`, in bulk.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from django.db import connection, models

from accounts.tenancy import current_organization_id
from compliance.catalogue import Kind
from compliance.covers import Cover, Covers
from compliance.engine import Result, Verdict
from compliance.models import Evaluation, Gap, GapEvent, ResultChange, Waiver

BATCH = 500
LOCK_SPACE = 8  # first key of the advisory locks that keep two evaluations apart
SWITCHED_OFF = "The rule is no longer applied."
GAP_KINDS = {
    Kind.GAP: Gap.Kind.RULE,
    Kind.TRACKING_SERVER: Gap.Kind.RULE,
    Kind.MISSING_FIELD: Gap.Kind.MISSING_FIELD,
}

GRADED = frozenset({Verdict.FAIL, Verdict.UNKNOWN, Verdict.ERROR})

Subject = Literal["version", "source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All results for one version or source, and the digest by which they are compared.

    `judged` is the version's `changed_at` as it was read, and `registered_model_id` its
    model; None for a source. `policy` is the number of the one that rules and thresholds
    are from; the digest is of what was found, and of how grave a policy has it, but not
    of its number.
    """

    subject_id: int
    results: Mapping[str, Result]
    stored: Mapping[str, dict[str, Any]]
    fingerprint: str
    judged: datetime | None = None
    policy: int = 0
    registered_model_id: int | None = None

    @classmethod
    def of(
        cls,
        subject_id: int,
        results: Sequence[Result],
        *,
        judged: datetime | None = None,
        policy: int = 0,
        registered_model_id: int | None = None,
    ) -> Judgement:
        stored = {result.rule.id: result.to_json() for result in results}
        grades = [
            (result.rule.id, entry.severity, entry.gate)
            for result in results
            if result.verdict in GRADED
            and (entry := result.rule.entry).kind in GAP_KINDS
        ]
        return cls(
            subject_id=subject_id,
            results={result.rule.id: result for result in results},
            stored=stored,
            fingerprint=hashlib.sha256(
                json.dumps(
                    [stored, grades], sort_keys=True, separators=(",", ":")
                ).encode()
            ).hexdigest(),
            judged=judged,
            policy=policy,
            registered_model_id=registered_model_id,
        )


@dataclass(slots=True)
class Reconciliation:
    """What changed results do to evaluations and gaps, worked out and then written."""

    subject: Subject
    at: datetime
    covers: Covers
    evaluations: list[Evaluation] = field(default_factory=list)
    new_gaps: list[Gap] = field(default_factory=list)
    changed_gaps: list[Gap] = field(default_factory=list)
    changes: list[ResultChange] = field(default_factory=list)
    events: list[tuple[int, str, str, str]] = field(default_factory=list)

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
        after: dict[str, dict[str, Any]] = {}
        for rule_id, result in judgement.results.items():
            former = before.get(rule_id)
            is_steady = former is not None and former["verdict"] == result.verdict
            after[rule_id] = judgement.stored[rule_id]
            if since := self._since(evaluation, former, result):
                after[rule_id]["since"] = since
            event, words = self._follow(judgement, result, gaps)
            if former and not (is_steady and event is GapEvent.NONE):
                self._keep(
                    judgement.subject_id,
                    gaps.get(rule_id),
                    rule_id=rule_id,
                    before=former["verdict"],
                    after=result.verdict,
                    event=event,
                    detail=words,
                    policy=judgement.policy,
                )
        for rule_id in before.keys() - after.keys():
            self._switch_off(judgement, gaps.get(rule_id), rule_id, before[rule_id])
        evaluation.results = after
        evaluation.fingerprint = judgement.fingerprint
        evaluation.judged = judgement.judged
        evaluation.policy = judgement.policy
        evaluation.changed_at = self.at
        count(evaluation, gaps.values())
        self.evaluations.append(evaluation)

    def _since(
        self, evaluation: Evaluation, former: dict[str, Any] | None, result: Result
    ) -> str | None:
        """Return since when the verdict is so, None: since the first evaluation."""
        if former and former["verdict"] == result.verdict:
            since: str | None = former.get("since")
            return since
        return None if evaluation.pk is None else self.at.isoformat()

    def _follow(
        self, judgement: Judgement, result: Result, gaps: dict[str, Gap]
    ) -> tuple[GapEvent, str]:
        """Bring the rule's gap in line with its result, if the rule makes gaps.

        Return what happened, and why.
        """
        entry = result.rule.entry
        gap = gaps.get(entry.id)
        words = result.outcome.detail
        if entry.kind not in GAP_KINDS:
            return GapEvent.NONE, words
        cover = self.covers.of(
            entry.id,
            gap_id=gap.pk if gap else None,
            registered_model_id=judgement.registered_model_id,
        )
        if gap is not None:
            over = gap.waived_until
            event = gap.follow(result, at=self.at, cover=cover)
            if event is not GapEvent.NONE:
                self.changed_gaps.append(gap)
            if event is GapEvent.UNWAIVED and over is not None:
                words = over_by_itself(over)
        elif result.verdict is Verdict.FAIL:
            event = GapEvent.OPENED
            gap = gaps[entry.id] = self._open(judgement.subject_id, result)
            if cover is not None:
                event = gap.stand_under(cover)
        else:
            event = GapEvent.NONE
        if event is GapEvent.WAIVED and cover is not None:
            words = cover.sentence
        if event is not GapEvent.NONE:
            self.events.append((judgement.subject_id, entry.id, event.value, words))
        return event, words

    def _open(self, subject_id: int, result: Result) -> Gap:
        entry = result.rule.entry
        gap = Gap(
            **{f"{self.subject}_id": subject_id},
            rule_id=entry.id,
            rule_version=entry.version,
            kind=GAP_KINDS[entry.kind],
            severity=entry.severity,
            gate=entry.gate.value,
            detail=result.outcome.detail,
            opened_at=self.at,
        )
        self.new_gaps.append(gap)
        return gap

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
        self.changes.append(
            ResultChange(
                **{f"{self.subject}_id": subject_id}, gap=gap, at=self.at, **told
            )
        )

    def write(self) -> None:
        """Write everything, in five statements a batch at most."""
        known = [row for row in self.evaluations if row.pk is not None]
        _save(Evaluation, [row for row in self.evaluations if row.pk is None])
        _update(Evaluation, known)
        _save(Gap, self.new_gaps)
        _update(Gap, self.changed_gaps)
        _save(ResultChange, self.changes)


def reconcile(
    judgements: Sequence[Judgement], *, subject: Subject, at: datetime
) -> Reconciliation:
    """Store changed results, and bring the gaps in line with them.

    Waits for another evaluation of the organization to end, and leaves alone what it
    judged on later facts, or under a later policy. Costs four queries to read, however
    many judgements.
    """
    lock_gaps()
    ids = [judgement.subject_id for judgement in judgements]
    within = {f"{subject}__in": ids}
    evaluations = {
        getattr(row, f"{subject}_id"): row
        for row in Evaluation.objects.filter(**within)
    }
    gaps = gaps_of(ids, subject=subject)

    done = Reconciliation(subject, at, covers_in_force(at.date()))
    for judgement in judgements:
        evaluation = evaluations.get(judgement.subject_id) or Evaluation(
            **{f"{subject}_id": judgement.subject_id}, created_at=at
        )
        if not _is_later(evaluation, judgement):
            done.apply(judgement, evaluation, gaps[judgement.subject_id])
    done.write()
    return done


def gaps_of(
    ids: Sequence[int], *, subject: Subject, rule_ids: Collection[str] | None = None
) -> dict[int, dict[str, Gap]]:
    """Return all gaps that these versions or sources ever had, by rule. One query.

    With `rule_ids` those of these rules only.
    """
    gaps: dict[int, dict[str, Gap]] = {subject_id: {} for subject_id in ids}
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


def _save(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    model._default_manager.bulk_create(rows, batch_size=BATCH)


def _update(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    """Update whole rows by upsert, which is several times faster than bulk_update."""
    names = [
        column.name
        for column in model._meta.concrete_fields
        if column.name not in ("id", "organization", "version", "source")
    ]
    model._default_manager.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["organization", "id"],
        update_fields=names,
        batch_size=BATCH,
    )
