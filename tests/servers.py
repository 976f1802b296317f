"""Real MLflow servers for tests: on free ports, shared by all test processes.

The first process that needs a server starts a keeper (this file, run as a program),
which starts MLflow and watches a lock that each user holds. When the last user is gone,
killed ones included, the keeper ends MLflow and itself.

Which MLflow that is, `MLFLOW_PYTHON` in the environment tells: the Python that imports
it. It is our own where nothing is told.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from cryptography.fernet import Fernet
from werkzeug.security import generate_password_hash

PORTS = range(20_000, 32_000)  # below those that systems give to connections out
START_SECONDS = 150  # a loaded machine; 5 to 10 s are usual
ADMIN = ("admin", "pässword:with colon")


PREFIX = "/ml/flow"
MLFLOW_PYTHON = os.environ.get("MLFLOW_PYTHON", sys.executable)


class Flavour(StrEnum):
    OPEN = "open"
    BASIC_AUTH = "basic-auth"  # knows ADMIN, and grants nothing to anybody else
    FILE_STORE = "file-store"  # has no database; of MLflow 2 only
    PREFIXED = "prefixed"  # lies below PREFIX
    UNSERVED = (
        "unserved"  # hands on no artifacts: its store is S3, of which it knows none
    )
    WORKSPACES = "workspaces"
    WEBHOOKS = "webhooks"  # sends webhooks to this machine, and knows new ones at once


OPTIONS: Mapping[Flavour, tuple[str, ...]] = {
    Flavour.BASIC_AUTH: ("--app-name", "basic-auth"),
    Flavour.PREFIXED: ("--static-prefix", PREFIX),
    Flavour.UNSERVED: (
        *("--no-serve-artifacts", "--default-artifact-root", "s3://bucket/mlflow"),
    ),
    Flavour.WORKSPACES: ("--enable-workspaces",),
}


@dataclass(frozen=True, slots=True)
class MlflowServer:
    """A running MLflow; `folder` holds its database, its artifacts and its log."""

    url: str
    folder: Path
    flavour: Flavour
    python: str  # that imports the same MLflow

    @property
    def backend(self) -> str:
        return backend_of(self.folder, self.flavour)


def backend_of(folder: Path, flavour: Flavour) -> str:
    if flavour is Flavour.FILE_STORE:
        return str(folder / "store")
    return f"sqlite:///{folder / 'mlflow.db'}"


@contextmanager
def shared_mlflow(
    folder: Path, flavour: Flavour, *, python: Path | str = MLFLOW_PYTHON
) -> Iterator[MlflowServer]:
    """Yield the server that lives in `folder`, started by whoever comes first.

    It is the MLflow that `python` imports.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "server.json"
    with (folder / "users.lock").open("w") as users:
        with (folder / "start.lock").open("w") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)  # waits while a keeper cleans up
            if not state.exists():
                _start_keeper(folder, flavour, state, python=python)
        url = json.loads(state.read_text())["url"]
        yield MlflowServer(url, folder, flavour, str(python))


def free_port() -> int:
    """Return a port that nobody listens at, and that no connection out will be given.

    A server binds it many seconds later; one of the system's own choice would by then
    be the near end of somebody's connection.
    """
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _start_keeper(
    folder: Path, flavour: Flavour, state: Path, *, python: Path | str
) -> None:
    with (folder / "keeper.log").open("w") as log:
        keeper = subprocess.Popen(
            [sys.executable, __file__, str(folder), flavour, str(python)],
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


def _keep(folder: Path, flavour: Flavour, python: str) -> None:
    port = free_port()
    host = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [
            *(python, "-m", "mlflow", "server"),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", backend_of(folder, flavour)),
            *("--artifacts-destination", str(folder / "artifacts")),
            *OPTIONS.get(flavour, ()),
        ],
        cwd=folder,
        env=os.environ | _environment(folder, flavour),
        start_new_session=True,
    )
    try:
        url = _wait_until_healthy(host, flavour, process)
        if flavour is Flavour.BASIC_AUTH:
            _hash_cheaply(folder / "auth.db")
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
            f"admin_password = {ADMIN[1]}\n"
            "authorization_function = "
            "mlflow.server.auth:authenticate_request_basic_auth\n",
            encoding="utf-8",
        )
        variables |= {
            "MLFLOW_AUTH_CONFIG_PATH": str(settings),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "for tests only",
        }
    return variables


def _hash_cheaply(database: Path) -> None:
    """Let MLflow check ADMIN's password in no time: it does so at every request.

    Its own hash takes 0.1 s of a processor, which is the whole of many a test.
    """
    name, password = ADMIN
    hashed = generate_password_hash(password, "pbkdf2:sha256:1")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE users SET password_hash = ? WHERE username = ?", [hashed, name]
        )


def _wait_until_healthy(
    host: str, flavour: Flavour, process: subprocess.Popen[bytes]
) -> str:
    """Return the URL below which the API is; MLflow 2 prefixes its pages alone."""
    urls = (host + PREFIX, host) if flavour is Flavour.PREFIXED else (host,)
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        for url in urls:
            try:
                with urlopen(f"{url}/health", timeout=5):  # noqa: S310 - our own URL
                    return url
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
    _keep(Path(sys.argv[1]), Flavour(sys.argv[2]), sys.argv[3])
