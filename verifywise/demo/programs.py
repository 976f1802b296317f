"""The programs that make up the demo: started together, stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

TAIL = 10  # lines of a log that are shown when its program ended
WIDTH = 400  # characters of each
PATIENCE = 300  # seconds for a server to answer for the first time
GRACE = 8  # seconds to end in an orderly way


class DemoError(Exception):
    """What keeps the demo from running, as a sentence for the person who started it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A command with a session of its own, so that Ctrl-C in a terminal spares it.

    `as_group`: ask the whole process group to end, not the first process alone. MLflow
    needs it; django-q2, whose workers end in their turn, hangs on it.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    log: Path
    environment: Mapping[str, str]
    as_group: bool = False

    async def run(self, *, expected: Collection[int] = (0,)) -> None:
        """Run to the end. Raises DemoError on an exit code that is not expected."""
        code = await self._wait()
        if code not in expected:
            raise self._failure(f"{self.name} failed with exit code {code}.")

    async def keep_running(self) -> NoReturn:
        """Run until cancelled. Raises DemoError when the program ends by itself."""
        code = await self._wait()
        raise self._failure(f"{self.name} ended by itself with exit code {code}.")

    async def _wait(self) -> int:
        with self.log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                cwd=self.folder,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            return await process.wait()
        finally:
            await self._stop(process)

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            ask = os.killpg if self.as_group else os.kill
            with contextlib.suppress(ProcessLookupError, TimeoutError):
                ask(process.pid, signal.SIGTERM)
                await asyncio.wait_for(process.wait(), GRACE)
        with contextlib.suppress(ProcessLookupError):  # nobody of the group is left
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    def _failure(self, sentence: str) -> DemoError:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        told = "\n".join(f"  {line[:WIDTH]}" for line in lines[-TAIL:])
        return DemoError(f"{sentence} The end of {self.log}:\n{told}")


async def wait_until_answering(name: str, *, port: int, path: str) -> None:
    """Return once the loopback server answers 200. Raises DemoError if it never does."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not await asyncio.to_thread(_answers, port, path):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise DemoError(
            f"{name} did not answer at http://127.0.0.1:{port}{path} "
            f"within {PATIENCE} seconds."
        ) from None


def _answers(port: int, path: str) -> bool:
    """Ask past any proxy: http.client reads no proxy variable."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
