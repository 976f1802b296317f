"""A report as one JSON object, for programs. docs/framework-exports.md has its shape."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

from compliance.frameworks.control_map import Strength
from compliance.frameworks.counting import NO_EVIDENCE, State
from compliance.frameworks.exports.export import (
    NOTICE,
    Export,
    gaps_in_order,
    moment_text,
)
from compliance.frameworks.exports.pieces import pieces, spool

if TYPE_CHECKING:
    from compliance.frameworks.lines import GapLine, Subject, VersionLine
    from compliance.frameworks.report import ControlLine, Report, RuleLine

KIND = "verifywise-framework-report"
SHAPE = 1  # counted up when a key changes its meaning, or is gone


def json_file(export: Export) -> Iterator[bytes]:
    """Return the object, a line a control, a version and a gap.

    The versions are read once: their gaps wait meanwhile, on disk where they are many.
    """
    report = export.report
    yield f'{_text(_head(export), indent=2)[:-2]},\n  "controls": ['.encode()
    yield from _lines(_control(line, report) for line in report.controls)
    yield b'\n  ],\n  "versions": ['
    with spool() as waiting:
        yield from _lines(_versions(export, waiting))
        yield b'\n  ],\n  "gaps": ['
        yield from pieces(waiting)
    yield b"\n  ]\n}\n"


def _versions(
    export: Export, waiting: SpooledTemporaryFile[bytes]
) -> Iterator[dict[str, Any]]:
    """Return the versions, and put their gaps, and those of sources, aside."""
    is_first = True

    def put_aside(gaps: Iterable[GapLine]) -> None:
        nonlocal is_first
        for gap in gaps:
            waiting.write(_line(_gap(gap), is_first=is_first))
            is_first = False

    put_aside(export.source_gaps)
    for line in export.versions():
        yield _version(line)
        put_aside(gaps_in_order(line.gaps))


def _lines(objects: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    for number, each in enumerate(objects):
        yield _line(each, is_first=number == 0)


def _line(told: Mapping[str, Any], *, is_first: bool) -> bytes:
    return f"{'' if is_first else ','}\n    {_text(told)}".encode()


def _text(told: Mapping[str, Any], indent: int | None = None) -> str:
    return json.dumps(told, ensure_ascii=False, indent=indent)


def _head(export: Export) -> dict[str, Any]:
    report = export.report
    framework = report.framework
    return {
        "kind": KIND,
        "shape": SHAPE,
        "generated": {
            "at": moment_text(export.generated_at),
            "by": export.generated_by,
        },
        "notice": NOTICE,
        "organization": {"name": export.organization, "slug": export.slug},
        "framework": {
            "id": framework.id,
            "name": framework.name,
            "title": framework.title,
            "kind": framework.kind,
            "in_force_since": str(framework.since),
            "in_force_until": str(framework.until) if framework.until else None,
            "superseded_by": framework.superseded_by or None,
            "is_in_force": report.is_in_force,
            "doubt": framework.doubt or None,
        },
        "scope": {
            "words": report.scope.words,
            "in_production": report.scope.in_production,
            "declared": report.scope.declared,
        },
        "as_of": moment_text(report.moment),
        "kept_since": moment_text(report.first_kept) if report.first_kept else None,
        "policy": report.policy,
        "control_map": {"revision": report.map_revision, "digest": export.map_digest},
        "version_count": report.versions,
    }


def _control(line: ControlLine, report: Report) -> dict[str, Any]:
    """Return a control; what no figure can be told of is null, never 0."""
    control = line.control
    evidence = states = None
    if any(control.fields.values()):
        told = {str(each): line.evidence[each] for each in (*Strength, NO_EVIDENCE)}
        evidence = told | {"of": report.versions}
    if control.rules:
        states = _states(line.states, of=report.versions)
    return {
        "id": control.id,
        "reference": control.reference,
        "requirement": control.requirement,
        "for": control.by or None,
        "confidence": control.confidence,
        "doubt": control.doubt or None,
        "applies_from": str(control.applies_from) if control.applies_from else None,
        "outside": control.outside or None,
        "evidence": evidence,
        "states": states,
        "fields": [
            {
                "name": each.field.name,
                "label": each.field.label,
                "strength": str(each.strength),
                "known": each.known,
                "of": report.versions,
            }
            for each in line.fields
        ],
        "rules": [_rule(each) for each in line.rules],
        "capabilities": [
            {"id": each.id, "title": each.title, "is_planned": each.is_planned}
            for each in control.capabilities
        ],
    }


def _rule(line: RuleLine) -> dict[str, Any]:
    judged = sum(line.states.values())
    return {
        "id": line.rule_id,
        "title": line.entry.title,
        "judges": "sources" if line.is_of_sources else "versions",
        "states": _states(line.states, of=judged) if line.is_judging else None,
    }


def _states(states: Mapping[State, int], *, of: int) -> dict[str, int]:
    return {str(each): states.get(each, 0) for each in State} | {"of": of}


def _version(line: VersionLine) -> dict[str, Any]:
    """Return a version; a field without a value is named among the unknown."""
    known = {
        name: {"value": told.value, "told_by": told.told_by or None}
        for name, told in line.values.items()
        if told.value is not None
    }
    return {
        **_subject(line.subject),
        "values": known,
        "unknown": [name for name in line.values if name not in known],
        "states": {
            rule_id: str(line.states[rule_id]) for rule_id in sorted(line.states)
        },
    }


def _gap(gap: GapLine) -> dict[str, Any]:
    unknown_since = gap.unknown_since
    return {
        **_subject(gap.subject),
        "rule": gap.rule_id,
        "title": gap.title,
        "state": str(gap.state),
        "severity": gap.severity.name.lower(),
        "gate": str(gap.gate),
        "detail": gap.detail,
        "since": moment_text(gap.since),
        "not_checkable_since": moment_text(unknown_since) if unknown_since else None,
        "waiver": gap.waiver or None,
    }


def _subject(subject: Subject) -> dict[str, Any]:
    """Return what a version was called; of a source, only its name."""
    return {
        "model": subject.model or None,
        "version": subject.version,
        "source": subject.source,
        "stage": subject.stage or None,
    }
