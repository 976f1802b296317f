"""The trend as shapes on one scale of days: areas of open gaps, bars of what happened.

No query, no Django; the template draws what stands here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from compliance.catalogue import Severity

WIDTH, LEFT = 1000.0, 44.0  # of the drawing in its own units, and of its scale
AREA, BARS = 200.0, 60.0  # heights: of the areas, of the bars up and down each
WORST_FIRST = tuple(sorted(Severity, reverse=True))
LABELS = 6  # of days


@dataclass(frozen=True, slots=True)
class Shape:
    """An area by its corners, or a bar; `tone` is the severity that it is of."""

    tone: str
    points: str = ""
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0


@dataclass(frozen=True, slots=True)
class Label:
    x: float
    y: float
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Areas and their scale, bars and theirs, days below, policies above."""

    areas: Sequence[Shape]
    area_scale: Sequence[Label]
    bars: Sequence[Shape]
    bar_scale: Sequence[Label]
    days: Sequence[Label]
    policies: Sequence[Label]


def chart(days: Sequence[Any], policies: Sequence[Any]) -> Chart:
    """Draw days and markers as `compliance.trend` tells them; two days at least."""
    places = {day.day: _place(number, len(days)) for number, day in enumerate(days)}
    most_open = _round(max(sum(day.open.values()) for day in days))
    most_moved = _round(
        max(max(sum(day.opened.values()), sum(day.closed.values())) for day in days)
    )
    every = max(1, (len(days) - 1) // (LABELS - 1))
    return Chart(
        areas=list(_areas(days, places, most_open)),
        area_scale=_scale(most_open, AREA, AREA),
        bars=list(_bars(days, places, most_moved)),
        bar_scale=[
            Label(0, 0, f"{most_moved:,}"),
            Label(0, BARS, "0"),
            Label(0, 2 * BARS, f"{most_moved:,}"),
        ],
        days=[
            Label(places[day.day], 0, f"{day.day:%-d %b}", day.day.isoformat())
            for number, day in enumerate(days)
            if number % every == 0
        ],
        policies=[
            Label(
                places[each.day],
                0,
                f"Policy {each.number}",
                f"Policy {each.number}, published on {each.day:%-d %B %Y}"
                + (f": {each.title}" if each.title else ""),
            )
            for each in policies
            if each.day in places
        ],
    )


def _place(number: int, count: int) -> float:
    return round(LEFT + (WIDTH - LEFT) * number / max(count - 1, 1), 1)


def _areas(
    days: Sequence[Any], places: Mapping[date, float], most: int
) -> Iterator[Shape]:
    """Stack the severities, the worst at the bottom."""
    below = [0] * len(days)
    for severity in WORST_FIRST:
        above = [low + day.open[severity] for low, day in zip(below, days, strict=True)]
        if any(day.open[severity] for day in days):
            corners = [
                *zip(places.values(), above, strict=True),
                *reversed(list(zip(places.values(), below, strict=True))),
            ]
            points = " ".join(f"{x},{_height(AREA, most, n)}" for x, n in corners)
            yield Shape(severity.name.lower(), points=points)
        below = above


def _bars(
    days: Sequence[Any], places: Mapping[date, float], most: int
) -> Iterator[Shape]:
    """What was opened goes up, what was closed goes down, the worst nearest the line."""
    slot = (WIDTH - LEFT) / len(days)
    width = round(min(slot * 0.8, 14), 1)
    for day in days:
        x = round(min(max(places[day.day] - width / 2, LEFT), WIDTH - width), 1)
        up = down = 0.0
        for severity in WORST_FIRST:
            tone = severity.name.lower()
            if opened := day.opened[severity]:
                height = round(BARS * opened / most, 1)
                up += height
                yield Shape(
                    tone, x=x, y=round(BARS - up, 1), width=width, height=height
                )
            if closed := day.closed[severity]:
                height = round(BARS * closed / most, 1)
                yield Shape(
                    tone, x=x, y=round(BARS + down, 1), width=width, height=height
                )
                down += height


def _scale(most: int, height: float, bottom: float) -> list[Label]:
    steps = (most, most // 2, 0) if most % 2 == 0 else (most, 0)
    return [
        Label(0, round(bottom - height * step / most, 1), f"{step:,}") for step in steps
    ]


def _height(height: float, most: int, number: int) -> float:
    return round(height * (1 - number / most), 1)


def _round(number: int) -> int:
    """Return the next number that reads well on a scale, 2 at least."""
    size = 1
    while True:
        for step in (1, 2, 4, 5, 8):
            if step * size >= max(number, 2):
                return step * size
        size *= 10
