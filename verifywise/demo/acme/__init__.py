"""Acme Bank: nine models, from a well-kept one to one that nobody ever looked after."""

from __future__ import annotations

from verifywise.demo.acme.customers import (
    CLAIMS_TRIAGE,
    CUSTOMER_CHURN,
    NEXT_BEST_OFFER,
)
from verifywise.demo.acme.lending import (
    COLLECTIONS_PRIORITY,
    CREDIT_SCORING,
    MORTGAGE_DEFAULT,
)
from verifywise.demo.acme.operations import (
    AML_ALERT_RANKING,
    ATM_CASH_DEMAND,
    FRAUD_DETECTION,
)
from verifywise.demo.acme.people import ALICE, GRACE, NINA, SAM
from verifywise.demo.models import Organization, Person, Prompt

ACME = Organization(
    slug="acme",
    name="Acme Bank",
    server="Acme MLflow",
    people=(
        Person(email=ALICE, name="Alice Adler", role="administrator"),
        Person(email=GRACE, name="Grace Lindqvist", role="compliance_officer"),
        Person(email=SAM, name="Sam Okafor", role="senior_engineer"),
        Person(email=NINA, name="Nina Novak", role="ml_engineer"),
        Person(email="victor@auditors.example", name="Victor Hale", role="auditor"),
    ),
    models=(
        CREDIT_SCORING,
        CUSTOMER_CHURN,
        FRAUD_DETECTION,
        CLAIMS_TRIAGE,
        MORTGAGE_DEFAULT,
        NEXT_BEST_OFFER,
        AML_ALERT_RANKING,
        ATM_CASH_DEMAND,
        COLLECTIONS_PRIORITY,
    ),
    prompts=(
        Prompt(
            name="complaint-reply",
            template="Answer this complaint politely: {{ complaint }}",
        ),
    ),
)
