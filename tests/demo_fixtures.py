"""The demo's MLflow servers, filled once for all test processes."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers import Flavour, MlflowServer, shared_mlflow
from verifywise.demo.cases import ORGANIZATIONS

ROOT = Path(__file__).resolve().parent.parent


def seed(server: MlflowServer, slug: str) -> subprocess.CompletedProcess[str]:
    """Call the demo's seeder on a server; some 10 s."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "verifywise.demo.registry"),
            *("--url", server.url, "--organization", slug),
        ],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if "MLFLOW" not in name},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture(scope="session")
def demo_servers(shared_folder: Path) -> Iterator[Mapping[str, MlflowServer]]:
    """The MLflow of each organization of the demo, by slug. Read only."""
    with ExitStack() as stack:
        servers = {}
        for slug in (organization.slug for organization in ORGANIZATIONS):
            folder = shared_folder / f"mlflow-demo-{slug}"
            server = stack.enter_context(shared_mlflow(folder, Flavour.OPEN))
            with (folder / "seed.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not (folder / "seeded").exists():
                    done = seed(server, slug)
                    assert done.returncode == 0, done.stderr
                    (folder / "seeded").touch()
            servers[slug] = server
        yield servers
