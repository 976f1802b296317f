"""The two axes of risk: every combination of inputs has exactly one answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from compliance.facts import ModelFacts
from compliance.risk import SENSITIVE, Tier, has_high_class, tier
from compliance.suspicions import found, suspicions
from tests.compliance.faultless import UNTAGGED

LIMIT = 1_000_000
VALUES = {
    "criticality": (None, "critical", "non_critical"),
    "data_sensitivity": ("", "public", "confidential", "personal"),
    "regulatory_scope": ((), ("none",), ("gdpr",), ("eu_ai_act",)),
    "financial_impact_usd": (None, 0, LIMIT, LIMIT + 1),
    "customer_facing": (None, False, True),
    "rollback_ease": (None, "easy", "hard"),
}


def combinations() -> list[ModelFacts]:
    return [
        replace(UNTAGGED, **dict(zip(VALUES, values, strict=True)))
        for values in product(*VALUES.values())
    ]


def is_high(facts: ModelFacts) -> bool:
    return (
        facts.criticality == "critical"
        or facts.data_sensitivity in SENSITIVE
        or facts.regulatory_scope == ("gdpr",)
        or (facts.financial_impact_usd or 0) > LIMIT
    )


def is_whole(facts: ModelFacts) -> bool:
    return bool(
        facts.criticality
        and facts.data_sensitivity
        and facts.regulatory_scope
        and facts.financial_impact_usd is not None
    )


def test_every_combination_has_the_tier_of_its_gravest_input():
    for facts in combinations():
        found_tier = tier(facts, financial_impact_high_usd=LIMIT)
        if is_high(facts):
            assert found_tier is Tier.HIGH
        elif not is_whole(facts):
            assert found_tier is Tier.UNCLASSIFIED
        elif found_tier is Tier.LOW:
            assert facts.customer_facing is False
            assert facts.rollback_ease == "easy"
            assert facts.financial_impact_usd == 0
            assert facts.data_sensitivity == "public"
        else:
            expected = (
                Tier.UNCLASSIFIED
                if facts.financial_impact_usd == 0
                and not facts.customer_facing
                and (facts.customer_facing is None or facts.rollback_ease is None)
                else Tier.MEDIUM
            )
            assert found_tier is expected


def test_tiers_are_ordered_by_gravity():
    assert Tier.LOW.rank < Tier.MEDIUM.rank < Tier.HIGH.rank


@pytest.mark.parametrize(
    ("told", "is_high_class"),
    [
        ({}, None),
        ({"declared_ai_act_class": "high"}, True),
        ({"declared_ai_act_class": "prohibited"}, True),
        ({"declared_ai_act_class": "limited"}, False),
        ({"declared_ai_act_class": "limited", "annex_iii_category": "5b"}, True),
        ({"annex_iii_category": "5b"}, True),
        ({"annex_iii_category": "5b", "article_6_3_basis": "a"}, False),
        (
            {
                "annex_iii_category": "5b",
                "article_6_3_basis": "a",
                "profiles_natural_persons": True,
            },
            True,
        ),
        ({"annex_iii_category": "5b", "article_6_3_basis": "z"}, True),
        ({"annex_iii_category": "none"}, False),
        ({"regulatory_scope": ("gdpr",)}, False),
        ({"regulatory_scope": ("eu_ai_act",)}, None),
    ],
)
def test_a_high_risk_class_is_declared_or_follows_from_annex_iii(told, is_high_class):
    assert has_high_class(replace(UNTAGGED, **told)) is is_high_class


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("credit-scoring", "5b"),
        ("Predicts CREDIT SCORES", "5b"),
        ("Recruiting: resume_screening", "4a"),
        ("accredit scores", None),
        ("churn", None),
        ("A visa-card fraud filter", None),
    ],
)
def test_words_suggest_an_area_of_annex_iii(text, category):
    suspected = suspicions().area(None, text)
    assert (suspected and suspected[0]) == category


def test_a_suspicion_never_spans_two_texts():
    assert suspicions().area("Approves credit", "Scores players") is None
    assert found(suspicions().prohibited, "social", "scoring") == ""
    assert found(suspicions().prohibited, "Social-Scoring") == "social scoring"
