"""Whether a finding of OSCAL may be “satisfied”, a word that it has no third for.

OSCAL knows `satisfied` and `not-satisfied` only. What is not known, waived, not judged
or outside what a registry shows is never satisfied; the reason says which it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from compliance.frameworks.control_map import Strength
from compliance.frameworks.counting import State

if TYPE_CHECKING:
    from compliance.frameworks.control_map import Control
    from compliance.frameworks.report import ControlLine, RuleLine

SETTLED = (State.MET, State.NOT_APPLICABLE)


class Reason(StrEnum):
    """Why a finding is not satisfied, the most telling first."""

    OUTSIDE = "outside-registry"
    PLANNED = "planned-only"
    PRODUCT = "shown-by-product"
    NO_EVIDENCE = "no-evidence-known"
    NO_RULE = "no-rule"
    NO_VERSIONS = "no-versions"
    OPEN = "open-gaps"
    UNDECIDED = "undecided"
    WAIVED = "waived"
    NOT_JUDGED = "not-judged"
    NOTHING_APPLIES = "nothing-applies"
    NOT_DIRECT = "without-direct-evidence"


_OF_STATE = {
    State.OPEN: (Reason.OPEN, "has a gap open with"),
    State.UNDECIDED: (Reason.UNDECIDED, "cannot be decided with"),
    State.WAIVED: (Reason.WAIVED, "is waived, and still fails, with"),
}


@dataclass(frozen=True, slots=True)
class Objection:
    reason: Reason
    sentence: str


def objections(line: ControlLine, versions: int) -> list[Objection]:
    """Return what forbids that a finding is satisfied; nothing does if it is empty.

    All of this has to hold: there are versions in scope, and each was judged by every
    rule of the control; no rule has a gap open, cannot be decided or is waived, with
    any version or source; at least one version meets them, rather than that none is
    under them; and every version has direct evidence, where there is such.
    """
    if unseen := _unseen(line.control):
        return [unseen]
    if versions < 1:
        return [Objection(Reason.NO_VERSIONS, "No version is in this scope.")]
    found = list(_of_rules(line, versions))
    if not line.states.get(State.MET, 0):
        found.append(
            Objection(
                Reason.NOTHING_APPLIES,
                "Its rules are met by no version that they are for.",
            )
        )
    direct = line.evidence.get(Strength.DIRECT, 0)
    if line.control.fields[Strength.DIRECT] and direct != versions:
        found.append(
            Objection(
                Reason.NOT_DIRECT,
                f"Direct evidence is known of {direct:,} of {versions:,} versions.",
            )
        )
    order = list(Reason)
    return sorted(found, key=lambda each: order.index(each.reason))


def _unseen(control: Control) -> Objection | None:
    """Return why versions can show nothing of a control that could be judged."""
    if control.outside:
        return Objection(
            Reason.OUTSIDE, f"It is outside what a registry shows. {control.outside}"
        )
    if control.rules:
        return None
    if any(control.fields.values()):
        return Objection(
            Reason.NO_RULE, "Fields are evidence for it, and no rule judges them."
        )
    titles = "; ".join(each.title for each in control.capabilities)
    if not titles:
        return Objection(
            Reason.NO_EVIDENCE,
            "No field, no rule and no capability is evidence for it.",
        )
    if all(each.is_planned for each in control.capabilities):
        return Objection(
            Reason.PLANNED, f"Only what is planned would be evidence for it: {titles}."
        )
    return Objection(
        Reason.PRODUCT,
        f"What VerifyWise does is evidence for it, and a person has to judge it: {titles}.",
    )


def _of_rules(line: ControlLine, versions: int) -> Iterator[Objection]:
    """Return what stands against it by rule, and by the worst of the rules."""
    for state in State:
        if state not in SETTLED and line.states.get(state, 0):
            reason, _ = _OF_STATE[state]
            yield Objection(
                reason,
                f"{line.states[state]:,} of {versions:,} versions: {state.label.lower()}.",
            )
    if line.judged != versions:
        yield Objection(
            Reason.NOT_JUDGED, f"{line.judged:,} of {versions:,} versions were judged."
        )
    for rule in line.rules:
        yield from _of_rule(rule, versions)


def _of_rule(rule: RuleLine, versions: int) -> Iterator[Objection]:
    judged = sum(rule.states.values())
    what = "sources" if rule.is_of_sources else "versions"
    for state, (reason, words) in _OF_STATE.items():
        if number := rule.states.get(state, 0):
            yield Objection(reason, f"{rule.rule_id} {words} {number:,} {what}.")
    if not judged:
        yield Objection(
            Reason.NOT_JUDGED,
            f"{rule.rule_id} judged nothing in this scope: it is switched off, makes "
            "no gaps, or is about what is not recorded yet.",
        )
    elif not rule.is_of_sources and judged != versions:
        yield Objection(
            Reason.NOT_JUDGED,
            f"{rule.rule_id} judged {judged:,} of {versions:,} versions.",
        )
