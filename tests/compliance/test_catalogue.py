"""The catalogue is whole: every rule is in a pack, and everything named exists."""

from __future__ import annotations

import ast
import re

import pytest

from compliance.catalogue import (
    Kind,
    catalogue,
    control_data,
    evidenced_by,
    parameters,
)
from compliance.exceptions import ParameterError
from compliance.remedies import remedy_for
from inventory.records import RISK_FIELDS

RULES = list(catalogue().rules.values())
STARTER = 20
PLACEHOLDER = re.compile(r"^<.+>$")


def test_there_are_72_rules_and_20_of_them_start():
    assert len(RULES) == 72
    assert len(catalogue().packs["starter"].rules) == STARTER


@pytest.mark.parametrize("entry", RULES, ids=lambda entry: entry.id)
def test_an_entry_is_whole(entry):
    assert re.fullmatch(r"VW-[A-Z]+-\d{3}", entry.id)
    assert entry.packs, "every rule is in a pack"
    assert entry.controls
    assert set(entry.controls) <= set(control_data()["controls"])
    for sentence in (entry.when, entry.check, entry.fix):
        assert sentence[0].isupper()
        assert sentence.endswith(".")


@pytest.mark.parametrize("entry", RULES, ids=lambda entry: entry.id)
def test_the_code_of_a_remedy_is_python_once_people_have_filled_it_in(entry):
    code = remedy_for(entry, model_name="credit", version_number=3).code
    ast.parse(code.replace("mlflow.<flavor>", "mlflow.sklearn"))


def test_no_rule_is_twice_in_a_pack():
    for pack in catalogue().packs.values():
        assert len(set(pack.rules)) == len(pack.rules), pack.name


def test_triggers_and_processes_are_of_the_approval():
    kinds = {entry.id: entry.kind for entry in RULES if entry.kind is not Kind.GAP}
    assert kinds.pop("VW-SEC-004") is Kind.TRACKING_SERVER
    assert kinds.pop("VW-OPS-002") is Kind.TRACKING_SERVER
    assert {rule_id.split("-")[1] for rule_id in kinds} == {"APR", "EVAL"}


def test_every_field_of_the_risk_group_has_a_value_to_set():
    assert tuple(catalogue().fields) == RISK_FIELDS


def test_a_field_names_the_controls_that_it_evidences():
    assert evidenced_by("privacy_assessment_status") == (
        "GDPR-35.1",
        "NISTRMF-MEASURE-2.10",
    )
    assert evidenced_by("description") == ()


def test_an_organization_may_set_its_own_thresholds():
    own = parameters({"demographic_parity_max": 0.05})
    assert own["demographic_parity_max"] == 0.05
    assert own["sync_stale_factor"] == parameters()["sync_stale_factor"] == 2


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"parity": 0.05}, "There is no parameter parity."),
        (
            {"sync_stale_factor": "2"},
            "The parameter sync_stale_factor is not a number: '2'.",
        ),
        (
            {"sync_stale_factor": True},
            "The parameter sync_stale_factor is not a number: True.",
        ),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused_by_name(own, message):
    with pytest.raises(ParameterError) as refusal:
        parameters(own)
    assert str(refusal.value) == message
