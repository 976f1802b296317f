"""Who says what about a field, and whom we believe."""

from __future__ import annotations

import math

import pytest

from inventory.records import Told
from mlflow_sync.snapshots import (
    DatasetInput,
)
from tests.mlflow_sync.builders import (
    COMMIT,
    version_record,
    with_tags,
)


def test_the_nearer_place_wins_and_the_losers_stay_visible() -> None:
    record = with_tags(
        version={"owner": "Alice"},
        model={"model_owner": "bob"},
        run={"owner": "alice", "mlflow.user": "ci"},
        experiment={"contact": "carol"},
    )

    assert record.owner == "Alice"
    assert record.provenance["owner"] == Told("version tag", "owner")
    assert record.others["owner"] == (
        ("bob", Told("model tag", "model_owner")),
        ("carol", Told("experiment tag", "contact")),
        ("ci", Told("run tag", "mlflow.user", weak=True)),
    )  # the run's “alice” says the same


@pytest.mark.parametrize(
    ("places", "source"),
    [
        (("version", "model", "run", "experiment"), "version tag"),
        (("model", "run", "experiment"), "model tag"),
        (("run", "experiment"), "run tag"),
        (("experiment",), "experiment tag"),
        ((), "run info"),
    ],
)
def test_precedence_goes_from_the_version_outwards(
    places: tuple[str, ...], source: str
) -> None:
    record = with_tags(**{place: {"owner": f"{place} owner"} for place in places})

    assert record.provenance["owner"].source == source


def test_a_weak_source_fills_a_field_only_where_no_strong_one_speaks() -> None:
    weak = with_tags(version={"team": "risk"})
    assert weak.owner == "risk"
    assert weak.provenance["owner"] == Told("version tag", "team", weak=True)

    strong = with_tags(version={"team": "risk"}, run={"owner": "alice"})
    assert strong.owner == "alice"
    assert strong.others["owner"][0] == (
        "risk",
        Told("version tag", "team", weak=True),
    )


def test_the_first_key_of_the_vocabulary_wins_at_one_place() -> None:
    record = with_tags(version={"use_case": "b", "Business Purpose": "a"})

    assert record.business_purpose == "a"
    assert record.others["business_purpose"] == (
        ("b", Told("version tag", "use_case")),
    )


def test_the_purpose_of_a_run_is_weak() -> None:
    record = with_tags(run={"purpose": "baseline-experiment"})

    assert record.business_purpose == "baseline-experiment"
    assert record.provenance["business_purpose"].weak


@pytest.mark.parametrize(
    ("tags", "tier"),
    [
        ({"version": {"risk_level": "high"}}, "high"),
        ({"model": {"risk": "Moderate"}}, "medium"),
        ({"run": {"risk_level": "high"}}, None),  # of a patient, of a trade
        ({"run": {"risk_level": "high", "mlflow.user": "ci"}}, None),
        ({"run": {"risk_level": "high", "owner": "alice"}}, "high"),
        ({"run": {"risk_level": "high", "fairness_checked": "yes"}}, "high"),
        ({"run": {"risk_level": "high"}, "version": {"owner": "alice"}}, None),
        ({"experiment": {"risk_level": "high"}}, None),
        ({"run": {"risk_tier": "1"}}, "high"),
    ],
)
def test_the_risk_level_of_a_run_counts_only_in_company(
    tags: dict[str, dict[str, str]], tier: str | None
) -> None:
    assert with_tags(**tags).value("declared_tier") == tier


@pytest.mark.parametrize(
    ("told", "tier", "ai_act_class"),
    [
        ("high", "high", "high"),
        ("Moderate", "medium", None),
        ("Limited Risk", None, "limited"),
        ("unacceptable", None, "prohibited"),
        ("operational", None, None),
    ],
)
def test_a_risk_category_declares_tier_and_class_each_by_its_own_words(
    told: str, tier: str | None, ai_act_class: str | None
) -> None:
    record = with_tags(version={"risk_category": told})

    assert record.risk_category == told
    assert record.value("declared_tier") == tier
    assert record.value("declared_ai_act_class") == ai_act_class


def test_neither_axis_of_risk_follows_from_the_other() -> None:
    assert with_tags(version={"risk_tier": "high"}).governance == {
        "declared_tier": "high"
    }
    assert with_tags(version={"ai_risk_level": "high"}).governance == {
        "declared_ai_act_class": "high"
    }


def test_a_mapped_value_shows_what_was_told() -> None:
    record = with_tags(version={"data_classification": "PII"})

    assert record.data_sensitivity == "personal"
    assert record.provenance["data_sensitivity"].raw == "PII"


@pytest.mark.parametrize(
    ("tags", "value", "raw"),
    [
        ({"contains_pii": "yes"}, "personal", "yes"),
        ({"phi": "true"}, "phi", "true"),
        ({"pii": "true"}, "personal", "true"),
        ({"contains_pii": "false"}, "", "false"),
        ({"contains_pii": "no", "sensitivity": "Internal"}, "internal", "Internal"),
    ],
)
def test_that_there_is_no_personal_data_does_not_say_what_data_there_is(
    tags: dict[str, str], value: str, raw: str
) -> None:
    record = with_tags(version=tags)

    assert record.data_sensitivity == value
    assert record.provenance["data_sensitivity"].raw == raw


def test_a_farther_word_on_the_data_is_believed_before_a_nearer_no() -> None:
    record = with_tags(
        version={"contains_pii": "no"}, model={"data_classification": "confidential"}
    )

    assert record.data_sensitivity == "confidential"
    assert record.others["data_sensitivity"] == (
        (None, Told("version tag", "contains_pii", weak=True, raw="no")),
    )


def test_an_unreadable_value_keeps_its_place_and_is_shown() -> None:
    record = with_tags(
        version={"financial_impact": "a lot"}, model={"financial_impact_usd": "1.2M"}
    )

    assert record.value("financial_impact_usd") is None
    assert record.provenance["financial_impact_usd"] == Told(
        "version tag", "financial_impact", raw="a lot"
    )
    assert record.others["financial_impact_usd"] == (
        (1_200_000.0, Told("model tag", "financial_impact_usd", raw="1.2M")),
    )


def test_a_redacted_value_fills_no_field() -> None:
    record = with_tags(version={"use_case": "password=hunter2x"})

    assert record.business_purpose == ""
    assert record.provenance["business_purpose"].raw == "[redacted: password]"


def test_a_blank_value_says_nothing() -> None:
    record = with_tags(version={"use_case": "  "}, run={"use_case": "loans"})

    assert record.business_purpose == "loans"


def test_typed_values_are_typed() -> None:
    record = with_tags(
        version={
            "customer_facing": "yes",
            "financial_impact": "$2M",
            "traffic": "0.5%",
            "jurisdictions": "EU, CH",
            "affected_groups": "applicants",
            "legal_hold": "false",
            "decision_threshold": "0.7",
        }
    )

    assert record.governance == {
        "customer_facing": True,
        "financial_impact_usd": 2_000_000.0,
        "deployment_traffic_percent": 0.5,
        "jurisdictions": ("EU", "CH"),
        "affected_groups": ("applicants",),
        "legal_hold": False,
        "decision_threshold": "0.7",
    }


@pytest.mark.parametrize(
    ("told", "value", "weak"),
    [
        (COMMIT, COMMIT, False),
        (COMMIT[:7].upper(), COMMIT[:7], False),
        ("HEAD", "HEAD", True),
        ("unknown", "unknown", True),
        ("v1.2", "v1.2", True),
        (COMMIT + "0", COMMIT + "0", True),
    ],
)
def test_a_commit_that_is_no_hash_is_kept_and_weak(
    told: str, value: str, weak: bool
) -> None:
    record = with_tags(run={"git_commit": told})

    assert record.code_commit == value
    assert record.provenance["code_commit"].weak is weak


def test_a_verified_commit_is_believed_before_a_nearer_word() -> None:
    record = with_tags(
        version={"code_version": "v1.2", "git_sha": COMMIT[:8]},
        run={"mlflow.source.git.commit": COMMIT},
    )

    assert record.code_commit == COMMIT[:8]
    assert record.others["code_commit"] == (
        ("v1.2", Told("version tag", "code_version", weak=True)),
    )  # the abbreviated commit is the same as the whole one


def test_a_diff_means_that_the_tree_was_dirty() -> None:
    record = with_tags(run={"mlflow.source.git.diff": "-a\n+b" * 1000})

    assert record.value("code_dirty") is True
    assert len(record.provenance["code_dirty"].raw) == 500


@pytest.mark.parametrize(
    ("tags", "reference", "key"),
    [
        ({"dataset_version": "v3"}, "v3", "dataset_version"),
        (
            {"dataset_name": "loans", "dataset_version": "v3"},
            "loans@v3",
            "dataset_name, dataset_version",
        ),
        (
            {"dataset": "loans", "data_version": "v3", "data_md5": "ab12"},
            "loans@v3@ab12",
            "dataset, data_version, data_md5",
        ),
        (
            {"dataset_reference": "loans@v9", "dataset": "loans", "data_hash": "ab12"},
            "loans@v9",
            "dataset_reference",
        ),
    ],
)
def test_what_one_place_tells_of_a_dataset_is_joined(
    tags: dict[str, str], reference: str, key: str
) -> None:
    record = with_tags(run=tags)

    assert record.dataset_reference == reference
    assert record.provenance["dataset_reference"].key == key


def test_what_two_places_tell_of_a_dataset_is_not_joined() -> None:
    record = with_tags(version={"dataset_version": "v3"}, run={"dataset": "loans"})

    assert record.dataset_reference == "v3"
    assert record.others["dataset_reference"][0][0] == "loans"


def test_datasets_are_told_by_inputs_and_parameters_too() -> None:
    inputs = (
        DatasetInput(name="loans", digest="d1", context="training"),
        DatasetInput(name="more", digest="d2", context="training"),
        DatasetInput(name="held-out", digest="d3", context="Eval"),
        DatasetInput(name="odd", digest="d4", context="other"),
    )

    record = version_record(run={"dataset_inputs": inputs, "params": {"dataset": "x"}})

    assert record.dataset_reference == "loans@d1, more@d2"
    assert record.provenance["dataset_reference"] == Told("dataset input", "training")
    assert record.others["dataset_reference"] == (
        ("x", Told("run parameter", "dataset")),
    )
    assert record.value("evaluation_dataset_reference") == "held-out@d3"
    assert [each["name"] for each in record.dataset_inputs][:2] == ["loans", "more"]


def test_an_input_without_a_context_is_weak_training_data() -> None:
    record = version_record(
        run={"dataset_inputs": (DatasetInput(name="loans", digest="d1"),)}
    )

    assert record.dataset_reference == "loans@d1"
    assert record.provenance["dataset_reference"].weak


def test_fairness_metrics_are_found_by_name() -> None:
    metrics = {"auc": 0.9, "demographic_parity_diff_gender": 0.12, "eod": math.nan}

    record = version_record(run={"metrics": metrics})

    assert record.value("fairness_metrics") == {"demographic_parity_diff_gender": 0.12}


def test_fairness_metrics_may_be_told_as_a_tag() -> None:
    record = with_tags(version={"fairness_metrics": '{"dpd": 0.05, "by": "gender"}'})

    assert record.value("fairness_metrics") == {"dpd": 0.05}


def test_unit_tests_and_baseline_are_told_by_the_run() -> None:
    record = version_record(
        run={
            "metrics": {"test_pass_rate": 1.0},
            "params": {"baseline_auc": "0.88", "decision_threshold": "0.5"},
        }
    )

    assert record.value("unit_tests_pass_rate") == 1.0
    assert record.provenance["unit_tests_pass_rate"].source == "run metric"
    assert record.value("baseline_ref") == "baseline_auc=0.88"
    assert record.value("decision_threshold") == "0.5"


def test_evaluation_tags_are_those_of_the_run_that_begin_so() -> None:
    record = with_tags(
        run={
            "Eval-Set": "2024",
            "threshold_auc": "0.8",
            "mlflow.evaluation": "x",
            "owner": "alice",
        },
        version={"eval_set": "no"},
    )

    assert record.evaluation_tags == {"Eval-Set": "2024", "threshold_auc": "0.8"}


def test_odd_tags_survive() -> None:
    odd = {"": "empty key", "k\x00": "v\x00", "a/b#?%": "x" * 100_000, "\ud800": "🙂"}

    record = with_tags(version=odd)

    assert record.tags == {
        "": "empty key",
        "k�": "v�",
        "a/b#?%": "x" * 100_000,
        "�": "🙂",
    }
