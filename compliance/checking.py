"""May a version go to production? One answer for a pipeline, and what it rests on.

Pure. An open gap of a rule that blocks wins over all else; one that wants a review, or a
failed trigger of a review, comes next; then what such a rule could not decide. Waived
gaps hinder nothing, and are told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from compliance.catalogue import Entry, Gate, Kind
from compliance.engine import Verdict
from compliance.standing import counted

DECISIVE = (Gate.BLOCK, Gate.REVIEW)


class Answer(StrEnum):
    PASS = "pass"  # noqa: S105 - an answer, not a password
    BLOCKED = "blocked"
    NEEDS_REVIEW = "needs_review"
    UNDECIDED = "cannot_be_decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRule:
    """What a rule said of the version, and whether its gap is open or waived.

    `waived` says by whom, until when and why; it is empty where nothing is waived.
    """

    entry: Entry
    verdict: Verdict
    detail: str = ""
    is_open: bool = False
    waived: str = ""

    @property
    def hinders(self) -> bool:
        """Tell whether it stands between the version and production."""
        is_trigger = self.entry.kind is Kind.TRIGGER and self.verdict is Verdict.FAIL
        return self.entry.gate in DECISIVE and (self.is_open or is_trigger)

    @property
    def leaves_open(self) -> bool:
        """Tell whether it would have to be decided, and could not be."""
        is_decisive = self.entry.gate in DECISIVE
        return is_decisive and not self.waived and self.verdict.is_undecided


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The answer, in a sentence, and every rule that was asked."""

    answer: Answer
    sentence: str
    rules: tuple[CheckedRule, ...] = ()


def check(rules: Sequence[CheckedRule], *, is_judged: bool) -> Check:
    """Answer from the latest results of a version and its gaps."""
    if not is_judged:
        return Check(answer=Answer.UNDECIDED, sentence="It was not judged yet.")
    waived = sum(bool(rule.waived) for rule in rules)
    told = (
        f" {waived} {'gap is' if waived == 1 else 'gaps are'} waived." if waived else ""
    )

    def answer(what: Answer, sentence: str) -> Check:
        return Check(answer=what, sentence=sentence + told, rules=tuple(rules))

    if blocking := [rule for rule in rules if _hinders(rule, Gate.BLOCK)]:
        return answer(Answer.BLOCKED, f"Blocked: {_severities(blocking)}.")
    if to_review := [rule for rule in rules if _hinders(rule, Gate.REVIEW)]:
        sentence = f"A person has to decide: {_severities(to_review)}."
        return answer(Answer.NEEDS_REVIEW, sentence)
    if undecided := [rule.entry.id for rule in rules if rule.leaves_open]:
        names = ", ".join(undecided)
        return answer(Answer.UNDECIDED, f"Cannot be decided: {names}.")
    return answer(Answer.PASS, "Nothing stands in the way of production.")


def checked_rules(
    results: Mapping[str, Mapping[str, Any]],
    *,
    entries: Mapping[str, Entry],
    open_gaps: Iterable[str],
    waived_gaps: Mapping[str, str],
) -> list[CheckedRule]:
    """Return the rules of stored results, in the order of `entries`.

    `open_gaps` are ids of rules, `waived_gaps` map them to why. What a rule said that
    nobody knows any more is left out.
    """
    is_open = frozenset(open_gaps)
    return [
        CheckedRule(
            entry=entry,
            verdict=Verdict(results[rule_id]["verdict"]),
            detail=results[rule_id].get("detail", ""),
            is_open=rule_id in is_open,
            waived=waived_gaps.get(rule_id, ""),
        )
        for rule_id, entry in entries.items()
        if rule_id in results
    ]


def _hinders(rule: CheckedRule, gate: Gate) -> bool:
    return rule.hinders and rule.entry.gate is gate


def _severities(rules: Iterable[CheckedRule]) -> str:
    return counted(Counter(rule.entry.severity for rule in rules))
