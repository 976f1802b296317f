"""What a told text means: amounts, shares, yes and no, lists, our words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_sync.normalize.vocabulary import default_vocabulary


def read(field: str, told: str, key: str = "") -> object:
    return default_vocabulary().readings[field].read(told, key=key or field)


@pytest.mark.parametrize(
    ("told", "value"),
    [
        ("1.2M", 1_200_000),
        ("$1,200,000", 1_200_000),
        ("1200000 USD", 1_200_000),
        ("USD 1.2 million", 1_200_000),
        ("US$ 900k / year", 900_000),
        ("2.5bn", 2_500_000_000),
        ("1.2M per year", 1_200_000),
        ("1e6", 1_000_000),
        ("0", 0),
        ("none", 0),
        ("no", 0),
        ("", None),
        ("None", None),
        ("about a million", None),
        ("€1.2M", None),
        ("1.200.000", None),
        ("1,2M", None),
        ("12,00", None),
        ("1M-2M", None),
        ("-5", None),
        ("1e999", None),
        ("9" * 400, None),
        ("nan", None),
        ("1 per day", None),
    ],
)
def test_an_amount_is_read_in_dollars_a_year(told: str, value: float | None) -> None:
    assert read("financial_impact_usd", told) == value


@pytest.mark.parametrize(
    ("key", "told", "value"),
    [
        ("deployment_traffic_percent", "0.5", 0.5),
        ("Traffic-Percent", "10", 10),
        ("traffic", "0.5%", 0.5),
        ("traffic", "12 %", 12),
        ("canary_weight", "5 percent", 5),
        ("traffic", "0.5", None),  # half of it, or half a percent?
        ("canary_weight", "50", None),
        ("traffic", "120%", None),
        ("traffic", "-1%", None),
        ("traffic", "a little", None),
    ],
)
def test_a_percentage_needs_a_sign_or_a_key_that_says_so(
    key: str, told: str, value: float | None
) -> None:
    assert read("deployment_traffic_percent", told, key) == value


@pytest.mark.parametrize(
    ("key", "told", "value"),
    [
        ("unit_tests", "passed", 1.0),
        ("unit_tests", "All Passed", 1.0),
        ("tests_passed", "true", 1.0),
        ("tests_passed", "118/120", 118 / 120),
        ("tests_passed", "120 of 120", 1.0),
        ("tests_passed", "98%", 0.98),
        ("unit_tests_pass_rate", "0.98", 0.98),
        ("unit_tests_pass_rate", "100", 1.0),
        ("unit_tests", "failed", None),
        ("tests_passed", "42", None),
        ("tests_passed", "3/0", None),
        ("tests_passed", "5/4", None),
    ],
)
def test_a_share_is_read_and_a_failure_says_none(
    key: str, told: str, value: float | None
) -> None:
    assert read("unit_tests_pass_rate", told, key) == value


@pytest.mark.parametrize(
    ("told", "value"),
    [("true", True), ("Yes", True), ("1", True), ("FALSE", False), ("0", False),
     ("sometimes", None), ("None", None)],
)  # fmt: skip
def test_yes_and_no_are_read(told: str, value: bool | None) -> None:
    assert read("customer_facing", told) is value


@pytest.mark.parametrize(
    ("told", "value"),
    [
        ("GDPR", ("gdpr",)),
        ("EU AI Act, SR 11-7; hipaa", ("eu_ai_act", "sr11_7", "hipaa")),
        ("BCE/FINMA", ("other",)),
        ("gdpr/hipaa", ("gdpr", "hipaa")),
        ("['gdpr', 'EU-AI-Act-Annex-III', 'gdpr']", ("gdpr", "eu_ai_act")),
        ('["nist_ai_rmf"]', ("nist_ai_rmf",)),
        ("21 CFR Part 11", ("fda_part11",)),
        ("PIPEDA", ("PIPEDA",)),
        ("none", ("none",)),
        ("None", None),
        ("true", None),
        ("passed", None),
        (" , ; ", None),
    ],
)
def test_a_list_is_split_and_put_into_our_words(
    told: str, value: tuple[str, ...] | None
) -> None:
    assert read("regulatory_scope", told) == value


@pytest.mark.parametrize(
    ("field", "told", "value"),
    [
        ("data_sensitivity", "PII", "personal"),
        ("data_sensitivity", "Special Category", "special_category"),
        ("data_sensitivity", "none", "public"),
        ("data_sensitivity", "None", None),  # str(None) is no declaration
        ("data_sensitivity", "top secret", "top secret"),
        ("declared_tier", "Moderate", "medium"),
        ("declared_tier", "1", "high"),
        ("declared_ai_act_class", "High-Risk", "high"),
        ("privacy_assessment_status", "Yes", "completed"),
        ("privacy_assessment_status", "planned", "planned"),
        ("approval_claim", "PendingManualApproval", "pending"),
        ("decision_automation", "human-in-loop", "human_in_loop"),
        ("decision_automation", "none", "none"),
        ("decision_automation", "None", None),
        ("domain", "Healthcare", "healthcare"),
        ("domain", "energy", "energy"),
        ("owner", "None", None),
        ("human_oversight_ref", "false", None),
        ("human_oversight_ref", "true", "true"),
        ("dpia_ref", "TBD", None),
        ("security_assessment_version", "pending", None),
    ],
)
def test_words_become_ours_and_others_stay_as_told(
    field: str, told: str, value: str | None
) -> None:
    assert read(field, told) == value


@pytest.mark.parametrize(
    ("told", "value"),
    [
        ('{"age": "long"}', {"age": "long"}),
        ('{"a": NaN}', {"a": None}),
        ('{"a": "\\u0000"}', {"a": "�"}),
        ("[1]", None),
        ("{}", None),
        ("{broken", None),
        ('{"a":' * 10_000, None),
    ],
)
def test_a_document_is_a_json_object(told: str, value: object) -> None:
    assert read("input_schema", told) == value


@given(st.sampled_from(sorted(default_vocabulary().readings)), st.text())
def test_any_text_is_read_or_left_unread(field: str, told: str) -> None:
    value = read(field, told)

    assert not isinstance(value, float) or math.isfinite(value)


@pytest.mark.parametrize("field", ["financial_impact_usd", "unit_tests_pass_rate"])
def test_a_long_text_is_no_number(field: str) -> None:
    assert read(field, "1" + " " * 99_998 + "x") is None
