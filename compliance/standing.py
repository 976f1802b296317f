"""What open gaps mean for a version, in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from compliance.catalogue import Gate, Severity


class Weight(StrEnum):
    """How a version stands before production."""

    BLOCKED = "blocked"
    REVIEW = "review"
    NOTED = "noted"
    CLEAR = "clear"
    UNJUDGED = "unjudged"


class Obstacle(Protocol):
    """An open gap, as far as a verdict goes."""

    @property
    def severity(self) -> int: ...

    @property
    def gate(self) -> Gate: ...


@dataclass(frozen=True, slots=True)
class Standing:
    weight: Weight
    sentence: str


# What the gravest gate means: for a version on its way, and for one in production.
_SENTENCES = {
    Gate.BLOCK: (
        Weight.BLOCKED,
        "Blocked for production: {}.",
        "In production, and blocked: {}.",
    ),
    Gate.REVIEW: (
        Weight.REVIEW,
        "A person has to decide before production: {}.",
        "In production, to be reviewed: {}.",
    ),
    Gate.WARN: (
        Weight.NOTED,
        "Not blocked for production; to be looked at: {}.",
        "Not blocked in production; to be looked at: {}.",
    ),
    Gate.INFO: (
        Weight.NOTED,
        "Not blocked for production; could be better: {}.",
        "Not blocked in production; could be better: {}.",
    ),
}


def standing(
    gaps: Iterable[Obstacle], *, is_judged: bool, is_production: bool, waived: int = 0
) -> Standing:
    """Say what stands between a version and production.

    The gravest gate decides; only its gaps are counted. Waived gaps block nothing, and
    are told.
    """
    if not is_judged:
        return Standing(Weight.UNJUDGED, "Not judged yet.")
    by_gate: dict[Gate, Counter[int]] = {gate: Counter() for gate in Gate}
    for gap in gaps:
        by_gate[gap.gate][gap.severity] += 1
    for gate in Gate:  # the gravest first
        if found := by_gate[gate]:
            weight, before, within = _SENTENCES[gate]
            sentence = within if is_production else before
            return Standing(weight, sentence.format(counted(found) + _and(waived)))
    return Standing(
        Weight.CLEAR, f"No open gap stands in the way of production{_and(waived)}."
    )


def _and(waived: int) -> str:
    return f"; {waived} {'gap' if waived == 1 else 'gaps'} waived" if waived else ""


def counted(severities: Counter[int]) -> str:
    """Return the counts in words, worst first: “2 critical gaps and 1 high gap”."""
    told = [
        f"{count} {Severity(severity).label.lower()} {'gap' if count == 1 else 'gaps'}"
        for severity, count in sorted(severities.items(), reverse=True)
    ]
    return " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))
