"""The tallies of the frameworks: what stands how, counted as it moves.

A tally was counted by the control map of its digest. Where that is another one now, and
where a total does not fit, a framework is counted anew over all that stands.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from compliance.frameworks.control_map import Framework, control_map
from compliance.frameworks.counting import Counts, Masks, Segment, Stood, count
from compliance.models import FrameworkTally, Standing


def stood_at(moment: datetime | None) -> Masks:
    """Return how everything stood at a moment, to be counted. Costs one query."""
    rows = Standing.objects.at(moment).order_by().defer("gaps")
    return Masks.of(map(_stood, rows.iterator(chunk_size=2000)))


def move(over: Sequence[Standing], new: Sequence[Standing]) -> None:
    """Take what is over off the tallies, and add what is new. Costs two queries.

    Nobody else may move them meanwhile: `lock_gaps`.
    """
    tallies: defaultdict[str, dict[Segment, FrameworkTally]] = defaultdict(dict)
    for row in FrameworkTally.objects.all():
        segment = Segment(row.is_production, row.is_declared)
        tallies[row.framework][segment] = row
    less, more = Masks.of(map(_stood, over)), Masks.of(map(_stood, new))
    stale: list[Framework] = []
    changed: list[FrameworkTally] = []
    for framework in control_map().frameworks.values():
        rows = tallies[framework.id]
        if not rows or any(row.digest != framework.digest for row in rows.values()):
            stale.append(framework)
            continue
        moved: defaultdict[Segment, Counts] = defaultdict(Counter)
        for segment, counts in count(framework, more).items():
            moved[segment].update(counts)
        for segment, counts in count(framework, less).items():
            moved[segment].subtract(counts)
        for segment, counts in moved.items():
            if not any(counts.values()):
                continue
            row = rows.get(segment) or _tally(framework, segment)
            total = Counter(row.counts)
            total.update(counts)
            row.counts = {key: number for key, number in total.items() if number}
            changed.append(row)
    _write(changed)
    if stale:
        recount(stale)


def doubtful() -> list[Framework]:
    """Return the frameworks that were counted by another map, or wrongly. Two queries."""
    digests: dict[str, str] = {}
    versions: Counter[str] = Counter()
    for row in FrameworkTally.objects.all():
        digests[row.framework] = row.digest
        versions[row.framework] += row.counts.get("versions", 0)
    number = Standing.objects.current().exclude(version=None).count()
    if not number and not digests:
        return []
    return [
        each
        for each in control_map().frameworks.values()
        if digests.get(each.id) != each.digest or versions[each.id] != number
    ]


def recount(frameworks: Sequence[Framework]) -> None:
    """Count frameworks anew over all that stands now. Costs three queries."""
    ids = [framework.id for framework in frameworks]
    FrameworkTally.objects.filter(framework__in=ids).delete()
    masks, nothing = stood_at(None), {Segment(False, False): Counts()}
    _write(
        _tally(framework, segment, counts)
        for framework in frameworks
        for segment, counts in (count(framework, masks) or nothing).items()
    )


def _stood(row: Standing) -> Stood:
    return Stood(
        is_version=row.version_id is not None,
        is_production=row.is_production,
        regulatory_scope=row.regulatory_scope,
        known=row.known,
        states=row.states,
    )


def _tally(
    framework: Framework, segment: Segment, counts: Mapping[str, int] | None = None
) -> FrameworkTally:
    return FrameworkTally(
        framework=framework.id,
        is_production=segment.is_production,
        is_declared=segment.is_declared,
        digest=framework.digest,
        counts=dict(counts or {}),
    )


def _write(rows: Iterable[FrameworkTally]) -> None:
    FrameworkTally.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["organization", "framework", "is_production", "is_declared"],
        update_fields=["digest", "counts"],
    )
