"""One version or source judged: by what, with which results, and what is stored of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from compliance import canonical
from compliance.canonical import Texts
from compliance.catalogue import Entry, Kind
from compliance.engine import Outcome, Result, Rule, Verdict, known_texts
from compliance.models import Gap
from compliance.policies import InForce

GAP_KINDS = {
    Kind.GAP: Gap.Kind.RULE,
    Kind.TRACKING_SERVER: Gap.Kind.RULE,
    Kind.MISSING_FIELD: Gap.Kind.MISSING_FIELD,
}

# Asked of every result: as attributes of their class each would cost a call.
PASS, NOT_APPLICABLE = Verdict.PASS, Verdict.NOT_APPLICABLE


@dataclass(frozen=True, slots=True)
class Measure:
    """What versions or sources are judged by, and the policy that says so."""

    policy: int
    rules: tuple[Rule, ...]
    thresholds: Mapping[str, float]
    digest: str = field(init=False)  # of `as_applied`
    grades: Mapping[str, str] = field(init=False)  # rule -> how grave its gap is

    def __post_init__(self) -> None:
        told = canonical.text(self.as_applied())
        object.__setattr__(self, "digest", hashlib.sha256(told.encode()).hexdigest())
        grades = {
            rule.id: _grade(rule.entry)
            for rule in self.rules
            if rule.entry.kind in GAP_KINDS
        }
        object.__setattr__(self, "grades", grades)

    @classmethod
    def of_versions(cls, policy: InForce) -> Measure:
        return cls._of(policy, lambda kind: kind.judges_versions)

    @classmethod
    def of_sources(cls, policy: InForce) -> Measure:
        return cls._of(policy, lambda kind: kind is Kind.TRACKING_SERVER)

    @classmethod
    def _of(cls, policy: InForce, judges: Callable[[Kind], bool]) -> Measure:
        rules = policy.content.rules_on()
        return cls(
            policy=policy.number,
            rules=tuple(rule for rule in rules if judges(rule.entry.kind)),
            thresholds=policy.content.thresholds,
        )

    def as_applied(self) -> dict[str, Any]:
        """Return of each rule what every result under this measure has in common.

        That is its version, the facts it is shown, and the thresholds it is given.
        """
        return {
            rule.id: {
                "shown": list(rule.shown),
                "thresholds": {name: self.thresholds[name] for name in rule.thresholds},
                "version": rule.entry.version,
            }
            for rule in self.rules
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All results for one version or source, and the digest by which they are compared.

    `judged` is the version's `changed_at` as it was read, and `registered_model_id` its
    model; None for a source. The digest is of what was found and on what, and of how
    grave a policy has it, but not of the policy's number.
    """

    subject_id: int
    # Without what the rules saw, which is stored: a chunk of it would fill the memory.
    outcomes: Mapping[str, tuple[Rule, Outcome]]
    stored: Texts  # each result
    facts: Texts  # all that the rules were shown and is known: many read the same
    fingerprint: str
    policy: int
    judged: datetime | None = None
    registered_model_id: int | None = None

    @classmethod
    def of(
        cls,
        subject_id: int,
        results: Sequence[Result],
        measure: Measure,
        *,
        judged: datetime | None = None,
        registered_model_id: int | None = None,
    ) -> Judgement:
        written: dict[str, str] = {}
        outcomes: dict[str, tuple[Rule, Outcome]] = {}
        shown: dict[str, Any] = {}
        grades: list[str] = []
        for result in results:
            rule, outcome = result.rule, result.outcome
            written[rule.id] = result.to_json()
            outcomes[rule.id] = (rule, outcome)
            shown.update(result.facts)
            verdict = outcome.verdict
            is_met = verdict is PASS or verdict is NOT_APPLICABLE
            if not is_met and (grade := measure.grades.get(rule.id)):
                grades.append(grade)
        stored, facts = Texts(written), Texts(known_texts(shown))
        told = f'[{stored},{facts},[{",".join(grades)}],"{measure.digest}"]'
        return cls(
            subject_id=subject_id,
            outcomes=outcomes,
            stored=stored,
            facts=facts,
            fingerprint=hashlib.sha256(told.encode()).hexdigest(),
            policy=measure.policy,
            judged=judged,
            registered_model_id=registered_model_id,
        )


def _grade(entry: Entry) -> str:
    return f'[{canonical.key(entry.id)},{entry.severity:d},"{entry.gate}"]'
