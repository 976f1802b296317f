"""The bench runs through, on registries so small that nothing can be judged by it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIVE = """
    SELECT count(*) FROM model_versions AS version
    WHERE current_stage IN ('Production', 'Staging') OR EXISTS (
        SELECT 1 FROM registered_model_aliases AS alias
        WHERE (alias.name, alias.version) = (version.name, version.version)
    )
"""


def bench(data: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *args],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.soak
@pytest.mark.timeout(900)  # a minute, on a machine that does nothing else
def test_a_small_run_measures_prints_and_leaves_only_registries(tmp_path: Path) -> None:
    small = ("--small", "--quick", "--workers", "1")
    done = bench(tmp_path, *small, "first", "nochange")

    assert done.returncode == 0, done.stderr
    for target in (
        "First sync of 30, one worker: of the bare download",
        "First sync of 30, one worker: of the crawl",
        "No change in 30, one worker: of the crawl",
        "No change in 30, one worker: rows written",
    ):
        assert target in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["registries"]

    (database,) = tmp_path.glob("registries/*/mlflow.db")
    with sqlite3.connect(database) as connection:
        versions = connection.execute("SELECT count(*) FROM model_versions").fetchone()
        live = connection.execute(LIVE).fetchone()
    connection.close()
    assert (versions, live) == ((30,), (6,))


def test_a_part_that_does_not_exist_is_named(tmp_path: Path) -> None:
    done = bench(tmp_path, "frist")

    assert done.returncode == 2
    assert "no such part: frist" in done.stderr
