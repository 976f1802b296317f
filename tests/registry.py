"""Fill an MLflow server over REST, much faster than by importing mlflow itself."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from base64 import b64encode
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import requests

from tests.servers import MlflowServer


def unique(name: str) -> str:
    """Return a name that no other test uses."""
    return f"{name} {uuid.uuid4().hex[:8]}"


class Registry:
    """Writes what a test needs into one MLflow server."""

    def __init__(
        self,
        server: MlflowServer,
        *,
        auth: tuple[str, str] | None = None,
        workspace: str = "",
    ) -> None:
        self.server = server
        self.workspace = workspace
        self._session = requests.Session()
        self._session.trust_env = False
        if workspace:
            self._session.headers["X-MLFLOW-WORKSPACE"] = workspace
        if auth:  # in UTF-8, as MLflow decodes it; requests itself would take Latin-1
            credentials = b64encode(":".join(auth).encode()).decode()
            self._session.headers["Authorization"] = f"Basic {credentials}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session.close()

    def send(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Send JSON below /api/2.0/mlflow/, or to an absolute path."""
        if not path.startswith("/"):
            path = f"/api/2.0/mlflow/{path}"
        answer = self._session.request(
            method, self.server.url + path, json=body, timeout=60
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        return self.send("POST", path, **body)

    def experiment(self, name: str = "", **body: Any) -> str:
        """Create an experiment and return its id."""
        name = name or unique("experiment")
        found = self.post("experiments/create", name=name, **body)
        return str(found["experiment_id"])

    def run(
        self,
        experiment_id: str,
        *,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        metrics: Mapping[str, float | str] | None = None,
        datasets: Sequence[Mapping[str, Any]] = (),
        status: str = "FINISHED",
    ) -> str:
        """Create a run with all that it logged and return its id."""
        now = int(time.time() * 1000)
        run = self.post("runs/create", experiment_id=experiment_id, start_time=now)
        run_id = str(run["run"]["info"]["run_id"])
        self.post(
            "runs/log-batch",
            run_id=run_id,
            tags=_pairs(tags),
            params=_pairs(params),
            metrics=[
                {"key": key, "value": value, "timestamp": now, "step": 0}
                for key, value in (metrics or {}).items()
            ],
        )
        if datasets:
            self.post("runs/log-inputs", run_id=run_id, datasets=datasets)
        if status != "RUNNING":
            self.post("runs/update", run_id=run_id, status=status, end_time=now)
        return run_id

    def logged_model(self, experiment_id: str, run_id: str) -> str:
        """Create a logged model as MLflow 3 does and return its id."""
        found = self.post(
            "logged-models",
            experiment_id=experiment_id,
            name="model",
            source_run_id=run_id,
        )
        return str(found["model"]["info"]["model_id"])

    def tag_run(self, run_id: str, key: str, value: str) -> None:
        self.post("runs/set-tag", run_id=run_id, key=key, value=value)

    def model(self, name: str, **body: Any) -> str:
        """Create a registered model and return its name."""
        body["tags"] = _pairs(body.get("tags"))
        self.post("registered-models/create", name=name, **body)
        return name

    def empty(self) -> None:
        """Delete all registered models."""
        path = "registered-models"
        while found := self.send("GET", f"{path}/search?max_results=1000"):
            for model in found["registered_models"]:
                self.send("DELETE", f"{path}/delete", name=model["name"])

    def version(self, name: str, *, source: str, **body: Any) -> str:
        """Create a version, of a logged model too, and return its number."""
        body["tags"] = _pairs(body.get("tags"))
        if source.startswith("models:/m-"):
            body["model_id"] = source.removeprefix("models:/")
        found = self.post("model-versions/create", name=name, source=source, **body)
        return str(found["model_version"]["version"])

    def put(self, path: str, content: bytes) -> None:
        """Store an artifact at `<experiment>/<run>/artifacts/…`."""
        answer = self._session.put(
            f"{self.server.url}/api/2.0/mlflow-artifacts/artifacts/{quote(path)}",
            data=content,
            timeout=60,
        )
        answer.raise_for_status()

    def remove(self, path: str) -> None:
        """Delete an artifact that `put` stored."""
        answer = self._session.delete(
            f"{self.server.url}/api/2.0/mlflow-artifacts/artifacts/{quote(path)}",
            timeout=60,
        )
        answer.raise_for_status()

    def purge(self, run_id: str) -> None:
        """Delete a run for good, which only MLflow's command line can; takes seconds."""
        self.post("runs/delete", run_id=run_id)
        subprocess.run(
            [
                *(self.server.python, "-m", "mlflow", "gc"),
                *("--backend-store-uri", self.server.backend),
                *("--run-ids", run_id),
            ],
            env=os.environ
            | {
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_TRACKING_URI": self.server.url,
            },
            check=True,
            capture_output=True,
        )


def history(run_id: str, *paths: str) -> str:
    """Return the tag mlflow.log-model.history as MLflow 2 writes it."""
    return json.dumps(
        [
            {
                "run_id": run_id,
                "artifact_path": path,
                "utc_time_created": "2026-11-24 09:45:08.658721",
                "model_uuid": uuid.uuid4().hex,
                "flavors": {"python_function": {"env": {}}, "sklearn": {"code": None}},
            }
            for path in paths
        ]
    )


def _pairs(values: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in (values or {}).items()]
