"""Histories as pages show them: a row a version, drawn on one scale. No query, no Django."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from inventory.serving import Between, Interval, Tenure

WIDTH = 1000  # of the drawing, in its own units
LEAST = 5  # what is shorter is drawn so wide, or it could not be seen


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of the drawing."""

    x: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A version, from when until when. `possible` holds all that `certain` covers."""

    version: int | None
    number: int
    told_by: str
    since: Between
    until: Between | None
    then: str  # what followed, in words
    possible: Stretch
    certain: Stretch


@dataclass(frozen=True, slots=True)
class Chart:
    """Rows, and the time that their drawing spans."""

    rows: Sequence[Row]
    first: datetime
    last: datetime

    def __bool__(self) -> bool:
        return bool(self.rows)


def of_serving(intervals: Iterable[Interval], *, now: datetime) -> Chart:
    """Draw who served when."""
    return _chart(
        [
            (each, each.version, each.told_by, _next_stage(each.followed_by))
            for each in intervals
        ],
        now,
    )


def of_alias(tenures: Iterable[Tenure], *, now: datetime) -> Chart:
    """Draw which versions an alias pointed to."""
    return _chart(
        [(each, each.version, "", _next_version(each.followed_by)) for each in tenures],
        now,
    )


def _next_stage(stage: str | None) -> str:
    return "no longer told" if stage == "" else stage or ""


def _next_version(number: int | None) -> str:
    return "removed" if number is None else f"version {number}"


def _chart(
    told: Sequence[tuple[Interval | Tenure, int | None, str, str]], now: datetime
) -> Chart:
    first = min((each.earliest or each.since.before for each, *_ in told), default=now)
    length = (now - first).total_seconds() or 1

    def place(moment: datetime) -> float:
        share = (moment - first).total_seconds() / length
        return round(WIDTH * min(max(share, 0), 1), 1)

    def stretch(begins: datetime, ends: datetime) -> Stretch:
        x, end = place(begins), place(ends)
        width = max(end - x, LEAST)
        return Stretch(min(x, WIDTH - width), width)

    rows = []
    for each, version, told_by, then in told:
        until = each.until
        last_seen = (until.after if until else now) or each.since.before
        rows.append(
            Row(
                version=version,
                number=each.number,
                told_by=told_by,
                since=each.since,
                until=until,
                then=then if until else "",
                possible=stretch(
                    each.earliest or first, until.before if until else now
                ),
                certain=stretch(each.since.before, last_seen),
            )
        )
    return Chart(rows, first, now)
