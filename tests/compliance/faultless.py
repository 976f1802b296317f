"""One faultless model version, which tests spoil one fact at a time."""

from __future__ import annotations

from datetime import UTC, date, datetime

from compliance.facts import ModelFacts
from inventory.records import Stage

FAULTLESS = ModelFacts(
    model_name="credit-scoring",
    version_number=3,
    today=date(2026, 1, 10),
    description="Ranks applications for consumer credit.",
    business_purpose="Rank applications for consumer credit",
    owner="olga@example.org",
    lifecycle_stage=Stage.PRODUCTION,
    source_run_id="r1",
    run_found=True,
    training_status="FINISHED",
    metrics={"auc": 0.91, "demographic_parity_difference": 0.04},
    code_commit="3f2a1b9c",
    dataset_reference="applicants@v3",
    dataset_inputs=(
        {"name": "applicants", "digest": "a1b2c3d4", "context": "training"},
    ),
    risk_category="high",
    declared_tier="high",
    declared_ai_act_class="high",
    regulatory_scope=("eu_ai_act", "gdpr"),
    data_sensitivity="personal",
    privacy_assessment_status="completed",
    compliance_approver="olga@example.org",
    approver_is_member=True,
    security_assessment_version="2026-01",
    criticality="critical",
    domain="finance",
    financial_impact_usd=2_000_000,
    annex_iii_category="5b",
    affected_groups=("applicants",),
    profiles_natural_persons=True,
    decision_automation="human_in_loop",
    artifacts_read=True,
    runtime_environment={"files": ["conda.yaml"], "python": "3.11.7"},
    artifact_manifest=({"path": "conda.yaml"}, {"path": "model.skops"}),
    fairness_metrics={"demographic_parity_difference": 0.04},
    baseline_ref="2",
    approvals_set_up=True,
    approved_at=datetime(2026, 1, 1, tzinfo=UTC),
    production_since=datetime(2026, 1, 2, tzinfo=UTC),
)
UNTAGGED = ModelFacts(
    model_name="churn", version_number=1, today=date(2026, 1, 10), run_found=True
)
