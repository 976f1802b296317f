"""Acme Bank's models of its customers, insurance included."""

from __future__ import annotations

from verifywise.demo.acme.people import GRACE, NINA, SAM
from verifywise.demo.models import UNASSESSED, Estimator, Model, Task, Version, assessed

CUSTOMER_CHURN = Model(
    name="customer-churn",
    description="Finds current-account customers who are likely to leave.",
    task=Task(
        target="left",
        features={
            "logins_per_month": (14, 5),
            "balance_eur": (2_600, 1_100),
            "complaints": (0.4, 0.2),
            "products": (2.4, 0.9),
        },
        group="age_over_60",
    ),
    # Told in the words this team happens to use: each is an alias of a field.
    tags={
        "model_owner": "Customer Analytics",
        "use_case": "Offer a call from the branch before the customer leaves.",
        "contains_pii": "true",
        "compliance": "GDPR",
        "risk_category": "medium",
    },
    versions=(
        Version(trained=300, by="sam", stage="Archived", empty=UNASSESSED),
        Version(
            trained=140,
            by="sam",
            estimator=Estimator.FOREST,
            stage="Production",
            aliases=("champion",),
            tags={
                "approved_by": GRACE,
                "security_review": "SEC-0117",
                "champion_version": "1",
            },
            planted="In production with personal data, and no privacy assessment.",
            gaps=("VW-PRIV-001",),
            empty=("privacy_assessment_status",),
        ),
        Version(
            trained=12,
            by="sam",
            estimator=Estimator.BOOSTING,
            tags={"dpia_status": "done"},
            empty=("compliance_approver", "security_assessment_version"),
        ),
    ),
)

NEXT_BEST_OFFER = Model(
    name="next-best-offer",
    description="Chooses which savings product the app shows a customer first.",
    task=Task(
        target="accepted",
        features={
            "balance_eur": (2_900, 1_000),
            "salary_eur": (2_700, 800),
            "visits": (9, 3),
            "products": (2.2, 0.8),
        },
        group="gender",
    ),
    tags={
        "owner": SAM,
        "business_purpose": "Show the offer that suits the customer best.",
        "data_sensitivity": "personal",
        "regulatory_scope": "gdpr",
        "risk_category": "medium",
        "customer_facing": "true",
        "criticality": "non_critical",
    },
    versions=(
        Version(
            trained=95,
            by="sam",
            estimator=Estimator.FOREST,
            stage="Staging",
            has_dataset=False,
            tags=assessed(GRACE, baseline="rules-2024", security="SEC-0166"),
            planted="The run names no training data.",
            gaps=("VW-LIN-005",),
        ),
        Version(
            trained=15,
            by="sam",
            estimator=Estimator.BOOSTING,
            has_dataset=False,
            tags={"dataset_version": "offers@2f6c1e9"},
            planted="The run names no training data, but a version tag does.",
            empty=UNASSESSED,
        ),
    ),
)

CLAIMS_TRIAGE = Model(
    name="claims-triage",
    description="Sorts household insurance claims into simple and difficult ones.",
    task=Task(
        target="difficult",
        features={
            "claim_eur": (1_900, 700),
            "earlier_claims": (0.9, 0.4),
            "days_to_report": (6, 2),
            "photos": (4, 1.5),
        },
        group="district_rural",
    ),
    tags={
        "business_purpose": "Send simple claims to same-day payment.",
        "data_sensitivity": "personal",
        "regulatory_scope": "gdpr",
        "risk_category": "medium",
    },
    versions=(
        Version(
            trained=120,
            by="airflow",
            planted="The only owner is the account that ran the training: the field is"
            " filled, and marked weak.",
            empty=UNASSESSED,
        ),
        Version(
            trained=70,
            by="airflow",
            estimator=Estimator.FOREST,
            stage="Staging",
            tags={
                "owner": NINA,
                "privacy_assessment_status": "completed",
                "security_assessment_version": "SEC-0159",
            },
            planted="In staging with personal data, and nobody named to approve it.",
            gaps=("VW-APR-004",),
            empty=("compliance_approver",),
        ),
        Version(
            trained=8,
            by="nina",
            estimator=Estimator.BOOSTING,
            tags={"owner": NINA, "privacy_assessment_status": "in_progress"},
            empty=("compliance_approver", "security_assessment_version"),
        ),
    ),
)
