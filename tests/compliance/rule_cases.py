"""What moves which rule: faults of the faultless model, and the verdicts that change.

A fault is a change of facts; every rule that is not named keeps its verdict.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from compliance.engine import Verdict
from inventory.records import Redaction, Section, Stage
from tests.compliance.faultless import FAULTLESS

METRICS = dict(FAULTLESS.metrics)
TEXTUAL = {
    "inputs": [{"name": "income", "type": "string"}],
    "outputs": [{"type": "double"}],
}
UNREAD = {Section.VERSION: "500 Internal Server Error."}
# Nobody is affected, nothing is regulated, and little is at stake.
HARMLESS: dict[str, Any] = {
    "affected_groups": ("none",),
    "profiles_natural_persons": False,
    "annex_iii_category": "none",
    "data_sensitivity": "internal",
    "declared_ai_act_class": "minimal",
    "regulatory_scope": ("none",),
    "criticality": "non_critical",
    "domain": "retail",
    "financial_impact_usd": 0,
    "customer_facing": False,
}


def moved(
    *, passes: str = "", fails: str = "", unknown: str = "", not_applicable: str = ""
) -> dict[str, Verdict]:
    """Name the rules that change, without the VW- that they all begin with."""
    verdicts = {
        Verdict.PASS: passes,
        Verdict.FAIL: fails,
        Verdict.UNKNOWN: unknown,
        Verdict.NOT_APPLICABLE: not_applicable,
    }
    return {
        f"VW-{rule}": verdict
        for verdict, rules in verdicts.items()
        for rule in rules.split()
    }


CASES: list[tuple[dict[str, Any], dict[str, Verdict]]] = [
    # Ownership
    ({"owner": ""}, moved(fails="INV-001 REG-008", not_applicable="INV-002")),
    ({"business_purpose": ""}, moved(fails="INV-003 REG-008")),
    ({"owner": "svc-train@example.org"}, moved(fails="INV-002")),
    ({"owner_is_weak": True}, moved(fails="INV-002")),
    ({"description": ""}, moved(fails="INV-004 REG-008")),
    ({"description": "Credit-Scoring"}, moved(fails="INV-004")),
    ({"description": "Ranks applications."}, moved(fails="INV-004")),
    ({"intended_use": None}, moved(fails="INV-005 REG-008")),
    ({"limitations": None}, moved(fails="INV-005 REG-008")),
    ({"champions": 0}, moved(fails="INV-006")),
    ({"champions": 2}, moved(fails="INV-006")),
    ({"champions": 2, "traffic_declared": True}, moved()),
    ({"production_versions": 1}, moved(not_applicable="INV-006")),
    ({"next_review_due": "2026-01-09"}, moved(fails="INV-007")),
    ({"next_review_due": "2026-01-10"}, moved()),
    ({"next_review_due": "soon"}, moved(unknown="INV-007")),
    ({"next_review_due": None}, moved(not_applicable="INV-007")),
    (
        {"lifecycle_stage": Stage.ARCHIVED, "aliases": ("best",)},
        moved(
            not_applicable="INV-003 INV-005 INV-006 INV-007 LIN-002 LIN-003 ENV-001 ENV-004 EVAL-001 EVAL-005 PRIV-001 PRIV-003 SEC-001 REG-002 REG-011 APR-001 APR-004",
            passes="INV-008",
        ),
    ),
    ({"deployment_status": "archived"}, moved(fails="INV-008")),
    # Lifecycle
    (
        {"lifecycle_stage": Stage.STAGING},
        moved(
            not_applicable="INV-005 INV-006 INV-007 EVAL-001 EVAL-005 PRIV-001 PRIV-003 SEC-001 REG-002 REG-011 APR-001"
        ),
    ),
    (
        {"lifecycle_stage": Stage.NONE},
        moved(
            not_applicable="INV-003 INV-005 INV-006 INV-007 LIN-002 LIN-003 ENV-001 ENV-004 EVAL-001 EVAL-005 PRIV-001 PRIV-003 SEC-001 REG-002 REG-011 APR-001 APR-004"
        ),
    ),
    (
        {"lifecycle_stage": Stage.ARCHIVED},
        moved(
            not_applicable="INV-003 INV-005 INV-006 INV-007 LIN-002 LIN-003 ENV-001 ENV-004 EVAL-001 EVAL-005 PRIV-001 PRIV-003 SEC-001 REG-002 REG-011 APR-001 APR-004",
            fails="INV-008",
        ),
    ),
    # Lineage
    ({"source_run_id": ""}, moved(fails="LIN-001 LIN-009 REG-008")),
    ({"run_found": False}, moved(fails="LIN-001", not_applicable="LIN-002")),
    ({"run_deleted": True}, moved(fails="LIN-001")),
    (
        {"run_found": False, "incomplete": {Section.RUN: "403 Forbidden."}},
        moved(
            unknown="LIN-001 PRIV-005 SEC-003",
            not_applicable="LIN-002",
            fails="OPS-001",
        ),
    ),
    ({"code_commit": ""}, moved(fails="LIN-003 REG-008", not_applicable="LIN-004")),
    ({"code_commit": "HEAD"}, moved(fails="LIN-003")),
    ({"code_commit": "3f2a1b"}, moved(fails="LIN-003")),
    ({"code_commit": "3f2a1b9c" * 5 + "0"}, moved(fails="LIN-003")),
    ({"code_commit": "3F2A1B9"}, moved()),
    ({"dataset_inputs": ()}, moved(not_applicable="LIN-006")),
    ({"dataset_reference": ""}, moved(fails="REG-008")),
    (
        {"dataset_inputs": (), "dataset_reference": ""},
        moved(fails="LIN-005 REG-008", not_applicable="LIN-006"),
    ),
    (
        {"dataset_inputs": (), "dataset_reference": "adult"},
        moved(fails="LIN-005", not_applicable="LIN-006"),
    ),
    (
        {
            "dataset_inputs": ({"digest": "a1b2c3d4", "context": "evaluation"},),
            "dataset_reference": "",
        },
        moved(fails="LIN-005 REG-008", not_applicable="LIN-006"),
    ),
    (
        {"dataset_inputs": ({"digest": "a1b2"},), "dataset_reference": ""},
        moved(not_applicable="LIN-006", fails="REG-008"),
    ),
    ({"training_status": "RUNNING"}, moved(fails="LIN-002")),
    ({"training_status": ""}, moved(unknown="LIN-002")),
    ({"code_dirty": True}, moved(fails="LIN-004")),
    ({"code_dirty": None}, moved(unknown="LIN-004")),
    (
        {
            "dataset_inputs": (
                {"digest": "a1", "context": "training"},
                {"digest": "a1", "context": "test"},
            )
        },
        moved(fails="LIN-006"),
    ),
    ({"license": None}, moved(fails="LIN-007")),
    ({"base_model": None, "license": None}, moved(not_applicable="LIN-007")),
    (
        {"base_model": None, "license": None, "flavors": ("transformers",)},
        moved(fails="LIN-007"),
    ),
    (
        {"base_model": None, "license": None, "tags": {"method": "LoRA"}},
        moved(fails="LIN-007"),
    ),
    (
        {"approved_files": {"conda.yaml": "c1", "model.skops": "other"}},
        moved(fails="LIN-008"),
    ),
    ({"approved_files": {"conda.yaml": "c1"}}, moved(fails="LIN-008")),
    (
        {
            "artifact_manifest": (
                {"path": "conda.yaml", "sha256": "c1"},
                {"path": "model.skops"},
            )
        },
        moved(unknown="LIN-008"),
    ),
    (
        {
            "artifact_manifest": (
                {"path": "conda.yaml", "sha256": "c1"},
                {"path": "model.skops", "sha256": "c2", "changed": {"sha256": "c3"}},
            )
        },
        moved(fails="LIN-008"),
    ),
    ({"evidence_files": ()}, moved(not_applicable="LIN-009", fails="EVAL-005")),
    # Environment
    ({"runtime_environment": {}}, moved(not_applicable="ENV-002", fails="REG-008")),
    ({"artifact_manifest": ()}, moved(fails="LIN-008", not_applicable="ENV-003")),
    (
        {"runtime_environment": {}, "artifact_manifest": ({"path": "model.skops"},)},
        moved(fails="LIN-008 ENV-001 REG-008", not_applicable="ENV-002"),
    ),
    (
        {
            "runtime_environment": {},
            "artifact_manifest": ({"path": "model/requirements.txt"},),
        },
        moved(fails="LIN-008 REG-008", not_applicable="ENV-002"),
    ),
    (
        {
            "runtime_environment": {},
            "artifact_manifest": (),
            "incomplete": {Section.ARTIFACTS: "500 Internal Server Error."},
        },
        moved(
            fails="LIN-008 REG-008 OPS-001",
            unknown="ENV-001",
            not_applicable="ENV-002 ENV-003",
        ),
    ),
    (
        {
            "runtime_environment": {"image": "registry/credit@sha256:9f86"},
            "artifact_manifest": (),
        },
        moved(fails="LIN-008", not_applicable="ENV-002 ENV-003"),
    ),
    (
        {"runtime_environment": {}, "artifact_manifest": (), "artifacts_read": False},
        moved(fails="LIN-008 REG-008", unknown="ENV-001 ENV-002 ENV-003"),
    ),
    (
        {
            "runtime_environment": {
                "files": ["conda.yaml"],
                "packages": [{"name": "pandas"}, {"name": "build", "scope": "build"}],
            }
        },
        moved(fails="ENV-002"),
    ),
    (
        {
            "artifact_manifest": (
                {
                    "path": "model.pkl",
                    "sha256": "c2",
                    "unsafe": True,
                    "format": "pickle",
                },
            ),
            "approved_files": {"model.pkl": "c2"},
        },
        moved(fails="ENV-003"),
    ),
    (
        {
            "artifact_manifest": (
                {
                    "path": "model.pkl",
                    "sha256": "c2",
                    "unsafe": True,
                    "format": "pickle",
                },
            ),
            "approved_files": {"model.pkl": "c2"},
            "risk_acceptance_ref": "RISK-3",
        },
        moved(),
    ),
    ({"signature": {}}, moved(fails="ENV-004")),
    (
        {"signature": {}, "artifacts_read": False},
        moved(unknown="ENV-002 ENV-003 ENV-004"),
    ),
    ({"schema_validation_status": "failed"}, moved(fails="ENV-004")),
    ({"schema_validation_status": None}, moved()),
    (
        {"schema_validation_status": None, "serving_signature": {}},
        moved(fails="ENV-004"),
    ),
    (
        {"schema_validation_status": None, "serving_signature": TEXTUAL},
        moved(fails="ENV-004"),
    ),
    # Evaluation
    (
        {"metrics": {}},
        moved(fails="EVAL-001 EVAL-007 FAIR-004 REG-008", unknown="EVAL-002 EVAL-003"),
    ),
    (
        {"metrics": {"system/cpu_utilization": 3.0}},
        moved(fails="EVAL-001 EVAL-007 FAIR-004", unknown="EVAL-002 EVAL-003"),
    ),
    (
        {"metrics": {"baseline_auc": 0.9}},
        moved(fails="EVAL-001 EVAL-007 FAIR-004", unknown="EVAL-002 EVAL-003"),
    ),
    ({"baseline_ref": None}, moved()),
    ({"baseline_ref": None, "previous_approved_version": 2}, moved()),
    (
        {"baseline_ref": None, "metrics": {"auc": 0.9, "baseline_auc": 0.8}},
        moved(fails="EVAL-003 EVAL-007 FAIR-004"),
    ),
    (
        {
            "baseline_ref": None,
            "previous_approved_version": None,
            "metrics": {"auc": 0.91},
        },
        moved(fails="EVAL-001 EVAL-007 FAIR-004 APR-005"),
    ),
    (
        {"baseline_ref": "baseline_auc=0.8", "metrics": {"auc": 0.91}},
        moved(fails="EVAL-003 EVAL-007 FAIR-004"),
    ),
    ({"metrics": METRICS | {"auc": 0.86}}, moved()),
    ({"metrics": METRICS | {"auc": 0.855}}, moved()),
    ({"metrics": METRICS | {"auc": 0.84}}, moved(fails="EVAL-002")),
    ({"metrics": METRICS | {"auc": 0.995}}, moved(fails="EVAL-003")),
    ({"metrics": METRICS | {"baseline_auc": 0}}, moved(fails="EVAL-003")),
    ({"greater_is_better": False}, moved()),
    ({"greater_is_better": None}, moved()),
    (
        {"primary_metric": None},
        moved(unknown="EVAL-002 EVAL-003 FAIR-004", fails="EVAL-006 REG-008"),
    ),
    ({"primary_metric": "lift"}, moved(unknown="EVAL-002 EVAL-003", fails="FAIR-004")),
    ({"unit_tests_pass_rate": 0.99}, moved(fails="EVAL-004")),
    ({"unit_tests_pass_rate": None}, moved(fails="EVAL-004")),
    (
        {"unit_tests_pass_rate": None, "incomplete": {Section.RUN: "403 Forbidden."}},
        moved(unknown="EVAL-004 PRIV-005 SEC-003", fails="OPS-001"),
    ),
    (
        {"evidence_files": (), "artifacts_read": False},
        moved(not_applicable="LIN-009", unknown="ENV-002 ENV-003 EVAL-005"),
    ),
    ({"decision_threshold": None}, moved(fails="EVAL-006")),
    (
        {
            "metrics": {
                "auc": 0.91,
                "auc_women": 0.9,
                "auc_men": 0.9,
                "baseline_auc": 0.9,
            }
        },
        moved(fails="EVAL-007"),
    ),
    (
        {
            "metrics": {
                "auc": 0.91,
                "auc_test": 0.9,
                "auc_men": 0.9,
                "baseline_auc": 0.9,
                "robustness": 1,
            }
        },
        moved(fails="FAIR-004"),
    ),
    # Fairness
    (
        {"fairness_metrics": None},
        moved(fails="FAIR-001 REG-008", unknown="FAIR-002", not_applicable="FAIR-003"),
    ),
    (
        {"fairness_metrics": {"equalized_odds_difference": 0.2}},
        moved(unknown="FAIR-002", not_applicable="FAIR-003"),
    ),
    (
        {"fairness_metrics": {"demographic_parity_ratio": 0.9}},
        moved(unknown="FAIR-002", not_applicable="FAIR-003"),
    ),
    (
        {"fairness_metrics": {"demographic_parity_difference": 0.0999}},
        moved(not_applicable="FAIR-003"),
    ),
    (
        {"fairness_metrics": {"demographic_parity_difference": 0.1}},
        moved(fails="FAIR-002", not_applicable="FAIR-003"),
    ),
    (
        {"fairness_metrics": {"demographic_parity_diff_sex": -0.2, "dpd": 0.01}},
        moved(fails="FAIR-002", not_applicable="FAIR-003"),
    ),
    (
        {
            "fairness_metrics": {
                "demographic_parity_difference": 0.04,
                "disparate_impact": 0.79,
            }
        },
        moved(fails="FAIR-003"),
    ),
    (
        {
            "fairness_metrics": {
                "demographic_parity_difference": 0.04,
                "disparate_impact": 1.3,
            }
        },
        moved(fails="FAIR-003"),
    ),
    # Privacy
    (
        {"data_sensitivity": ""},
        moved(
            unknown="PRIV-001 PRIV-004 APR-006",
            fails="PRIV-002 REG-008 FIELD-DATA_SENSITIVITY",
            not_applicable="PRIV-003",
        ),
    ),
    (
        {"data_sensitivity": "top secret"},
        moved(
            unknown="PRIV-001 PRIV-004 APR-006",
            fails="PRIV-002",
            not_applicable="PRIV-003",
        ),
    ),
    (
        {"data_sensitivity": "internal"},
        moved(not_applicable="PRIV-001 PRIV-003", passes="APR-006"),
    ),
    ({"data_sensitivity": "phi"}, moved(fails="PRIV-004")),
    (
        {"privacy_assessment_status": ""},
        moved(
            fails="PRIV-001 FIELD-PRIVACY_ASSESSMENT_STATUS", not_applicable="PRIV-003"
        ),
    ),
    (
        {"privacy_assessment_status": "in progress"},
        moved(fails="PRIV-001", not_applicable="PRIV-003"),
    ),
    ({"privacy_assessment_status": "Approved"}, moved()),
    (
        {"redactions": (Redaction("run tag", "contact", "IBAN", is_secret=False),)},
        moved(fails="PRIV-005"),
    ),
    ({"dpia_date": None}, moved(fails="PRIV-003")),
    ({"dpia_date": "2025-10-31"}, moved(fails="PRIV-003")),
    (
        {"dpia_date": "2025-01-09", "purpose_or_data_since": None},
        moved(fails="PRIV-003"),
    ),
    ({"dpia_date": "2025-01-10", "purpose_or_data_since": None}, moved()),
    ({"dpia_date": "last spring"}, moved(unknown="PRIV-003")),
    (
        {"data_sensitivity": "phi", "regulatory_scope": ("eu_ai_act", "hipaa")},
        moved(passes="PRIV-004"),
    ),
    ({"human_oversight_ref": None}, moved(fails="PRIV-006 REG-007 REG-008")),
    ({"explanation_ref": None}, moved(fails="PRIV-006")),
    (
        {
            "explanation_ref": None,
            "evidence_files": (
                {"path": "shap.png", "kind": "explanation"},
                {"path": "report.pdf", "kind": "evaluation report"},
            ),
        },
        moved(),
    ),
    ({"explanation_ref": None, "decision_automation": None}, moved(unknown="PRIV-006")),
    (
        {"explanation_ref": None, "decision_automation": "advisory"},
        moved(not_applicable="PRIV-006"),
    ),
    # Security
    (
        {"redactions": (Redaction("run tag", "key", "AWS key", is_secret=True),)},
        moved(fails="SEC-003"),
    ),
    (
        {"security_assessment_version": ""},
        moved(fails="SEC-001 REG-008 FIELD-SECURITY_ASSESSMENT_VERSION"),
    ),
    ({"security_scan_status": None}, moved(fails="SEC-002")),
    ({"security_scan_status": "failed"}, moved(fails="SEC-002")),
    ({"security_vulnerabilities": 1}, moved(fails="SEC-002")),
    ({"security_vulnerabilities": None}, moved()),
    ({"security_scan_date": "2025-11-30"}, moved(fails="SEC-002")),
    ({"security_scan_date": "yesterday"}, moved(unknown="SEC-002")),
    ({"security_scan_date": None}, moved()),
    # Regulatory
    ({"declared_tier": None}, moved(fails="REG-001")),
    ({"declared_ai_act_class": None}, moved(fails="REG-001")),
    ({"declared_ai_act_class": "maybe"}, moved(fails="REG-001")),
    ({"risk_category": ""}, moved(fails="REG-008 FIELD-RISK_CATEGORY")),
    ({"regulatory_scope": ()}, moved(fails="REG-002 REG-008 FIELD-REGULATORY_SCOPE")),
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
        moved(
            not_applicable="PRIV-001 PRIV-003 REG-010 CARD-001",
            unknown="REG-003",
            fails="REG-004",
            passes="APR-006 APR-007",
        ),
    ),
    (
        {
            "regulatory_scope": ("gdpr",),
            "annex_iii_category": None,
            "declared_ai_act_class": None,
        },
        moved(
            not_applicable="EVAL-006 FAIR-004 REG-007 REG-008 REG-009 REG-010 REG-011",
            fails="REG-004",
        ),
    ),
    ({"declared_tier": "low"}, moved(fails="REG-003")),
    ({"declared_tier": "low", "override_signed": True}, moved()),
    ({"declared_ai_act_class": "limited"}, moved(fails="REG-003 REG-005")),
    (
        {
            "declared_ai_act_class": "limited",
            "article_6_3_basis": "a",
            "article_6_3_grounds": "A narrow task.",
            "profiles_natural_persons": False,
        },
        moved(
            not_applicable="EVAL-006 FAIR-004 REG-007 REG-008 REG-009 REG-011",
            passes="REG-005",
        ),
    ),
    (
        {"article_6_3_basis": "a", "article_6_3_grounds": "A narrow task."},
        moved(fails="REG-005"),
    ),
    (
        {"annex_iii_category": None, "incomplete": {Section.RUN: "403 Forbidden."}},
        moved(
            unknown="PRIV-005 SEC-003 REG-004",
            not_applicable="REG-010",
            fails="OPS-001",
        ),
    ),
    ({"annex_iii_category": "none"}, moved(not_applicable="REG-010")),
    (
        {
            "declared_ai_act_class": None,
            "annex_iii_category": None,
            "regulatory_scope": ("eu_ai_act",),
            "human_oversight_ref": None,
            "monitoring_plan_ref": None,
            "decision_threshold": None,
        },
        moved(
            unknown="EVAL-006 REG-007 REG-008 REG-011",
            fails="PRIV-006 REG-001 REG-004",
            not_applicable="REG-010",
        ),
    ),
    ({"business_purpose": "Social scoring of tenants"}, moved(fails="REG-006")),
    (
        {
            "business_purpose": "Social scoring of tenants",
            "legal_clearance_ref": "COUNSEL-2",
        },
        moved(passes="REG-006"),
    ),
    ({"operator_role": "deployer"}, moved(not_applicable="REG-008 REG-009")),
    ({"operator_role": "provider"}, moved(not_applicable="REG-010")),
    (
        {"operator_role": None, "declaration_ref": None, "fria_ref": None},
        moved(unknown="REG-008 REG-009 REG-010"),
    ),
    ({"annex_iii_category": "2"}, moved(not_applicable="REG-009 REG-010")),
    ({"predetermined_changes_ref": None}, moved(fails="REG-008")),
    ({"predetermined_changes_ref": None, "annex_iv_not_applicable": ("2.f",)}, moved()),
    ({"declaration_ref": None}, moved(fails="REG-008 REG-009")),
    ({"eu_database_id": None}, moved(fails="REG-009")),
    ({"fria_ref": None}, moved(fails="REG-010")),
    ({"fria_date": "2026-01-03"}, moved(fails="REG-010")),
    ({"fria_date": "2026-01-03", "production_since": None}, moved()),
    ({"fria_date": "Q4"}, moved(unknown="REG-010")),
    ({"monitoring_plan_ref": None}, moved(fails="REG-008 REG-011")),
    ({"model_type": "chatbot", "approved_types": ("chatbot",)}, moved(fails="REG-012")),
    (
        {
            "model_type": "chatbot",
            "approved_types": ("chatbot",),
            "transparency_notice": "https://example.org/ai",
        },
        moved(passes="REG-012"),
    ),
    (
        {"flavors": ("openai",), "regulatory_scope": ()},
        moved(fails="REG-002 REG-008 FIELD-REGULATORY_SCOPE", unknown="REG-012"),
    ),
    ({"flavors": ("openai",), "regulatory_scope": ("gdpr",)}, moved()),
    # Approval
    ({"approvals_set_up": False}, moved(unknown="LIN-008 APR-001 APR-002 APR-005")),
    ({"approved_at": None}, moved(not_applicable="LIN-008 APR-002", fails="APR-001")),
    ({"approved_at": datetime(2026, 1, 3, tzinfo=UTC)}, moved(fails="APR-001")),
    ({"production_since": None}, moved()),
    ({"compliance_approver": ""}, moved(fails="APR-004 FIELD-COMPLIANCE_APPROVER")),
    ({"approver_is_member": False}, moved(fails="APR-004")),
    ({"approver_is_member": None}, moved(unknown="APR-004")),
    ({"approved_digest": "m0"}, moved(fails="APR-002")),
    ({"previous_approved_version": None}, moved(fails="APR-005")),
    ({"approved_types": ("regressor",)}, moved(fails="APR-005")),
    ({"financial_impact_usd": None}, moved(unknown="APR-007")),
    ({"financial_impact_usd": 1_000_000}, moved(passes="APR-007")),
    ({"domain": "retail", "regulatory_scope": ("none",)}, moved(passes="APR-008")),
    (
        {"domain": "retail", "regulatory_scope": ()},
        moved(fails="REG-002 REG-008 FIELD-REGULATORY_SCOPE", unknown="APR-008"),
    ),
    ({"deployment_traffic_percent": 10}, moved(fails="APR-010")),
    ({"deployment_traffic_percent": 11}, moved(fails="APR-009 APR-010")),
    ({"deployment_traffic_percent": None}, moved(unknown="APR-009 APR-010")),
    (
        {"lifecycle_stage": Stage.STAGING, "deployment_target": "staging"},
        moved(
            not_applicable="INV-005 INV-006 INV-007 EVAL-001 EVAL-005 PRIV-001 PRIV-003 SEC-001 REG-002 REG-008 REG-009 REG-011 APR-001 APR-005 APR-006 APR-007 APR-008 APR-009"
        ),
    ),
    (
        {"lifecycle_stage": Stage.STAGING, "deployment_target": None},
        moved(
            not_applicable="INV-005 INV-006 INV-007 EVAL-001 EVAL-005 PRIV-001 PRIV-003 SEC-001 REG-002 REG-011 APR-001",
            unknown="APR-005 APR-006 APR-007 APR-008 APR-009",
        ),
    ),
    # Operations
    (
        {"incomplete": {Section.EXPERIMENT: "404 Not Found."}},
        moved(unknown="PRIV-005 SEC-003", fails="OPS-001"),
    ),
    ({"absent_since": datetime(2026, 1, 9, tzinfo=UTC)}, moved(fails="OPS-003")),
    (
        {"absent_since": datetime(2026, 1, 9, tzinfo=UTC), "decommission_ref": "CHG-1"},
        moved(passes="OPS-003"),
    ),
    # Model card
    ({"cards_set_up": False}, moved(unknown="CARD-001 CARD-002")),
    ({"card_sections": ()}, moved(fails="CARD-001", not_applicable="CARD-002")),
    ({"card_sections": ("performance", "data")}, moved(fails="CARD-001")),
    ({"card_digest": "r0"}, moved(fails="CARD-002")),
    (
        {"disputes": {"owner": ("olga (version tag owner)", "max (model tag owner)")}},
        moved(fails="OPS-004"),
    ),
    # Unread sections
    (
        {"owner": "", "incomplete": UNREAD},
        moved(
            unknown="INV-001 PRIV-005 SEC-003 REG-008",
            not_applicable="INV-002",
            fails="OPS-001",
        ),
    ),
    (
        {"business_purpose": "", "incomplete": UNREAD},
        moved(unknown="INV-003 PRIV-005 SEC-003 REG-008", fails="OPS-001"),
    ),
    (
        {"code_commit": "", "incomplete": UNREAD},
        moved(
            unknown="LIN-003 PRIV-005 SEC-003 REG-008",
            not_applicable="LIN-004",
            fails="OPS-001",
        ),
    ),
    (
        {"dataset_inputs": (), "dataset_reference": "", "incomplete": UNREAD},
        moved(
            unknown="LIN-005 PRIV-005 SEC-003 REG-008",
            not_applicable="LIN-006",
            fails="OPS-001",
        ),
    ),
    (
        {"license": None, "incomplete": UNREAD},
        moved(unknown="LIN-007 PRIV-005 SEC-003", fails="OPS-001"),
    ),
    (
        {"source_run_id": "", "incomplete": UNREAD},
        moved(unknown="LIN-001 LIN-009 PRIV-005 SEC-003 REG-008", fails="OPS-001"),
    ),
    (
        {
            "baseline_ref": None,
            "previous_approved_version": None,
            "metrics": {"auc": 0.91},
            "incomplete": UNREAD,
        },
        moved(
            unknown="EVAL-001 PRIV-005 SEC-003",
            fails="EVAL-007 FAIR-004 APR-005 OPS-001",
        ),
    ),
    (
        {"data_sensitivity": "", "incomplete": UNREAD},
        moved(
            unknown="PRIV-001 PRIV-002 PRIV-004 PRIV-005 SEC-003 REG-008 APR-006 FIELD-DATA_SENSITIVITY",
            not_applicable="PRIV-003",
            fails="OPS-001",
        ),
    ),
    (
        {"security_assessment_version": "", "incomplete": UNREAD},
        moved(
            unknown="PRIV-005 SEC-001 SEC-003 REG-008 FIELD-SECURITY_ASSESSMENT_VERSION",
            fails="OPS-001",
        ),
    ),
    (
        {"regulatory_scope": (), "incomplete": UNREAD},
        moved(
            unknown="PRIV-005 SEC-003 REG-002 REG-008 FIELD-REGULATORY_SCOPE",
            fails="OPS-001",
        ),
    ),
    (
        {
            "article_6_3_basis": "a",
            "profiles_natural_persons": None,
            "incomplete": UNREAD,
        },
        moved(unknown="PRIV-005 SEC-003 REG-005", fails="OPS-001"),
    ),
    (
        {"business_purpose": "Social scoring of tenants", "incomplete": UNREAD},
        moved(unknown="PRIV-005 SEC-003 REG-006", fails="OPS-001"),
    ),
    # Nobody is affected
    (
        {**HARMLESS, "fairness_metrics": None},
        moved(
            not_applicable="INV-005 EVAL-006 EVAL-007 FAIR-001 FAIR-002 FAIR-003 FAIR-004 PRIV-001 PRIV-003 PRIV-006 REG-001 REG-007 REG-008 REG-009 REG-010 REG-011 CARD-001 APR-004",
            passes="APR-006 APR-007 APR-008",
        ),
    ),
    (
        {**HARMLESS, "metrics": {"auc": 0.91, "baseline_auc": 0.9}},
        moved(
            not_applicable="INV-005 EVAL-006 EVAL-007 FAIR-004 PRIV-001 PRIV-003 PRIV-006 REG-001 REG-007 REG-008 REG-009 REG-010 REG-011 CARD-001 APR-004",
            passes="APR-006 APR-007 APR-008",
        ),
    ),
]

# Which of the four verdicts a rule never gives, and why.
NEVER = {
    "VW-INV-001": {Verdict.NOT_APPLICABLE: "Every version needs an owner."},
    "VW-INV-002": {Verdict.UNKNOWN: "It judges an owner that is there."},
    "VW-INV-004": {
        Verdict.UNKNOWN: "The description comes with the list of models.",
        Verdict.NOT_APPLICABLE: "Every model has a description, if only an empty one.",
    },
    "VW-INV-006": {Verdict.UNKNOWN: "Stages and aliases are always known."},
    "VW-INV-008": {Verdict.UNKNOWN: "Stages and aliases are always known."},
    "VW-LIN-001": {Verdict.NOT_APPLICABLE: "Every version comes from somewhere."},
    "VW-LIN-005": {Verdict.NOT_APPLICABLE: "Every version was made of data."},
    "VW-LIN-006": {
        Verdict.UNKNOWN: "Without both digests there is nothing to compare."
    },
    "VW-EVAL-002": {Verdict.NOT_APPLICABLE: "Without numbers it is undecided."},
    "VW-EVAL-003": {Verdict.NOT_APPLICABLE: "Without numbers it is undecided."},
    "VW-FAIR-003": {Verdict.UNKNOWN: "It judges a ratio that is there."},
    "VW-PRIV-002": {Verdict.NOT_APPLICABLE: "Every version was made of data."},
    "VW-PRIV-005": {Verdict.NOT_APPLICABLE: "Metadata is read of every version."},
    "VW-SEC-003": {Verdict.NOT_APPLICABLE: "Metadata is read of every version."},
    "VW-APR-010": {Verdict.NOT_APPLICABLE: "It says yes, no, or that nobody knows."},
    "VW-OPS-001": {
        Verdict.UNKNOWN: "What could not be read is known.",
        Verdict.NOT_APPLICABLE: "Every version is read.",
    },
    "VW-OPS-004": {
        Verdict.UNKNOWN: "What sources said is known.",
        Verdict.NOT_APPLICABLE: "Every version is told of.",
    },
    "VW-OPS-003": {Verdict.UNKNOWN: "Whether a version is listed is known."},
}
