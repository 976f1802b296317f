"""Real django-q2 workers on the test database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent


def environment() -> dict[str, str]:
    """Return variables with which another process works on this test's database."""
    database: dict[str, Any] = connection.settings_dict
    where = urlencode({"host": database["HOST"], "port": database["PORT"]})
    return os.environ | {
        "DATABASE_URL": f"postgresql://{database['USER']}@/{database['NAME']}?{where}",
        "SECRET_KEY": settings.SECRET_KEY,
        "FIELD_ENCRYPTION_KEY": ",".join(settings.FIELD_ENCRYPTION_KEY),
        "AUDIT_KEYS": ",".join(settings.AUDIT_KEYS),
        "VERIFYWISE_WORKERS": "1",
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def worker(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `manage.py qcluster`; its log is `folder`/worker.log. Ends with the block.

    Only the main process is signalled: it ends the others itself.
    """
    log = folder / "worker.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "qcluster"],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_until(lambda: b"running" in log.read_bytes(), process=process)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until(
    happened: Callable[[], object],
    *,
    seconds: float = 60,
    process: subprocess.Popen[bytes] | None = None,
) -> None:
    """Look again and again until `happened()` is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert process is None or process.poll() is None, "The process has ended."
        assert time.monotonic() < deadline, "It did not happen in time."
        time.sleep(0.1)
