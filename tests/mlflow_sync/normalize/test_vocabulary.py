"""The table of words: complete, honest about false friends, and checked when read."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import yaml

from inventory.records import FIELDS, GOVERNANCE_FIELDS, Group, Stage
from mlflow_sync.normalize.vocabulary import (
    TABLE,
    Claims,
    default_vocabulary,
    vocabulary_from,
)

VOCABULARY = default_vocabulary()

# What MLflow itself tells, without words of anybody's.
NATIVE = {
    "model_name", "description", "version_number", "lifecycle_stage", "created_at",
    "last_updated_at", "source_run_id", "source_artifact_uri", "training_status",
    "training_started_at", "training_ended_at", "metrics", "hyperparameters",
    "evaluation_tags", "experiment_id", "experiment_name", "artifact_uri",
    "artifact_manifest", "evidence_files",
}  # fmt: skip


def fields_of(claims: Claims, key: str) -> list[str]:
    return [claim.field for claim in claims.of(key)]


@pytest.fixture
def table() -> dict[str, Any]:
    return copy.deepcopy(yaml.safe_load(TABLE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("field", sorted(FIELDS.keys() - NATIVE))
def test_every_field_has_a_source(field: str) -> None:
    told = {
        claim.field
        for claims in (VOCABULARY.registry_tags, VOCABULARY.metrics)
        for found in claims.exact.values()
        for claim in found
    }

    assert field in told


@pytest.mark.parametrize("field", [*GOVERNANCE_FIELDS, "owner", "risk_category"])
def test_every_extension_field_answers_to_its_own_name(field: str) -> None:
    assert field in fields_of(VOCABULARY.registry_tags, field)
    assert field in fields_of(VOCABULARY.registry_tags, field.replace("_", "-").upper())


def test_the_risk_and_compliance_group_can_be_told_on_versions_and_runs() -> None:
    for field in FIELDS.values():
        if field.group is Group.RISK:
            assert field.name in fields_of(VOCABULARY.registry_tags, field.name)
            assert field.name in fields_of(VOCABULARY.run_tags, field.name)


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("Model Owner", "owner"),
        ("mlflow.source.git.commit", "code_commit"),
        ("mlflow.databricks.gitRepoCommit", "code_commit"),
        ("CommitId", "code_commit"),
        ("dvc.data_url", "dataset_reference"),
        ("regulatory.compliance", "regulatory_scope"),
        ("Data-Classification", "data_sensitivity"),
        ("dpia", "privacy_assessment_status"),
        ("ModelApprovalStatus", "approval_claim"),
        ("Approval_Legal", "approval_claim"),
        ("baseline_auc", "baseline_ref"),
        ("mlflow.experiment.primaryMetric.name", "primary_metric"),
        ("mlflow.experiment.primaryMetric.greaterIsBetter", "greater_is_better"),
        ("eu_ai_act_annex_iii", "annex_iii_category"),
        ("image_digest", "runtime_environment"),
    ],
)
def test_keys_of_practice_are_known(key: str, field: str) -> None:
    assert field in fields_of(VOCABULARY.registry_tags, key)


@pytest.mark.parametrize("key", ["regulation_id", "regulation_version", "", "x", "own"])
def test_other_keys_say_nothing(key: str) -> None:
    assert fields_of(VOCABULARY.registry_tags, key) == []


def test_one_key_may_speak_of_several_fields() -> None:
    assert set(fields_of(VOCABULARY.registry_tags, "risk_category")) == {
        "risk_category",
        "declared_tier",
        "declared_ai_act_class",
    }


def test_false_friends_are_marked_on_runs_and_not_on_versions() -> None:
    assert "deployment_status" in fields_of(VOCABULARY.registry_tags, "env")
    assert "deployment_status" not in fields_of(VOCABULARY.run_tags, "env")
    (on_version,) = VOCABULARY.registry_tags.of("risk_level")
    (on_run,) = VOCABULARY.run_tags.of("risk_level")
    assert (on_version.in_company, on_run.in_company) == (False, True)
    (on_version,) = VOCABULARY.registry_tags.of("purpose")
    (on_run,) = VOCABULARY.run_tags.of("purpose")
    assert (on_version.weak, on_run.weak) == (False, True)


def test_words_of_a_choice_are_all_known() -> None:
    for field in FIELDS.values():
        if field.choices and field.name in VOCABULARY.readings:
            reading = VOCABULARY.readings[field.name]
            assert [reading.read(word, key="") for word in field.choices] == [
                *field.choices
            ]


def test_aliases_name_stages() -> None:
    assert VOCABULARY.stages["champion"] is Stage.PRODUCTION
    assert VOCABULARY.stages["challenger"] is Stage.STAGING
    assert VOCABULARY.stages["retired"] is Stage.ARCHIVED
    assert "none" not in VOCABULARY.stages


@pytest.mark.parametrize(
    ("name", "is_fairness"),
    [
        ("demographic_parity_difference", True),
        ("Demographic-Parity-Diff-Gender", True),
        ("val_dp_diff_age", True),
        ("eod", True),
        ("eod2", False),
        ("disparate_impact", True),
        ("debiased_auc", True),
        ("auc", False),
    ],
)
def test_fairness_metrics_are_known_by_their_names(
    name: str, is_fairness: bool
) -> None:
    folded = name.casefold().replace("-", "_")

    assert bool(VOCABULARY.fairness.match(folded)) is is_fairness


def test_another_word_is_another_fingerprint(table: dict[str, Any]) -> None:
    assert vocabulary_from(table).fingerprint == VOCABULARY.fingerprint

    table["fields"]["owner"]["keys"].append("Verantwortlich")
    extended = vocabulary_from(table)

    assert extended.fingerprint != VOCABULARY.fingerprint
    assert fields_of(extended.registry_tags, "verantwortlich") == ["owner"]
    assert "verantwortlich" in extended.people_keys


@pytest.mark.parametrize(
    ("field", "options", "message"),
    [
        ("ownr", {}, "vocabulary: ownr is not a field of the record."),
        ("owner", {"kyes": []}, "vocabulary: owner has unknown options ['kyes']."),
        ("owner", {"parse": "x"}, "vocabulary: owner is parsed by an unknown “x”."),
    ],
)
def test_a_table_that_cannot_be_is_refused_by_name(
    table: dict[str, Any], field: str, options: dict[str, Any], message: str
) -> None:
    table["fields"][field] = options

    with pytest.raises(ValueError, match=re.escape(message)):
        vocabulary_from(table)
