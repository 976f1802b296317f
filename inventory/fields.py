"""The fields of the canonical record: their names, labels, groups and vocabularies.

Pure data, which records, the console, the API and the rules read alike. The six groups
are those of the integration design; the seventh holds what the standards ask for beyond
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType


class Group(IntEnum):
    IDENTITY = 1
    LIFECYCLE = 2
    TRAINING = 3
    LINEAGE = 4
    RISK = 5
    ARTIFACTS = 6
    GOVERNANCE = 7

    @property
    def label(self) -> str:
        return GROUP_LABELS[self]


GROUP_LABELS = {
    Group.IDENTITY: "Model identity",
    Group.LIFECYCLE: "Version and lifecycle",
    Group.TRAINING: "Training and evaluation evidence",
    Group.LINEAGE: "Lineage and reproducibility",
    Group.RISK: "Risk and compliance",
    Group.ARTIFACTS: "Artifacts and environment",
    Group.GOVERNANCE: "Further governance facts",
}


class Kind(StrEnum):
    TEXT = "text"
    CHOICE = "choice"
    LIST = "list"  # of short strings
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"
    DOCUMENT = "document"  # a mapping or a list of mappings


class Stage(StrEnum):
    """The lifecycle stages of MLflow, which outlive MLflow's deprecation of them."""

    PRODUCTION = "Production"
    STAGING = "Staging"
    ARCHIVED = "Archived"
    NONE = "None"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the canonical record: `name` is its column, API key and tag key.

    Values outside `choices` are kept as told and shown as not in the vocabulary.
    `caution` is what somebody has to know who attests it.
    """

    name: str
    label: str
    group: Group
    kind: Kind = Kind.TEXT
    choices: tuple[str, ...] = ()
    caution: str = ""


SENSITIVITIES = (
    "public",
    "internal",
    "confidential",
    "personal",
    "special_category",
    "phi",
    "financial",
)
AI_ACT_CLASSES = ("prohibited", "high", "limited", "minimal")
TIERS = ("high", "medium", "low")

_CANONICAL = (
    Field("model_name", "Model name", Group.IDENTITY),
    Field("description", "Description", Group.IDENTITY),
    Field("business_purpose", "Business purpose", Group.IDENTITY),
    Field("owner", "Owner", Group.IDENTITY),
    Field("version_number", "Version", Group.LIFECYCLE, Kind.NUMBER),
    Field(
        "lifecycle_stage",
        "Lifecycle stage",
        Group.LIFECYCLE,
        Kind.CHOICE,
        tuple(stage.value for stage in Stage),
    ),
    Field("created_at", "Created", Group.LIFECYCLE, Kind.TIME),
    Field("last_updated_at", "Last updated", Group.LIFECYCLE, Kind.TIME),
    Field("deployment_status", "Deployment status", Group.LIFECYCLE),
    Field("source_run_id", "Source run", Group.LIFECYCLE),
    Field("source_artifact_uri", "Source artifact URI", Group.LIFECYCLE),
    Field("training_status", "Training status", Group.TRAINING),
    Field("training_started_at", "Training started", Group.TRAINING, Kind.TIME),
    Field("training_ended_at", "Training ended", Group.TRAINING, Kind.TIME),
    Field("metrics", "Metrics", Group.TRAINING, Kind.DOCUMENT),
    Field("hyperparameters", "Hyperparameters", Group.TRAINING, Kind.DOCUMENT),
    Field("evaluation_tags", "Evaluation tags", Group.TRAINING, Kind.DOCUMENT),
    Field("experiment_id", "Experiment id", Group.LINEAGE),
    Field("experiment_name", "Experiment", Group.LINEAGE),
    Field("code_commit", "Code commit", Group.LINEAGE),
    Field("training_entrypoint", "Training entry point", Group.LINEAGE),
    Field("dataset_reference", "Training dataset", Group.LINEAGE),
    Field("artifact_uri", "Run artifact URI", Group.LINEAGE),
    Field("risk_category", "Risk category", Group.RISK),
    Field("regulatory_scope", "Regulatory scope", Group.RISK, Kind.LIST),
    Field(
        "data_sensitivity",
        "Data sensitivity",
        Group.RISK,
        Kind.CHOICE,
        SENSITIVITIES,
    ),
    Field("privacy_assessment_status", "Privacy assessment", Group.RISK),
    Field("compliance_approver", "Compliance approver", Group.RISK),
    Field("security_assessment_version", "Security assessment", Group.RISK),
    Field("runtime_environment", "Runtime environment", Group.ARTIFACTS, Kind.DOCUMENT),
    Field("artifact_manifest", "Artifact manifest", Group.ARTIFACTS, Kind.DOCUMENT),
    Field("evidence_files", "Evidence files", Group.ARTIFACTS, Kind.DOCUMENT),
)

# What the standards ask for beyond the integration design (controls.yaml), and what
# the rules read besides. They live together in `VersionRecord.governance`.
_GOVERNANCE = (
    Field("intended_use", "Intended use", Group.GOVERNANCE),
    Field("out_of_scope_use", "Out-of-scope use", Group.GOVERNANCE),
    Field("limitations", "Limitations", Group.GOVERNANCE),
    Field(
        "operator_role",
        "Operator role",
        Group.GOVERNANCE,
        Kind.CHOICE,
        ("provider", "deployer", "both"),
    ),
    Field("jurisdictions", "Jurisdictions", Group.GOVERNANCE, Kind.LIST),
    Field("annex_iii_category", "Annex III category", Group.GOVERNANCE),
    Field(
        "article_6_3_basis",
        "Article 6(3) basis",
        Group.GOVERNANCE,
        Kind.CHOICE,
        ("a", "b", "c", "d"),
    ),
    Field(
        "profiles_natural_persons",
        "Profiles natural persons",
        Group.GOVERNANCE,
        Kind.BOOLEAN,
    ),
    Field("affected_groups", "Affected groups", Group.GOVERNANCE, Kind.LIST),
    Field(
        "decision_automation",
        "Decision automation",
        Group.GOVERNANCE,
        Kind.CHOICE,
        ("none", "advisory", "human_in_loop", "solely_automated"),
    ),
    Field("human_oversight_ref", "Human oversight", Group.GOVERNANCE),
    Field("customer_facing", "Customer facing", Group.GOVERNANCE, Kind.BOOLEAN),
    Field(
        "criticality",
        "Criticality",
        Group.GOVERNANCE,
        Kind.CHOICE,
        ("critical", "non_critical"),
    ),
    Field(
        "financial_impact_usd",
        "Financial impact (USD a year)",
        Group.GOVERNANCE,
        Kind.NUMBER,
    ),
    Field(
        "deployment_traffic_percent",
        "Deployment traffic (%)",
        Group.GOVERNANCE,
        Kind.NUMBER,
    ),
    Field(
        "deployment_target",
        "Deployment target",
        Group.GOVERNANCE,
        Kind.CHOICE,
        ("production", "staging", "non_production"),
    ),
    Field(
        "rollback_ease",
        "Rollback ease",
        Group.GOVERNANCE,
        Kind.CHOICE,
        ("easy", "hard"),
    ),
    Field("baseline_ref", "Baseline", Group.GOVERNANCE),
    Field("primary_metric", "Primary metric", Group.GOVERNANCE),
    Field("decision_threshold", "Decision threshold", Group.GOVERNANCE),
    Field("fairness_metrics", "Fairness metrics", Group.GOVERNANCE, Kind.DOCUMENT),
    Field("evaluation_dataset_reference", "Evaluation dataset", Group.GOVERNANCE),
    Field("input_schema", "Input schema", Group.GOVERNANCE, Kind.DOCUMENT),
    Field(
        "unit_tests_pass_rate", "Unit tests pass rate", Group.GOVERNANCE, Kind.NUMBER
    ),
    Field("security_scan_status", "Security scan", Group.GOVERNANCE),
    Field("base_model", "Base model", Group.GOVERNANCE),
    Field("fria_ref", "Fundamental rights assessment", Group.GOVERNANCE),
    Field("dpia_ref", "Data protection assessment", Group.GOVERNANCE),
    Field("declaration_ref", "Declaration of conformity", Group.GOVERNANCE),
    Field("eu_database_id", "EU database id", Group.GOVERNANCE),
    Field("monitoring_plan_ref", "Monitoring plan", Group.GOVERNANCE),
    Field("next_review_due", "Next review due", Group.GOVERNANCE),
    Field("retain_until", "Retain until", Group.GOVERNANCE),
    Field("legal_hold", "Legal hold", Group.GOVERNANCE, Kind.BOOLEAN),
    # Read by rules, with tag keys of their own.
    Field(
        "declared_tier",
        "Declared risk tier",
        Group.GOVERNANCE,
        Kind.CHOICE,
        TIERS,
    ),
    Field(
        "declared_ai_act_class",
        "Declared AI Act class",
        Group.GOVERNANCE,
        Kind.CHOICE,
        AI_ACT_CLASSES,
    ),
    Field("domain", "Domain", Group.GOVERNANCE),
    Field("model_type", "Model type", Group.GOVERNANCE),
    Field("model_card_uri", "Model card", Group.GOVERNANCE),
    Field(
        "approval_claim",
        "Approval claimed",
        Group.GOVERNANCE,
        caution="What is claimed in MLflow or elsewhere: pending, approved, rejected, or "
        "none. It stays a claim, and never counts as an approval.",
    ),
    Field("code_dirty", "Code tree dirty", Group.GOVERNANCE, Kind.BOOLEAN),
    Field("code_repository", "Code repository", Group.GOVERNANCE),
    Field(
        "greater_is_better", "Greater metric is better", Group.GOVERNANCE, Kind.BOOLEAN
    ),
    Field("security_scan_date", "Security scan date", Group.GOVERNANCE),
    Field("schema_validation_status", "Schema validation", Group.GOVERNANCE),
    Field("dpia_date", "Privacy assessment date", Group.GOVERNANCE),
    Field(
        "fairness_checked_claim",
        "Fairness check claimed",
        Group.GOVERNANCE,
        caution="What is claimed in MLflow or elsewhere, or none. It stays a claim, and "
        "never counts as a test of fairness: that takes fairness metrics.",
    ),
    Field("license", "Licence of the base model", Group.GOVERNANCE),
    Field(
        "security_vulnerabilities",
        "Vulnerabilities found",
        Group.GOVERNANCE,
        Kind.NUMBER,
    ),
    Field("risk_acceptance_ref", "Acceptance of an unsafe format", Group.GOVERNANCE),
    Field("explanation_ref", "Method of explanation", Group.GOVERNANCE),
    Field("transparency_notice", "Transparency notice", Group.GOVERNANCE),
    Field("legal_clearance_ref", "Legal clearance", Group.GOVERNANCE),
    Field("article_6_3_grounds", "Article 6(3) grounds", Group.GOVERNANCE),
    Field("public_body", "Public body or service", Group.GOVERNANCE, Kind.BOOLEAN),
    Field("fria_date", "Fundamental rights assessment date", Group.GOVERNANCE),
    Field("predetermined_changes_ref", "Predetermined changes", Group.GOVERNANCE),
    Field("decommission_ref", "Decommission record", Group.GOVERNANCE),
)

FIELDS: Mapping[str, Field] = MappingProxyType(
    {item.name: item for item in (*_CANONICAL, *_GOVERNANCE)}
)
CANONICAL_FIELDS = tuple(item.name for item in _CANONICAL)
GOVERNANCE_FIELDS = tuple(item.name for item in _GOVERNANCE)
RISK_FIELDS = tuple(item.name for item in _CANONICAL if item.group is Group.RISK)

# Why nobody attests these: a registry tells them of what it holds, and to state them
# otherwise would make evidence of a word. All others people may know better.
_TOLD_BY_RUNS = "It is what the training run logged, and nobody measured it again."
_TOLD_BY_MLFLOW = "It is how MLflow finds the version and what it was made from."
_TOLD_BY_FILES = (
    "It is read from the files that lie with the version, whose digests are compared."
)
_TOLD_BY_ENVIRONMENTS = (
    "It is read from the environment files that lie with the version. The tag "
    "image_digest names a container image."
)
_TOLD_BY_STAGES = (
    "It is what a stage, an alias or a tag of MLflow said, between two syncs: those moves "
    "are the version's history. Where it shall be deployed is the deployment target."
)
OBSERVED: Mapping[str, str] = MappingProxyType(
    {
        "model_name": _TOLD_BY_MLFLOW,
        "version_number": _TOLD_BY_MLFLOW,
        "lifecycle_stage": _TOLD_BY_STAGES,
        "created_at": _TOLD_BY_MLFLOW,
        "last_updated_at": _TOLD_BY_MLFLOW,
        "deployment_status": _TOLD_BY_STAGES,
        "source_run_id": _TOLD_BY_MLFLOW,
        "source_artifact_uri": _TOLD_BY_MLFLOW,
        "training_status": _TOLD_BY_RUNS,
        "training_started_at": _TOLD_BY_RUNS,
        "training_ended_at": _TOLD_BY_RUNS,
        "metrics": _TOLD_BY_RUNS,
        "hyperparameters": _TOLD_BY_RUNS,
        "evaluation_tags": _TOLD_BY_RUNS,
        "experiment_id": _TOLD_BY_MLFLOW,
        "experiment_name": _TOLD_BY_MLFLOW,
        "artifact_uri": _TOLD_BY_MLFLOW,
        "runtime_environment": _TOLD_BY_ENVIRONMENTS,
        "artifact_manifest": _TOLD_BY_FILES,
        "evidence_files": _TOLD_BY_FILES,
    }
)
ATTESTABLE: Mapping[str, Field] = MappingProxyType(
    {name: item for name, item in FIELDS.items() if name not in OBSERVED}
)
# The least and the greatest that a number may be.
BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "financial_impact_usd": (0, float("inf")),
        "deployment_traffic_percent": (0, 100),
        "unit_tests_pass_rate": (0, 1),
    }
)


def is_known(value: object) -> bool:
    """Return whether a value says anything: False and 0 do, "" and {} do not."""
    # What is true in a condition is known: most values need not be compared.
    return bool(value) or (value is not None and value not in ("", (), [], {}))
