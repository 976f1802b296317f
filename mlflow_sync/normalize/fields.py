"""Every field of a version that somebody states, resolved, and those that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inventory.records import Stage, Told
from mlflow_sync.files.artifacts import ReadArtifacts
from mlflow_sync.files.kinds import MLMODEL
from mlflow_sync.normalize.lifecycle import lifecycle
from mlflow_sync.normalize.sources import (
    LABELS,
    Candidate,
    Candidates,
    Place,
    Resolved,
    resolve,
)
from mlflow_sync.normalize.vocabulary import Vocabulary


def resolve_fields(
    candidates: Candidates,
    *,
    native_stage: str,
    aliases: Sequence[str],
    artifacts: ReadArtifacts | None,
    vocabulary: Vocabulary,
) -> dict[str, Resolved]:
    """Return what is known of each stated field; the stage is always among them.

    `candidates` are what the tags, parameters, metrics and inputs say.
    """
    if artifacts is not None:
        _tell_artifacts(candidates, artifacts)
    stage, deployment = lifecycle(
        candidates.pop("deployment_status", ()),
        native_stage=native_stage,
        aliases=aliases,
        vocabulary=vocabulary,
    )
    resolved = {field: resolve(field, said) for field, said in candidates.items()}
    resolved["lifecycle_stage"] = stage
    if deployment is not None:
        resolved["deployment_status"] = deployment
    image = resolved.pop("runtime_environment", None)
    if (environment := _environment(image, artifacts)) is not None:
        resolved["runtime_environment"] = environment
    _infer_target(resolved)
    return resolved


def _tell_artifacts(found: Candidates, artifacts: ReadArtifacts) -> None:
    """Add what the files of a version say: after all that people have said."""
    for field, path, value in (
        ("model_card_uri", artifacts.model_card, artifacts.model_card),
        ("input_schema", MLMODEL, artifacts.input_schema),
    ):
        if value:
            candidate = Candidate(False, Place.ARTIFACT, 0, path, "", value)
            found[field].append(candidate)


def _infer_target(resolved: dict[str, Resolved]) -> None:
    """Let the stage say where a version is deployed if nobody does."""
    stage = resolved["lifecycle_stage"]
    if "deployment_target" not in resolved and stage.value in (
        Stage.PRODUCTION,
        Stage.STAGING,
    ):
        told = replace(stage.told, weak=True)
        resolved["deployment_target"] = Resolved(stage.value.lower(), told, ())


def _environment(
    image: Resolved | None, artifacts: ReadArtifacts | None
) -> Resolved | None:
    """Return the environment files of a model, and the image that a tag names."""
    environment = dict(artifacts.runtime_environment) if artifacts else {}
    if not environment and image is None:
        return None
    if image is None or image.value is None:
        told = Told(LABELS[Place.ARTIFACT], ", ".join(environment.get("files", ())))
        return Resolved(environment, told, ()) if environment else image
    return Resolved(environment | {"image": image.value}, image.told, image.others)
