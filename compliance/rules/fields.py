"""Each empty field of the risk and compliance group is a gap of severity low.

The integration design asks for them whatever the rules say: VW-FIELD-RISK_CATEGORY
and its like are generated from `inventory.records.FIELDS`, and counted apart.
"""

from __future__ import annotations

from compliance.catalogue import (
    Entry,
    Gate,
    Kind,
    Severity,
    catalogue,
    evidenced_by,
    tag_calls,
)
from compliance.engine import PASS, Outcome, Rule, missing, rulebook
from compliance.facts import ModelFacts
from inventory.records import FIELDS, RISK_FIELDS, Field, is_known


def rule_of(item: Field) -> Rule:
    """Return the rule that the field is known."""

    def field_is_recorded(facts: ModelFacts) -> Outcome:
        if is_known(getattr(facts, item.name)):
            return PASS
        return missing(facts, f"{item.label} is not recorded.")

    return Rule(
        entry=Entry(
            id=f"VW-FIELD-{item.name.upper()}",
            title=f"{item.label} is recorded",
            severity=Severity.LOW,
            gate=Gate.INFO,
            kind=Kind.MISSING_FIELD,
            origin="integration-design",
            when="Every version.",
            check=f"The field {item.name} is known.",
            fix=f"Record it as a tag of the model version: {item.label.lower()}.",
            code=tag_calls({item.name: catalogue().fields[item.name]}),
            fields=(item.name,),
            controls=evidenced_by(item.name),
        ),
        check=field_is_recorded,
        reads=(item.name, "incomplete"),
    )


for name in RISK_FIELDS:
    rulebook.add(rule_of(FIELDS[name]))
