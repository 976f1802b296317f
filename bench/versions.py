"""An inventory of any size, varied like a real one, straight into our own tables.

A sync of ten thousand versions takes minutes; what is judged and what pages show of it
is the same without. The same number of versions always makes the same inventory.

Needs Django to be set up.
"""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from accounts.models import Membership, Organization, User
from accounts.roles import Role
from accounts.tenancy import acting_for
from compliance.catalogue import catalogue
from compliance.evaluation import evaluate_organization
from compliance.models import Policy
from compliance.policy import read
from inventory.models import (
    Experiment,
    LifecycleEvent,
    ModelVersion,
    RegisteredModel,
    Run,
    Source,
)
from inventory.models.registry import known_fields
from inventory.records import Stage

VERSIONS_PER_MODEL = 10
AT_ONCE = 50  # models
BORN = datetime(2025, 6, 1, tzinfo=UTC)
STAGES = {8: Stage.ARCHIVED, 9: Stage.STAGING, 10: Stage.PRODUCTION}
OFFICER = "officer@bench.example.org"
PACKAGES = (
    "cloudpickle", "joblib", "lightgbm", "mlflow", "numpy", "pandas", "pyarrow",
    "scikit-learn", "scipy", "shap", "threadpoolctl", "xgboost",
)  # fmt: skip
FILES = (
    "MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "model.pkl",
    "input_example.json",
)  # fmt: skip
COLUMNS = ("age", "income", "months", "balance", "region", "product", "channel")
# What a model's people may tell in columns of the row, and in the document of the rest.
TOLD: dict[str, tuple[Any, ...]] = {
    "description": ("Scores accounts by the risk that they leave.", "A model.", ""),
    "business_purpose": ("Keep customers", "Price credits", "Plan the stock"),
    "owner": ("olga@example.org", "team-risk@example.org", "svc-train"),
    "deployment_status": ("live", "shadow", "archived"),
    "risk_category": ("high", "limited", "minimal", "medium"),
    "regulatory_scope": (["gdpr"], ["eu_ai_act", "gdpr"], ["hipaa"], ["none"]),
    "data_sensitivity": ("personal", "internal", "confidential", "phi"),
    "privacy_assessment_status": ("completed", "started", "not_required"),
    "compliance_approver": (OFFICER, "Risk Board"),
    "security_assessment_version": ("2026-01", "2025-07"),
}
GOVERNANCE: dict[str, tuple[Any, ...]] = {
    "intended_use": ("By loan officers, for applications of private persons",),
    "limitations": ("Not for companies, nor for incomes from abroad",),
    "operator_role": ("provider", "deployer", "both"),
    "annex_iii_category": ("5b", "4a", "none"),
    "article_6_3_basis": ("narrow task", "preparatory task"),
    "profiles_natural_persons": (True, False),
    "affected_groups": (["applicants"], ["patients", "staff"], ["none"]),
    "decision_automation": ("solely_automated", "human_decides", "none"),
    "human_oversight_ref": ("OVERSIGHT-7",),
    "customer_facing": (True, False),
    "criticality": ("critical", "important", "non_critical"),
    "financial_impact_usd": (2_000_000.0, 40_000.0, 0.0),
    "deployment_traffic_percent": (100.0, 50.0, 5.0),
    "deployment_target": ("production", "staging"),
    "rollback_ease": ("easy", "hard"),
    "baseline_ref": ("1", "v2", "version 3", "{run}", "the one of last year"),
    "primary_metric": ("auc", "rmse"),
    "decision_threshold": ("0.5", "0.35"),
    "fairness_metrics": (
        {"demographic_parity_difference": 0.04, "disparate_impact": 0.9},
        {"demographic_parity_difference": 0.21},
    ),
    "evaluation_dataset_reference": ("holdout@e5f6a7b8", "holdout"),
    "unit_tests_pass_rate": (1.0, 0.97, 0.6),
    "security_scan_status": ("passed", "failed"),
    "security_scan_date": ("2026-01-02", "2025-02-01"),
    "security_vulnerabilities": (0, 3),
    "base_model": ("scorecard-foundation 2",),
    "license": ("Apache-2.0", "CC-BY-NC-4.0"),
    "fria_ref": ("FRIA-1",),
    "dpia_ref": ("DPIA-4",),
    "dpia_date": ("2025-12-15", "2024-01-10"),
    "declaration_ref": ("DOC-1",),
    "monitoring_plan_ref": ("PLAN-1",),
    "next_review_due": ("2030-06-01", "2025-06-01", "soon"),
    "declared_tier": ("high", "low"),
    "declared_ai_act_class": ("high", "limited", "minimal"),
    "domain": ("finance", "retail", "healthcare"),
    "model_type": ("classifier", "regressor"),
    "code_dirty": (True, False),
    "greater_is_better": (True, False),
    "explanation_ref": ("SHAP values on the letter",),
}


def an_organization(slug: str, versions: int) -> Organization:
    """Make an organization under all packs with so many versions, not judged yet."""
    organization = Organization.objects.create(slug=slug, name=slug)
    officer, _ = User.objects.get_or_create(
        email=OFFICER, defaults={"name": "Olga Officer"}
    )
    with acting_for(organization, origin="command"):
        Membership.objects.create(user=officer, role=Role.COMPLIANCE_OFFICER)
        content = read({"packs": list(catalogue().packs)})
        Policy.objects.create(
            number=1,
            published_at=BORN,
            content=content.to_json(),
            digest=content.digest,
        )
        source = Source.objects.create(name="Production MLflow")
        models = -(-versions // VERSIONS_PER_MODEL)
        for first in range(0, models, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, models))
            _Registry(source, numbers, versions).save()
    return organization


def a_judged_organization(slug: str, versions: int) -> Organization:
    """Make an organization under all packs with so many versions, each judged once."""
    organization = an_organization(slug, versions)
    evaluate_organization(organization)
    return organization


class _Registry:
    """The models of these numbers with their experiments, runs and versions, unsaved.

    Of every model the last version is in production and the one before in staging. How
    much of a model is told differs from model to model: of some nearly all, of others
    next to nothing.
    """

    def __init__(self, source: Source, numbers: range, versions: int) -> None:
        self.source = source
        self.models: list[RegisteredModel] = []
        self.experiments: list[Experiment] = []
        self.runs: list[Run] = []
        self.versions: list[ModelVersion] = []
        for number in numbers:
            left = versions - number * VERSIONS_PER_MODEL
            self._add(number, min(left, VERSIONS_PER_MODEL))

    def save(self) -> None:
        """Write all, in one statement a table, and how versions came to their stage."""
        RegisteredModel.objects.bulk_create(self.models)
        Experiment.objects.bulk_create(self.experiments)
        Run.objects.bulk_create(self.runs)
        ModelVersion.objects.bulk_create(self.versions)
        LifecycleEvent.objects.bulk_create(
            LifecycleEvent(
                version=version,
                to_stage=version.lifecycle_stage,
                told_by="alias champion",
                observed_before=version.created_at + timedelta(hours=1),
            )
            for version in self.versions
            if version.lifecycle_stage != Stage.NONE
        )

    def _add(self, number: int, count: int) -> None:
        chance = random.Random(number)
        model = RegisteredModel(
            source=self.source,
            name=f"model-{number:05}",
            description="Scores accounts by the risk that they leave.",
            created_at=BORN,
            aliases={"champion": count} if number % 2 else {},
            latest_versions={"Production": count, "Staging": count - 1},
            fingerprint=_digest(f"model {number}"),
        )
        experiment = Experiment(
            source=self.source,
            experiment_id=f"{number}",
            name=f"experiment-{number}",
            lifecycle_stage="active",
            fingerprint=_digest(f"experiment {number}"),
            redactions=_redactions(chance, "experiment tag"),
        )
        self.models.append(model)
        self.experiments.append(experiment)
        thoroughness = chance.random()
        for version in range(1, count + 1):
            run = self._a_run(chance, number, version)
            stage = STAGES.get(version + VERSIONS_PER_MODEL - count, Stage.NONE)
            self.runs.append(run)
            self.versions.append(
                self._a_version(
                    chance, model, run, version, stage=stage, thoroughness=thoroughness
                )
            )

    def _a_run(self, chance: random.Random, number: int, version: int) -> Run:
        return Run(
            source=self.source,
            run_id=_digest(f"run {number}/{version}")[:32],
            experiment_id=f"{number}",
            name=f"run-{number}-{version}",
            status="FINISHED",
            lifecycle_stage="deleted" if chance.random() < 0.02 else "active",
            user_id=f"user-{number % 40}",
            params={f"param_{i}": f"{chance.random()}" for i in range(8)},
            metrics=_metrics(chance),
            tags={"mlflow.source.name": "train.py", "team": f"team-{number % 12}"},
            fingerprint=_digest(f"run {number}/{version}"),
            redactions=_redactions(chance, "run tag"),
        )

    def _a_version(
        self,
        chance: random.Random,
        model: RegisteredModel,
        run: Run,
        number: int,
        *,
        stage: Stage,
        thoroughness: float,
    ) -> ModelVersion:
        def is_told() -> bool:
            return chance.random() < thoroughness

        told = {
            name: chance.choice(values) for name, values in TOLD.items() if is_told()
        }
        governance = {
            name: chance.choice(values)
            for name, values in GOVERNANCE.items()
            if is_told()
        }
        if governance.get("baseline_ref") == "{run}":
            governance["baseline_ref"] = f"runs:/{run.run_id}"
        at = BORN + timedelta(hours=number)
        has_files = is_told()
        version = ModelVersion(
            source=self.source,
            registered_model=model,
            run=run,
            run_found=True,
            version_number=number,
            created_at=at,
            changed_at=at,
            last_updated_at=at,
            fingerprint=_digest(f"{model.name}/{number}"),
            lifecycle_stage=stage.value,
            aliases=["champion"] if model.aliases.get("champion") == number else [],
            source_run_id=run.run_id,
            source_artifact_uri=f"models:/m-{run.run_id}",
            training_status="FINISHED",
            training_started_at=at - timedelta(hours=2),
            training_ended_at=at - timedelta(hours=1),
            metrics=run.metrics,
            hyperparameters=run.params,
            evaluation_tags={"evaluation_suite": f"suite-{number}"},
            experiment_id=run.experiment_id,
            experiment_name=f"experiment-{run.experiment_id}",
            code_commit=_digest(run.run_id)[:40] if is_told() else "HEAD",
            training_entrypoint="train.py",
            dataset_reference="accounts@v3" if is_told() else "",
            dataset_inputs=_dataset_inputs(number) if is_told() else [],
            artifacts_fingerprint=_digest(run.name) if has_files else "",
            artifact_manifest=_manifest(run.run_id) if has_files else [],
            runtime_environment=_environment(chance) if has_files else {},
            signature=_signature(number) if is_told() else {},
            flavors=["python_function", "sklearn"] if has_files else [],
            evidence_files=_evidence(run.run_id) if is_told() else [],
            tags={"ticket": f"RISK-{number}", "validation_status": "passed"},
            incomplete={} if chance.random() > 0.02 else {"run": "403 Forbidden."},
            redactions=_redactions(chance, "version tag"),
            governance=governance,
            provenance={
                name: {"source": "version tag", "key": name}
                for name in (*told, *governance)
            },
            others=_others(chance, told),
            **told,
        )
        version.known_fields = known_fields(version)
        return version


def _metrics(chance: random.Random) -> dict[str, float]:
    names = ("auc", "f1", "recall", "auc_women", "auc_men", "baseline_auc", "rmse")
    return {name: chance.random() for name in names if chance.random() < 0.8}


def _dataset_inputs(number: int) -> list[dict[str, str]]:
    return [
        {"name": "accounts", "digest": f"a1b2c3d{number % 10}", "context": "training"},
        {"name": "accounts-test", "digest": "e5f6a7b8", "context": "evaluation"},
    ]


def _manifest(run_id: str) -> list[dict[str, Any]]:
    return [
        {"path": path, "size": 1000 + len(path), "sha256": _digest(f"{run_id}/{path}")}
        for path in FILES
    ]


def _environment(chance: random.Random) -> dict[str, Any]:
    return {
        "files": ["conda.yaml", "requirements.txt"],
        "python": "3.11.7",
        "packages": [
            {"name": name, "version": f"1.{chance.randrange(9)}.0"} for name in PACKAGES
        ],
    }


def _signature(number: int) -> dict[str, Any]:
    inputs = [
        {"name": name, "type": "double" if number > 3 else "string"} for name in COLUMNS
    ]
    return {"inputs": inputs, "outputs": [{"type": "double"}]}


def _evidence(run_id: str) -> list[dict[str, Any]]:
    return [
        {"path": "evaluation_report.pdf", "kind": "evaluation report", "run_id": run_id}
    ]


def _redactions(chance: random.Random, place: str) -> list[dict[str, Any]]:
    if chance.random() > 0.01:
        return []
    told = {"key": "aws_key", "kind": "AWS access key", "is_secret": True}
    return [{"place": place, **told}]


def _others(chance: random.Random, told: dict[str, Any]) -> dict[str, Any]:
    """Return what another source says of the owner, of a few versions."""
    if "owner" not in told or chance.random() > 0.05:
        return {}
    return {"owner": [["max@example.org", {"source": "model tag", "key": "owner"}]]}


def _digest(told: str) -> str:
    return hashlib.sha256(told.encode()).hexdigest()
