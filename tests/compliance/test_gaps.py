"""The life of a gap, without a database: what a sequence of results makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module

from django.apps import apps
from hypothesis import given
from hypothesis import strategies as st

import compliance.rules  # noqa: F401 - registers the rules
from compliance.engine import Outcome, Verdict, rulebook
from compliance.models import Gap, GapEvent
from tests.rows import a_gap

START = datetime(2026, 1, 1, tzinfo=UTC)
RULE = rulebook["VW-INV-001"]


def outcome(verdict: Verdict, detail: str = "No owner is recorded.") -> Outcome:
    return Outcome(verdict, detail)


def open_gap() -> Gap:
    return Gap(
        organization_id=1,
        rule_id=RULE.id,
        kind=Gap.Kind.RULE,
        severity=RULE.entry.severity,
        gate=RULE.entry.gate,
        detail="No owner is recorded.",
        opened_at=START,
    )


def test_the_same_failure_again_changes_nothing():
    gap = open_gap()
    assert gap.follow(RULE.entry, outcome(Verdict.FAIL), at=START) is GapEvent.NONE


def test_a_failure_in_other_words_refreshes_the_gap():
    gap = open_gap()
    assert (
        gap.follow(RULE.entry, outcome(Verdict.FAIL, "Nobody."), at=START)
        is GapEvent.REFRESHED
    )
    assert gap.detail == "Nobody."
    assert gap.opened_at == START


def test_an_undecided_rule_marks_the_gap_once_and_leaves_it_open():
    gap = open_gap()
    first, second = START + timedelta(days=1), START + timedelta(days=2)
    assert (
        gap.follow(RULE.entry, outcome(Verdict.UNKNOWN), at=first) is GapEvent.UNDECIDED
    )
    assert gap.follow(RULE.entry, outcome(Verdict.ERROR), at=second) is GapEvent.NONE
    assert gap.is_open
    assert gap.unknown_since == first
    assert gap.detail == "No owner is recorded."
    assert (
        gap.follow(RULE.entry, outcome(Verdict.FAIL), at=second) is GapEvent.REFRESHED
    )
    assert gap.unknown_since is None


@given(st.lists(st.sampled_from(Verdict), max_size=12))
def test_a_gap_is_open_exactly_while_the_last_decision_was_a_failure(verdicts):
    gap = open_gap()
    for day, verdict in enumerate(verdicts, start=1):
        at = START + timedelta(days=day)
        before = (gap.status, gap.detail, gap.closed_at, gap.unknown_since)
        event = gap.follow(RULE.entry, outcome(verdict), at=at)
        after = (gap.status, gap.detail, gap.closed_at, gap.unknown_since)
        assert (event is GapEvent.NONE) == (before == after)

    decided = [verdict for verdict in verdicts if not verdict.is_undecided]
    assert gap.is_open == (not decided or decided[-1] is Verdict.FAIL)
    assert (gap.closed_at is None) == gap.is_open
    is_undecided = bool(verdicts) and verdicts[-1].is_undecided
    assert (gap.unknown_since is not None) == (gap.is_open and is_undecided)
    assert gap.opened_at == START


def test_gaps_from_before_there_were_policies_get_the_gate_of_their_rules(
    acme, version
):
    gap = a_gap(version, rule_id="VW-INV-002", gate="info")
    other = a_gap(version, rule_id="ACME-001", gate="info")
    import_module("compliance.migrations.0004_gates_of_gaps").fill(apps, None)
    gap.refresh_from_db()
    other.refresh_from_db()
    assert (gap.gate, other.gate) == ("warn", "info")
