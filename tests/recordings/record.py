"""Record what an MLflow of old answers, so that every test run can sync from it.

    .venv/bin/python -m tests.recordings.record 2.9 2.22

makes an environment for each version from requirements/mlflow-<version>.txt, starts that
MLflow on loopback, once on a database and once on a file store, fills it (`fill.py`),
asks it all that our client asks, and writes mlflow-<release>/<store>.json beside this
file. Needs what `make install` brings, a package index and a minute. Run it whenever the
client asks something new: a test says so.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from mlflow_sync.client import Client, Connection
from tests.servers import Flavour, MlflowServer, shared_mlflow
from tests.wire import Exchange, gate

HERE = Path(__file__).parent
REQUIREMENTS = HERE.parent.parent / "requirements"
STORES = {"sqlite": Flavour.OPEN, "file": Flavour.FILE_STORE}


def main() -> None:
    parser = argparse.ArgumentParser(description="Record the answers of MLflow.")
    parser.add_argument("version", nargs="+", help="such as 2.9")
    for version in parser.parse_args().version:
        with tempfile.TemporaryDirectory() as folder:
            python = make_environment(Path(folder) / "environment", version)
            for store, flavour in STORES.items():
                with shared_mlflow(
                    Path(folder) / store, flavour, python=python
                ) as server:
                    fill(server, python=python)
                    write(record(server), store=store)


def make_environment(folder: Path, version: str) -> Path:
    """Install an MLflow; return the Python that imports it."""
    uv = [str(Path(sys.executable).with_name("uv"))]
    python = folder / "bin" / "python"
    subprocess.run(
        [*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True
    )
    subprocess.run(
        [
            *(*uv, "pip", "sync", "--quiet", "--require-hashes"),
            *("--python", str(python)),
            str(REQUIREMENTS / f"mlflow-{version}.txt"),
        ],
        check=True,
    )
    return python


def fill(server: MlflowServer, *, python: Path) -> None:
    """Fill a server by its own MLflow's hand, under the name of Nina."""
    subprocess.run(
        [str(python), "-W", "ignore", str(HERE / "fill.py"), server.url],
        env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "LOGNAME": "nina"},
        check=True,
        capture_output=True,
    )


def record(server: MlflowServer) -> dict[str, Any]:
    """Ask a server everything, and return its answers as JSON."""
    with gate(server.url) as passing:
        with Client(Connection(passing.url), delays=()) as client:
            release = ask_everything(client)
        exchanges: dict[str, dict[str, Any]] = {}
        for exchange in passing.passed:
            told = describe(exchange)
            exchanges.setdefault(json.dumps(told["request"]), told)
    text = json.dumps({"mlflow": release, "exchanges": list(exchanges.values())})
    recording: dict[str, Any] = json.loads(_impersonal(text, server))
    return recording


def ask_everything(client: Client) -> str:
    """Ask all that a connection test and a sync ask; return the release of MLflow.

    The lists come in pages of two besides, for how MLflow turns pages is part of it.
    """
    release = client.probe().mlflow_version
    for size in ({"page_size": 2}, {}):
        models = [model for page in client.search_models(**size) for model in page]
        experiments = [
            experiment
            for page in client.search_experiments(**size)
            for experiment in page
        ]
        versions = [each for page in client.search_versions(**size) for each in page]
    assert models
    runs = {
        run.run_id: run
        for run in client.fetch_runs(
            sorted({version.run_id for version in versions if version.run_id}),
            experiment_ids=[each.experiment_id for each in experiments],
        )
    }
    for version in versions:
        client.fetch_artifacts(version, run=runs.get(version.run_id or ""))
    return release


def describe(exchange: Exchange) -> dict[str, Any]:
    """Return a request and its answer as JSON; what is JSON itself stays readable."""
    target = urlsplit(exchange.target)
    request: dict[str, Any] = {"method": exchange.method, "path": target.path}
    if target.query:
        request["query"] = parse_qsl(target.query, keep_blank_values=True)
    if exchange.body:
        request["body"] = json.loads(exchange.body)
    answer: dict[str, Any] = {"status": exchange.status, "type": exchange.kind}
    if exchange.kind.startswith("application/json"):
        answer["json"] = json.loads(exchange.content)
    else:
        answer["text"] = exchange.content.decode()
    return {"request": request, "answer": answer}


def write(recording: dict[str, Any], *, store: str) -> None:
    folder = HERE / f"mlflow-{recording['mlflow']}"
    folder.mkdir(exist_ok=True)
    text = json.dumps(recording, indent=1, ensure_ascii=False, sort_keys=True)
    (folder / f"{store}.json").write_text(text + "\n", encoding="utf-8")


def _impersonal(text: str, server: MlflowServer) -> str:
    """Take out what tells of the machine that the recording was made on."""
    text = text.replace(str(server.folder), "/srv/mlflow")
    return re.sub(r"http://127\.0\.0\.1:\d+", "http://mlflow.example.org", text)


if __name__ == "__main__":
    main()
