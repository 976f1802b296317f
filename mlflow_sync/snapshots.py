"""What MLflow said, row by row, before we put it into our own words.

Pure data, made by `client` from decoded JSON: names and units are MLflow's (timestamps
are integer milliseconds since the Unix epoch), missing keys are None or empty.
`fingerprint` is a digest of the whole JSON row, so that a field which we do not read
yet counts as a change too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSnapshot:
    """A row of registered-models/search; the only place that tells aliases."""

    name: str
    description: str | None = None
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)  # alias -> version
    latest_versions: Mapping[str, str] = field(default_factory=dict)  # stage -> version
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSnapshot:
    """A row of model-versions/search."""

    name: str
    version: str
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    description: str | None = None
    user_id: str | None = None
    current_stage: str | None = None
    source: str | None = None
    run_id: str | None = None
    status: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInput:
    """One of run.inputs.dataset_inputs; `context` is its tag mlflow.data.context."""

    name: str = ""
    digest: str = ""
    source_type: str = ""
    source: str = ""
    context: str = ""


class MetricPoint(NamedTuple):
    """Where on its way, and when, a run logged the last value of a metric."""

    step: int | None = None
    timestamp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSnapshot:
    """A row of runs/search. A metric value is a float, NaN and infinities included."""

    run_id: str
    run_name: str | None = None
    experiment_id: str | None = None
    user_id: str | None = None
    status: str | None = None
    start_time: int | None = None
    end_time: int | None = None
    artifact_uri: str | None = None
    lifecycle_stage: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    metric_points: Mapping[str, MetricPoint] = field(default_factory=dict)
    dataset_inputs: tuple[DatasetInput, ...] = ()
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentSnapshot:
    """A row of experiments/search."""

    experiment_id: str
    name: str
    artifact_location: str | None = None
    lifecycle_stage: str | None = None
    creation_time: int | None = None
    last_update_time: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedModelSnapshot:
    """A row of logged-models/search, or an entry of a run's tag mlflow.log-model.history.

    `address` is what registers it; `sources` are what the source of a version says that
    is made from it.
    """

    address: str  # models:/m-…, or runs:/<run id>/<path>
    sources: tuple[str, ...]
    name: str
    model_type: str = ""
    status: str = ""
    run_id: str = ""
    experiment_id: str = ""
    creation_timestamp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSnapshot:
    """A file of a version's artifacts; the path is relative to the listed root.

    That of a file which the run has besides begins with `runs:/<run id>/`.
    """

    path: str
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactsSnapshot:
    """The files of a version, and the bytes of the few that were downloaded."""

    root: str  # as MLflow told it
    files: tuple[FileSnapshot, ...] = ()
    contents: Mapping[str, bytes] = field(default_factory=dict)  # path -> bytes
    failures: Mapping[str, str] = field(default_factory=dict)  # path or "" -> reason
    store_failure: str = ""  # why the server, asked to list them, failed itself
