"""A generated MLflow registry: written straight into the tables, served by a real MLflow.

Going through the API would take an hour for what takes seconds here; what the server
answers is the same.
"""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.servers import free_port

VERSIONS_PER_MODEL = 10
BORN = 1_750_000_000_000  # ms since the epoch
HOUR = 3_600_000
STAGES = ("None",) * 7 + ("Archived", "Staging", "Production")
TAGS = (
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
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


@dataclass(frozen=True, slots=True)
class Registry:
    """A running MLflow with `models` × VERSIONS_PER_MODEL versions, a run each."""

    url: str
    models: int
    database: Path

    @property
    def versions(self) -> int:
        return self.models * VERSIONS_PER_MODEL


@contextmanager
def served(folder: Path, *, models: int) -> Iterator[Registry]:
    """Yield a one-worker MLflow that serves a generated registry; it ends with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / f"mlflow-{models}.db"
    if not database.exists():
        generate(database, models=models)
    port = free_port()
    with (folder / f"mlflow-{models}.log").open("w") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
                *("--host", "127.0.0.1", "--port", str(port)),
                *("--backend-store-uri", f"sqlite:///{database}"),
                *("--artifacts-destination", str(folder / "artifacts")),
            ],
            env=os.environ | _ENVIRONMENT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url)
        yield Registry(url, models, database)
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def generate(database: Path, *, models: int) -> None:
    """Write the registry into a fresh SQLite file. Seeded: always the same."""
    unfinished = database.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    subprocess.run(
        [
            *(sys.executable, "-m", "mlflow", "db", "upgrade"),
            f"sqlite:///{unfinished}",
        ],
        check=True,
        env=os.environ | _ENVIRONMENT,
        capture_output=True,
    )
    chance = random.Random(models)
    with sqlite3.connect(unfinished) as connection:
        _write(connection, models, chance)
    connection.close()
    unfinished.rename(database)


def _write(connection: sqlite3.Connection, models: int, chance: random.Random) -> None:
    rows: dict[str, list[tuple[object, ...]]] = {
        table: []
        for table in (
            "experiments", "registered_models", "registered_model_tags",
            "registered_model_aliases", "model_versions", "runs", "tags", "params",
            "latest_metrics",
        )
    }  # fmt: skip
    for m in range(models):
        experiment, name, born = m + 1, f"model-{m:04d}", BORN + m * HOUR
        rows["experiments"].append(
            (experiment, f"experiment-{m}", f"mlflow-artifacts:/{experiment}", "active",
             born, born, "default")
        )  # fmt: skip
        rows["registered_models"].append(
            (name, born, born, f"The generated model number {m}.", "default")
        )
        rows["registered_model_tags"].append(("domain", "finance", name, "default"))
        rows["registered_model_aliases"].append(
            ("champion", VERSIONS_PER_MODEL, name, "default")
        )
        for v in range(1, VERSIONS_PER_MODEL + 1):
            told = f"{m}/{v}".encode()
            run = hashlib.md5(told, usedforsecurity=False).hexdigest()
            sha = hashlib.sha1(told, usedforsecurity=False).hexdigest()
            at = born + v * 60_000
            rows["model_versions"].append(
                (name, v, at, at, "", "", STAGES[v - 1], f"models:/m-{run}", run,
                 "READY", None, "", f"mlflow-artifacts:/{experiment}/models/m-{run}",
                 "default")
            )  # fmt: skip
            rows["runs"].append(
                (run, f"run-{m}-{v}", "UNKNOWN", "", "", f"user-{m}", "FINISHED", at,
                 at + 60_000, "", "active",
                 f"mlflow-artifacts:/{experiment}/{run}/artifacts", experiment, None)
            )  # fmt: skip
            rows["tags"] += [
                (key, value.format(m=m, v=v, sha=sha), run) for key, value in TAGS
            ]
            rows["params"] += [
                (f"param_{i}", str(chance.random()), run) for i in range(10)
            ]
            rows["latest_metrics"] += [
                (f"metric_{i}", chance.random(), at, 0, 0, run) for i in range(10)
            ]
    connection.execute("PRAGMA foreign_keys = OFF")
    for table, values in rows.items():
        places = ", ".join("?" * len(values[0]))
        connection.executemany(f"INSERT INTO {table} VALUES ({places})", values)  # noqa: S608


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            with urlopen(f"{url}/health", timeout=5):  # noqa: S310 - our own server
                return
        except (URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
