"""Acme Bank's models of lending: two well kept, one that nobody looked after."""

from __future__ import annotations

from verifywise.demo.acme.people import GRACE, NINA
from verifywise.demo.models import (
    UNASSESSED,
    UNDECLARED,
    Estimator,
    Model,
    RunFate,
    Task,
    Version,
    assessed,
)

CREDIT_SCORING = Model(
    name="credit-scoring",
    description="Scores applications for consumer credit by their chance of default.",
    task=Task(
        target="defaulted",
        features={
            "debt_ratio": (0.35, 0.12),
            "income_eur": (3_200, 900),
            "months_employed": (58, 21),
            "open_loans": (2.1, 0.8),
            "account_age_months": (80, 30),
            "late_payments": (0.6, 0.3),
        },
        group="gender",
    ),
    tags={
        "owner": NINA,
        "business_purpose": "Decide on consumer credit of up to 30,000 euros.",
        "intended_use": "Rank applications for a credit officer, who decides.",
        "limitations": "Not validated for self-employed applicants.",
        "domain": "finance",
        "data_sensitivity": "personal",
        "regulatory_scope": "eu_ai_act,gdpr",
        "annex_iii_category": "5b",
        "risk_category": "high",
        "affected_groups": "applicants",
        "decision_automation": "human_in_loop",
        "human_oversight_ref": "Credit policy 12, section 4",
        "customer_facing": "true",
        "criticality": "critical",
        "financial_impact_usd": "4200000",
    },
    versions=(
        Version(trained=410, by="nina", stage="Archived", empty=UNASSESSED),
        Version(
            trained=190,
            by="nina",
            estimator=Estimator.BOOSTING,
            stage="Production",
            aliases=("champion",),
            tags=assessed(GRACE, baseline="1", security="SEC-0141"),
            run_tags={"evaluation_status": "passed"},
            planted="Complete: the version to compare the others with.",
        ),
        Version(
            trained=20,
            by="nina",
            estimator=Estimator.BOOSTING,
            bias=1.3,
            stage="Staging",
            aliases=("challenger",),
            tags=assessed(GRACE, baseline="2", security="SEC-0188"),
            planted="Ranks better than version 2, and treats women and men differently:"
            " the demographic parity difference by gender is above 0.10.",
            gaps=("VW-FAIR-002",),
        ),
    ),
)

MORTGAGE_DEFAULT = Model(
    name="mortgage-default",
    description="Estimates the chance that a mortgage falls 90 days behind.",
    task=Task(
        target="behind",
        features={
            "loan_to_value": (0.7, 0.15),
            "income_eur": (4_100, 1_200),
            "rate_percent": (3.4, 0.9),
            "years_left": (17, 6),
        },
        group="nationality_foreign",
    ),
    tags={
        "owner": NINA,
        "business_purpose": "Set aside capital for expected mortgage losses.",
        "domain": "finance",
        "data_sensitivity": "personal",
        "regulatory_scope": "gdpr,sr11-7",
        "risk_category": "high",
    },
    versions=(
        Version(
            trained=280,
            by="nina",
            stage="Archived",
            run=RunFate.DELETED,
            planted="The training run was deleted.",
            gaps=("VW-LIN-001",),
            empty=UNASSESSED,
        ),
        Version(
            trained=150,
            by="nina",
            estimator=Estimator.FOREST,
            stage="Production",
            aliases=("champion",),
            tags=assessed(GRACE, baseline="1", security="SEC-0150"),
            planted="Complete, in a regulated domain.",
        ),
        Version(
            trained=30,
            by="nina",
            estimator=Estimator.BOOSTING,
            tags={
                "privacy_assessment_status": "completed",
                "data_sensitivity": "internal",
            },
            planted="The version calls its data internal, and its model says personal.",
            gaps=("VW-OPS-004",),
            empty=("compliance_approver", "security_assessment_version"),
        ),
    ),
)

COLLECTIONS_PRIORITY = Model(
    name="collections-priority",
    description="",
    task=Task(
        target="paid",
        features={"days_late": (40, 15), "owed_eur": (600, 200), "calls": (3, 1)},
    ),
    tags={},
    versions=(
        Version(
            trained=45,
            by="nina",
            has_report=False,
            planted="Nobody said how sensitive the data is.",
            gaps=("VW-PRIV-002",),
            empty=(*UNDECLARED, *UNASSESSED),
        ),
        Version(
            trained=40,
            by="nina",
            stage="Production",
            has_commit=False,
            has_dataset=False,
            has_report=False,
            planted="In production, and nothing was recorded but the run itself.",
            gaps=(
                "VW-EVAL-001",
                "VW-INV-003",
                "VW-LIN-003",
                "VW-LIN-005",
                "VW-PRIV-002",
                "VW-REG-002",
                "VW-SEC-001",
            ),
            empty=(*UNDECLARED, *UNASSESSED),
        ),
    ),
)
