"""`make demo` itself: all its programs, really started and really stopped."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
import requests

from tests.servers import free_port

ROOT = Path(__file__).parents[2]
READY = 280  # seconds on a loaded machine; 15 are usual


class Demo:
    """The demo in a folder and on ports of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port, self.mlflow_port = free_port(), two_free_ports()

    def start(self, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "verifywise.demo.serve"],
            cwd=ROOT,
            env={
                **os.environ,
                "DATA_DIR": str(self.data),
                "PORT": str(self.port),
                "MLFLOW_PORT": str(self.mlflow_port),
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start_and_wait(self) -> tuple[subprocess.Popen[str], str]:
        """Return the running demo, and what it said until it was ready."""
        process = self.start()
        assert process.stdout is not None
        said, ends = "", time.monotonic() + READY
        while "Ctrl-C stops" not in said and time.monotonic() < ends:
            line = process.stdout.readline()
            if not line:
                break
            said += line
        assert "Ctrl-C stops" in said, said
        return process, said

    def processes(self) -> list[psutil.Process]:
        """Return what runs for this demo, orphans and the database included."""
        found = []
        for process in psutil.process_iter():
            try:
                about = [*process.cmdline(), process.environ().get("DATA_DIR", "")]
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if any(str(self.data) in word for word in about):
                found.append(process)
        return found

    def log(self, name: str) -> str:
        return (self.data / "demo" / "logs" / f"{name}.log").read_text()


def two_free_ports() -> int:
    """Return a free port after which the next is free as well."""
    while True:
        port = free_port()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


@pytest.fixture
def demo() -> Iterator[Demo]:
    """A demo whose folder is not below pytest's, which each start of pytest closes to
    other accounts: as root, the database runs under another one."""
    with TemporaryDirectory(prefix="the demo's data ") as folder:
        demo = Demo(Path(folder))
        yield demo
        for process in demo.processes():
            process.kill()


@pytest.mark.timeout(900)
def test_it_gets_ready_stops_and_goes_on_from_where_it_was(demo):
    process, said = demo.start_and_wait()

    assert f"VerifyWise is ready at http://127.0.0.1:{demo.port}/\n" in said
    assert "Training and logging the models of Acme Bank" in said
    assert "alice@acme.example" in said
    assert "9 models, 25 versions (25 new" in demo.log("sync-acme")
    assert "25 versions (0 new, 1 changed" in demo.log("sync-acme-later")
    assert "16 high, 2 medium, 0 low, 53 missing fields; after: 1 critical" in demo.log(
        "demo_decide"
    )
    assert signs_in(demo, re.search(r"password: (\S+)", said)[1])

    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert ends(demo)

    process, said = demo.start_and_wait()

    assert "Training" not in said
    assert "25 versions (0 new, 0 changed, 25 unchanged" in demo.log("sync-acme")

    mlflow = next(found for found in demo.processes() if "mlflow" in found.cmdline())
    mlflow.kill()
    assert process.wait(timeout=30) == 1
    assert "The MLflow of Acme Bank ended by itself" in process.stdout.read()
    assert ends(demo)


def signs_in(demo: Demo, password: str) -> bool:
    """Sign in as a browser does, and see whether the console opens."""
    with requests.Session() as browser:
        page = f"http://127.0.0.1:{demo.port}/console/login/"
        browser.get(page, timeout=30).raise_for_status()
        told = {
            "username": "alice@acme.example",
            "password": password,
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
        }
        answer = browser.post(page, told, headers={"Referer": page}, timeout=30)
        return answer.ok and "verifywise_session" in browser.cookies


def ends(demo: Demo) -> bool:
    """Tell whether all is gone within seconds; the database ends after its users."""
    deadline = time.monotonic() + 15
    while demo.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    return not demo.processes()


@pytest.mark.timeout(300)
def test_ctrl_c_in_the_middle_of_a_start_stops_everything(demo):
    process = demo.start()
    assert process.stdout is not None
    assert "Starting two MLflow servers" in process.stdout.readline()
    while len(demo.processes()) < 6:  # MLflow has started its workers
        time.sleep(0.1)

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=30) == 0
    assert ends(demo)


def refusal(demo: Demo, **variables: str) -> str:
    process = demo.start(**variables)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    return said


@pytest.mark.parametrize("variable", ["PORT", "MLFLOW_PORT"])
def test_a_taken_port_is_said_in_one_line_before_anything_starts(demo, variable):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        said = refusal(demo, **{variable: str(port)})

    assert said == (
        f"Port {port} cannot be used: address already in use. Set {variable} to "
        f"another, as in `make demo {variable}={port + 1000}`.\n"
    )
    assert not demo.processes()


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"PORT": "http"}, "PORT is “http”, which is no port from 1 to 65534.\n"),
        (
            {"MLFLOW_PORT": "65535"},
            "MLFLOW_PORT is “65535”, which is no port from 1 to 65534.\n",
        ),
        (
            {"PORT": "5051", "MLFLOW_PORT": "5050"},
            "PORT and MLFLOW_PORT both ask for port 5051: the demo takes MLFLOW_PORT "
            "and the next one. Set one of them to another.\n",
        ),
        (
            {"DATA_DIR": "/dev/null/demo"},
            "DATA_DIR is /dev/null/demo, which cannot be used: Not a directory.\n",
        ),
    ],
)
def test_a_wrong_variable_is_named(demo, variables, told):
    assert refusal(demo, **variables) == told
