"""Borealis Health: four models of a hospital group, with patients' data in two."""

from __future__ import annotations

from datetime import timedelta

from verifywise.demo.models import (
    UNASSESSED,
    Estimator,
    Layout,
    Model,
    Organization,
    Person,
    Prompt,
    RunFate,
    Task,
    Version,
    assessed,
)

BOB = "bob@borealis.example"
CARLA = "carla@borealis.example"
DEV = "dev@borealis.example"

READMISSION_RISK = Model(
    name="readmission-risk",
    description="Estimates the chance that a patient is back within 30 days.",
    task=Task(
        target="readmitted",
        features={
            "earlier_stays": (1.2, 0.5),
            "age": (63, 14),
            "medicines": (6, 2),
            "days_in_hospital": (5, 2),
            "albumin": (3.9, 0.4),
        },
        group="sex",
    ),
    tags={
        "owner": DEV,
        "business_purpose": "Plan home visits after discharge.",
        "intended_use": "Order the list of the discharge nurses, who decide.",
        "limitations": "Trained on adults alone.",
        "domain": "healthcare",
        "data_sensitivity": "phi",
        "regulatory_scope": "hipaa,gdpr",
        "risk_category": "high",
        "affected_groups": "patients",
        "decision_automation": "advisory",
        "human_oversight_ref": "Discharge procedure 7",
    },
    versions=(
        Version(trained=370, by="dev", stage="Archived", empty=UNASSESSED),
        Version(
            trained=130,
            by="dev",
            estimator=Estimator.FOREST,
            stage="Production",
            aliases=("champion",),
            tags=assessed(CARLA, baseline="1", security="B-2207"),
            run_tags={"evaluation_status": "passed"},
            planted="Complete, with health data.",
        ),
        Version(
            trained=18,
            by="dev",
            estimator=Estimator.BOOSTING,
            stage="Staging",
            aliases=("challenger",),
            tags=assessed(CARLA, baseline="2", security="B-2251"),
            planted="Complete, and ready to follow version 2.",
        ),
    ),
)

SEPSIS_EARLY_WARNING = Model(
    name="sepsis-early-warning",
    description="Warns the ward when a patient's values look like early sepsis.",
    task=Task(
        target="sepsis",
        features={
            "heart_rate": (88, 16),
            "blood_pressure": (118, 17),
            "temperature": (37.4, 0.8),
            "lactate": (1.7, 0.7),
            "leucocytes": (9, 3),
        },
        group="sex",
    ),
    tags={
        "owner": DEV,
        "business_purpose": "Call the physician to the bed earlier.",
        "domain": "healthcare",
        "data_sensitivity": "phi",
        "regulatory_scope": "hipaa,eu_ai_act",
    },
    versions=(
        Version(
            trained=220,
            by="dev",
            estimator=Estimator.FOREST,
            stage="Production",
            tags={
                **assessed("Dr. Hanna Weiss", baseline="qsofa", security="B-2188"),
                "risk_category": "high",
            },
            has_fairness=False,
            planted="In production without any fairness metric, and approved, says the"
            " tag, by somebody who is no member.",
            gaps=("VW-APR-004", "VW-FAIR-001"),
        ),
        Version(
            trained=25,
            by="dev",
            estimator=Estimator.BOOSTING,
            stage="Staging",
            tags=assessed(CARLA, baseline="1", security="B-2249"),
            planted="In scope of the EU AI Act, and no risk category.",
            gaps=("VW-REG-001",),
            empty=("risk_category",),
        ),
    ),
)

NO_SHOW = Model(
    name="no-show-prediction",
    description="Predicts which appointments will be missed, to send a reminder.",
    task=Task(
        target="missed",
        features={
            "missed_before": (0.7, 0.3),
            "days_ahead": (19, 8),
            "distance_km": (11, 5),
            "reminders": (1.1, 0.4),
        },
        group="language_foreign",
    ),
    tags={
        "owner": BOB,
        "business_purpose": "Remind patients who are likely to forget.",
        "data_sensitivity": "personal",
        "regulatory_scope": "gdpr",
        "risk_category": "medium",
    },
    versions=(
        Version(
            trained=110,
            by="dev",
            aliases=("champion",),
            tags={
                "privacy_assessment_status": "completed",
                "dpia_date": timedelta(days=-90),
                "compliance_approver": CARLA,
                "baseline_version": "reminders-for-all",
            },
            planted="In production by its alias alone; no security assessment.",
            gaps=("VW-SEC-001",),
            empty=("security_assessment_version",),
        ),
        Version(
            trained=14,
            by="dev",
            estimator=Estimator.BOOSTING,
            aliases=("challenger",),
            tags=assessed(CARLA, baseline="1", security="B-2260"),
        ),
    ),
)

BED_DEMAND = Model(
    name="bed-demand-forecast",
    description="Forecasts how many beds each ward needs in the coming week.",
    task=Task(
        target="beds",
        features={
            "admissions_last_week": (74, 15),
            "flu_index": (1.2, 0.5),
            "planned_operations": (31, 9),
        },
        is_quantity=True,
    ),
    tags={
        "business_purpose": "Plan the nurses' shifts of the coming week.",
        "data_sensitivity": "internal",
    },
    versions=(
        Version(
            trained=160,
            by="dev",
            run=RunFate.NEVER,
            planted="Registered from a file: no run, and so no owner either.",
            gaps=("VW-INV-001", "VW-LIN-001", "VW-LIN-005"),
            empty=("risk_category", "regulatory_scope", *UNASSESSED),
        ),
        Version(
            trained=80,
            by="dev",
            estimator=Estimator.FOREST,
            stage="Production",
            layout=Layout.BARE_FILE,
            tags={
                "owner": BOB,
                "regulatory_scope": "none",
                "risk_category": "low",
                "privacy_assessment_status": "not_required",
                "compliance_approver": CARLA,
                "security_assessment_version": "B-2231",
                "baseline_version": "last-year",
            },
            planted="In production as a bare pickle, without an environment.",
            gaps=("VW-ENV-001",),
        ),
        Version(
            trained=9,
            by="dev",
            estimator=Estimator.BOOSTING,
            stage="Staging",
            tags={
                "owner": BOB,
                "regulatory_scope": "none",
                "risk_category": "low",
            },
            empty=UNASSESSED,
        ),
    ),
)

BOREALIS = Organization(
    slug="borealis",
    name="Borealis Health",
    server="Borealis MLflow",
    people=(
        Person(email=BOB, name="Bob Brandt", role="administrator"),
        Person(email=CARLA, name="Carla Mendes", role="compliance_officer"),
        Person(email=DEV, name="Dev Patel", role="ml_engineer"),
        Person(email="victor@auditors.example", name="Victor Hale", role="auditor"),
    ),
    models=(READMISSION_RISK, SEPSIS_EARLY_WARNING, NO_SHOW, BED_DEMAND),
    prompts=(
        Prompt(
            name="discharge-letter",
            template="Write a discharge letter from these notes: {{ notes }}",
        ),
    ),
)
