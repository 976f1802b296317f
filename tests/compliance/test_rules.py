"""One faultless model, one fault at a time, and no other rule moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import compliance.rules  # noqa: F401 - registers the rules
from compliance.catalogue import parameters
from compliance.engine import Verdict, evaluate, rulebook
from compliance.facts import ModelFacts, SourceFacts
from compliance.rules.lineage import VERSION
from inventory.records import RISK_FIELDS, Redaction, Section, Stage
from tests.compliance.faultless import FAULTLESS, UNTAGGED

RULES = tuple(rule for rule in rulebook if rule.entry.kind.judges_versions)
PASS, FAIL = Verdict.PASS, Verdict.FAIL
UNKNOWN, NOT_APPLICABLE = Verdict.UNKNOWN, Verdict.NOT_APPLICABLE

IN_PRODUCTION_ONLY = (
    "VW-EVAL-001",
    "VW-PRIV-001",
    "VW-SEC-001",
    "VW-REG-002",
    "VW-APR-001",
)
FROM_STAGING_ON = ("VW-INV-003", "VW-LIN-003", "VW-ENV-001", "VW-APR-004")
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


def test_a_faultless_model_passes_every_rule():
    assert set(verdicts(FAULTLESS).values()) == {PASS}


CASES: list[tuple[dict[str, Any], dict[str, Verdict]]] = [
    # Ownership
    ({"owner": ""}, {"VW-INV-001": FAIL}),
    ({"business_purpose": ""}, {"VW-INV-003": FAIL}),
    # Lifecycle
    (
        {"lifecycle_stage": Stage.STAGING},
        dict.fromkeys(IN_PRODUCTION_ONLY, NOT_APPLICABLE),
    ),
    (
        {"lifecycle_stage": Stage.NONE},
        dict.fromkeys((*IN_PRODUCTION_ONLY, *FROM_STAGING_ON), NOT_APPLICABLE),
    ),
    (
        {"lifecycle_stage": Stage.ARCHIVED},
        dict.fromkeys((*IN_PRODUCTION_ONLY, *FROM_STAGING_ON), NOT_APPLICABLE),
    ),
    # Lineage
    ({"source_run_id": ""}, {"VW-LIN-001": FAIL}),
    ({"run_found": False}, {"VW-LIN-001": FAIL}),
    ({"run_deleted": True}, {"VW-LIN-001": FAIL}),
    (
        {"run_found": False, "incomplete": {Section.RUN: "403 Forbidden."}},
        {
            "VW-LIN-001": UNKNOWN,
            "VW-OPS-001": FAIL,
            "VW-SEC-003": UNKNOWN,
            "VW-PRIV-005": UNKNOWN,
        },
    ),
    ({"code_commit": ""}, {"VW-LIN-003": FAIL}),
    ({"code_commit": "HEAD"}, {"VW-LIN-003": FAIL}),
    ({"code_commit": "3f2a1b"}, {"VW-LIN-003": FAIL}),
    ({"code_commit": "3f2a1b9c" * 5 + "0"}, {"VW-LIN-003": FAIL}),
    ({"code_commit": "3F2A1B9"}, {}),
    ({"dataset_inputs": ()}, {}),
    ({"dataset_reference": ""}, {}),
    ({"dataset_inputs": (), "dataset_reference": ""}, {"VW-LIN-005": FAIL}),
    ({"dataset_inputs": (), "dataset_reference": "adult"}, {"VW-LIN-005": FAIL}),
    (
        {
            "dataset_inputs": ({"digest": "a1b2c3d4", "context": "evaluation"},),
            "dataset_reference": "",
        },
        {"VW-LIN-005": FAIL},
    ),
    ({"dataset_inputs": ({"digest": "a1b2"},), "dataset_reference": ""}, {}),
    # Environment
    ({"runtime_environment": {}}, {}),
    ({"artifact_manifest": ()}, {}),
    (
        {"runtime_environment": {}, "artifact_manifest": ({"path": "model.skops"},)},
        {"VW-ENV-001": FAIL},
    ),
    (
        {
            "runtime_environment": {},
            "artifact_manifest": ({"path": "model/requirements.txt"},),
        },
        {},
    ),
    (
        {
            "runtime_environment": {},
            "artifact_manifest": (),
            "incomplete": {Section.ARTIFACTS: "500 Internal Server Error."},
        },
        {"VW-ENV-001": UNKNOWN, "VW-OPS-001": FAIL},
    ),
    (
        {
            "runtime_environment": {"image": "registry/credit@sha256:9f86"},
            "artifact_manifest": (),
        },
        {},
    ),
    (
        {
            "runtime_environment": {},
            "artifact_manifest": (),
            "artifacts_read": False,
        },
        {"VW-ENV-001": UNKNOWN},
    ),
    # Evaluation
    ({"metrics": {}}, {"VW-EVAL-001": FAIL}),
    ({"metrics": {"system/cpu_utilization": 3.0}}, {"VW-EVAL-001": FAIL}),
    ({"metrics": {"baseline_auc": 0.9}}, {"VW-EVAL-001": FAIL}),
    ({"baseline_ref": None}, {"VW-EVAL-001": FAIL}),
    ({"baseline_ref": None, "previous_approved_version": 2}, {}),
    ({"baseline_ref": None, "metrics": {"auc": 0.9, "baseline_auc": 0.8}}, {}),
    # Fairness
    ({"fairness_metrics": None}, {"VW-FAIR-001": FAIL, "VW-FAIR-002": UNKNOWN}),
    (
        {"fairness_metrics": {"equalized_odds_difference": 0.2}},
        {"VW-FAIR-002": UNKNOWN},
    ),
    ({"fairness_metrics": {"demographic_parity_ratio": 0.9}}, {"VW-FAIR-002": UNKNOWN}),
    ({"fairness_metrics": {"demographic_parity_difference": 0.0999}}, {}),
    (
        {"fairness_metrics": {"demographic_parity_difference": 0.1}},
        {"VW-FAIR-002": FAIL},
    ),
    (
        {"fairness_metrics": {"demographic_parity_diff_sex": -0.2, "dpd": 0.01}},
        {"VW-FAIR-002": FAIL},
    ),
    # Privacy
    (
        {"data_sensitivity": ""},
        {
            "VW-PRIV-001": UNKNOWN,
            "VW-PRIV-002": FAIL,
            "VW-FIELD-DATA_SENSITIVITY": FAIL,
        },
    ),
    (
        {"data_sensitivity": "top secret"},
        {"VW-PRIV-001": UNKNOWN, "VW-PRIV-002": FAIL},
    ),
    ({"data_sensitivity": "internal"}, {"VW-PRIV-001": NOT_APPLICABLE}),
    ({"data_sensitivity": "phi"}, {}),
    (
        {"privacy_assessment_status": ""},
        {"VW-PRIV-001": FAIL, "VW-FIELD-PRIVACY_ASSESSMENT_STATUS": FAIL},
    ),
    ({"privacy_assessment_status": "in progress"}, {"VW-PRIV-001": FAIL}),
    ({"privacy_assessment_status": "Approved"}, {}),
    (
        {"redactions": (Redaction("run tag", "contact", "IBAN", is_secret=False),)},
        {"VW-PRIV-005": FAIL},
    ),
    # Security
    (
        {"redactions": (Redaction("run tag", "key", "AWS key", is_secret=True),)},
        {"VW-SEC-003": FAIL},
    ),
    (
        {"security_assessment_version": ""},
        {"VW-SEC-001": FAIL, "VW-FIELD-SECURITY_ASSESSMENT_VERSION": FAIL},
    ),
    # Regulatory
    ({"declared_tier": None}, {"VW-REG-001": FAIL}),
    ({"declared_ai_act_class": None}, {"VW-REG-001": FAIL}),
    ({"declared_ai_act_class": "maybe"}, {"VW-REG-001": FAIL}),
    ({"risk_category": ""}, {"VW-FIELD-RISK_CATEGORY": FAIL}),
    (
        {"regulatory_scope": ()},
        {"VW-REG-002": FAIL, "VW-FIELD-REGULATORY_SCOPE": FAIL},
    ),
    # The AI Act is its own axis: it does not ask for a tier, nor a tier for a class.
    (
        {
            "regulatory_scope": ("eu_ai_act",),
            "annex_iii_category": None,
            "data_sensitivity": "public",
            "criticality": "non_critical",
            "domain": "retail",
            "financial_impact_usd": 0,
            "declared_tier": None,
        },
        {"VW-PRIV-001": NOT_APPLICABLE},
    ),
    (
        {
            "regulatory_scope": ("gdpr",),
            "annex_iii_category": None,
            "declared_ai_act_class": None,
        },
        {},
    ),
    # Approval
    ({"approvals_set_up": False}, {"VW-APR-001": UNKNOWN}),
    ({"approved_at": None}, {"VW-APR-001": FAIL}),
    ({"approved_at": datetime(2026, 1, 3, tzinfo=UTC)}, {"VW-APR-001": FAIL}),
    ({"production_since": None}, {}),
    (
        {"compliance_approver": ""},
        {"VW-APR-004": FAIL, "VW-FIELD-COMPLIANCE_APPROVER": FAIL},
    ),
    ({"approver_is_member": False}, {"VW-APR-004": FAIL}),
    ({"approver_is_member": None}, {"VW-APR-004": UNKNOWN}),
    # Operations
    (
        {"incomplete": {Section.EXPERIMENT: "404 Not Found."}},
        {"VW-OPS-001": FAIL, "VW-SEC-003": UNKNOWN, "VW-PRIV-005": UNKNOWN},
    ),
]


@pytest.mark.parametrize(("fault", "moved"), CASES, ids=lambda case: str(case)[:60])
def test_a_fault_moves_the_rules_that_it_concerns_and_no_other(fault, moved):
    assert verdicts(FAULTLESS, **fault) == verdicts(FAULTLESS) | moved


@pytest.mark.parametrize(("fault", "moved"), CASES, ids=lambda case: str(case)[:60])
def test_only_rules_that_declare_a_fact_are_moved_by_it(fault, moved):
    for rule_id in moved:
        assert set(fault) & set(rulebook[rule_id].reads), rule_id


def test_every_rule_is_seen_to_fail():
    failed = {
        rule_id
        for _, moved in CASES
        for rule_id, verdict in moved.items()
        if verdict is FAIL
    }
    assert failed == {rule.id for rule in RULES}


def test_a_model_without_a_tag_fails_only_what_applies_to_every_version():
    found = verdicts(UNTAGGED)
    assert {rule_id for rule_id, verdict in found.items() if verdict is FAIL} == {
        "VW-INV-001",
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
        "VW-ENV-001",
        "VW-PRIV-001",
        "VW-FAIR-001",
        "VW-FAIR-002",
        "VW-REG-001",
        "VW-APR-001",
        "VW-APR-004",
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


# Operations: the rule about sources

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
SOURCE = SourceFacts(
    source_id=1,
    name="Production MLflow",
    now=NOW,
    added_at=NOW - timedelta(days=30),
    last_synced_at=NOW - timedelta(hours=1),
    sync_interval=timedelta(hours=1),
)


@pytest.mark.parametrize(
    ("facts", "verdict", "detail"),
    [
        ({}, PASS, ""),
        ({"last_synced_at": NOW - timedelta(hours=2)}, PASS, ""),
        (
            {"last_synced_at": NOW - timedelta(hours=2, seconds=1)},
            FAIL,
            "The last successful sync ended 2026-01-10 09:59 UTC, more than 2 intervals "
            "ago.",
        ),
        ({"last_synced_at": None}, FAIL, "No sync has ever succeeded."),
        (
            {"last_synced_at": None, "added_at": NOW},
            UNKNOWN,
            "No sync has succeeded yet.",
        ),
        (
            {"sync_interval": None},
            NOT_APPLICABLE,
            "The source is not synchronized by schedule.",
        ),
    ],
)
def test_a_stale_sync_is_told_once_for_its_source(facts, verdict, detail):
    (result,) = evaluate(
        replace(SOURCE, **facts), [rulebook["VW-OPS-002"]], parameters()
    )
    assert (result.verdict, result.outcome.detail) == (verdict, detail)
