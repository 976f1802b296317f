"""A framework report as values, for the tests of its files: three faultless versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import compliance.rules  # noqa: F401 - registers the rules
from compliance.catalogue import Gate, Severity
from compliance.engine import rulebook
from compliance.frameworks.control_map import Capability, Control, Framework, Strength
from compliance.frameworks.counting import State
from compliance.frameworks.exports.export import Export
from compliance.frameworks.exports.formats import FORMATS
from compliance.frameworks.lines import GapLine, Subject, Value, VersionLine
from compliance.frameworks.report import (
    ControlLine,
    FieldLine,
    Report,
    RuleLine,
    Scope,
)
from inventory.records import FIELDS

MOMENT = datetime(2026, 3, 31, 12, tzinfo=UTC)
LATER = datetime(2026, 4, 2, 9, 30, tzinfo=UTC)
OWNED, DATED = "VW-INV-001", "VW-INV-003"
PLANNED = Capability(id="cards", title="Model cards", is_planned=True)
DOES = Capability(id="trail", title="A chained audit trail")
NO_STATES = dict.fromkeys(State, 0)


def a_control(number: str = "9.8", **told: Any) -> Control:
    fields = {Strength.DIRECT: ("owner",), Strength.PARTIAL: (), Strength.CONTEXT: ()}
    usual: dict[str, Any] = {
        "id": f"EUAIA-{number}",
        "reference": f"Art. {number}",
        "requirement": "Test throughout development.",
        "fields": fields,
        "rules": (OWNED, DATED),
    }
    return Control(**(usual | told))


def without_fields(**told: Any) -> Control:
    return a_control(fields=dict.fromkeys(Strength, ()), **told)


def a_rule(rule_id: str = OWNED, **told: Any) -> RuleLine:
    states = NO_STATES | told.pop("states", {State.MET: 3})
    entry = rulebook[rule_id].entry
    usual = {"rule_id": rule_id, "entry": entry, "states": states, "is_on": True}
    return RuleLine(**(usual | told))


def a_line(control: Control | None = None, **told: Any) -> ControlLine:
    """Return a control with which all is well, for three versions."""
    control = control or a_control()
    evidence = {**dict.fromkeys(Strength, 0), "none": 0} | told.pop(
        "evidence", {Strength.DIRECT: 3}
    )
    states = NO_STATES | told.pop("states", {State.MET: 3})
    usual: dict[str, Any] = {
        "rules": tuple(a_rule(rule_id) for rule_id in control.rules),
        "fields": tuple(
            FieldLine(field=FIELDS[name], strength=strength, known=evidence[strength])
            for strength in Strength
            for name in control.fields[strength]
        ),
    }
    return ControlLine(
        control=control, evidence=evidence, states=states, **(usual | told)
    )


def a_framework(controls: Iterable[Control], **told: Any) -> Framework:
    usual: dict[str, Any] = {
        "id": "EUAIA",
        "name": "EU AI Act",
        "title": "Regulation (EU) 2024/1689",
        "kind": "law",
        "since": date(2024, 8, 1),
        "controls": {each.id: each for each in controls},
        "digest": "d",
    }
    return Framework(**(usual | told))


def a_report(
    lines: Sequence[ControlLine], versions: int = 3, scope: Scope | None = None
) -> Report:
    return Report(
        framework=a_framework(line.control for line in lines),
        scope=scope or Scope(at=MOMENT),
        moment=MOMENT,
        versions=versions,
        policy=4,
        map_revision=1,
        first_kept=datetime(2026, 1, 1, tzinfo=UTC),
        controls=tuple(lines),
    )


def a_subject(number: int = 1, model: str = "credit-scoring") -> Subject:
    return Subject(
        source="Production MLflow", model=model, version=number, stage="Production"
    )


def a_gap(subject: Subject | None = None, **told: Any) -> GapLine:
    usual: dict[str, Any] = {
        "subject": subject or a_subject(),
        "rule_id": OWNED,
        "title": "Owner assigned",
        "state": State.OPEN,
        "severity": Severity.HIGH,
        "gate": Gate.BLOCK,
        "detail": "There is no owner.",
        "since": datetime(2026, 2, 1, tzinfo=UTC),
    }
    return GapLine(**(usual | told))


def a_version(
    number: int = 1,
    values: Mapping[str, Value] | None = None,
    *,
    gaps: Sequence[GapLine] = (),
    subject: Subject | None = None,
) -> VersionLine:
    return VersionLine(
        version_id=number,
        subject=subject or a_subject(number),
        values=values or {"owner": Value(value="max", told_by="version tag owner")},
        states={OWNED: State.OPEN if gaps else State.MET, DATED: State.MET},
        gaps=tuple(gaps),
    )


def an_export(
    format_key: str,
    lines: Sequence[ControlLine] | None = None,
    versions: Iterable[VersionLine] = (),
    *,
    count: int = 3,
    **told: Any,
) -> Export:
    usual: dict[str, Any] = {
        "format": FORMATS[format_key],
        "organization": "Acme Bank",
        "slug": "acme",
        "report": a_report([a_line()] if lines is None else lines, count),
        "map_digest": "ab" * 32,
        "versions": lambda: versions,
        "source_gaps": (),
        "generated_at": LATER,
        "generated_by": "olga@example.org",
    }
    return Export(**(usual | told))


def whole(export: Export) -> bytes:
    return b"".join(export.chunks())
