"""`docs/rules.md`: the rules that have code, as the rulebook knows them.

Written anew with `python -m compliance.rule_docs`; a test keeps the page fresh.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import compliance.rules  # noqa: F401 - registers the rules
from compliance.catalogue import Kind, Parameter, catalogue
from compliance.engine import Rule, rulebook
from compliance.remedies import remedy_for

PAGE = Path(__file__).parent.parent / "docs" / "rules.md"

INTRODUCTION = """\
# Rules

*Written by `python -m compliance.rule_docs` from the rulebook; do not edit.*

A rule judges one model version (or, where it says so, one source) and answers pass,
fail, unknown, not applicable or error. A failure is a gap. Unknown means that the
evidence to judge is missing: it is neither pass nor fail, opens no gap and closes none.
A rule reads only the facts listed with it. The controls are those it gives evidence
for; a rule that passes does not make a model compliant with them.
"""
MISSING_FIELDS = """\
## Missing fields

Each empty field of the risk and compliance group is a gap of severity low, whatever
packs are on, and is counted apart from the gaps of the rules above.
"""
PARAMETERS = """\
## Parameters

The thresholds that these rules apply, unless an organization's policy has others
([policies.md](policies.md)), within their range.
"""


def rules_page() -> str:
    """Return the page, in Markdown."""
    rules = [rule for rule in rulebook if rule.entry.kind is not Kind.MISSING_FIELD]
    fields = [rule for rule in rulebook if rule.entry.kind is Kind.MISSING_FIELD]
    names = {name for rule in rules for name in rule.thresholds}
    parameters = [catalogue().parameters[name] for name in sorted(names)]
    return "\n".join(
        (
            INTRODUCTION,
            *_table(rules),
            *(line for rule in rules for line in _section(rule)),
            MISSING_FIELDS,
            *_field_table(fields),
            PARAMETERS,
            *_parameter_table(parameters),
        )
    )


def _table(rules: list[Rule]) -> Iterator[str]:
    yield "| Rule | Demands | Severity | Gate | On |"
    yield "| --- | --- | --- | --- | --- |"
    for rule in rules:
        entry = rule.entry
        yield (
            f"| [{entry.id}](#{entry.id.lower()}) | {entry.title} "
            f"| {entry.severity.label} | {entry.gate.label} | {_switched_on(rule)} |"
        )
    yield ""


def _switched_on(rule: Rule) -> str:
    if rule.id in catalogue().always_on:
        return "always"
    return ", ".join(catalogue().packs[name].title for name in rule.entry.packs)


def _section(rule: Rule) -> Iterator[str]:
    entry = rule.entry
    yield f"## {entry.id}"
    yield ""
    yield f"**{entry.title}.** {entry.check}"
    yield ""
    if entry.kind is Kind.TRACKING_SERVER:
        yield "- Judges: a source, once for all its models"
    yield f"- When: {entry.when}"
    yield f"- Origin: {entry.origin}"
    yield f"- Reads: {_names(rule.reads)}"
    if rule.thresholds:
        yield f"- Parameters: {_names(rule.thresholds)}"
    yield f"- Evidence for: {', '.join(entry.controls)}"
    yield f"- Remedy: {entry.fix}"
    if entry.kind is Kind.GAP:
        closing = _names(entry.fields) or f"nothing closes it. {entry.beyond}"
        yield f"- To attest: {closing}"
    if rule.check.__doc__:
        yield f"- Note: {' '.join(rule.check.__doc__.split())}"
    if entry.doubt:
        yield f"- Doubt: {entry.doubt}"
    yield ""
    if code := remedy_for(entry, model_name="credit-scoring", version_number=3).code:
        yield "```python"
        yield code
        yield "```"
        yield ""


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _field_table(fields: list[Rule]) -> Iterator[str]:
    yield "| Rule | Field | Evidence for |"
    yield "| --- | --- | --- |"
    for rule in fields:
        controls = ", ".join(rule.entry.controls) or "–"
        yield f"| {rule.id} | `{rule.reads[0]}` | {controls} |"
    yield ""


def _parameter_table(parameters: list[Parameter]) -> Iterator[str]:
    yield "| Parameter | Value | Range | Unit | Compared | Meaning |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for parameter in parameters:
        compared = parameter.compare.replace("_", " ")
        yield (
            f"| `{parameter.name}` | {parameter.value:g} "
            f"| {parameter.min:g} to {parameter.max:g} | {parameter.unit} "
            f"| {compared} | {parameter.meaning} |"
        )
    yield ""


if __name__ == "__main__":
    PAGE.write_text(rules_page(), encoding="utf-8")
