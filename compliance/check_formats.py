"""A check as a pipeline reads it: plain values for JSON, a JUnit file, a SARIF file.

Pure: the same check gives the same text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

from compliance.catalogue import Severity
from compliance.checking import Check, CheckedRule
from compliance.engine import Verdict
from compliance.remedies import Remedy, remedy_for

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: Mapping[Severity, str] = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
}
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedVersion:
    """A version, and how it was checked; `judged_at` is when a result last changed."""

    id: int
    model: str
    version: int
    organization: str  # its slug
    server: str
    lifecycle_stage: str
    judged_at: datetime | None
    check: Check

    def remedy(self, rule: CheckedRule) -> Remedy:
        return remedy_for(
            rule.entry, model_name=self.model, version_number=self.version
        )


def plain(checked: CheckedVersion) -> dict[str, Any]:
    """Return what the API answers, and what `--json` prints."""
    judged_at = checked.judged_at
    return {
        "model": checked.model,
        "version": checked.version,
        "model_version": checked.id,
        "organization": checked.organization,
        "server": checked.server,
        "lifecycle_stage": checked.lifecycle_stage,
        "verdict": checked.check.answer.value,
        "sentence": checked.check.sentence,
        "judged_at": judged_at.isoformat() if judged_at else None,
        "rules": [_plain_rule(checked, rule) for rule in checked.check.rules],
    }


def _plain_rule(checked: CheckedVersion, rule: CheckedRule) -> dict[str, Any]:
    remedy = checked.remedy(rule)
    return {
        "rule_id": rule.entry.id,
        "title": rule.entry.title,
        "severity": rule.entry.severity.name.lower(),
        "gate": rule.entry.gate.value,
        "verdict": rule.verdict.value,
        "detail": rule.detail,
        "gap": "waived" if rule.waived else "open" if rule.is_open else None,
        "waived": rule.waived,
        "remedy": {
            "text": remedy.text,
            "code": remedy.code,
            "attestable_fields": list(remedy.attestable_fields),
        },
        "controls": list(rule.entry.controls),
    }


# JUnit


def junit(checked: CheckedVersion) -> str:
    """Return a JUnit file: one test case a rule.

    An open gap, and a failed trigger, is a failure; a waived gap, a rule that does not
    apply and one that could not decide and hinders nothing are skipped; one that would
    have had to decide is an error.
    """
    name = f"{checked.model} version {checked.version}"
    cases = [_case(checked, rule) for rule in checked.check.rules]
    counts = {
        kind: str(sum(case.find(kind) is not None for case in cases))
        for kind in ("failure", "error", "skipped")
    }
    suites = ElementTree.Element("testsuites", name="VerifyWise")
    suite = ElementTree.SubElement(
        suites,
        "testsuite",
        name=_xml(name),
        tests=str(len(cases)),
        failures=counts["failure"],
        errors=counts["error"],
        skipped=counts["skipped"],
        time="0",
    )
    if checked.judged_at:
        suite.set("timestamp", f"{checked.judged_at:%Y-%m-%dT%H:%M:%S}")
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in (
        ("verdict", checked.check.answer.value),
        ("sentence", checked.check.sentence),
        ("organization", checked.organization),
        ("server", checked.server),
    ):
        ElementTree.SubElement(properties, "property", name=key, value=_xml(value))
    suite.extend(cases)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, "unicode", xml_declaration=True) + "\n"


def _case(checked: CheckedVersion, rule: CheckedRule) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase",
        name=_xml(f"{rule.entry.id} {rule.entry.title}"),
        classname=_xml(f"{checked.model}.{checked.version}"),
        time="0",
    )
    detail = rule.detail or rule.verdict.label
    if rule.waived:
        ElementTree.SubElement(case, "skipped").text = _xml(rule.waived)
    elif rule.is_open or rule.hinders:
        kind = f"{rule.entry.severity.label}, {rule.entry.gate.value}"
        failure = ElementTree.SubElement(
            case, "failure", message=_xml(detail), type=kind
        )
        failure.text = _xml(_help(checked, rule))
    elif rule.leaves_open:
        ElementTree.SubElement(
            case, "error", message=_xml(detail), type=rule.verdict.label
        )
    elif rule.verdict is not Verdict.PASS:
        ElementTree.SubElement(case, "skipped").text = _xml(detail)
    return case


def _xml(text: str) -> str:
    """Replace the signs that no XML file may hold."""
    return NOT_IN_XML.sub("\ufffd", text)


# SARIF


def sarif(checked: CheckedVersion) -> str:
    """Return a SARIF 2.1.0 file: its results are the rules that are not met.

    A waived gap is a result that is suppressed, with why; what could not be decided is
    of the kind `open`. A model has no lines: locations are logical.
    """
    rules = checked.check.rules
    run = {
        "tool": {
            "driver": {
                "name": "VerifyWise",
                "rules": [_sarif_rule(rule) for rule in rules],
            }
        },
        "results": [
            _result(checked, rule, index)
            for index, rule in enumerate(rules)
            if rule.is_open or rule.waived or rule.hinders or rule.leaves_open
        ],
        "properties": {
            "verdict": checked.check.answer.value,
            "sentence": checked.check.sentence,
            "organization": checked.organization,
            "server": checked.server,
        },
        "columnKind": "unicodeCodePoints",
    }
    log = {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _sarif_rule(rule: CheckedRule) -> dict[str, Any]:
    entry = rule.entry
    controls = ", ".join(entry.controls)
    text = f"{entry.fix} Evidence for: {controls}." if controls else entry.fix
    return {
        "id": entry.id,
        "name": "".join(word.capitalize() for word in re.findall(r"\w+", entry.title)),
        "shortDescription": {"text": entry.title},
        "fullDescription": {"text": entry.check},
        "help": {"text": text},
        "defaultConfiguration": {"level": LEVELS[entry.severity]},
        "properties": {
            "tags": sorted(set(entry.controls)),
            "gate": entry.gate.value,
            "severity": entry.severity.name.lower(),
        },
    }


def _result(checked: CheckedVersion, rule: CheckedRule, index: int) -> dict[str, Any]:
    is_open_question = rule.leaves_open and not rule.is_open
    name = f"{checked.model}/{checked.version}"
    result: dict[str, Any] = {
        "ruleId": rule.entry.id,
        "ruleIndex": index,
        "kind": "open" if is_open_question else "fail",
        "level": "none" if is_open_question else LEVELS[rule.entry.severity],
        "message": {"text": f"{rule.detail or rule.entry.title} {rule.entry.fix}"},
        "locations": [
            {
                "logicalLocations": [
                    {
                        "name": str(checked.version),
                        "fullyQualifiedName": name,
                        "kind": "resource",
                    }
                ]
            }
        ],
        "partialFingerprints": {"gap/v1": f"{checked.id}/{rule.entry.id}"},
    }
    if rule.waived:
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": rule.waived}
        ]
    return result


def _help(checked: CheckedVersion, rule: CheckedRule) -> str:
    remedy = checked.remedy(rule)
    parts = [remedy.text, remedy.code]
    if rule.entry.controls:
        parts.append(f"Evidence for: {', '.join(rule.entry.controls)}")
    return "\n".join(filter(None, parts))
