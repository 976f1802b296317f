"""What a waiver's beginning or end does to the gaps it covers, in bulk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from django.db.models import F, Q, QuerySet
from django.utils.timezone import now

from compliance.covers import Cover
from compliance.engine import Verdict
from compliance.frameworks import standings
from compliance.gaps import covers_in_force
from compliance.models import Evaluation, Gap, GapEvent, ResultChange, Waiver

BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """How many gaps were waived, and how many are open again."""

    waived: int = 0
    unwaived: int = 0


def settle(waiver: Waiver, *, sentence: str) -> Settled:
    """Let the gaps of a waiver follow it, and keep in their history why.

    Needs `lock_gaps`. Rules are not asked again: a failure stays one. Costs two queries
    to read, and some ten to write, however many gaps.
    """
    at = now()
    covers = covers_in_force(at.date())
    moved: defaultdict[Cover | None, list[int]] = defaultdict(list)
    events: dict[GapEvent, list[Gap]] = {GapEvent.WAIVED: [], GapEvent.UNWAIVED: []}
    for gap in _reached(waiver):
        cover = covers.of(
            gap.rule_id,
            gap_id=gap.pk,
            registered_model_id=gap.version.registered_model_id
            if gap.version
            else None,
        )
        if gap.waiver_id == (cover.waiver_id if cover else None):
            continue
        moved[cover].append(gap.pk)
        event = gap.stand_under(cover)
        if event is not GapEvent.NONE:  # or another waiver covers it now
            events[event].append(gap)
    for cover, ids in moved.items():
        Gap.objects.filter(pk__in=ids).update(
            status=Gap.Status.WAIVED if cover else Gap.Status.OPEN,
            waiver=cover.waiver_id if cover else None,
            waived_until=cover.until if cover else None,
        )
    for event, gaps in events.items():
        _recount(gaps, sign=1 if event is GapEvent.WAIVED else -1)
        _keep(gaps, event, at=at, sentence=sentence)
    _stand(list(chain.from_iterable(moved.values())))
    return Settled(
        waived=len(events[GapEvent.WAIVED]), unwaived=len(events[GapEvent.UNWAIVED])
    )


def _stand(gap_ids: Sequence[int]) -> None:
    """Keep how the versions and sources of these gaps stand now."""
    touched = Gap.objects.filter(pk__in=gap_ids)
    told = list(touched.values_list("version_id", "source_id"))
    standings.keep({version_id for version_id, _ in told if version_id})
    standings.keep({source_id for _, source_id in told if source_id}, subject="source")


def _reached(waiver: Waiver) -> QuerySet[Gap]:
    """Return the live gaps in the scope of a waiver, and those that stand under it."""
    scope = Q(rule_id=waiver.rule_id)
    if waiver.gap_id is not None:
        scope &= Q(pk=waiver.gap_id)
    if waiver.registered_model_id is not None:
        scope &= Q(version__registered_model=waiver.registered_model_id)
    return (
        Gap.objects.live()
        .filter(scope | Q(waiver=waiver))
        .select_related("version")
        .only(
            *("rule_id", "status", "kind", "severity", "unknown_since", "waiver"),
            *("source", "version__registered_model"),
        )
    )


def _recount(gaps: list[Gap], *, sign: int) -> None:
    """Move so many gaps among the counts of what they are of: one gap each."""
    columns: defaultdict[str, list[Gap]] = defaultdict(list)
    for gap in gaps:
        columns[gap.counted_as].append(gap)
    for name, counted in columns.items():
        versions = [gap.version_id for gap in counted if gap.version_id]
        sources = [gap.source_id for gap in counted if gap.source_id]
        Evaluation.objects.filter(
            Q(version__in=versions) | Q(source__in=sources)
        ).update(**{name: F(name) - sign, "waived": F("waived") + sign})


def _keep(gaps: list[Gap], event: GapEvent, *, at: datetime, sentence: str) -> None:
    """Keep what happened to the gaps; the answers of their rules are what they were."""
    changes = []
    for gap in gaps:
        verdict = Verdict.UNKNOWN if gap.unknown_since else Verdict.FAIL
        changes.append(
            ResultChange(
                version_id=gap.version_id,
                source_id=gap.source_id,
                gap=gap,
                rule_id=gap.rule_id,
                before=verdict,
                after=verdict,
                event=event,
                detail=sentence,
                at=at,
            )
        )
    ResultChange.objects.bulk_create(changes, batch_size=BATCH)
