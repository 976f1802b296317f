"""One faultless model version, which tests spoil one fact at a time."""

from __future__ import annotations

from datetime import UTC, date, datetime

from compliance.facts import ModelFacts
from inventory.records import Stage

SIGNATURE = {
    "inputs": [{"name": "income", "type": "double"}],
    "outputs": [{"type": "double"}],
}
FAULTLESS = ModelFacts(
    model_name="credit-scoring",
    version_number=3,
    today=date(2026, 1, 10),
    description="Ranks applications for consumer credit by the risk of default.",
    business_purpose="Rank applications for consumer credit",
    intended_use="By loan officers, for applications of private persons",
    limitations="Not for companies, nor for incomes from abroad",
    owner="olga@example.org",
    lifecycle_stage=Stage.PRODUCTION,
    aliases=("champion",),
    source_run_id="r1",
    run_found=True,
    training_status="FINISHED",
    training_ended_at=datetime(2025, 12, 1, tzinfo=UTC),
    metrics={
        "auc": 0.91,
        "auc_women": 0.9,
        "auc_men": 0.91,
        "baseline_auc": 0.9,
        "robustness_noise": 0.88,
        "demographic_parity_difference": 0.04,
    },
    hyperparameters={"C": "1.0"},
    primary_metric="auc",
    greater_is_better=True,
    decision_threshold="0.5",
    code_commit="3f2a1b9c",
    code_dirty=False,
    dataset_reference="applicants@v3",
    dataset_inputs=(
        {"name": "applicants", "digest": "a1b2c3d4", "context": "training"},
        {"name": "applicants-test", "digest": "e5f6a7b8", "context": "evaluation"},
    ),
    evaluation_dataset_reference="applicants-test@e5f6a7b8",
    base_model="scorecard-foundation 2",
    license="Apache-2.0",
    model_type="classifier",
    risk_category="high",
    declared_tier="high",
    declared_ai_act_class="high",
    regulatory_scope=("eu_ai_act", "gdpr"),
    data_sensitivity="personal",
    privacy_assessment_status="completed",
    dpia_date="2025-12-15",
    purpose_or_data_since=date(2025, 11, 1),
    compliance_approver="olga@example.org",
    approver_is_member=True,
    security_assessment_version="2026-01",
    security_scan_status="passed",
    security_scan_date="2025-12-02",
    security_vulnerabilities=0,
    unit_tests_pass_rate=1.0,
    criticality="critical",
    domain="finance",
    financial_impact_usd=2_000_000,
    customer_facing=True,
    rollback_ease="easy",
    operator_role="both",
    public_body=False,
    annex_iii_category="5b",
    affected_groups=("applicants",),
    profiles_natural_persons=True,
    decision_automation="solely_automated",
    human_oversight_ref="OVERSIGHT-7",
    explanation_ref="SHAP values on the letter",
    fria_ref="FRIA-1",
    fria_date="2025-12-20",
    declaration_ref="DOC-1",
    eu_database_id="EU-1",
    monitoring_plan_ref="PLAN-1",
    predetermined_changes_ref="CHANGES-1",
    next_review_due="2026-06-01",
    deployment_target="production",
    deployment_traffic_percent=0.5,
    artifacts_read=True,
    runtime_environment={
        "files": ["conda.yaml"],
        "python": "3.11.7",
        "packages": [{"name": "scikit-learn", "version": "1.5.0"}],
    },
    artifact_manifest=(
        {"path": "conda.yaml", "sha256": "c1"},
        {"path": "model.skops", "sha256": "c2"},
    ),
    evidence_files=({"path": "evaluation_report.pdf", "kind": "evaluation report"},),
    signature=SIGNATURE,
    serving_signature=SIGNATURE,
    schema_validation_status="passed",
    input_schema={"income": "double"},
    fairness_metrics={
        "demographic_parity_difference": 0.04,
        "disparate_impact": 0.9,
    },
    baseline_ref="2",
    baseline_metrics={"auc": 0.9},
    production_versions=2,
    champions=1,
    approvals_set_up=True,
    approved_at=datetime(2026, 1, 1, tzinfo=UTC),
    production_since=datetime(2026, 1, 2, tzinfo=UTC),
    previous_approved_version=2,
    approved_types=("classifier",),
    material_digest="m1",
    approved_digest="m1",
    approved_files={"conda.yaml": "c1", "model.skops": "c2"},
    cards_set_up=True,
    card_sections=("performance", "data", "bias", "intended_use"),
    card_digest="r1",
    record_digest="r1",
)
# What a faultless credit scoring model sends to a person all the same.
TRIGGERED = ("VW-APR-006", "VW-APR-007", "VW-APR-008")
# What does not apply to it.
ELSEWHERE = (
    "VW-INV-008", "VW-PRIV-004", "VW-REG-005", "VW-REG-006", "VW-REG-012", "VW-OPS-003",
)  # fmt: skip
UNTAGGED = ModelFacts(
    model_name="churn", version_number=1, today=date(2026, 1, 10), run_found=True
)
