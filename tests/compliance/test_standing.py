"""The verdict of a version in one sentence."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from compliance.catalogue import Gate, Severity
from compliance.standing import Weight, standing


@dataclass(frozen=True)
class Open:
    severity: int
    gate: Gate


CRITICAL = Open(Severity.CRITICAL, Gate.BLOCK)
HIGH = Open(Severity.HIGH, Gate.BLOCK)
TO_REVIEW = Open(Severity.MEDIUM, Gate.REVIEW)
WARNING = Open(Severity.CRITICAL, Gate.WARN)
HINT = Open(Severity.LOW, Gate.INFO)


@pytest.mark.parametrize(
    ("gaps", "weight", "sentence"),
    [
        ([], Weight.CLEAR, "No open gap stands in the way of production."),
        (
            [WARNING, HINT],
            Weight.NOTED,
            "Not blocked for production; to be looked at: 1 critical gap.",
        ),
        (
            [HINT],
            Weight.NOTED,
            "Not blocked for production; could be better: 1 low gap.",
        ),
        (
            [CRITICAL, CRITICAL],
            Weight.BLOCKED,
            "Blocked for production: 2 critical gaps.",
        ),
        (
            [HIGH, CRITICAL, HIGH, WARNING, TO_REVIEW],
            Weight.BLOCKED,
            "Blocked for production: 1 critical gap and 2 high gaps.",
        ),
        (
            [TO_REVIEW, WARNING],
            Weight.REVIEW,
            "A person has to decide before production: 1 medium gap.",
        ),
    ],
)
def test_the_gravest_gate_decides(
    gaps: list[Open], weight: Weight, sentence: str
) -> None:
    told = standing(gaps, is_judged=True, is_production=False)

    assert (told.weight, told.sentence) == (weight, sentence)


def test_a_version_in_production_is_told_so() -> None:
    blocked = standing([HIGH], is_judged=True, is_production=True)
    to_review = standing([TO_REVIEW], is_judged=True, is_production=True)

    assert blocked.sentence == "In production, and blocked: 1 high gap."
    assert to_review.sentence == "In production, to be reviewed: 1 medium gap."


def test_waived_gaps_block_nothing_and_are_told() -> None:
    clear = standing([], is_judged=True, is_production=False, waived=1)
    blocked = standing([HIGH], is_judged=True, is_production=False, waived=2)

    assert clear.weight is Weight.CLEAR
    assert clear.sentence == (
        "No open gap stands in the way of production; 1 gap waived."
    )
    assert blocked.sentence == "Blocked for production: 1 high gap; 2 gaps waived."


def test_what_was_not_judged_is_not_clear() -> None:
    assert standing([], is_judged=False, is_production=True).weight is Weight.UNJUDGED
