"""The canonical record: what we know of one model version, in our own words.

Pure data, no Django and no MLflow. A source (today MLflow, by `mlflow_sync.normalize`)
makes records, `inventory.store` writes them, the console and the API read them by the
fields of `inventory.fields`, which are at hand here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from inventory.fields import (
    AI_ACT_CLASSES,
    CANONICAL_FIELDS,
    FIELDS,
    GOVERNANCE_FIELDS,
    GROUP_LABELS,
    RISK_FIELDS,
    SENSITIVITIES,
    TIERS,
    Field,
    Group,
    Kind,
    Stage,
    is_known,
)

__all__ = (
    "AI_ACT_CLASSES",
    "CANONICAL_FIELDS",
    "FIELDS",
    "GOVERNANCE_FIELDS",
    "GROUP_LABELS",
    "RISK_FIELDS",
    "SENSITIVITIES",
    "TIERS",
    "ExperimentRecord",
    "Field",
    "Group",
    "Kind",
    "ModelRecord",
    "Redaction",
    "RunRecord",
    "Section",
    "Stage",
    "Told",
    "UnregisteredRecord",
    "VersionRecord",
    "is_known",
)


class Section(StrEnum):
    """The parts of a version that are fetched, and can fail, on their own."""

    VERSION = "version"
    RUN = "run"
    EXPERIMENT = "experiment"
    ARTIFACTS = "artifacts"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class Told:
    """Where a value came from, in the words people read: `version tag risk_category`."""

    source: str  # "version tag", "model tag", "run tag", "dataset input", "run info", …
    key: str = ""
    weak: bool = False  # fills the field, but does not prove accountability
    raw: str = ""  # what was told, where it differs from the value kept

    def __str__(self) -> str:
        return f"{self.source} {self.key}".rstrip()


@dataclass(frozen=True, slots=True)
class Redaction:
    """A value that was not stored because it looked like a secret or personal data."""

    place: str  # "run tag", "version tag", "parameter", "model tag", …
    key: str
    kind: str  # "AWS access key", "card number", "e-mail address", …
    is_secret: bool  # a credential (VW-SEC-003), else personal data (VW-PRIV-005)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """A registered model. Times are aware UTC datetimes.

    Of one that is out of scope only name and times are told, and `out_of_scope`: why.
    """

    name: str
    description: str = ""
    created_at: datetime | None = None
    last_updated_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)  # after redaction
    aliases: Mapping[str, int] = field(default_factory=dict)  # alias -> version number
    latest_versions: Mapping[str, int] = field(
        default_factory=dict
    )  # stage -> version number
    out_of_scope: str = ""  # a sentence; "" is in scope
    redactions: tuple[Redaction, ...] = ()
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRecord:
    experiment_id: str
    name: str
    artifact_location: str = ""
    lifecycle_stage: str = "active"  # or "deleted"
    created_at: datetime | None = None
    last_updated_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    redactions: tuple[Redaction, ...] = ()
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A training or evaluation run, with all that it logged after redaction."""

    run_id: str
    experiment_id: str = ""
    name: str = ""
    status: str = ""  # RUNNING, SCHEDULED, FINISHED, FAILED, KILLED
    lifecycle_stage: str = "active"  # or "deleted"
    user_id: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    artifact_uri: str = ""  # credentials stripped
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)  # finite values only
    unusable_metrics: Mapping[str, str] = field(
        default_factory=dict
    )  # name -> "NaN", "Infinity", …
    metric_points: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict
    )  # name, also of an unusable one -> step and at (ISO 8601, UTC), where told
    dataset_inputs: tuple[Mapping[str, str], ...] = ()  # name, digest, context, …
    redactions: tuple[Redaction, ...] = ()
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnregisteredRecord:
    """A model that a run logged and nobody registered; `external_id` registers it."""

    kind: str
    external_id: str
    name: str
    model_type: str = ""
    status: str = ""
    run_id: str = ""
    experiment_id: str = ""
    created_at: datetime | None = None
    redactions: tuple[Redaction, ...] = ()
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """One model version: every field of the six groups, and where each came from.

    `governance` maps names of `GOVERNANCE_FIELDS` to values; absent means unknown.
    `provenance` maps a field name to the `Told` that won; `others` maps it to the
    (value, Told) pairs that lost against it and say something else.
    `incomplete` maps a Section to the reason why it could not be read.
    `fingerprint` covers everything the record was made from.
    """

    model_name: str
    version_number: int
    created_at: datetime

    description: str = ""
    business_purpose: str = ""
    owner: str = ""

    lifecycle_stage: str = Stage.NONE
    last_updated_at: datetime | None = None
    deployment_status: str = ""
    source_run_id: str = ""
    source_artifact_uri: str = ""

    training_status: str = ""
    training_started_at: datetime | None = None
    training_ended_at: datetime | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    evaluation_tags: Mapping[str, str] = field(default_factory=dict)

    experiment_id: str = ""
    experiment_name: str = ""
    code_commit: str = ""
    training_entrypoint: str = ""
    dataset_reference: str = ""
    artifact_uri: str = ""

    risk_category: str = ""
    regulatory_scope: tuple[str, ...] = ()
    data_sensitivity: str = ""
    privacy_assessment_status: str = ""
    compliance_approver: str = ""
    security_assessment_version: str = ""

    runtime_environment: Mapping[str, Any] = field(default_factory=dict)
    artifact_manifest: tuple[Mapping[str, Any], ...] = ()
    evidence_files: tuple[Mapping[str, Any], ...] = ()

    governance: Mapping[str, Any] = field(default_factory=dict)

    version_description: str = ""  # of the version; `description` is the model's
    native_stage: str = ""  # as MLflow told it
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(
        default_factory=dict
    )  # of the version, after redaction
    registration_status: str = ""  # READY, PENDING_REGISTRATION, FAILED_REGISTRATION
    run_found: bool = False  # the source run answered when it was asked for
    dataset_inputs: tuple[Mapping[str, str], ...] = ()
    signature: Mapping[str, Any] = field(
        default_factory=dict
    )  # from MLmodel: inputs, outputs, params
    flavors: tuple[str, ...] = ()
    mlmodel: Mapping[str, Any] = field(default_factory=dict)  # what MLmodel tells more
    artifact_root: str = ""  # where the server says that the files lie
    artifacts_fingerprint: str = ""  # "": never listed

    provenance: Mapping[str, Told] = field(default_factory=dict)
    others: Mapping[str, tuple[tuple[Any, Told], ...]] = field(default_factory=dict)
    redactions: tuple[Redaction, ...] = ()
    incomplete: Mapping[Section, str] = field(default_factory=dict)
    fingerprint: str

    def value(self, name: str) -> Any:
        """Return the value of any field of `FIELDS`, None where it is unknown."""
        if name in GOVERNANCE_FIELDS:
            return self.governance.get(name)
        return getattr(self, name)
