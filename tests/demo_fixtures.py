"""The demo's MLflow servers, filled once for all test processes."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
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


@contextmanager
def filled(slug: str, folder: Path) -> Iterator[MlflowServer]:
    """Yield the server in `folder`, filled by whoever comes first."""
    with shared_mlflow(folder, Flavour.OPEN) as server:
        with (folder / "seed.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "seeded").exists():
                done = seed(server, slug)
                assert done.returncode == 0, done.stderr
                (folder / "seeded").touch()
        yield server


@pytest.fixture(scope="session")
def demo_servers(shared_folder: Path) -> Iterator[Mapping[str, MlflowServer]]:
    """The MLflow of each organization of the demo, by slug. Read only."""
    with ExitStack() as stack, ThreadPoolExecutor() as threads:

        def fill(slug: str) -> MlflowServer:
            return stack.enter_context(filled(slug, shared_folder / f"demo-{slug}"))

        slugs = [organization.slug for organization in ORGANIZATIONS]
        yield dict(zip(slugs, threads.map(fill, slugs), strict=True))
