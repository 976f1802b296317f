"""The control map: nothing dangles, and laws are in force when they are."""

from __future__ import annotations

from datetime import date

import pytest

from compliance.catalogue import Entry, Gate, Severity, control_data
from compliance.engine import PASS, Rule, Rulebook, rulebook
from compliance.frameworks import control_map as module
from compliance.frameworks.control_map import Strength, control_map
from inventory.records import FIELDS

CONTROLS = [
    control
    for framework in control_map().frameworks.values()
    for control in framework.controls.values()
]


def test_every_control_belongs_to_a_framework() -> None:
    assert {control.id for control in CONTROLS} == set(control_data()["controls"])


@pytest.mark.parametrize("section", ["fields", "extension_fields"])
def test_evidence_is_of_fields_that_there_are_for_controls_that_there_are(
    section: str,
) -> None:
    known = set(control_data()["controls"])
    for name, told in control_data()[section].items():
        assert name in FIELDS
        ids = [each for letter in "dpc" for each in told.get(letter, ())]
        assert ids
        assert set(ids) <= known, name
        assert len(ids) == len(set(ids)), f"{name} is evidence of two strengths"


def test_a_control_is_evidenced_or_by_the_product_or_said_to_be_outside() -> None:
    bare = [
        control.id
        for control in CONTROLS
        if not (control.is_about_versions or control.capabilities or control.outside)
    ]
    assert bare == []


def test_what_is_outside_is_never_a_gap_of_a_model() -> None:
    assert [
        each.id for each in CONTROLS if each.outside and each.is_about_versions
    ] == []


def test_a_superseded_framework_says_until_when_and_by_what() -> None:
    frameworks = control_map().frameworks
    former, present = frameworks["SR117"], frameworks["SR262"]

    assert former.superseded_by == present.id
    assert former.until == present.since == date(2026, 4, 17)
    assert former.is_in_force(date(2026, 4, 16))
    assert not former.is_in_force(date(2026, 4, 17))
    assert present.is_in_force(date(2026, 4, 17))
    assert not present.is_in_force(date(2026, 4, 16))


def test_the_high_risk_duties_apply_later_than_the_act_is_in_force() -> None:
    act = control_map().frameworks["EUAIA"]
    assert act.is_in_force(date(2026, 1, 1))
    assert act.controls["EUAIA-9.8"].applies_from == date(2027, 12, 2)
    assert act.controls["EUAIA-5.1"].applies_from == date(2025, 2, 2)
    assert act.controls["EUAIA-50"].applies_from == date(2026, 8, 2)


def test_fields_rules_and_capabilities_lead_to_their_control() -> None:
    _, control = control_map().control("ISO42001-A.3.2") or pytest.fail("unknown")
    assert control.fields[Strength.DIRECT] == ("owner",)
    assert "VW-INV-001" in control.rules
    _, control = control_map().control("NISTRMF-GOVERN-1.6") or pytest.fail("unknown")
    assert [each.id for each in control.capabilities] == ["inventory"]
    assert control_map().control("EUAIA-999") is None
    assert control_map().control("nonsense") is None


def test_a_rule_of_another_app_counts_for_the_controls_it_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = control_map()
    with_plugin = Rulebook()
    for rule in rulebook:
        with_plugin.add(rule)
    entry = Entry(
        id="ACME-1",
        title="Ours",
        severity=Severity.LOW,
        gate=Gate.INFO,
        origin="acme",
        when="Always.",
        check="Nothing.",
        fix="Nothing.",
        controls=("EUAIA-9.1", "NO-SUCH"),
    )
    with_plugin.add(Rule(entry=entry, check=lambda facts: PASS, reads=()))
    monkeypatch.setattr(module, "rulebook", with_plugin)

    framework, control = control_map().control("EUAIA-9.1") or pytest.fail("unknown")

    assert control.rules == ("ACME-1",)
    assert framework.digest != before.frameworks["EUAIA"].digest
    assert control_map().frameworks["GDPR"].digest == before.frameworks["GDPR"].digest
