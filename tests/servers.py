"""Real MLflow servers for tests: on free ports, shared by all test processes.

The first process that needs a server starts a keeper (this file, run as a program),
which starts MLflow and watches a lock that each user holds. When the last user is gone,
killed ones included, the keeper ends MLflow and itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from cryptography.fernet import Fernet

START_SECONDS = 90  # a loaded machine; 5 to 10 s are usual
ADMIN = ("admin", "pässword:with colon")


class Flavour(StrEnum):
    OPEN = "open"
    BASIC_AUTH = "basic-auth"  # knows ADMIN, and grants nothing to anybody else
    WEBHOOKS = "webhooks"  # sends webhooks to this machine, and knows new ones at once


@dataclass(frozen=True, slots=True)
class MlflowServer:
    """A running MLflow; `folder` holds its database, its artifacts and its log."""

    url: str
    folder: Path
    flavour: Flavour

    @property
    def backend(self) -> str:
        return f"sqlite:///{self.folder / 'mlflow.db'}"


@contextmanager
def shared_mlflow(folder: Path, flavour: Flavour) -> Iterator[MlflowServer]:
    """Yield the server that lives in `folder`, started by whoever comes first."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "server.json"
    with (folder / "users.lock").open("w") as users:
        with (folder / "start.lock").open("w") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)  # waits while a keeper cleans up
            if not state.exists():
                _start_keeper(folder, flavour, state)
        yield MlflowServer(json.loads(state.read_text())["url"], folder, flavour)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _start_keeper(folder: Path, flavour: Flavour, state: Path) -> None:
    with (folder / "keeper.log").open("w") as log:
        keeper = subprocess.Popen(
            [sys.executable, __file__, str(folder), flavour],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while not state.exists():
        if keeper.poll() is not None:
            raise RuntimeError(
                f"MLflow did not start:\n{(folder / 'keeper.log').read_text()}"
            )
        time.sleep(0.1)


def _keep(folder: Path, flavour: Flavour) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server"),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
            *("--artifacts-destination", str(folder / "artifacts")),
            *(("--app-name", "basic-auth") if flavour is Flavour.BASIC_AUTH else ()),
        ],
        cwd=folder,
        env=os.environ | _environment(folder, flavour),
        start_new_session=True,
    )
    try:
        _wait_until_healthy(url, process)
        pending = folder / "server.json.new"
        pending.write_text(json.dumps({"url": url}))
        pending.rename(folder / "server.json")
        with (folder / "users.lock").open("w") as users:
            while process.poll() is None:
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.5)
                else:
                    (folder / "server.json").unlink()
                    return
    finally:
        _end(process)


def _environment(folder: Path, flavour: Flavour) -> dict[str, str]:
    variables = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    if flavour is Flavour.WEBHOOKS:
        variables |= {
            "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
            "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
            "MLFLOW_WEBHOOK_CACHE_TTL": "0",
        }
    if flavour is Flavour.BASIC_AUTH:
        settings = folder / "basic_auth.ini"
        settings.write_text(
            "[mlflow]\n"
            "default_permission = NO_PERMISSIONS\n"
            f"database_uri = sqlite:///{folder / 'auth.db'}\n"
            f"admin_username = {ADMIN[0]}\n"
            "authorization_function = "
            "mlflow.server.auth:authenticate_request_basic_auth\n"
        )
        variables |= {
            "MLFLOW_AUTH_CONFIG_PATH": str(settings),
            "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[1],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "for tests only",
        }
    return variables


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            with urlopen(f"{url}/health", timeout=5):  # noqa: S310 - our own http URL
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"MLflow is not healthy after {START_SECONDS} s.")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End MLflow and the worker processes that it started."""
    for attempt in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, attempt)
            process.wait(timeout=5)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), Flavour(sys.argv[2]))
