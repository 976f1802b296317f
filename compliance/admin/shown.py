"""Gaps and checks as people read them, with all that the catalogue says of their rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from compliance.catalogue import Entry, Gate, Parameter, Severity, catalogue
from compliance.engine import Verdict
from compliance.markup import Control, control, title
from compliance.models import Evaluation, Gap
from compliance.remedies import Remedy
from inventory.fields import ATTESTABLE
from inventory.records import FIELDS, Field

MOST_FIELDS = 6  # that a gap leads to, whatever is known of them


@dataclass(frozen=True, slots=True)
class Threshold:
    parameter: Parameter
    value: float


@dataclass(frozen=True, slots=True)
class ShownGap:
    """An open gap: what was checked, what was seen, why it matters, what to do."""

    gap: Gap
    entry: Entry | None
    remedy: Remedy | None
    controls: tuple[Control, ...]
    seen: Mapping[str, Any]  # what the rule saw; what it does not name was unknown
    thresholds: tuple[Threshold, ...]

    @property
    def inputs(self) -> dict[str, Any]:
        return labelled(self.seen)

    @property
    def severity(self) -> int:
        return self.gap.severity

    @property
    def level(self) -> Severity:
        return Severity(self.gap.severity)

    @property
    def gate(self) -> Gate:
        return Gate(self.gap.gate)

    @property
    def field_label(self) -> str:
        """The words for the field that is missing; its rule is named after it."""
        name = self.gap.rule_id.removeprefix("VW-FIELD-").lower()
        return FIELDS[name].label if name in FIELDS else self.gap.title

    @property
    def attestable(self) -> list[Field]:
        """The fields that close it when people attest them; of many, the unknown ones."""
        names = self.remedy.attestable_fields if self.remedy else ()
        if len(names) > MOST_FIELDS:
            names = tuple(name for name in names if name not in self.seen)
        return [ATTESTABLE[name] for name in names]

    @property
    def is_missing_field(self) -> bool:
        return self.gap.kind == Gap.Kind.MISSING_FIELD


def shown_gap(gap: Gap, evaluation: Evaluation | None) -> ShownGap:
    """Return a gap with its rule's words. Costs no query if the version came along."""
    result = evaluation.result(gap.rule_id) if evaluation else {}
    entry = gap.entry
    return ShownGap(
        gap=gap,
        entry=entry,
        remedy=gap.remedy,
        controls=tuple(map(control, entry.controls)) if entry else (),
        seen=result.get("inputs", {}),
        thresholds=_thresholds(result.get("thresholds", {})),
    )


@dataclass(frozen=True, slots=True)
class ShownCheck:
    """The latest answer of a rule that is no gap."""

    rule_id: str
    title: str
    verdict: Verdict
    detail: str
    since: datetime
    inputs: Mapping[str, Any]


def shown_checks(
    evaluation: Evaluation | None, *, without: Iterable[str]
) -> list[ShownCheck]:
    """Return the rules' latest answers, but for the gaps: undecided ones first."""
    if evaluation is None:
        return []
    left_out = set(without)
    order = [Verdict.ERROR, Verdict.UNKNOWN, Verdict.FAIL, Verdict.PASS]
    results = {
        rule_id: evaluation.result(rule_id)
        for rule_id in evaluation.results
        if rule_id not in left_out
    }
    checks = [
        ShownCheck(
            rule_id=rule_id,
            title=title(rule_id),
            verdict=Verdict(result["verdict"]),
            detail=result["detail"],
            since=result["since"],
            inputs=labelled(result["inputs"]),
        )
        for rule_id, result in results.items()
    ]
    return sorted(
        checks,
        key=lambda check: (
            order.index(check.verdict) if check.verdict in order else len(order),
            check.rule_id,
        ),
    )


def labelled(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a rule saw, by the words for it."""
    return {
        FIELDS[name].label
        if name in FIELDS
        else name.replace("_", " ").capitalize(): told
        for name, told in inputs.items()
    }


def _thresholds(told: Mapping[str, float]) -> tuple[Threshold, ...]:
    known = catalogue().parameters
    return tuple(
        Threshold(known[name], value) for name, value in told.items() if name in known
    )
