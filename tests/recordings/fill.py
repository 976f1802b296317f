"""Fill an MLflow 2 with the registry that recordings and real servers have in common.

Run by the Python of that MLflow, with the server's URL, so that everything is logged as
its own client logs it; knows nothing of this project. `expected.py` says what a sync
makes of it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

CREDIT = "credit-scoring"
ODD = "churn: ünïcode #1?"  # MLflow 3 would refuse the colon
VENDOR = "vendor-embedding"
RETIRED = "retired-scoring"
PROMPT = "greeting"
COMMIT = "4f2a" * 10
PROMPT_TAGS = {"mlflow.prompt.is_prompt": "true"}


class Threshold(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A model that needs no library."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return [income > 1000 for income in model_input["income"]]


def fill(client: MlflowClient) -> None:
    experiment = client.create_experiment("credit scoring", tags={"project": "risk"})
    parent = start_run(client, experiment, "sweep")
    best = start_run(
        client,
        experiment,
        "depth 3",
        **{"mlflow.parentRunId": parent, "owner": "nina@example.org"},
    )
    log_inputs_and_results(client, best)
    log_files(client, best)
    deleted = start_run(client, experiment, "depth 9")
    log_model(deleted)
    for run_id in (deleted, best, parent):
        client.set_terminated(run_id)

    client.create_registered_model(
        CREDIT, tags={"use_case": "lending"}, description="Scores applications."
    )
    for run_id in (deleted, best, best):
        source = f"{client.get_run(run_id).info.artifact_uri}/model"
        client.create_model_version(CREDIT, source, run_id, description="Trained.")
    client.set_model_version_tag(CREDIT, "2", "data_sensitivity", "PII")
    client.transition_model_version_stage(CREDIT, "1", "Archived")
    client.transition_model_version_stage(CREDIT, "2", "Production")
    client.set_registered_model_alias(CREDIT, "champion", "2")
    client.set_registered_model_alias(CREDIT, "challenger", "3")
    client.delete_run(deleted)

    client.create_registered_model(ODD)
    client.create_model_version(ODD, f"runs:/{best}/model", best)
    client.create_registered_model(VENDOR)
    client.create_model_version(VENDOR, "s3://vendor-bucket/embedding")
    fill_retired(client)
    fill_prompt(client)


def start_run(client: MlflowClient, experiment: str, name: str, **tags: str) -> str:
    """Start a run of Nina's and return its id."""
    told = {
        "mlflow.user": "nina",
        "mlflow.source.name": "train.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": COMMIT,
    }
    run = client.create_run(experiment, run_name=name, tags=told | tags)
    return str(run.info.run_id)


def log_inputs_and_results(client: MlflowClient, run_id: str) -> None:
    for key, value in {"auc": 0.91, "recall": 0.5, "broken": float("nan")}.items():
        client.log_metric(run_id, key, value)
    client.log_metric(run_id, "auc", 0.93, step=1)
    client.log_metric(run_id, "endless", float("inf"))
    client.log_param(run_id, "depth", 3)
    dataset = mlflow.entities.Dataset(
        name="loans",
        digest="d1g3st",
        source_type="s3",
        source='{"uri": "s3://data/loans.parquet"}',
        schema="{}",
        profile="{}",
    )
    context = mlflow.entities.InputTag("mlflow.data.context", "training")
    inputs = [mlflow.entities.DatasetInput(dataset, [context])]
    client.log_inputs(run_id, inputs)


def log_files(client: MlflowClient, run_id: str) -> None:
    log_model(run_id)
    client.log_text(run_id, "# Fair\n", "reports/fairness_report.md")
    with tempfile.TemporaryDirectory() as folder:
        card = Path(folder) / "model_card.md"
        card.write_text("# Credit scoring\n")
        client.log_artifact(run_id, str(card), "model")


def log_model(run_id: str) -> None:
    """Log a model as its makers' tutorials do; requirements are told, not inferred."""
    columns = [ColSpec("double", "income"), ColSpec("long", "age")]
    with mlflow.start_run(run_id=run_id):
        mlflow.pyfunc.log_model(
            artifact_path="model",
            python_model=Threshold(),
            signature=ModelSignature(
                inputs=Schema(columns), outputs=Schema([ColSpec("boolean")])
            ),
            pip_requirements=["mlflow", "pandas==2.3.3"],
        )


def fill_retired(client: MlflowClient) -> None:
    """Register a model of an experiment, and delete the experiment."""
    experiment = client.create_experiment("retired")
    run_id = start_run(client, experiment, "last")
    client.set_terminated(run_id, status="FAILED")
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    client.create_registered_model(RETIRED)
    client.create_model_version(RETIRED, source, run_id)
    client.delete_experiment(experiment)


def fill_prompt(client: MlflowClient) -> None:
    """Register a prompt; an MLflow that knows of none holds it as it would a model."""
    if hasattr(mlflow, "register_prompt"):
        mlflow.register_prompt(PROMPT, template="Dear {{name}}")
        return
    client.create_registered_model(PROMPT, tags=PROMPT_TAGS)
    client.create_model_version(
        PROMPT,
        "s3://dummy/prompt",
        tags=PROMPT_TAGS | {"mlflow.prompt.text": "Dear {{name}}"},
    )


if __name__ == "__main__":
    mlflow.set_tracking_uri(sys.argv[1])
    fill(MlflowClient())
