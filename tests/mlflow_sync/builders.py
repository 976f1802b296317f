"""One faultless model, version, run and experiment, told and recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from inventory.records import (
    ExperimentRecord,
    ModelRecord,
    RunRecord,
    Section,
    VersionRecord,
)
from mlflow_sync.files.artifacts import ReadArtifacts
from mlflow_sync.normalize.records import (
    normalize_experiment,
    normalize_model,
    normalize_run,
    normalize_version,
)
from mlflow_sync.normalize.vocabulary import default_vocabulary
from mlflow_sync.snapshots import (
    ExperimentSnapshot,
    ModelSnapshot,
    RunSnapshot,
    VersionSnapshot,
)

VOCABULARY = default_vocabulary()
COMMIT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
CREATED = 1_700_000_000_000

MODEL = ModelSnapshot(
    name="credit-scoring",
    description="Ranks applicants for a loan.",
    creation_timestamp=CREATED,
    last_updated_timestamp=CREATED + 1,
    aliases={"champion": "3", "challenger": "4"},
    latest_versions={"Production": "3"},
    fingerprint="m1",
)
RUN = RunSnapshot(
    run_id="r1",
    run_name="nightly",
    experiment_id="7",
    user_id="alice",
    status="FINISHED",
    start_time=CREATED - 2000,
    end_time=CREATED - 1000,
    artifact_uri="mlflow-artifacts:/7/r1/artifacts",
    lifecycle_stage="active",
    params={"max_depth": "6"},
    metrics={"auc": 0.91},
    fingerprint="r1",
)
EXPERIMENT = ExperimentSnapshot(
    experiment_id="7",
    name="loans",
    artifact_location="mlflow-artifacts:/7",
    creation_time=CREATED - 5000,
    fingerprint="e1",
)
VERSION = VersionSnapshot(
    name="credit-scoring",
    version="3",
    creation_timestamp=CREATED,
    last_updated_timestamp=CREATED + 1,
    description="Trained on 2023.",
    current_stage="None",
    source="models:/m-1",
    run_id="r1",
    status="READY",
    fingerprint="v1",
)


def model_record(snapshot: ModelSnapshot = MODEL) -> ModelRecord:
    return normalize_model(snapshot, vocabulary=VOCABULARY)


def run_record(snapshot: RunSnapshot = RUN) -> RunRecord:
    return normalize_run(snapshot, vocabulary=VOCABULARY)


def experiment_record(snapshot: ExperimentSnapshot = EXPERIMENT) -> ExperimentRecord:
    return normalize_experiment(snapshot, vocabulary=VOCABULARY)


def version_record(
    *,
    version: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    experiment: Mapping[str, Any] | None = None,
    artifacts: ReadArtifacts | None = None,
) -> VersionRecord:
    """Return the record of the faultless version, with some fields of its rows changed."""
    return normalize_version(
        replace(VERSION, **(version or {})),
        model=model_record(replace(MODEL, **(model or {}))),
        run=run_record(replace(RUN, **(run or {}))),
        experiment=experiment_record(replace(EXPERIMENT, **(experiment or {}))),
        artifacts=artifacts,
        vocabulary=VOCABULARY,
        incomplete={},
    )


def with_tags(
    version: Mapping[str, str] | None = None,
    model: Mapping[str, str] | None = None,
    run: Mapping[str, str] | None = None,
    experiment: Mapping[str, str] | None = None,
) -> VersionRecord:
    return version_record(
        version={"tags": version or {}, "current_stage": "None"},
        model={"tags": model or {}, "aliases": {}},
        run={"tags": run or {}},
        experiment={"tags": experiment or {}},
    )


ARTIFACTS = ReadArtifacts(
    manifest=(
        {"path": "MLmodel", "size": 1, "type": "model description", "state": "hashed"},
    ),
    runtime_environment={"files": ["conda.yaml"], "python": "3.11.7"},
    evidence_files=(
        {"path": "README.md", "kind": "model card", "state": "not_asked"},
        {"path": "model_card.md", "kind": "model card", "state": "hashed"},
    ),
    signature={"inputs": [{"name": "age", "type": "long"}]},
    flavors=("sklearn",),
    incomplete={Section.ENVIRONMENT: "conda.yaml: It is not valid YAML."},
    fingerprint="a1",
)
