"""Targets: a bound beside what was measured, with the spread of the repetitions."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from enum import Enum


class Unit(Enum):
    """How a figure is written."""

    TIMES = "{:.2f} ×"
    ONE_IN = "1/{:.3g}"  # a small share, as one in so many
    COUNT = "{:.0f}"

    def write(self, figure: float) -> str:
        if self is Unit.ONE_IN:
            figure = 1 / figure
        return self.value.format(figure)


@dataclass(slots=True)
class Target:
    """At most so much of a figure that is measured once a repetition."""

    name: str
    most: float
    unit: Unit = Unit.TIMES
    found: list[float] = field(default_factory=list)

    def add(self, figure: float) -> None:
        self.found.append(figure)

    @property
    def is_met(self) -> bool:
        """Judge times by their median, for one repetition may have been disturbed.

        A count is exact, and has to be met each time.
        """
        judge = max if self.unit is Unit.COUNT else statistics.median
        return judge(self.found) <= self.most

    def row(self) -> str:
        """Return name, bound, median and spread, in columns."""
        middle, least, most = (
            self.unit.write(figure)
            for figure in (
                statistics.median(self.found),
                min(self.found),
                max(self.found),
            )
        )
        bound = self.unit.write(self.most)
        spread = f"({least} to {most})"
        return f"{self.name:<69} {bound:>8} {middle:>9}  {spread:<22}"


HEADING = f"{'Target':<69} {'at most':>8} {'measured':>9}  {'spread':<22}"
