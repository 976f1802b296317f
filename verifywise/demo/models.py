"""The words in which the demo's models are told: how each version was trained, what
was said of it in MLflow, and what is wrong with it.

Pure data, no Django and no MLflow: the seeder, the docs and the tests read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import TypeAlias

# A timedelta is a date told relative to the day of seeding, so that the demo's
# assessments are never years old on the day somebody looks at it.
Tags: TypeAlias = Mapping[str, str | timedelta]

UNDECLARED = ("risk_category", "regulatory_scope", "data_sensitivity")
UNASSESSED = (
    "privacy_assessment_status",
    "compliance_approver",
    "security_assessment_version",
)


def assessed(approver: str, *, baseline: str, security: str) -> Tags:
    """Return what a version carries once privacy, security and quality were checked."""
    return {
        "privacy_assessment_status": "completed",
        "dpia_ref": "DPIA-031",
        "dpia_date": timedelta(days=-25),
        "compliance_approver": approver,
        "security_assessment_version": security,
        "security_scan_status": "passed",
        "baseline_version": baseline,
        "primary_metric": "roc_auc",
        "greater_is_better": "true",
        "unit_tests": "passed",
        "schema_validation_status": "passed",
    }


def dated(tags: Tags, *, today: date) -> dict[str, str]:
    """Return the tags as MLflow takes them, with dates in ISO 8601."""
    return {
        key: value if isinstance(value, str) else (today + value).isoformat()
        for key, value in tags.items()
    }


class Estimator(StrEnum):
    LINEAR = "linear"  # logistic regression, or ridge for quantities
    FOREST = "forest"
    BOOSTING = "boosting"


class Layout(StrEnum):
    """Where the files of a version lie."""

    LOGGED_MODEL = "logged model"  # MLflow 3: models:/m-…
    RUN_ARTIFACTS = "run artifacts"  # MLflow 2: mlflow-artifacts:/…/artifacts/model
    RUNS_URI = "runs URI"  # the same, registered by hand as runs:/<run>/model
    BARE_FILE = "bare file"  # a pickle that somebody logged by hand


class RunFate(StrEnum):
    KEPT = "kept"
    DELETED = "deleted"
    NEVER = "never"  # registered from a file, without a run


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is learned, from which columns.

    `features` maps a column to its mean and spread. `group` is the protected attribute
    of the fairness metrics, which is never a feature; empty where no person is judged.
    """

    target: str
    features: Mapping[str, tuple[float, float]]
    group: str = ""
    is_quantity: bool = False  # forecast a number, instead of deciding yes or no


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One registered version. `gaps` are the starter rules it breaks, and no others.

    `empty` names the fields of the risk and compliance group that nobody filled, each
    of which is a low gap of its own. `bias` shifts a feature between the groups, so
    that the trained model treats them differently.
    """

    trained: int  # days before the seeding
    by: str  # who ran the training
    estimator: Estimator = Estimator.LINEAR
    bias: float = 0.0
    tags: Tags = field(default_factory=dict)
    run_tags: Tags = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    stage: str = "None"
    aliases: tuple[str, ...] = ()
    layout: Layout = Layout.LOGGED_MODEL
    run: RunFate = RunFate.KEPT
    has_commit: bool = True
    has_dataset: bool = True
    has_fairness: bool = True
    has_report: bool = True  # an evaluation report and a model card
    planted: str = ""
    gaps: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    name: str
    description: str
    task: Task
    tags: Tags
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt, which MLflow keeps among the models, and which is none."""

    name: str
    template: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    email: str
    name: str
    role: str  # of accounts.roles.Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    slug: str
    name: str
    server: str  # name of its tracking server
    people: tuple[Person, ...]
    models: tuple[Model, ...]
    prompts: tuple[Prompt, ...] = ()

    def cases(self) -> Iterator[Case]:
        for model in self.models:
            for number, version in enumerate(model.versions, start=1):
                yield Case(
                    organization=self, model=model, number=number, version=version
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A version with its place: what the seeder writes, and a row of the table."""

    organization: Organization
    model: Model
    number: int
    version: Version
