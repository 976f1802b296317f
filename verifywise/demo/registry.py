"""Fills an MLflow server with the demo's models: trained, logged, registered, promoted.

`python -m verifywise.demo.registry --url http://127.0.0.1:5050 --organization acme`

Runs as a process of its own, since the mlflow package keeps its server and its session
for the whole process. Needs the packages of requirements/demo.txt, and no Django.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import pickle
import sys
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ |= {  # read while mlflow is imported
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

import mlflow.sklearn
import sklearn
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunInfo
from mlflow.models import Model as ModelFile
from mlflow.models import ModelSignature, infer_signature

from verifywise.demo.cases import ORGANIZATIONS
from verifywise.demo.decisions import DECISIONS
from verifywise.demo.documents import evaluation_report, model_card
from verifywise.demo.models import (
    Case,
    Estimator,
    Layout,
    Organization,
    RunFate,
    dated,
)
from verifywise.demo.training import Trained, train

MARKER = "verifywise.demo"  # tag of MLflow's default experiment, set when all is there
DEFAULT_EXPERIMENT = "0"
REQUIREMENTS = [f"scikit-learn=={sklearn.__version__}"]  # given, or MLflow guesses long


class RegistryNotEmptyError(Exception):
    """The server holds models already, and not (or not all) those of the demo."""


def seed(url: str, *, organization: Organization, now: datetime) -> bool:
    """Fill the empty server at `url`; return False if that was done before.

    `now` is what the trainings are dated back from. Raises RegistryNotEmptyError rather
    than write into somebody's registry. Takes 5 to 10 s.
    """
    mlflow.set_tracking_uri(url)  # log_model asks nobody else where to log
    client = mlflow.MlflowClient(url)
    if MARKER in client.get_experiment(DEFAULT_EXPERIMENT).tags:
        return False
    if client.search_registered_models(max_results=1):
        raise RegistryNotEmptyError(
            f"{url} holds models already; the demo fills only an empty MLflow server."
        )
    seeder = Seeder(client=client, now=now)
    experiments = {}
    for model in organization.models:
        experiments[model.name] = client.create_experiment(
            f"{organization.slug}/{model.name}"
        )
        client.create_registered_model(
            model.name,
            tags=dated(model.tags, today=now.date()),
            description=model.description,
        )
    for case in organization.cases():
        seeder.add_version(case, experiment_id=experiments[case.model.name])
    for prompt in organization.prompts:
        client.register_prompt(prompt.name, prompt.template)
    client.set_experiment_tag(DEFAULT_EXPERIMENT, MARKER, organization.slug)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeder:
    """Adds versions to one server as the teams of an organization would."""

    client: mlflow.MlflowClient
    now: datetime

    def add_version(self, case: Case, *, experiment_id: str) -> None:
        """Train, log, register, promote; and delete the run if the case wants it."""
        version, trained = case.version, train(case)
        run, run_id, model_id = None, None, None
        if version.run is not RunFate.NEVER:
            run = self._start_run(case, trained, experiment_id)
            run_id = run.run_id
        if run and version.layout is not Layout.LOGGED_MODEL:
            source = self._log_run_artifacts(case, trained, run)
        else:
            model_id = self._log_model(case, trained, experiment_id, run_id)
            source = f"models:/{model_id}"
        if run:
            self._finish_run(case, trained, run, model_id)
        number = self.client.create_model_version(
            case.model.name,
            source,
            run_id=run_id,
            model_id=model_id,
            tags=dated(version.tags, today=self.now.date()),
            await_creation_for=0,
        ).version
        if version.stage != "None":
            self.client.transition_model_version_stage(
                case.model.name, number, version.stage
            )
        for alias in version.aliases:
            self.client.set_registered_model_alias(case.model.name, alias, number)
        if run_id and version.run is RunFate.DELETED:
            self.client.delete_run(run_id)

    def _start_run(self, case: Case, trained: Trained, experiment_id: str) -> RunInfo:
        """Note who trains what, from which code and data, with which parameters."""
        version = case.version
        run = self.client.create_run(
            experiment_id,
            start_time=_milliseconds(self._started(case)),
            run_name=f"train-{case.model.name}-{case.number}",
            tags={**_source_tags(case), **version.run_tags},
        ).info
        if version.has_dataset:
            self.client.log_inputs(run.run_id, _dataset_inputs(case, trained))
        params = {**trained.params, **version.params}
        self.client.log_batch(
            run.run_id, params=[Param(key, value) for key, value in params.items()]
        )
        return run

    def _finish_run(
        self, case: Case, trained: Trained, run: RunInfo, model_id: str | None
    ) -> None:
        """Note what was measured, of the logged model if there is one, and written."""
        run_id, ended = run.run_id, self._started(case) + timedelta(minutes=5)
        at = _milliseconds(ended)
        self.client.log_batch(
            run_id,
            metrics=[
                Metric(key, value, at, 0, model_id=model_id, run_id=run_id)
                for key, value in trained.metrics.items()
            ],
        )
        if case.version.has_report:
            report = evaluation_report(case, trained, run_id=run_id)
            self.client.log_text(run_id, report, "evaluation_report.md")
            self.client.log_text(run_id, model_card(case, trained), "model_card.md")
        self.client.set_terminated(run_id, end_time=at)

    def _started(self, case: Case) -> datetime:
        return self.now - timedelta(days=case.version.trained)

    def _log_model(
        self, case: Case, trained: Trained, experiment_id: str, run_id: str | None
    ) -> str:
        """Log as MLflow 3 does: a logged model with its own files; return its id."""
        model_id = self.client.create_logged_model(
            experiment_id,
            name=case.model.name,
            source_run_id=run_id,
            tags=_source_tags(case),
            params=dict(trained.params),
        ).model_id
        has_trees = case.version.estimator is not Estimator.LINEAR
        mlflow.sklearn.log_model(
            trained.pipeline,
            model_id=model_id,
            run_id=run_id,
            signature=_signature(case, trained),
            pip_requirements=REQUIREMENTS,
            # skops, MLflow's own choice, trusts no trees.
            serialization_format="cloudpickle" if has_trees else "skops",
        )
        return model_id

    def _log_run_artifacts(self, case: Case, trained: Trained, run: RunInfo) -> str:
        """Log as MLflow 2 did, or by hand: files under the run; return their URI."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            if case.version.layout is Layout.BARE_FILE:
                path.mkdir()
                (path / "model.pkl").write_bytes(pickle.dumps(trained.pipeline))
            else:
                model = ModelFile(artifact_path="model", run_id=run.run_id)
                mlflow.sklearn.save_model(
                    trained.pipeline,
                    path,
                    mlflow_model=model,
                    signature=_signature(case, trained),
                    pip_requirements=REQUIREMENTS,
                    serialization_format="cloudpickle",
                )
                history = json.dumps([model.to_dict()], default=str)
                self.client.set_tag(run.run_id, "mlflow.log-model.history", history)
            self.client.log_artifacts(run.run_id, str(path), "model")
        if case.version.layout is Layout.RUNS_URI:
            return f"runs:/{run.run_id}/model"
        return f"{run.artifact_uri}/model"


def tag_later(url: str, *, organization: Organization) -> None:
    """Tag versions with what contradicts an attestation; the same tags do no harm."""
    client = mlflow.MlflowClient(url)
    for told in DECISIONS[organization.slug].attested:
        if told.drifts_to:
            client.set_model_version_tag(told.model, str(told.version), *told.drifts_to)


def _source_tags(case: Case) -> dict[str, str]:
    """Return what MLflow notes of a training by itself, for the people of the case."""
    name = case.model.name
    tags = {
        "mlflow.user": case.version.by,
        "mlflow.source.name": f"train_{name.replace('-', '_')}.py",
        "mlflow.source.type": "LOCAL",
    }
    if case.version.has_commit:
        commit = hashlib.sha256(f"{name}/{case.number}".encode()).hexdigest()[:40]
        repository = f"https://git.{case.organization.slug}.example/models/{name}.git"
        tags["mlflow.source.git.commit"] = commit
        tags["mlflow.source.git.repoURL"] = repository
    return tags


def _dataset_inputs(case: Case, trained: Trained) -> list[DatasetInput]:
    tables = {"training": trained.training, "evaluation": trained.evaluation}
    folder = f"s3://{case.organization.slug}-analytics/{case.model.name}"
    return [
        DatasetInput(
            from_pandas(
                table,
                source=f"{folder}/v{case.number}/{context}.parquet",
                targets=case.model.task.target,
                name=f"{case.model.name}-{context}",
            )._to_mlflow_entity(),
            [InputTag("mlflow.data.context", context)],
        )
        for context, table in tables.items()
    ]


def _signature(case: Case, trained: Trained) -> ModelSignature:
    sample = trained.training[list(case.model.task.features)].head()
    return infer_signature(sample, trained.pipeline.predict(sample))


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def main() -> None:
    organizations = {item.slug: item for item in ORGANIZATIONS}
    parser = argparse.ArgumentParser(description="Fill an empty MLflow server.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--organization", required=True, choices=organizations)
    parser.add_argument(
        "--later",
        action="store_true",
        help="Tag what MLflow says once people have attested otherwise.",
    )
    arguments = parser.parse_args()
    # MLflow finds fault with stages, integer columns and an environment without pip.
    warnings.simplefilter("ignore")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    organization = organizations[arguments.organization]
    if arguments.later:
        tag_later(arguments.url, organization=organization)
        return
    try:
        done = seed(arguments.url, organization=organization, now=datetime.now(UTC))
    except RegistryNotEmptyError as error:
        sys.exit(str(error))
    sys.stdout.write(
        f"{organization.name}: {len(organization.models)} models "
        f"{'trained and registered' if done else 'are there already'}\n"
    )


if __name__ == "__main__":
    main()
