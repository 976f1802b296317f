"""From MLflow's rows to records: what is kept, and what is left out."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from inventory.records import ModelRecord, Section, Told
from mlflow_sync.exceptions import NormalizationError
from mlflow_sync.fingerprints import row_fingerprint
from mlflow_sync.normalize.records import normalize_version
from mlflow_sync.snapshots import (
    DatasetInput,
    ExperimentSnapshot,
    MetricPoint,
    ModelSnapshot,
    RunSnapshot,
)
from tests.mlflow_sync.builders import (
    ARTIFACTS,
    EXPERIMENT,
    MODEL,
    RUN,
    VERSION,
    VOCABULARY,
    experiment_record,
    model_record,
    run_record,
    version_record,
    with_tags,
)


def test_a_model_is_told_in_our_words() -> None:
    assert model_record() == ModelRecord(
        name="credit-scoring",
        description="Ranks applicants for a loan.",
        created_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        last_updated_at=datetime(2023, 11, 14, 22, 13, 20, 1000, tzinfo=UTC),
        aliases={"champion": 3, "challenger": 4},
        latest_versions={"Production": 3},
        fingerprint=row_fingerprint(MODEL, vocabulary=VOCABULARY),
    )


def test_an_experiment_is_told_in_our_words() -> None:
    snapshot = replace(
        EXPERIMENT,
        artifact_location="s3://key:secret@bucket/7",
        lifecycle_stage="deleted",
    )

    record = experiment_record(snapshot)

    assert (record.experiment_id, record.name) == ("7", "loans")
    assert record.artifact_location == "s3://bucket/7"
    assert record.lifecycle_stage == "deleted"


def test_a_run_is_told_in_our_words() -> None:
    record = run_record(
        replace(
            RUN,
            end_time=0,  # MLflow 2 tells so of a run that goes on
            dataset_inputs=(
                DatasetInput(
                    name="loans",
                    digest="d1",
                    source_type="http",
                    source='{"url": "https://h/x.csv?X-Amz-Signature=s1"}',
                    context="training",
                ),
            ),
        )
    )

    assert (record.run_id, record.name, record.status) == ("r1", "nightly", "FINISHED")
    assert record.started_at == datetime(2023, 11, 14, 22, 13, 18, tzinfo=UTC)
    assert record.ended_at is None
    assert record.params == {"max_depth": "6"}
    assert record.dataset_inputs == (
        {
            "name": "loans",
            "digest": "d1",
            "source_type": "http",
            "source": '{"url": "https://h/x.csv?[redacted]"}',
            "context": "training",
        },
    )
    assert [each.place for each in record.redactions] == ["dataset input"]


def test_a_metric_that_is_no_number_is_left_out_and_named() -> None:
    metrics = {
        "auc": 0.9,
        "zero": 0.0,
        "nan": math.nan,
        "inf": math.inf,
        "minus": -math.inf,
        "stored": 1.7976931348623157e308,
        "stored_minus": -1.7976931348623157e308,
        "huge": 1.2e308,
        "large": 9e307,
        "odd näme/µ #?%\x00": 1.0,
    }

    record = run_record(replace(RUN, metrics=metrics))

    assert record.metrics == {
        "auc": 0.9,
        "zero": 0.0,
        "large": 9e307,
        "odd näme/µ #?%�": 1.0,
    }
    assert record.unusable_metrics == {
        "nan": "NaN",
        "inf": "Infinity",
        "minus": "-Infinity",
        "stored": "Infinity",
        "stored_minus": "-Infinity",
        "huge": "1.2e+308",
    }


def test_the_step_and_the_time_of_a_metric_are_kept_where_they_are_told() -> None:
    told = {
        "auc": MetricPoint(7, 1_700_000_000_123),
        "nan\x00": MetricPoint(-1, 1_700_000_000_000),
        "untimed": MetricPoint(0, 0),
        "unstepped": MetricPoint(None, 1_700_000_000_000),
        "never": MetricPoint(None, 10**18),
    }

    record = run_record(replace(RUN, metric_points=told))

    assert record.metric_points == {
        "auc": {"step": 7, "at": "2023-11-14T22:13:20.123000Z"},
        "nan�": {"step": -1, "at": "2023-11-14T22:13:20Z"},
        "untimed": {"step": 0},
        "unstepped": {"at": "2023-11-14T22:13:20Z"},
    }


def test_what_rows_do_not_tell_is_empty() -> None:
    model = model_record(ModelSnapshot(name="m", fingerprint="f"))
    run = run_record(RunSnapshot(run_id="r", fingerprint="f"))
    experiment = experiment_record(
        ExperimentSnapshot(experiment_id="0", name="", fingerprint="f")
    )

    assert (model.description, model.created_at, model.aliases) == ("", None, {})
    assert (run.status, run.started_at, run.lifecycle_stage) == ("", None, "active")
    assert (experiment.name, experiment.lifecycle_stage) == ("", "active")


def test_secrets_of_every_row_are_redacted_and_named() -> None:
    secret = {"note": "ghp_" + "a1B2" * 9}

    record = version_record(version={"tags": secret})

    kept = {"note": "[redacted: GitHub token]"}
    assert record.tags == kept
    assert [(each.place, each.key) for each in record.redactions] == [
        ("version tag", "note")
    ]
    for row, place in (
        (model_record(replace(MODEL, tags=secret)), "model tag"),
        (run_record(replace(RUN, tags=secret)), "run tag"),
        (experiment_record(replace(EXPERIMENT, tags=secret)), "experiment tag"),
    ):
        assert row.tags == kept
        assert [each.place for each in row.redactions] == [place]
    run = run_record(replace(RUN, params=secret))
    assert (run.params, run.redactions[0].place) == (kept, "parameter")


def test_a_description_keeps_addresses_and_loses_secrets() -> None:
    model = model_record(replace(MODEL, description="Ask jane@example.com."))
    assert (model.description, model.redactions) == ("Ask jane@example.com.", ())

    secret = "AKIA" + "IOSFODNN7EXAMPLE"
    model = model_record(replace(MODEL, description=secret))
    assert model.description == "[redacted: AWS access key]"
    assert [each.place for each in model.redactions] == ["model"]

    record = version_record(version={"description": secret})
    assert record.version_description == "[redacted: AWS access key]"
    assert [(each.place, each.key) for each in record.redactions] == [
        ("version", "description")
    ]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"name": ""}, "A model: name is missing."),
        ({"name": "n" * 601}, "A model: name is too long."),
        (
            {"aliases": {"champion": "x"}},
            "credit-scoring: aliases has “x” for a version number.",
        ),
        (
            {"latest_versions": {"Staging": ""}},
            "credit-scoring: latest_versions has “” for a version number.",
        ),
    ],
)
def test_a_model_that_no_record_can_be_made_of_is_named(
    fault: dict[str, Any], message: str
) -> None:
    with pytest.raises(NormalizationError) as refusal:
        model_record(replace(MODEL, **fault))

    assert str(refusal.value) == message


def test_a_version_is_told_in_our_words() -> None:
    record = version_record()

    assert record.model_name == "credit-scoring"
    assert record.version_number == 3
    assert record.created_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert record.description == "Ranks applicants for a loan."
    assert record.version_description == "Trained on 2023."
    assert record.source_artifact_uri == "models:/m-1"
    assert (record.source_run_id, record.run_found) == ("r1", True)
    assert record.training_status == "FINISHED"
    assert record.training_ended_at == datetime(2023, 11, 14, 22, 13, 19, tzinfo=UTC)
    assert record.metrics == {"auc": 0.91}
    assert record.hyperparameters == {"max_depth": "6"}
    assert (record.experiment_id, record.experiment_name) == ("7", "loans")
    assert record.artifact_uri == "mlflow-artifacts:/7/r1/artifacts"
    assert record.aliases == ("champion",)
    assert record.registration_status == "READY"
    assert record.provenance["created_at"] == Told(
        "model version", "creation_timestamp"
    )
    assert record.provenance["metrics"] == Told("run metrics")
    assert "business_purpose" not in record.provenance


@pytest.mark.parametrize("run_id", ["", None])
def test_a_version_without_a_run_is_whole_all_the_same(run_id: str | None) -> None:
    record = normalize_version(
        replace(VERSION, run_id=run_id, user_id="bob"),
        model=model_record(),
        run=None,
        experiment=None,
        artifacts=None,
        vocabulary=VOCABULARY,
        incomplete={},
    )

    assert (record.source_run_id, record.run_found) == ("", False)
    assert (record.metrics, record.training_status, record.artifact_uri) == ({}, "", "")
    assert "source_run_id" not in record.provenance
    assert record.owner == "bob"
    assert record.provenance["owner"] == Told("version info", "user_id", weak=True)


def test_a_run_known_before_is_used_and_not_found() -> None:
    reason = {Section.RUN: "MLflow does not tell run r1."}

    record = normalize_version(
        VERSION,
        model=model_record(),
        run=run_record(),
        experiment=None,
        artifacts=None,
        vocabulary=VOCABULARY,
        incomplete=reason,
    )

    assert record.metrics == {"auc": 0.91}
    assert not record.run_found
    assert record.incomplete == reason


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"creation_timestamp": None}, "creation_timestamp is missing."),
        ({"creation_timestamp": 0}, "creation_timestamp is no time."),
        ({"creation_timestamp": 10**18}, "creation_timestamp is no time."),
        ({"run_id": "r" * 65}, "run_id is too long."),
    ],
)
def test_a_version_that_no_record_can_be_made_of_is_named(
    fault: dict[str, Any], message: str
) -> None:
    with pytest.raises(NormalizationError) as refusal:
        version_record(version=fault)

    assert str(refusal.value) == f"credit-scoring version 3: {message}"


@pytest.mark.parametrize("version", ["", "x", "0", "-1", "3.0", "²", "9999999999"])
def test_a_version_number_is_a_number(version: str) -> None:
    with pytest.raises(NormalizationError, match=r"version has “.*” for a version"):
        version_record(version={"version": version})


def test_a_missing_time_other_than_the_creation_is_none() -> None:
    record = version_record(version={"last_updated_timestamp": None})

    assert record.last_updated_at is None
    assert "last_updated_at" not in record.provenance


def test_files_tell_environment_card_and_schema() -> None:
    record = version_record(artifacts=ARTIFACTS)

    assert record.artifact_manifest == ARTIFACTS.manifest
    assert record.evidence_files == ARTIFACTS.evidence_files
    assert record.flavors == ("sklearn",)
    assert record.signature == ARTIFACTS.signature
    assert record.artifacts_fingerprint == "a1"
    assert record.runtime_environment == ARTIFACTS.runtime_environment
    assert record.provenance["runtime_environment"] == Told("artifact", "conda.yaml")
    assert record.value("input_schema") == {"age": "long"}
    assert record.value("model_card_uri") == "model_card.md"
    assert record.incomplete == ARTIFACTS.incomplete


def test_the_digest_of_an_image_is_an_environment_and_its_name_is_not() -> None:
    digest = "sha256:" + "0a" * 32

    named = with_tags(version={"image_digest": digest})
    assert named.runtime_environment == {"image": digest}

    unnamed = with_tags(version={"image_digest": "serve:latest"})
    assert unnamed.runtime_environment == {}
    assert unnamed.provenance["runtime_environment"].raw == "serve:latest"

    both = version_record(
        version={"tags": {"image_digest": digest}}, artifacts=ARTIFACTS
    )
    assert both.runtime_environment == ARTIFACTS.runtime_environment | {"image": digest}
