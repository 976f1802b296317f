"""A report as OSCAL assessment results, valid against the schema of OSCAL 1.2.

Each control has one observation, with what was counted, and one finding. There is no
assessment plan behind a report: `import-ap`, which OSCAL demands, points to a resource
that says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from compliance.frameworks.control_map import Strength
from compliance.frameworks.counting import NO_EVIDENCE, State
from compliance.frameworks.exports.export import (
    NOTICE,
    Export,
    gaps_in_order,
    moment_text,
)
from compliance.frameworks.exports.judgement import Reason, objections
from compliance.frameworks.exports.oscal_gaps import Named, OpenGaps
from compliance.frameworks.exports.oscal_words import counts, line, markup, props

if TYPE_CHECKING:
    from compliance.frameworks.control_map import Control
    from compliance.frameworks.lines import GapLine, Subject
    from compliance.frameworks.report import ControlLine

OSCAL_VERSION = "1.2.3"
NO_PLAN = (
    "There is no assessment plan. OSCAL demands that results import one; these were "
    "counted from a model registry by the rules and the policy that are named here, and "
    "nobody planned an assessment before."
)
SATISFIED = (
    "“satisfied” means here that every version in scope was judged by every rule of the "
    "control, that each is met or does not apply, and that direct evidence is known "
    "wherever there is such. All else is “not-satisfied”: a gap that is open or waived, "
    "what cannot be decided or was not judged, what only is planned, and what a registry "
    "cannot show. The property `reason` says which."
)


def oscal_file(export: Export) -> Iterator[bytes]:
    """Return the document, in one piece: its length does not grow with the versions."""
    gaps = OpenGaps()
    gaps.take(export.source_gaps)
    for version in export.versions():
        gaps.take(gaps_in_order(version.gaps))
    document = {"assessment-results": _results(export, gaps)}
    yield (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def _results(export: Export, gaps: OpenGaps) -> dict[str, Any]:
    report = export.report
    return {
        "uuid": export.file_id(),
        "metadata": _metadata(export),
        "import-ap": {"href": f"#{export.object_id('no plan')}", "remarks": NO_PLAN},
        "local-definitions": {
            "objectives-and-methods": [
                _objective(each.control) for each in report.controls
            ]
        },
        "results": [_result(export, gaps)],
        "back-matter": {"resources": _resources(export)},
    }


def _metadata(export: Export) -> dict[str, Any]:
    """Return what tells of the file; when and by whom it was made is nowhere else."""
    name = export.report.framework.name
    return {
        "title": f"{name}: evidence for controls at {markup(export.organization)}",
        "last-modified": moment_text(export.generated_at),
        "version": moment_text(export.report.moment),
        "oscal-version": OSCAL_VERSION,
        "props": props(generated_by=export.generated_by),
        "parties": [
            {
                "uuid": export.subject_id("organization"),
                "type": "organization",
                "name": line(export.organization),
                "short-name": line(export.slug),
            }
        ],
        "remarks": NOTICE,
    }


def _objective(control: Control) -> dict[str, Any]:
    return {
        "control-id": control.id,
        "parts": [
            {
                "id": _objective_id(control),
                "name": "assessment-objective",
                "title": line(control.reference),
                "prose": control.requirement,
            }
        ],
        "remarks": "The requirement is told in our own words, not in those of its source.",
    }


def _objective_id(control: Control) -> str:
    return f"{control.id}_obj"


def _result(export: Export, gaps: OpenGaps) -> dict[str, Any]:
    report = export.report
    named = {each.control.id: gaps.of(each.control) for each in report.controls}
    ids = [{"control-id": each.control.id} for each in report.controls]
    objectives = [
        {"objective-id": _objective_id(each.control)} for each in report.controls
    ]
    return {
        "uuid": export.object_id("result"),
        "title": f"Evidence for {report.framework.name}: {report.scope.words}",
        "description": NOTICE,
        "start": moment_text(report.moment),
        "end": moment_text(report.moment),
        "props": props(
            framework=report.framework.id,
            in_force="yes" if report.is_in_force else "no",
            scope=report.scope.words,
            versions=report.versions,
            policy_version=report.policy,
            control_map_revision=report.map_revision,
            control_map_digest=export.map_digest,
        ),
        "local-definitions": _definitions(export, named),
        "reviewed-controls": {
            "control-selections": [{"include-controls": ids}],
            "control-objective-selections": [{"include-objectives": objectives}],
        },
        "observations": [
            _observation(export, each, named[each.control.id])
            for each in report.controls
        ],
        "findings": [_finding(export, each) for each in report.controls],
        "remarks": SATISFIED,
    }


def _definitions(export: Export, named: dict[str, Named]) -> dict[str, Any]:
    """Return the program that judged, and the versions whose gaps are named."""
    definitions: dict[str, Any] = {
        "components": [
            {
                "uuid": export.subject_id("tool"),
                "type": "software",
                "title": "VerifyWise",
                "description": "Reads the model registry and judges it by its rules.",
                "status": {"state": "operational"},
            }
        ]
    }
    subjects = {
        gap.subject: None for each in named.values() for gap in each.gaps
    }  # in their order
    if subjects:
        definitions["inventory-items"] = [
            {
                "uuid": _subject_id(export, subject),
                "description": _called(subject),
                "props": props(
                    source=subject.source,
                    model=subject.model or None,
                    model_version=subject.version,
                    stage=subject.stage or None,
                ),
            }
            for subject in subjects
        ]
    return definitions


def _observation(export: Export, told: ControlLine, named: Named) -> dict[str, Any]:
    """Return what was counted of a control, and its worst gaps."""
    control = told.control
    observation: dict[str, Any] = {
        "uuid": export.object_id("observation", control.id),
        "title": f"Evidence for {line(control.reference)}",
        "description": _counted(told, export.report.versions),
        "props": props(
            versions=export.report.versions,
            **_evidence(told),
            **_states(told),
            gaps_left_out=named.left_out or None,
            applies_from=control.applies_from,
        ),
        "methods": _methods(control),
        "types": ["control-objective"],
        "origins": [_origin(export)],
        "collected": moment_text(export.report.moment),
    }
    if named.gaps:
        subjects = {gap.subject: None for gap in named.gaps}
        observation["subjects"] = [
            {
                "subject-uuid": _subject_id(export, subject),
                "type": "inventory-item",
                "title": _called(subject),
            }
            for subject in subjects
        ]
        observation["relevant-evidence"] = [_gap(gap) for gap in named.gaps]
    if named.left_out:
        observation["remarks"] = (
            f"{named.left_out:,} more open gaps are left out here, none worse than "
            "those named; the JSON, CSV and XLSX files name all."
        )
    return observation


def _finding(export: Export, told: ControlLine) -> dict[str, Any]:
    control = told.control
    versions = export.report.versions
    against = objections(told, versions)
    reasons = {each.reason for each in against}
    status = {"state": "satisfied", "reason": "pass"}
    if against:
        # OSCAL's own reasons are pass, fail and other.
        fails = Reason.OPEN in reasons
        status = {"state": "not-satisfied", "reason": "fail" if fails else "other"}
    status["remarks"] = " ".join(each.sentence for each in against) or (
        f"Its rules are met, or do not apply, with all {versions:,} versions in scope."
    )
    return {
        "uuid": export.object_id("finding", control.id),
        "title": line(control.reference),
        "description": control.requirement,
        "props": props(
            reason=against[0].reason if against else None,
            versions=versions,
            **_states(told),
            confidence=control.confidence,
            doubt=control.doubt or None,
        ),
        "origins": [_origin(export)],
        "target": {
            "type": "objective-id",
            "target-id": _objective_id(control),
            "status": status,
        },
        "related-observations": [
            {"observation-uuid": export.object_id("observation", control.id)}
        ],
    }


def _evidence(told: ControlLine) -> dict[str, int]:
    """Return how many versions have which evidence at best; nothing without fields."""
    if not any(told.control.fields.values()):
        return {}
    return {
        f"evidence_{each}": told.evidence[each] for each in (*Strength, NO_EVIDENCE)
    }


def _states(told: ControlLine) -> dict[str, int]:
    """Return how many versions stand how, by the worst rule; nothing without rules."""
    if not told.control.rules:
        return {}
    states = {f"versions_{each}": told.states.get(each, 0) for each in State}
    return {"versions_judged": told.judged} | states


def _counted(told: ControlLine, versions: int) -> str:
    control = told.control
    if control.outside:
        return f"Outside what a registry shows. {control.outside}"
    of = f"{versions:,} versions"
    sentences = []
    if any(control.fields.values()):
        evidence = {str(each): told.evidence[each] for each in (*Strength, NO_EVIDENCE)}
        sentences.append(f"Best evidence: {counts(evidence, of)}.")
    if control.rules:
        states = {each.label.lower(): told.states.get(each, 0) for each in State}
        sentences.append(f"Worst rule: {counts(states, of)}.")
    for each in control.capabilities:
        does = "will do" if each.is_planned else "does"
        sentences.append(f"VerifyWise {does}: {each.title}.")
    return " ".join(sentences) or "Nothing is known to be evidence for it."


def _methods(control: Control) -> list[str]:
    methods = []
    if any(control.fields.values()):
        methods.append("EXAMINE")
    if control.rules:
        methods.append("TEST")
    return methods or ["UNKNOWN"]


def _origin(export: Export) -> dict[str, Any]:
    return {"actors": [{"type": "tool", "actor-uuid": export.subject_id("tool")}]}


def _gap(gap: GapLine) -> dict[str, Any]:
    unknown = gap.unknown_since
    return {
        "description": (
            f"{_called(gap.subject)}: {line(gap.title)} ({gap.rule_id}). "
            f"{markup(gap.detail)}"
        ),
        "props": props(
            rule=gap.rule_id,
            severity=gap.severity.name.lower(),
            gate=gap.gate,
            since=moment_text(gap.since),
            not_checkable_since=moment_text(unknown) if unknown else None,
        ),
    }


def _called(subject: Subject) -> str:
    return markup(subject)


def _subject_id(export: Export, subject: Subject) -> str:
    return export.subject_id(subject.source, subject.model, subject.version)


def _resources(export: Export) -> list[dict[str, Any]]:
    report = export.report
    framework = report.framework
    return [
        {
            "uuid": export.object_id("no plan"),
            "title": "No assessment plan",
            "description": NO_PLAN,
        },
        {
            "uuid": export.object_id("framework"),
            "title": line(framework.name),
            "description": (
                f"In force since {framework.since}"
                + (f", until {framework.until}" if framework.until else "")
                + "."
                + (f" In doubt: {framework.doubt}" if framework.doubt else "")
            ),
            "citation": {"text": line(framework.title)},
        },
        {
            "uuid": export.object_id("control map"),
            "title": "Control map of VerifyWise",
            "description": (
                "Which fields and rules are evidence for which control. The digest is "
                "of all that decides it."
            ),
            "props": props(revision=report.map_revision, sha256=export.map_digest),
        },
        {
            "uuid": export.object_id("policy"),
            "title": f"Policy version {report.policy}",
            "description": (
                "Which rules judged, and with which thresholds."
                if report.policy
                else "None was published at that moment: the starter pack judged."
            ),
            "props": props(number=report.policy),
        },
    ]
