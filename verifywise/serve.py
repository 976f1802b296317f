"""Runs the console and a worker on this machine (`make run`), with one's own data.

In production a process manager does this: gunicorn for `verifywise.wsgi`, and as many
`manage.py qcluster` as there is work for.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from verifywise.programs import (
    HOST,
    Program,
    ProgramError,
    free_port_or_reason,
    port_of,
    run_until_told,
    say,
    wait_until_answering,
)

ROOT = Path(__file__).resolve().parent.parent


def program(name: str, *arguments: str, logs: Path, log: str) -> Program:
    return Program(
        name=name,
        command=(sys.executable, *arguments),
        folder=ROOT,
        log=logs / f"{log}.log",
        environment=os.environ,
    )


async def serve(port: int, logs: Path) -> None:
    """Run until cancelled. Raises ProgramErrors in an ExceptionGroup."""
    await program(
        "manage.py migrate", "manage.py", "migrate", logs=logs, log="migrate"
    ).run()
    console = program(
        "The console",
        *("-m", "gunicorn", "verifywise.wsgi", "--bind", f"{HOST}:{port}"),
        # A workbook of ten thousand versions takes longer than the usual 30 seconds.
        *("--workers", "2", "--timeout", "300", "--graceful-timeout", "3"),
        "--no-control-socket",
        logs=logs,
        log="console",
    )
    worker = program("The worker", "manage.py", "qcluster", logs=logs, log="worker")
    async with asyncio.TaskGroup() as running:
        running.create_task(console.keep_running())
        running.create_task(worker.keep_running())
        await wait_until_answering("The console", port=port, path="/healthz")
        say(
            f"VerifyWise is ready at http://{HOST}:{port}/ (logs: {logs}). Ctrl-C stops it."
        )


def main() -> None:
    try:
        port = port_of("PORT", default=8000)
        if reason := free_port_or_reason(port):
            raise ProgramError(
                f"Port {port} cannot be used: {reason}. Set PORT to another."
            )
        data = Path(os.environ.get("DATA_DIR") or ROOT / "var").expanduser().absolute()
        logs = data / "logs"
        try:
            logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProgramError(
                f"DATA_DIR is {data}, which cannot be used: {error.strerror}."
            ) from None
    except ProgramError as error:
        sys.exit(str(error))
    run_until_told(lambda: serve(port, logs), goodbye="Stopped.")


if __name__ == "__main__":
    main()
