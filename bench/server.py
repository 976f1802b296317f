"""A real MLflow server over a generated registry."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from bench.registry import ENVIRONMENT
from tests.servers import free_port

START_SECONDS = 180  # a loaded machine; 10 are usual
STOP_SECONDS = 15
# uvicorn kills a worker that is silent for longer than this; a loaded one may well be.
HEALTH_CHECK = ("--uvicorn-opts", "--timeout-worker-healthcheck 60")
API = "/api/2.0/mlflow"
# One of each kind that a sync sends: the first of a kind finds MLflow importing.
WARMING = (
    ("GET", f"{API}/registered-models/search?max_results=1", None),
    ("GET", f"{API}/experiments/search?max_results=1", None),
    ("GET", f"{API}/model-versions/search?max_results=1", None),
    ("POST", f"{API}/runs/search", b'{"experiment_ids": ["1"], "max_results": 1}'),
)


@contextmanager
def served(folder: Path, *, workers: int) -> Iterator[str]:
    """Yield the URL of an MLflow that serves a registry's folder; it ends with the block."""
    port = free_port()
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server"),
                *("--host", "127.0.0.1", "--port", str(port)),
                *("--workers", str(workers), *(HEALTH_CHECK if workers > 1 else ())),
                *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
                *("--artifacts-destination", str(folder / "artifacts")),
            ],
            env=os.environ | ENVIRONMENT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, server, log=folder / "server.log")
        _warm(url, times=1 if workers == 1 else 4 * workers)
        yield url
    finally:
        _end(server)


def _wait_for(url: str, server: subprocess.Popen[bytes], *, log: Path) -> None:
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and server.poll() is None:
        try:
            with urlopen(f"{url}/health", timeout=5):  # noqa: S310 - our own server
                return
        except (URLError, OSError):
            time.sleep(0.2)
    sys.exit(f"MLflow did not start:\n{log.read_text()[-2000:]}")


def _warm(url: str, *, times: int) -> None:
    """Ask on new connections, so often that every worker has had its turn."""
    for _ in range(times):
        for method, path, body in WARMING:
            request = Request(  # noqa: S310 - our own server
                url + path,
                data=body,
                method=method,
                headers={"Content-Type": "application/json"},
            )
            with urlopen(request, timeout=60) as answer:  # noqa: S310
                answer.read()


def _end(server: subprocess.Popen[bytes]) -> None:
    """End MLflow and the workers that it started."""
    for attempt in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, attempt)
            server.wait(timeout=STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
