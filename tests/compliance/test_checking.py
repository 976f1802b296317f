"""The verdict for a pipeline, without a database, and the files that tell it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from compliance.catalogue import Entry, Gate, Kind, Severity, catalogue
from compliance.check_formats import CheckedVersion, junit, plain, sarif
from compliance.checking import Answer, CheckedRule, check, checked_rules
from compliance.engine import Verdict

DATA = Path(__file__).parents[1] / "data"
SARIF = Draft4Validator(json.loads((DATA / "sarif-2.1.0-rtm.5.json").read_text()))
JUNIT = xmlschema.XMLSchema(DATA / "jenkins-junit.xsd")
WAIVED = "Waived until 31 March 2027, approved by Olga: We are moving."


def entry(gate: Gate, severity: Severity = Severity.HIGH, **told: Any) -> Entry:
    known = catalogue().rules["VW-INV-001"]
    return replace(known, id=f"T-{gate}", gate=gate, severity=severity, **told)


def rule(gate: Gate, verdict: Verdict = Verdict.PASS, **told: Any) -> CheckedRule:
    kind = told.pop("kind", Kind.GAP)
    return CheckedRule(entry=entry(gate, kind=kind), verdict=verdict, **told)


def a_gap(gate: Gate, **told: Any) -> CheckedRule:
    return rule(gate, Verdict.FAIL, detail="There is none.", **{"is_open": True} | told)


PASSED = rule(Gate.BLOCK)
BLOCKING = a_gap(Gate.BLOCK)
REVIEWED = a_gap(Gate.REVIEW)
TRIGGER = rule(Gate.REVIEW, Verdict.FAIL, kind=Kind.TRIGGER)
WAIVED_ONE = a_gap(Gate.BLOCK, is_open=False, waived=WAIVED)
UNKNOWN = rule(Gate.BLOCK, Verdict.UNKNOWN, detail="Nobody told.")
WARNING = a_gap(Gate.WARN)
HINT_UNKNOWN = rule(Gate.INFO, Verdict.UNKNOWN)


@pytest.mark.parametrize(
    ("rules", "answer", "sentence"),
    [
        ([PASSED], Answer.PASS, "Nothing stands in the way of production."),
        ([WARNING, HINT_UNKNOWN], Answer.PASS, "Nothing stands in the way"),
        ([PASSED, BLOCKING], Answer.BLOCKED, "Blocked: 1 high gap."),
        ([UNKNOWN, REVIEWED, BLOCKING], Answer.BLOCKED, "Blocked: 1 high gap."),
        ([UNKNOWN, REVIEWED], Answer.NEEDS_REVIEW, "A person has to decide: 1 high"),
        ([TRIGGER], Answer.NEEDS_REVIEW, "A person has to decide"),
        ([UNKNOWN], Answer.UNDECIDED, "Cannot be decided: T-block."),
        (
            [rule(Gate.REVIEW, Verdict.ERROR)],
            Answer.UNDECIDED,
            "Cannot be decided: T-review.",
        ),
        (
            [WAIVED_ONE],
            Answer.PASS,
            "Nothing stands in the way of production. 1 gap is waived.",
        ),
        (
            [WAIVED_ONE, WAIVED_ONE, BLOCKING],
            Answer.BLOCKED,
            "Blocked: 1 high gap. 2 gaps are waived.",
        ),
        (
            [replace(WAIVED_ONE, verdict=Verdict.UNKNOWN)],
            Answer.PASS,
            "Nothing stands in the way",
        ),
        ([replace(BLOCKING, verdict=Verdict.UNKNOWN)], Answer.BLOCKED, "Blocked"),
    ],
)
def test_the_gravest_finding_answers(
    rules: list[CheckedRule], answer: Answer, sentence: str
) -> None:
    told = check(rules, is_judged=True)
    assert told.answer is answer
    assert told.sentence.startswith(sentence)


def test_what_was_never_judged_cannot_be_decided() -> None:
    assert check([], is_judged=False).answer is Answer.UNDECIDED


def test_results_meet_their_rules_and_their_gaps() -> None:
    known = catalogue().rules
    rules = checked_rules(
        {
            "VW-INV-001": {"verdict": "fail", "detail": "None."},
            "VW-INV-003": {"verdict": "fail", "detail": "None either."},
            "ACME-GONE": {"verdict": "fail"},
        },
        entries=known,
        open_gaps=["VW-INV-001"],
        waived_gaps={"VW-INV-003": WAIVED},
    )
    assert [(each.entry.id, each.is_open, each.waived) for each in rules] == [
        ("VW-INV-001", True, ""),
        ("VW-INV-003", False, WAIVED),
    ]


# The files


ALL = [
    replace(each, entry=replace(each.entry, id=f"T-{number}"))
    for number, each in enumerate(
        (
            *(PASSED, BLOCKING, REVIEWED, TRIGGER),
            *(WAIVED_ONE, UNKNOWN, WARNING, HINT_UNKNOWN),
        )
    )
]


def checked(rules: list[CheckedRule], **told: Any) -> CheckedVersion:
    usual: dict[str, Any] = {
        "id": 12,
        "model": "credit-scoring",
        "version": 3,
        "organization": "acme",
        "server": "Production MLflow",
        "lifecycle_stage": "Staging",
        "judged_at": datetime(2026, 1, 10, 8, tzinfo=UTC),
        "check": check(rules, is_judged=True),
    }
    return CheckedVersion(**(usual | told))


def suite(rules: list[CheckedRule]) -> ElementTree.Element:
    text = junit(checked(rules))
    found = ElementTree.fromstring(text).find("testsuite")  # noqa: S314 - our own
    assert found is not None
    return found


def test_a_junit_file_has_a_case_a_rule_and_is_valid() -> None:
    JUNIT.validate(junit(checked(ALL)))
    found = suite(ALL)
    assert (found.get("tests"), found.get("failures")) == ("8", "4")
    assert (found.get("errors"), found.get("skipped")) == ("1", "2")
    kinds = [[child.tag for child in case] for case in found.iter("testcase")]
    assert kinds == [
        [],
        ["failure"],
        ["failure"],
        ["failure"],
        ["skipped"],
        ["error"],
        ["failure"],
        ["skipped"],
    ]


def test_a_failure_of_a_junit_file_says_how_it_is_closed() -> None:
    failure = suite([BLOCKING]).find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "There is none."
    assert failure.text is not None
    assert 'client.set_model_version_tag("credit-scoring", "3", "owner"' in failure.text
    assert "Evidence for: " in failure.text


def test_a_skipped_case_says_who_waived_it() -> None:
    skipped = suite([WAIVED_ONE]).find("testcase/skipped")
    assert skipped is not None
    assert skipped.text == WAIVED


def sarif_run(rules: list[CheckedRule]) -> dict[str, Any]:
    log = json.loads(sarif(checked(rules)))
    SARIF.validate(log)
    run: dict[str, Any] = log["runs"][0]
    return run


def test_a_sarif_file_is_valid_and_tells_what_is_not_met() -> None:
    run = sarif_run(ALL)
    assert len(run["tool"]["driver"]["rules"]) == len(ALL)
    assert [(found["kind"], found["level"]) for found in run["results"]] == [
        ("fail", "error"),
        ("fail", "error"),
        ("fail", "error"),
        ("fail", "error"),
        ("open", "none"),
        ("fail", "error"),
    ]
    waived = [found for found in run["results"] if "suppressions" in found]
    assert [found["suppressions"][0]["justification"] for found in waived] == [WAIVED]


def test_a_schema_that_says_no_would_be_heard() -> None:
    log = json.loads(sarif(checked(ALL)))
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert not SARIF.is_valid(log)
    assert not JUNIT.is_valid("<testsuites><testsuite/></testsuites>")


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        (Severity.CRITICAL, "error"),
        (Severity.HIGH, "error"),
        (Severity.MEDIUM, "warning"),
        (Severity.LOW, "note"),
    ],
)
def test_a_severity_becomes_a_level(severity: Severity, level: str) -> None:
    graded = replace(BLOCKING, entry=entry(Gate.BLOCK, severity))
    run = sarif_run([graded])
    assert run["results"][0]["level"] == level
    assert run["tool"]["driver"]["rules"][0]["defaultConfiguration"]["level"] == level


def test_a_sarif_rule_says_how_it_is_met_and_for_which_controls() -> None:
    (told,) = sarif_run([PASSED])["tool"]["driver"]["rules"]
    known = PASSED.entry
    assert told["help"]["text"].startswith(known.fix)
    assert told["properties"]["tags"] == sorted(known.controls)
    (location,) = sarif_run([BLOCKING])["results"][0]["locations"]
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "credit-scoring/3"


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


@given(model=TEXT.filter(bool), detail=TEXT, why=TEXT.filter(bool))
def test_whatever_a_model_is_called_the_files_are_valid(
    model: str, detail: str, why: str
) -> None:
    rules = [
        replace(each, detail=detail, waived=why if each.waived else "") for each in ALL
    ]
    told = checked(rules, model=model)
    JUNIT.validate(junit(told))
    SARIF.validate(json.loads(sarif(told)))
    json.dumps(plain(told))


def test_a_version_that_was_not_judged_has_valid_files_too() -> None:
    told = checked([], judged_at=None, check=check([], is_judged=False))
    JUNIT.validate(junit(told))
    SARIF.validate(json.loads(sarif(told)))
    assert plain(told)["judged_at"] is None
