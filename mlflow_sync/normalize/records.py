"""From what MLflow said to our own words: one row in, one record out.

Pure: no HTTP, no Django, no clock. Every text is made storable, secrets and personal
data are taken out, times become aware UTC datetimes, and each field of a version is
filled by the source we believe most (`normalize_sources`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from inventory.records import (
    GOVERNANCE_FIELDS,
    ExperimentRecord,
    ModelRecord,
    Redaction,
    RunRecord,
    Section,
    Told,
    VersionRecord,
    is_known,
)
from mlflow_sync.exceptions import NormalizationError
from mlflow_sync.files.artifacts import ReadArtifacts
from mlflow_sync.fingerprints import row_fingerprint, version_fingerprint
from mlflow_sync.normalize.fields import resolve_fields
from mlflow_sync.normalize.metrics import points, usable_and_not
from mlflow_sync.normalize.redaction import PARAMETER, redact_mapping
from mlflow_sync.normalize.sources import collect
from mlflow_sync.normalize.text import clean_mapping, clean_text, clean_uri, fold, utc
from mlflow_sync.normalize.vocabulary import Vocabulary
from mlflow_sync.snapshots import (
    DatasetInput,
    ExperimentSnapshot,
    ModelSnapshot,
    RunSnapshot,
    VersionSnapshot,
)

NAME_LENGTH = 600
ID_LENGTH = 64
_STATUS_LENGTH = 20
_REGISTRATION_LENGTH = 40
_USER_LENGTH = 256
_GREATEST_VERSION = 2**31 - 1

_VERSION = re.compile(r"[0-9]{1,10}")
_GOVERNANCE = frozenset(GOVERNANCE_FIELDS)
_COMPLETE: Mapping[Section, str] = MappingProxyType({})

# Where the fields come from that only one source can tell.
_TOLD = {
    "model_name": Told("registered model", "name"),
    "description": Told("registered model", "description"),
    "version_number": Told("model version", "version"),
    "created_at": Told("model version", "creation_timestamp"),
    "last_updated_at": Told("model version", "last_updated_timestamp"),
    "source_run_id": Told("model version", "run_id"),
    "source_artifact_uri": Told("model version", "source"),
    "training_status": Told("run info", "status"),
    "training_started_at": Told("run info", "start_time"),
    "training_ended_at": Told("run info", "end_time"),
    "metrics": Told("run metrics"),
    "hyperparameters": Told("run parameters"),
    "evaluation_tags": Told("run tags"),
    "experiment_id": Told("run info", "experiment_id"),
    "experiment_name": Told("experiment", "name"),
    "artifact_uri": Told("run info", "artifact_uri"),
    "artifact_manifest": Told("artifacts"),
    "evidence_files": Told("artifacts"),
}


def normalize_model(snapshot: ModelSnapshot, *, vocabulary: Vocabulary) -> ModelRecord:
    """Translate a registered model.

    Missing: a description becomes "", a time None. Raises NormalizationError if the
    name is missing or too long, or an alias or a stage points to no version number.
    """
    name = _required(snapshot.name, NAME_LENGTH, row="A model", field="name")
    tags, found = redact_mapping(
        "model tag",
        clean_mapping(snapshot.tags),
        people_keys=vocabulary.people_keys,
    )
    description, found_in_text = _description("model", snapshot.description)
    return ModelRecord(
        name=name,
        description=description,
        created_at=utc(snapshot.creation_timestamp),
        last_updated_at=utc(snapshot.last_updated_timestamp),
        tags=tags,
        aliases={
            clean_text(alias): _version_number(version, row=name, field="aliases")
            for alias, version in snapshot.aliases.items()
        },
        latest_versions={
            clean_text(stage): _version_number(
                version, row=name, field="latest_versions"
            )
            for stage, version in snapshot.latest_versions.items()
        },
        redactions=found + found_in_text,
        fingerprint=row_fingerprint(snapshot, vocabulary=vocabulary),
    )


def normalize_experiment(
    snapshot: ExperimentSnapshot, *, vocabulary: Vocabulary
) -> ExperimentRecord:
    """Translate an experiment. Raises NormalizationError if it has no usable id."""
    tags, found = redact_mapping(
        "experiment tag",
        clean_mapping(snapshot.tags),
        people_keys=vocabulary.people_keys,
    )
    return ExperimentRecord(
        experiment_id=_required(
            snapshot.experiment_id,
            ID_LENGTH,
            row=f"Experiment {clean_text(snapshot.name)}",
            field="experiment_id",
        ),
        name=clean_text(snapshot.name)[:NAME_LENGTH],
        artifact_location=clean_uri(snapshot.artifact_location),
        lifecycle_stage=_status(snapshot.lifecycle_stage) or "active",
        created_at=utc(snapshot.creation_time),
        last_updated_at=utc(snapshot.last_update_time),
        tags=tags,
        redactions=found,
        fingerprint=row_fingerprint(snapshot, vocabulary=vocabulary),
    )


def normalize_run(snapshot: RunSnapshot, *, vocabulary: Vocabulary) -> RunRecord:
    """Translate a run with all that it logged.

    Units: metrics keep the unit in which they were logged, which MLflow does not tell.
    Missing: a metric that is NaN or infinite is left out and named, so that rules meet
    “not measured” and never a false number. Raises NormalizationError if the run has no
    usable id.
    """
    people = vocabulary.people_keys
    tags, in_tags = redact_mapping(
        "run tag", clean_mapping(snapshot.tags), people_keys=people
    )
    params, in_params = redact_mapping(
        PARAMETER, clean_mapping(snapshot.params), people_keys=people
    )
    inputs, in_inputs = _dataset_inputs(snapshot.dataset_inputs)
    metrics, unusable = usable_and_not(snapshot.metrics)
    return RunRecord(
        run_id=_required(snapshot.run_id, ID_LENGTH, row="A run", field="run_id"),
        experiment_id=clean_text(snapshot.experiment_id)[:ID_LENGTH],
        name=clean_text(snapshot.run_name)[:NAME_LENGTH],
        status=_status(snapshot.status),
        lifecycle_stage=_status(snapshot.lifecycle_stage) or "active",
        user_id=clean_text(snapshot.user_id)[:_USER_LENGTH],
        started_at=utc(snapshot.start_time),
        ended_at=utc(snapshot.end_time),
        artifact_uri=clean_uri(snapshot.artifact_uri),
        tags=tags,
        params=params,
        metrics=metrics,
        unusable_metrics=unusable,
        metric_points=points(snapshot.metric_points),
        dataset_inputs=inputs,
        redactions=in_tags + in_params + in_inputs,
        fingerprint=row_fingerprint(snapshot, vocabulary=vocabulary),
    )


def normalize_version(
    snapshot: VersionSnapshot,
    *,
    model: ModelRecord,
    run: RunRecord | None,
    experiment: ExperimentRecord | None,
    artifacts: ReadArtifacts | None,
    vocabulary: Vocabulary,
    incomplete: Mapping[Section, str] = _COMPLETE,
) -> VersionRecord:
    """Translate a model version, with what its model, run, experiment and files say.

    Source: a row of model-versions/search and the records of the rows it leads to;
        None for a run, an experiment or artifacts that there are not, or that could not
        be read: `incomplete` says why, besides what the artifacts say themselves. A run
        may be given that was known before and could not be read now.
    Missing: "" or an empty document; in `governance` an unknown field is left out. A
        text that its field cannot hold is left out too, and stays visible in
        `provenance`.
    Errors: NormalizationError naming model, version and field if the version number or
        the creation time is missing or malformed, or the run id is none of MLflow's.
    """
    incomplete = {**(artifacts.incomplete if artifacts else {}), **incomplete}
    name = _required(snapshot.name, NAME_LENGTH, row="A model version", field="name")
    row = f"{name} version {clean_text(snapshot.version)}"
    number = _version_number(snapshot.version, row=row, field="version")
    if (created_at := utc(snapshot.creation_timestamp)) is None:
        problem = "is missing" if snapshot.creation_timestamp is None else "is no time"
        raise NormalizationError(row, field="creation_timestamp", problem=problem)
    run_id = clean_text(snapshot.run_id)
    if len(run_id) > ID_LENGTH:
        raise NormalizationError(row, field="run_id", problem="is too long")

    tags, redactions = redact_mapping(
        "version tag",
        clean_mapping(snapshot.tags),
        people_keys=vocabulary.people_keys,
    )
    description, found_in_text = _description("version", snapshot.description)
    in_files = artifacts.redactions if artifacts else ()
    native_stage = _status(snapshot.current_stage)
    aliases = tuple(
        sorted(a for a, target in model.aliases.items() if target == number)
    )
    candidates = collect(
        tags,
        version_user=clean_text(snapshot.user_id)[:_USER_LENGTH],
        model=model,
        run=run,
        experiment=experiment,
        vocabulary=vocabulary,
    )
    resolved = resolve_fields(
        candidates,
        native_stage=native_stage,
        aliases=aliases,
        artifacts=artifacts,
        vocabulary=vocabulary,
    )
    told = {
        field: found.value
        for field, found in resolved.items()
        if found.value is not None
    }
    fields: dict[str, Any] = {
        "model_name": name,
        "description": model.description,
        "version_number": number,
        "created_at": created_at,
        "last_updated_at": utc(snapshot.last_updated_timestamp),
        "source_run_id": run_id,
        "source_artifact_uri": clean_uri(snapshot.source),
    }
    if run is not None:
        fields |= {
            "training_status": run.status,
            "training_started_at": run.started_at,
            "training_ended_at": run.ended_at,
            "metrics": run.metrics,
            "hyperparameters": run.params,
            "evaluation_tags": _evaluation_tags(run.tags, vocabulary),
            "experiment_id": run.experiment_id,
            "artifact_uri": run.artifact_uri,
        }
    if experiment is not None:
        fields["experiment_id"] = experiment.experiment_id
        fields["experiment_name"] = experiment.name
    if artifacts is not None:
        fields["artifact_manifest"] = artifacts.manifest
        fields["evidence_files"] = artifacts.evidence_files
    provenance = {
        name: _TOLD[name] for name, value in fields.items() if is_known(value)
    }
    provenance |= {name: found.told for name, found in resolved.items()}
    return VersionRecord(
        **fields,
        **{name: value for name, value in told.items() if name not in _GOVERNANCE},
        governance={name: value for name, value in told.items() if name in _GOVERNANCE},
        version_description=description,
        native_stage=native_stage,
        aliases=aliases,
        tags=tags,
        registration_status=clean_text(snapshot.status)[:_REGISTRATION_LENGTH],
        run_found=run is not None and Section.RUN not in incomplete,
        dataset_inputs=run.dataset_inputs if run else (),
        signature=artifacts.signature if artifacts else {},
        flavors=artifacts.flavors if artifacts else (),
        mlmodel=artifacts.mlmodel if artifacts else {},
        artifact_root=artifacts.root if artifacts else "",
        provenance=provenance,
        others={name: found.others for name, found in resolved.items() if found.others},
        redactions=redactions + found_in_text + in_files,
        artifacts_fingerprint=artifacts.fingerprint if artifacts else "",
        incomplete=incomplete,
        fingerprint=version_fingerprint(
            snapshot,
            model=model,
            run_fingerprint=run.fingerprint if run else None,
            experiment_fingerprint=experiment.fingerprint if experiment else None,
            artifacts_fingerprint=artifacts.fingerprint if artifacts else None,
            vocabulary=vocabulary,
            incomplete=incomplete,
        ),
    )


def _evaluation_tags(tags: Mapping[str, str], vocabulary: Vocabulary) -> dict[str, str]:
    return {
        key: value
        for key, value in tags.items()
        if fold(key).startswith(vocabulary.evaluation_prefixes)
    }


def _description(place: str, text: str | None) -> tuple[str, tuple[Redaction, ...]]:
    """Return a description without secrets; people's addresses may stand in it."""
    if not text:
        return "", ()
    values, found = redact_mapping(
        place, {"description": clean_text(text)}, people_keys=("description",)
    )
    return values["description"], found


def _dataset_inputs(
    inputs: tuple[DatasetInput, ...],
) -> tuple[tuple[dict[str, str], ...], tuple[Redaction, ...]]:
    rows: list[dict[str, str]] = []
    redactions: tuple[Redaction, ...] = ()
    for dataset in inputs:
        row, found = redact_mapping("dataset input", clean_mapping(asdict(dataset)))
        rows.append(row)
        redactions += found
    return tuple(rows), redactions


def _required(text: str, longest: int, *, row: str, field: str) -> str:
    if not text:
        raise NormalizationError(row, field=field, problem="is missing")
    if len(text) > longest:
        raise NormalizationError(row, field=field, problem="is too long")
    return clean_text(text)


def _version_number(text: str, *, row: str, field: str) -> int:
    if not _VERSION.fullmatch(text) or not 0 < int(text) <= _GREATEST_VERSION:
        problem = f"has “{clean_text(text)[:40]}” for a version number"
        raise NormalizationError(row, field=field, problem=problem)
    return int(text)


def _status(text: str | None) -> str:
    return clean_text(text)[:_STATUS_LENGTH]
