"""Acme Bank's models of payments and cash."""

from __future__ import annotations

from verifywise.demo.acme.people import GRACE, SAM
from verifywise.demo.models import (
    UNASSESSED,
    Estimator,
    Layout,
    Model,
    RunFate,
    Task,
    Version,
    assessed,
)

FRAUD_DETECTION = Model(
    name="fraud-detection",
    description="Flags card payments that are probably fraudulent, in real time.",
    task=Task(
        target="fraud",
        features={
            "amount_z": (0, 1),
            "merchant_risk": (0.3, 0.1),
            "payments_last_hour": (1.8, 0.7),
            "distance_km": (12, 6),
            "card_age_days": (700, 260),
        },
        group="age_over_60",
    ),
    tags={
        "owner": SAM,
        "business_purpose": "Hold suspicious card payments until they are confirmed.",
        "domain": "finance",
        "data_sensitivity": "financial",
        "regulatory_scope": "gdpr",
        "risk_category": "high",
    },
    versions=(
        Version(trained=330, by="sam", stage="Archived", empty=UNASSESSED),
        Version(
            trained=210,
            by="sam",
            estimator=Estimator.FOREST,
            stage="Archived",
            params={"smoke_test_card": "4111 1111 1111 1111"},
            planted="A parameter holds a card number, which is redacted.",
            gaps=("VW-PRIV-005",),
            empty=UNASSESSED,
        ),
        Version(
            trained=60,
            by="sam",
            estimator=Estimator.BOOSTING,
            stage="Production",
            aliases=("champion",),
            tags=assessed(GRACE, baseline="2", security="SEC-0170"),
            planted="Complete, in a regulated domain.",
        ),
        Version(
            trained=5,
            by="sam",
            estimator=Estimator.BOOSTING,
            run_tags={
                "feature_store": "postgresql://scoring:correct-horse@features.acme.example/live"
            },
            planted="A run tag holds a URL with a password, which is redacted.",
            gaps=("VW-SEC-003",),
            empty=UNASSESSED,
        ),
    ),
)

AML_ALERT_RANKING = Model(
    name="aml-alert-ranking",
    description="Ranks money-laundering alerts, so that analysts see the worst first.",
    task=Task(
        target="reported",
        features={
            "cash_share": (0.2, 0.07),
            "countries": (2.3, 0.9),
            "round_amounts": (0.3, 0.1),
            "account_age_months": (60, 25),
        },
        group="nationality_foreign",
    ),
    tags={
        "owner": SAM,
        "business_purpose": "Order the queue of the financial-crime team.",
        "domain": "finance",
        "data_sensitivity": "financial",
        "regulatory_scope": "gdpr",
        "risk_category": "high",
    },
    versions=(
        Version(
            trained=520,
            by="sam",
            stage="Archived",
            layout=Layout.RUNS_URI,
            planted="Logged as MLflow 2 does, and registered by a `runs:/` URI.",
            empty=UNASSESSED,
        ),
        Version(
            trained=400,
            by="sam",
            estimator=Estimator.FOREST,
            stage="Production",
            layout=Layout.RUN_ARTIFACTS,
            tags={
                "privacy_assessment_status": "completed",
                "compliance_approver": GRACE,
                "security_assessment_version": "SEC-0098",
            },
            planted="Logged as MLflow 2 does; in production without a baseline.",
            gaps=("VW-EVAL-001",),
        ),
    ),
)

ATM_CASH_DEMAND = Model(
    name="atm-cash-demand",
    description="Forecasts how much cash each cash machine will need tomorrow.",
    task=Task(
        target="withdrawn_eur",
        features={
            "withdrawn_last_week": (9_000, 2_500),
            "payday_share": (0.1, 0.05),
            "shops_nearby": (12, 5),
            "temperature": (14, 6),
        },
        is_quantity=True,
    ),
    tags={
        "owner": "Branch Operations",
        "business_purpose": "Plan the cash transports of the next day.",
        "data_sensitivity": "internal",
        "regulatory_scope": "none",
        "risk_category": "low",
        "customer_facing": "false",
        "rollback_ease": "easy",
        "financial_impact_usd": "0",
    },
    versions=(
        Version(
            trained=260,
            by="nina",
            stage="Archived",
            run=RunFate.NEVER,
            planted="Registered from a file, without a run.",
            gaps=("VW-LIN-001", "VW-LIN-005"),
            empty=UNASSESSED,
        ),
        Version(
            trained=90,
            by="nina",
            estimator=Estimator.FOREST,
            stage="Production",
            aliases=("champion",),
            tags={
                "privacy_assessment_status": "not_required",
                "compliance_approver": GRACE,
                "security_assessment_version": "SEC-0161",
                "baseline_version": "1",
                "primary_metric": "mape",
                "greater_is_better": "false",
            },
            planted="Complete, with low risk.",
        ),
        Version(
            trained=10,
            by="nina",
            estimator=Estimator.BOOSTING,
            stage="Staging",
            has_commit=False,
            planted="Trained outside a git checkout: no code commit.",
            gaps=("VW-LIN-003",),
            empty=UNASSESSED,
        ),
    ),
)
