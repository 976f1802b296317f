"""Remedies are copied into a shell or a notebook: names must arrive as they are."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import compliance.rules  # noqa: F401 - registers the rules
from compliance.catalogue import Kind, catalogue, parameters
from compliance.engine import Rule, Verdict, evaluate, rulebook
from compliance.facts import ModelFacts
from compliance.remedies import literal, remedy_for
from inventory.fields import ATTESTABLE
from tests.compliance.faultless import FAULTLESS
from tests.compliance.rule_cases import CASES

GAPS = [rule for rule in rulebook if rule.entry.kind in (Kind.GAP, Kind.MISSING_FIELD)]
# What people attest of a faultless version, and what follows from it.
ATTESTED: dict[str, dict[str, Any]] = {
    name: {name: getattr(FAULTLESS, name)} for name in ATTESTABLE
} | {
    "owner": {"owner": "olga@example.org", "owner_is_weak": False},
    "compliance_approver": {
        "compliance_approver": "olga@example.org",
        "approver_is_member": True,
    },
    "deployment_traffic_percent": {"traffic_declared": True},
    "baseline_ref": {"baseline_ref": "1", "baseline_metrics": {"auc": 0.7}},
    "regulatory_scope": {"regulatory_scope": ("eu_ai_act", "gdpr", "hipaa")},
    "article_6_3_basis": {"article_6_3_basis": "a"},
    "article_6_3_grounds": {"article_6_3_grounds": "A narrow procedural task."},
    "profiles_natural_persons": {"profiles_natural_persons": False},
    "legal_clearance_ref": {"legal_clearance_ref": "LEGAL-1"},
    "transparency_notice": {"transparency_notice": "https://acme.example/ai"},
    "risk_acceptance_ref": {"risk_acceptance_ref": "RISK-3"},
    "decommission_ref": {"decommission_ref": "CHG-8"},
}


def test_a_remedy_is_the_very_call_for_this_model_and_version():
    entry = catalogue().rules["VW-PRIV-001"]
    remedy = remedy_for(entry, model_name="credit-scoring", version_number=3)
    assert remedy.text == "Complete the privacy assessment, and record it."
    assert remedy.code.splitlines()[0] == (
        'client.set_model_version_tag("credit-scoring", "3", '
        '"privacy_assessment_status", "completed")'
    )


def test_a_rule_that_no_call_can_satisfy_has_only_words():
    entry = catalogue().rules["VW-INV-007"]
    assert remedy_for(entry, model_name="credit", version_number=3).code == ""


@pytest.mark.parametrize(
    "name",
    [
        'bob\'s "best" model',
        "back\\slash",
        "{version}",
        '"); import os; os.system("',
        "line\nbreak",
        "right\u202eleft",
    ],
)
def test_a_model_name_cannot_break_out_of_the_call(name):
    code = remedy_for(
        catalogue().rules["VW-INV-001"], model_name=name, version_number=3
    ).code
    (call,) = ast.parse(code).body
    assert ast.literal_eval(call.value.args[0]) == name
    assert "\u202e" not in code
    assert "\n" not in code


@given(st.text())
def test_a_literal_says_what_the_text_is(text):
    assert ast.literal_eval(literal(text)) == text
    assert literal(text).startswith('"')


# What people may attest, where no tag is to be set


def verdict(rule: Rule, facts: ModelFacts) -> Verdict:
    (result,) = evaluate(facts, [rule], parameters())
    return result.verdict


# Where the baseline is another version's, and was not logged by the run itself.
COMPARED = ({"metrics": {"auc": 0.84}}, {"VW-EVAL-002": Verdict.FAIL})


@pytest.mark.parametrize("rule", GAPS, ids=lambda rule: rule.id)
def test_a_gap_leads_to_fields_that_close_it_or_the_catalogue_says_why_not(rule):
    entry = rule.entry
    assert set(entry.fields) <= set(ATTESTABLE)
    assert bool(entry.fields) != bool(entry.beyond)
    if entry.fields:
        failing = [
            replace(FAULTLESS, **fault)
            for fault, moved in (*CASES, COMPARED)
            if moved.get(rule.id) is Verdict.FAIL
        ]
        attested = {}
        for name in entry.fields:
            attested |= ATTESTED[name]
        assert failing
        assert Verdict.PASS in {
            verdict(rule, replace(facts, **attested)) for facts in failing
        }
