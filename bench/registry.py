"""Generated MLflow registries: written straight into the tables, files onto the disk.

Going through the API would take an hour for what takes seconds here; what the server
answers is the same. Both layouts that customers have are made: the logged models of
MLflow 3 and the run artifacts of MLflow 2.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version as version_of
from pathlib import Path

from bench import files

VERSIONS_PER_MODEL = 10
BORN = 1_750_000_000_000  # ms since the epoch
MINUTE = 60_000
HOUR = 60 * MINUTE
VALUES_PER_RUN = 10  # of metrics, and of params
READY = 2  # of a logged model, as the table has it
RUN_TAGS = (
    ("owner", "team-{m}@example.org"),
    ("business_purpose", "Purpose {m}"),
    ("data_sensitivity", "internal"),
    ("mlflow.user", "user-{m}"),
    ("mlflow.source.name", "train.py"),
    ("mlflow.source.type", "LOCAL"),
    ("mlflow.source.git.commit", "{sha}"),
    ("mlflow.runName", "run-{m}-{v}"),
    ("team", "analytics"),
    ("evaluation_suite", "suite-{v}"),
    ("dataset_version", "v{v}"),
    ("framework", "sklearn"),
)
# Without telemetry, and without the helper processes of 220 MB each.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


class Layout(StrEnum):
    """Where the files of a version are."""

    LOGGED_MODELS = "MLflow 3"  # models:/m-…, files below the experiment
    RUN_ARTIFACTS = "MLflow 2"  # files in the folder `model` of the run


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """`models` × VERSIONS_PER_MODEL versions with a run each, in a folder of its own.

    Of every model the last two are live, by stage or by alias: a fifth of all.
    """

    layout: Layout
    models: int
    has_files: bool = False

    @property
    def versions(self) -> int:
        return self.models * VERSIONS_PER_MODEL

    @property
    def name(self) -> str:
        told = f"{self.layout.lower().replace(' ', '-')}-{self.versions}"
        return f"{told}-files" if self.has_files else told

    def make(self, folder: Path) -> Path:
        """Return the registry's folder below `folder`, made if it is not there.

        Seeded: always the same, until this code or MLflow is another. It holds
        `mlflow.db` and the folder `artifacts`.
        """
        made = folder / f"{self.name}.{_edition()}"
        if made.exists():
            return made
        folder.mkdir(parents=True, exist_ok=True)
        for outdated in folder.glob(f"{self.name}.*"):
            shutil.rmtree(outdated)
        unfinished = folder / f"{self.name}.new"
        (unfinished / "artifacts").mkdir(parents=True)
        database = unfinished / "mlflow.db"
        subprocess.run(
            [sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{database}"],
            check=True,
            env=os.environ | ENVIRONMENT,
            capture_output=True,
        )
        with sqlite3.connect(database) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            chance = random.Random(self.models)
            for number in range(self.models):
                self._write_model(connection, number, chance, unfinished / "artifacts")
        connection.close()
        unfinished.rename(made)
        return made

    def _write_model(
        self,
        connection: sqlite3.Connection,
        m: int,
        chance: random.Random,
        artifacts: Path,
    ) -> None:
        experiment, name, born = m + 1, f"model-{m:04d}", BORN + m * HOUR
        rows: dict[str, list[tuple[object, ...]]] = defaultdict(list)
        rows["experiments"].append(
            (experiment, f"experiment-{m}", f"mlflow-artifacts:/{experiment}", "active",
             born, born, "default")
        )  # fmt: skip
        rows["registered_models"].append(
            (name, born, born, f"The generated model number {m}.", "default")
        )
        rows["registered_model_tags"].append(("domain", "finance", name, "default"))
        rows["registered_model_aliases"] += [
            (alias, v, name, "default") for alias, v in _aliases(m)
        ]
        for v in range(1, VERSIONS_PER_MODEL + 1):
            at = born + v * MINUTE
            run, model_id = _id(f"run {m}/{v}"), f"m-{_id(f'model {m}/{v}')}"
            run_root = f"{experiment}/{run}/artifacts"
            if self.layout is Layout.LOGGED_MODELS:
                place = f"{experiment}/models/{model_id}/artifacts"
                source = f"models:/{model_id}"
                rows["logged_models"].append(
                    (model_id, experiment, "model", f"mlflow-artifacts:/{place}", at, at,
                     READY, "active", "", run, None)
                )  # fmt: skip
                rows["inputs"].append(
                    (_id(f"output {m}/{v}"), "RUN_OUTPUT", run, "MODEL_OUTPUT",
                     model_id, 0)
                )  # fmt: skip
            else:
                place = f"{run_root}/model"
                source = f"mlflow-artifacts:/{place}"
            rows["model_versions"].append(
                (name, v, at, at, "", "", _stage(m, v), source, run, "READY", None, "",
                 f"mlflow-artifacts:/{place}", "default")
            )  # fmt: skip
            rows["model_version_tags"] += [
                ("validation_status", "passed", name, v, "default"),
                ("ticket", f"RISK-{m}{v:02d}", name, v, "default"),
            ]
            rows["runs"].append(
                (run, f"run-{m}-{v}", "UNKNOWN", "", "", f"user-{m}", "FINISHED", at,
                 at + MINUTE, "", "active", f"mlflow-artifacts:/{run_root}", experiment,
                 None)
            )  # fmt: skip
            sha = hashlib.sha1(run.encode(), usedforsecurity=False).hexdigest()
            rows["tags"] += [
                (key, value.format(m=m, v=v, sha=sha), run) for key, value in RUN_TAGS
            ]
            rows["params"] += [
                (f"param_{i}", str(chance.random()), run) for i in range(VALUES_PER_RUN)
            ]
            rows["latest_metrics"] += [
                (f"metric_{i}", chance.random(), at, 0, 0, run)
                for i in range(VALUES_PER_RUN)
            ]
            if self.has_files:
                files.write(artifacts / place, run_id=run, model_id=model_id, at=at)
        for table, values in rows.items():
            places = ", ".join("?" * len(values[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", values)  # noqa: S608


def _stage(m: int, v: int) -> str:
    """Every other model is staged as in MLflow 2; the rest have only aliases."""
    if m % 2:
        return "None"
    return {8: "Archived", 9: "Staging", 10: "Production"}.get(v, "None")


def _aliases(m: int) -> list[tuple[str, int]]:
    return [("challenger", 9), ("champion", 10)] if m % 2 else [("champion", 10)]


def _id(told: str) -> str:
    return hashlib.md5(told.encode(), usedforsecurity=False).hexdigest()


def _edition() -> str:
    """Return a digest of all that a generated registry depends on."""
    told = [Path(file).read_text() for file in (__file__, files.__file__)]
    text = json.dumps([*told, version_of("mlflow")])
    return hashlib.sha256(text.encode()).hexdigest()[:8]
