"""A framework report as OSCAL assessment results: valid, and never too sure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliance.catalogue import Severity
from compliance.frameworks.control_map import Strength, control_map
from compliance.frameworks.counting import State
from compliance.frameworks.exports.judgement import Reason, objections
from compliance.frameworks.exports.oscal_gaps import MOST
from compliance.frameworks.lines import Subject
from compliance.frameworks.report import ControlLine
from tests.compliance import oscal_schema
from tests.compliance.oscal_schema import OSCAL, is_valid_as, told_in_schema
from tests.compliance.report_values import (
    DATED,
    DOES,
    OWNED,
    PLANNED,
    a_control,
    a_gap,
    a_line,
    a_rule,
    a_subject,
    a_version,
    an_export,
    whole,
    without_fields,
)


def results(*args: Any, **told: Any) -> dict[str, Any]:
    """Return the document, which is valid."""
    document = json.loads(whole(an_export("oscal", *args, **told)))
    OSCAL.validate(document)
    told_ = document["assessment-results"]
    assert isinstance(told_, dict)
    return told_


def status(line: ControlLine, versions: int = 3) -> dict[str, Any]:
    (result,) = results([line], count=versions)["results"]
    (finding,) = result["findings"]
    found: dict[str, Any] = finding["target"]["status"]
    return found


# The schema


def test_the_schema_has_no_pattern_and_no_format_that_is_skipped() -> None:
    assert told_in_schema("format") == set(oscal_schema.FORMATS.checkers)
    patterns = told_in_schema("pattern")
    assert any(r"\p{L}" in each for each in patterns)
    for each in patterns:
        re.compile(oscal_schema.in_python(each))


@pytest.mark.parametrize(
    ("datatype", "valid", "invalid"),
    [
        ("TokenDatatype", "EUAIA-9.8_obj", "9.8"),
        ("TokenDatatype", "_x", "a b"),
        ("StringDatatype", "a b", "a "),
        ("StringDatatype", "a", "a\n"),
        ("StringDatatype", "a b", "a\u2028b"),
        ("MarkupLineDatatype", "a", "a\nb"),
        ("URIDatatype", "urn:x:y", "urn:x y"),
        ("URIReferenceDatatype", "#a", "a b"),
        ("DateTimeWithTimezoneDatatype", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00"),
        (
            "DateTimeWithTimezoneDatatype",
            "2026-01-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
        ),
        ("UUIDDatatype", "a5c3e1c8-4a4d-5b5e-8f00-000000000000", "a5c3"),
    ],
)
def test_the_validator_is_not_lenient(datatype: str, valid: str, invalid: str) -> None:
    assert is_valid_as(valid, datatype)
    assert not is_valid_as(invalid, datatype)


# What may be satisfied


def test_a_control_with_which_all_is_well_is_satisfied() -> None:
    assert status(a_line()) == {
        "state": "satisfied",
        "reason": "pass",
        "remarks": "Its rules are met, or do not apply, with all 3 versions in scope.",
    }
    mixed = a_line(
        states={State.MET: 1, State.NOT_APPLICABLE: 2},
        rules=(a_rule(states={State.MET: 1, State.NOT_APPLICABLE: 2}), a_rule(DATED)),
    )
    assert not objections(mixed, 3)
    of_sources = a_rule(states={State.MET: 1}, is_of_sources=True)
    assert not objections(a_line(rules=(a_rule(), of_sources)), 3)
    partly = a_line(without_fields(), evidence={})
    assert not objections(partly, 3)


def with_rule(**states: int) -> ControlLine:
    """Return a control whose worst rule is as told, and whose other rule is met."""
    told = {State(name): number for name, number in states.items()}
    return a_line(states=told, rules=(a_rule(states=told), a_rule(DATED)))


@pytest.mark.parametrize(
    ("line", "versions", "reason", "words"),
    [
        (a_line(), 0, Reason.NO_VERSIONS, "No version is in this scope."),
        (
            a_line(a_control(outside="It is about people.")),
            3,
            Reason.OUTSIDE,
            "It is outside what a registry shows. It is about people.",
        ),
        (
            a_line(without_fields(rules=(), capabilities=(PLANNED,))),
            3,
            Reason.PLANNED,
            "Only what is planned would be evidence for it: Model cards.",
        ),
        (
            a_line(without_fields(rules=(), capabilities=(PLANNED, DOES))),
            3,
            Reason.PRODUCT,
            "a person has to judge it: Model cards; A chained audit trail.",
        ),
        (a_line(without_fields(rules=())), 3, Reason.NO_EVIDENCE, "No field, no rule"),
        (a_line(a_control(rules=())), 3, Reason.NO_RULE, "no rule judges them"),
        (with_rule(open=1, met=2), 3, Reason.OPEN, "1 of 3 versions: gap open."),
        (with_rule(undecided=2, met=1), 3, Reason.UNDECIDED, f"{OWNED} cannot be"),
        (with_rule(waived=1, met=2), 3, Reason.WAIVED, "is waived, and still fails"),
        (with_rule(met=2), 3, Reason.NOT_JUDGED, "2 of 3 versions were judged."),
        (a_line(), 4, Reason.NOT_JUDGED, "3 of 4 versions were judged."),
        (
            a_line(rules=(a_rule(), a_rule(DATED, states={State.MET: 0}))),
            3,
            Reason.NOT_JUDGED,
            f"{DATED} judged nothing in this scope",
        ),
        (
            a_line(rules=(a_rule(), a_rule(DATED, states={State.MET: 2}))),
            3,
            Reason.NOT_JUDGED,
            f"{DATED} judged 2 of 3 versions.",
        ),
        (with_rule(not_applicable=3), 3, Reason.NOTHING_APPLIES, "met by no version"),
        (
            a_line(evidence={Strength.DIRECT: 2, "none": 1}),
            3,
            Reason.NOT_DIRECT,
            "Direct evidence is known of 2 of 3 versions.",
        ),
        (
            a_line(
                rules=(
                    a_rule(),
                    a_rule(DATED, states={State.OPEN: 1}, is_of_sources=True),
                )
            ),
            3,
            Reason.OPEN,
            f"{DATED} has a gap open with 1 sources.",
        ),
        (
            a_line(rules=(a_rule(), a_rule(DATED, states={}, is_of_sources=True))),
            3,
            Reason.NOT_JUDGED,
            f"{DATED} judged nothing",
        ),
    ],
)
def test_what_is_not_known_is_never_satisfied(
    line: ControlLine, versions: int, reason: Reason, words: str
) -> None:
    first = objections(line, versions)[0]
    assert first.reason is reason
    found = status(line, versions)
    assert found["state"] == "not-satisfied"
    assert found["reason"] == ("fail" if reason is Reason.OPEN else "other")
    assert words in found["remarks"]


STOOD = st.sampled_from([State.MET] * 5 + [State.NOT_APPLICABLE] * 2 + [*State, None])
VERSIONS = st.lists(
    st.tuples(st.sampled_from([True, True, True, False]), STOOD, STOOD), max_size=4
)


def counted(versions: list[tuple[bool, State | None, State | None]]) -> ControlLine:
    """Return the figures of versions, each of which was looked at by itself."""
    rules, worst = (
        [],
        [
            min(
                (state for state in states if state),
                key=list(State).index,
                default=None,
            )
            for _, *states in versions
        ],
    )
    for place, rule_id in enumerate((OWNED, DATED), 1):
        stood = [version[place] for version in versions]
        rules.append(
            a_rule(rule_id, states={each: stood.count(each) for each in State})
        )
    known = sum(is_known for is_known, *_ in versions)
    return a_line(
        evidence={Strength.DIRECT: known, "none": len(versions) - known},
        states={each: worst.count(each) for each in State},
        rules=tuple(rules),
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VERSIONS)
def test_figures_say_satisfied_where_each_version_does(
    versions: list[tuple[bool, State | None, State | None]],
) -> None:
    settled = (State.MET, State.NOT_APPLICABLE)
    told = [state for _, *states in versions for state in states]
    well = (
        all(is_known for is_known, *_ in versions)
        and all(state in settled for state in told)
        and State.MET in told
    )
    # A version that a rule is met with stands as met, whatever does not apply to it.
    assert (not objections(counted(versions), len(versions))) == well


NUMBERS = st.fixed_dictionaries({state: st.integers(0, 3) for state in State})


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    states=NUMBERS,
    of_rule=NUMBERS,
    direct=st.integers(0, 3),
    versions=st.integers(0, 6),
    is_of_sources=st.booleans(),
)
def test_whatever_the_counts_nothing_but_met_is_satisfied(
    states: dict[State, int],
    of_rule: dict[State, int],
    direct: int,
    versions: int,
    is_of_sources: bool,
) -> None:
    line = a_line(
        evidence={Strength.DIRECT: direct},
        states=states,
        rules=(a_rule(states=of_rule, is_of_sources=is_of_sources),),
    )
    if objections(line, versions):
        return
    for counts in (states, of_rule):
        assert not any(counts[each] for each in list(State)[:3])
    assert versions == direct == sum(states.values()) > 0
    assert is_of_sources or sum(of_rule.values()) == versions


# The document


@pytest.mark.parametrize("name", control_map().frameworks)
def test_every_framework_is_valid_and_nothing_satisfied_before_a_judgement(
    name: str,
) -> None:
    lines = [
        a_line(
            control,
            evidence={},
            states={State.MET: 0},
            rules=tuple(a_rule(each, states={State.MET: 0}) for each in control.rules),
        )
        for control in control_map().frameworks[name].controls.values()
    ]
    (result,) = results(lines, count=2)["results"]
    assert len(result["findings"]) == len(result["observations"]) == len(lines)
    states = {each["target"]["status"]["state"] for each in result["findings"]}
    assert states == {"not-satisfied"}


def ids_and_references(node: Any) -> tuple[list[str], set[str]]:
    """Return the ids that a document gives, and those that it points to."""
    given_: list[str] = []
    wanted: set[str] = set()

    def walk(told: Any) -> None:
        if isinstance(told, dict):
            for key, value in told.items():
                if key == "uuid":
                    given_.append(value)
                elif key.endswith("-uuid"):
                    wanted.add(value)
                elif key == "href":
                    wanted.add(value.removeprefix("#"))
                walk(value)
        elif isinstance(told, list):
            for each in told:
                walk(each)

    walk(node)
    return given_, wanted


def test_what_a_document_points_to_is_in_it() -> None:
    gaps = [a_gap(a_subject(2)), a_gap(a_subject(2), rule_id=DATED)]
    document = results(
        [a_line(), a_line(a_control("9.9"))],
        [a_version(2, gaps=gaps)],
        source_gaps=(a_gap(Subject(source="Production MLflow")),),
    )
    ids, wanted = ids_and_references(document)
    assert len(ids) == len(set(ids))
    assert wanted <= set(ids)
    (result,) = document["results"]
    items = result["local-definitions"]["inventory-items"]
    assert [item["description"] for item in items] == [
        "Production MLflow",
        "credit-scoring version 2",
    ]
    plan = document["import-ap"]["href"].removeprefix("#")
    (resource,) = [
        each for each in document["back-matter"]["resources"] if each["uuid"] == plan
    ]
    assert resource["description"].startswith("There is no assessment plan.")


def test_figures_are_told_with_what_they_are_out_of() -> None:
    line = with_rule(waived=1, undecided=1, met=1)
    (result,) = results([line])["results"]
    (observation,) = result["observations"]
    told = {each["name"]: each["value"] for each in observation["props"]}
    assert told == {
        "versions": "3",
        **{"evidence-direct": "3", "evidence-partial": "0", "evidence-context": "0"},
        "evidence-none": "0",
        "versions-judged": "3",
        **{"versions-open": "0", "versions-undecided": "1", "versions-waived": "1"},
        **{"versions-met": "1", "versions-not-applicable": "0"},
    }
    assert (
        "3 direct, 0 partial, 0 context, 0 none, of 3 versions"
        in (observation["description"])
    )
    (finding,) = result["findings"]
    assert {"reason", "versions-waived", "versions-undecided"} <= {
        each["name"] for each in finding["props"]
    }
    of_result = {each["name"]: each["value"] for each in result["props"]}
    assert (of_result["policy-version"], of_result["versions"]) == ("4", "3")
    assert of_result["control-map-digest"] == "ab" * 32


def test_the_worst_gaps_are_named_and_the_others_counted() -> None:
    def versions() -> Iterator[Any]:
        for number in range(200, 0, -1):
            severity = Severity.CRITICAL if number <= 2 else Severity.LOW
            waived = a_gap(a_subject(number), state=State.WAIVED, rule_id=DATED)
            gap = a_gap(a_subject(number), severity=severity)
            yield a_version(number, gaps=[gap, waived])

    (result,) = results(versions=versions())["results"]
    (observation,) = result["observations"]
    assert [each["title"] for each in observation["subjects"]] == [
        f"credit-scoring version {number}"
        for number in (2, 1, *range(200, 200 - MOST + 2, -1))
    ]
    assert len(observation["relevant-evidence"]) == MOST
    assert observation["remarks"].startswith("180 more open gaps are left out here")


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(model=TEXT, detail=TEXT, organization=TEXT)
def test_whatever_things_are_called_the_document_is_valid(
    model: str, detail: str, organization: str
) -> None:
    subject = a_subject(1, model)
    gaps = [a_gap(subject, detail=detail)]
    results(versions=[a_version(gaps=gaps)], organization=organization)
