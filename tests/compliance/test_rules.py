"""One faultless model, one fault at a time, and no other rule moves."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

import compliance.rules  # noqa: F401 - registers the rules
from compliance.catalogue import Kind, parameters
from compliance.engine import Verdict, evaluate, rulebook
from compliance.facts import ModelFacts
from compliance.rules.lineage import VERSION
from inventory.records import RISK_FIELDS, Section, Stage
from tests.compliance.faultless import ELSEWHERE, FAULTLESS, TRIGGERED, UNTAGGED
from tests.compliance.rule_cases import CASES, NEVER

RULES = tuple(rule for rule in rulebook if rule.entry.kind.judges_versions)
PASS, FAIL = Verdict.PASS, Verdict.FAIL
UNKNOWN, NOT_APPLICABLE = Verdict.UNKNOWN, Verdict.NOT_APPLICABLE
FOUR = (PASS, FAIL, UNKNOWN, NOT_APPLICABLE)

NOBODY: dict[str, Any] = {
    "affected_groups": ("none",),
    "profiles_natural_persons": False,
    "annex_iii_category": None,
    "data_sensitivity": "internal",
}


def verdicts(facts: ModelFacts, **faults: object) -> dict[str, Verdict]:
    results = evaluate(replace(facts, **faults), RULES, parameters())
    return {result.rule.id: result.verdict for result in results}


def details(facts: ModelFacts, **faults: object) -> dict[str, str]:
    results = evaluate(replace(facts, **faults), RULES, parameters())
    return {result.rule.id: result.outcome.detail for result in results}


def test_a_faultless_model_passes_every_rule_that_applies_to_it():
    assert {
        rule_id: verdict
        for rule_id, verdict in verdicts(FAULTLESS).items()
        if verdict is not PASS
    } == dict.fromkeys(TRIGGERED, FAIL) | dict.fromkeys(ELSEWHERE, NOT_APPLICABLE)


@pytest.mark.parametrize(("fault", "moved"), CASES, ids=lambda case: str(case)[:60])
def test_a_fault_moves_the_rules_that_it_concerns_and_no_other(fault, moved):
    assert verdicts(FAULTLESS, **fault) == verdicts(FAULTLESS) | moved


def test_what_a_rule_saw_besides_has_no_name_of_a_fact_that_it_is_shown():
    for fault in ({}, *(fault for fault, _ in CASES)):
        for result in evaluate(replace(FAULTLESS, **fault), RULES, parameters()):
            both = result.outcome.inputs.keys() & set(result.rule.shown)
            assert not both, (fault, result.rule.id)


@pytest.mark.parametrize(("fault", "moved"), CASES, ids=lambda case: str(case)[:60])
def test_only_rules_that_declare_a_fact_are_moved_by_it(fault, moved):
    for rule_id in moved:
        assert set(fault) & set(rulebook[rule_id].reads), rule_id


def test_every_rule_is_seen_in_every_verdict_that_it_gives():
    seen: defaultdict[str, set[Verdict]] = defaultdict(set)
    in_production = replace(UNTAGGED, lifecycle_stage=Stage.PRODUCTION)
    for facts in (FAULTLESS, UNTAGGED, in_production):
        for rule_id, verdict in verdicts(facts).items():
            seen[rule_id].add(verdict)
    for _, moved in CASES:
        for rule_id, verdict in moved.items():
            seen[rule_id].add(verdict)
    for rule in RULES:
        if rule.entry.kind is not Kind.MISSING_FIELD:
            silent = set(NEVER.get(rule.id, ()))
            assert seen[rule.id] == {*FOUR} - silent, rule.id


def test_a_model_without_a_tag_fails_only_what_applies_to_every_version():
    found = verdicts(UNTAGGED)
    assert {rule_id for rule_id, verdict in found.items() if verdict is FAIL} == {
        "VW-INV-001",
        "VW-INV-004",
        "VW-LIN-001",
        "VW-LIN-005",
        "VW-PRIV-002",
        *(f"VW-FIELD-{name.upper()}" for name in RISK_FIELDS),
    }
    assert found["VW-REG-001"] is UNKNOWN
    assert found["VW-FAIR-001"] is UNKNOWN


def test_in_production_it_fails_the_rest_but_undecidable_rules_stay_undecided():
    found = verdicts(UNTAGGED, lifecycle_stage=Stage.PRODUCTION)
    assert {rule_id for rule_id, verdict in found.items() if verdict is UNKNOWN} == {
        "VW-APR-001",
        "VW-APR-002",
        "VW-APR-004",
        "VW-APR-005",
        "VW-APR-006",
        "VW-APR-007",
        "VW-APR-008",
        "VW-APR-009",
        "VW-APR-010",
        "VW-CARD-001",
        "VW-CARD-002",
        "VW-ENV-001",
        "VW-ENV-002",
        "VW-ENV-003",
        "VW-ENV-004",
        "VW-EVAL-002",
        "VW-EVAL-003",
        "VW-EVAL-005",
        "VW-EVAL-006",
        "VW-EVAL-007",
        "VW-FAIR-001",
        "VW-FAIR-002",
        "VW-FAIR-004",
        "VW-INV-005",
        "VW-LIN-002",
        "VW-LIN-008",
        "VW-PRIV-001",
        "VW-PRIV-004",
        "VW-PRIV-006",
        "VW-REG-001",
        "VW-REG-007",
        "VW-REG-008",
        "VW-REG-009",
        "VW-REG-010",
        "VW-REG-011",
    }


@pytest.mark.parametrize("name", RISK_FIELDS)
def test_an_empty_risk_field_is_unknown_while_its_section_is_unread(name):
    rule_id = f"VW-FIELD-{name.upper()}"
    assert verdicts(UNTAGGED)[rule_id] is FAIL
    assert verdicts(UNTAGGED, incomplete={Section.RUN: "403."})[rule_id] is UNKNOWN
    assert verdicts(FAULTLESS, incomplete={Section.RUN: "403."})[rule_id] is PASS


# Fairness needs a declaration that nobody is affected.


def test_fairness_does_not_apply_where_nobody_is_affected():
    found = verdicts(FAULTLESS, **NOBODY, fairness_metrics=None)
    assert found["VW-FAIR-001"] is NOT_APPLICABLE
    assert found["VW-FAIR-002"] is NOT_APPLICABLE


@pytest.mark.parametrize(
    "silence",
    [
        {"affected_groups": None, "profiles_natural_persons": None},
        {"data_sensitivity": ""},
    ],
)
def test_silence_does_not_excuse_from_fairness(silence):
    silent = NOBODY | silence | {"fairness_metrics": None}
    silent["decision_automation"] = "advisory"
    assert verdicts(FAULTLESS, **silent)["VW-FAIR-001"] is UNKNOWN


# Regulatory


@pytest.mark.parametrize(
    "reason",
    [
        {"criticality": "critical"},
        {"data_sensitivity": "financial"},
        {"regulatory_scope": ("hipaa",)},
        {"domain": "Finance"},
        {"financial_impact_usd": 1_000_001},
        {"annex_iii_category": "5b"},
    ],
)
def test_each_condition_of_high_risk_asks_for_the_category(reason):
    harmless = {
        "regulatory_scope": ("none",),
        "data_sensitivity": "public",
        "criticality": "non_critical",
        "financial_impact_usd": 1_000_000,
    }
    assert verdicts(UNTAGGED, **harmless)["VW-REG-001"] is NOT_APPLICABLE
    assert verdicts(UNTAGGED, **(harmless | reason))["VW-REG-001"] is FAIL


@pytest.mark.parametrize(
    "name",
    ["regulatory_scope", "data_sensitivity", "criticality", "financial_impact_usd"],
)
def test_a_missing_input_never_makes_the_risk_low(name):
    harmless = {
        "regulatory_scope": ("none",),
        "data_sensitivity": "public",
        "criticality": "non_critical",
        "financial_impact_usd": 0,
    } | {name: getattr(UNTAGGED, name)}
    assert verdicts(UNTAGGED, **harmless)["VW-REG-001"] is UNKNOWN
    assert name in details(UNTAGGED, **harmless)["VW-REG-001"]


def test_the_sentence_says_which_axis_is_open_and_why():
    told = details(
        FAULTLESS, risk_category="limited", declared_tier=None, criticality=None
    )
    assert told["VW-REG-001"] == (
        "The risk category is “limited”: no risk tier is declared, but its data is "
        "personal, its domain is finance, gdpr is in scope, its financial "
        "impact is above $1,000,000 a year."
    )


# Approval


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({"data_sensitivity": "phi"}, FAIL),
        ({"domain": "healthcare"}, FAIL),
        ({"regulatory_scope": ("sr11_7",)}, FAIL),
        ({}, UNKNOWN),
        ({"data_sensitivity": "public"}, UNKNOWN),
        ({"regulatory_scope": ("none",)}, UNKNOWN),
        (
            {"data_sensitivity": "public", "regulatory_scope": ("none",)},
            NOT_APPLICABLE,
        ),
    ],
)
def test_an_approver_is_needed_in_a_regulated_domain_or_for_personal_data(
    facts, verdict
):
    found = verdicts(UNTAGGED, lifecycle_stage=Stage.STAGING, **facts)
    assert found["VW-APR-004"] is verdict


def test_approvals_that_do_not_exist_yet_say_so():
    told = details(FAULTLESS, approvals_set_up=False)
    assert told["VW-APR-001"] == "Approvals are not set up."


@pytest.mark.parametrize("claim", ["approved", "completed", "rejected", "none"])
@pytest.mark.parametrize("name", ["approval_claim", "fairness_checked_claim"])
def test_a_claim_never_counts_as_what_it_claims(name, claim):
    unproven = replace(FAULTLESS, approved_at=None, fairness_metrics=None)
    assert verdicts(unproven)["VW-APR-001"] is FAIL
    assert verdicts(unproven)["VW-FAIR-001"] is FAIL
    for facts in (FAULTLESS, UNTAGGED, unproven):
        assert verdicts(facts, **{name: claim}) == verdicts(facts)


# Lineage


@pytest.mark.parametrize(
    "reference",
    [
        "applicants@v3",
        "applicants@a1b2c3d4",
        "applicants v12",
        "s3://bucket/v3/train.parquet",
        "3f2a1b9",
        "data_2026-01-31.csv",
        "data_20260131.csv",
        "applicants 1.2",
        "applicants-1.2.0",
        "version=7",
        "sha256:9f86d081884c7d65",
    ],
)
def test_a_dataset_reference_with_a_version_traces_the_data(reference):
    assert VERSION.search(reference)


@pytest.mark.parametrize(
    "reference",
    [
        "adult",
        "credit_data_q3",
        "customers-2024",
        "hdfs://10.0.0.5/data/train.csv",
        "feedbac",
        "conversion-2",
        "live-data",
    ],
)
def test_a_bare_name_does_not(reference):
    assert not VERSION.search(reference)
