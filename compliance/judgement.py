"""One version or source judged: by what, with which results, and what is stored of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from compliance import canonical
from compliance.canonical import Texts, Written
from compliance.catalogue import Entry, Kind
from compliance.engine import Outcome, Result, Rule, Verdict
from compliance.models import Gap
from compliance.policies import InForce
from inventory.records import is_known

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
    # What objects of results and facts are written by: each id, and each fact that is
    # shown, with the key before its value; of a fact, where a rule is that is shown it.
    ids: tuple[tuple[str, str], ...] = field(init=False)
    shown: tuple[tuple[str, str, int], ...] = field(init=False)

    def __post_init__(self) -> None:
        told = canonical.text(self.as_applied())
        object.__setattr__(self, "digest", hashlib.sha256(told.encode()).hexdigest())
        grades = {
            rule.id: _grade(rule.entry)
            for rule in self.rules
            if rule.entry.kind in GAP_KINDS
        }
        object.__setattr__(self, "grades", grades)
        ids = sorted(rule.id for rule in self.rules)
        object.__setattr__(self, "ids", tuple((key, canonical.key(key)) for key in ids))
        places = {
            name: place for place, rule in enumerate(self.rules) for name in rule.shown
        }
        shown = ((name, canonical.key(name), places[name]) for name in sorted(places))
        object.__setattr__(self, "shown", tuple(shown))

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
    facts: Written  # all that the rules were shown and is known: many read the same
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
        """Write what the rules of the measure said, in their order; or none of them."""
        written: dict[str, str] = {}
        outcomes: dict[str, tuple[Rule, Outcome]] = {}
        grades: list[str] = []
        for result in results:
            rule, outcome = result.rule, result.outcome
            written[rule.id] = result.to_json()
            outcomes[rule.id] = (rule, outcome)
            verdict = outcome.verdict
            is_met = verdict is PASS or verdict is NOT_APPLICABLE
            if not is_met and (grade := measure.grades.get(rule.id)):
                grades.append(grade)
        ids, shown = (measure.ids, measure.shown) if written else ((), ())
        whole = canonical.an_object([key + written[rule_id] for rule_id, key in ids])
        facts = canonical.an_object(
            [
                key + canonical.text(value)
                for name, key, place in shown
                # What is true in a condition is known, without a call to tell.
                if (value := results[place].facts[name]) or is_known(value)
            ]
        )
        told = f'[{whole},{facts},[{",".join(grades)}],"{measure.digest}"]'
        return cls(
            subject_id=subject_id,
            outcomes=outcomes,
            stored=Texts(written, whole),
            facts=facts,
            fingerprint=hashlib.sha256(told.encode()).hexdigest(),
            policy=measure.policy,
            judged=judged,
            registered_model_id=registered_model_id,
        )


def _grade(entry: Entry) -> str:
    return f'[{canonical.text(entry.id)},{entry.severity:d},"{entry.gate}"]'
