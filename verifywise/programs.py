"""Programs that are started together and stopped together: the site, and the demo of it.

Loads nothing of Django.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import socket
import sys
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

HOST = "127.0.0.1"
PORTS = range(1, 65_535)  # one less than there are: MLflow takes two in a row
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

TAIL = 10  # lines of a log that are shown when its program ended
WIDTH = 400  # characters of each
PATIENCE = 300  # seconds for a server to answer for the first time
GRACE = 8  # seconds to end in an orderly way


class ProgramError(Exception):
    """What keeps us from running, as a sentence for the person who started us."""


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
        """Run to the end. Raises ProgramError on an exit code that is not expected."""
        code = await self._wait()
        if code not in expected:
            raise self._failure(f"{self.name} failed with exit code {code}.")

    async def keep_running(self) -> NoReturn:
        """Run until cancelled. Raises ProgramError when the program ends by itself."""
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

    def _failure(self, sentence: str) -> ProgramError:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        told = "\n".join(f"  {line[:WIDTH]}" for line in lines[-TAIL:])
        return ProgramError(f"{sentence} The end of {self.log}:\n{told}")


async def wait_until_answering(name: str, *, port: int, path: str) -> None:
    """Return once the loopback server answers 200. Raises ProgramError if it never does."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not await asyncio.to_thread(_answers, port, path):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise ProgramError(
            f"{name} did not answer at http://127.0.0.1:{port}{path} "
            f"within {PATIENCE} seconds."
        ) from None


def free_port_or_reason(port: int) -> str:
    """Return why nothing can listen on a loopback port, "" if something can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return ""


def port_of(variable: str, *, default: int) -> int:
    """Read a port from the environment. Raises ProgramError, naming the variable."""
    told = os.environ.get(variable) or str(default)
    if not told.isdecimal() or int(told) not in PORTS:
        raise ProgramError(
            f"{variable} is “{told}”, which is no port from 1 to {PORTS[-1]}."
        )
    return int(told)


def run_until_told(
    serving: Callable[[], Coroutine[Any, Any, None]], *, goodbye: str
) -> None:
    """Run until Ctrl-C or SIGTERM, then end all programs; exit 1 with why they ended."""
    failure: BaseException | None = None
    try:
        asyncio.run(_until_told(serving, goodbye))
    except* ProgramError as failures:
        failure = failures
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
    if failure:
        sys.exit(str(failure))


async def _until_told(
    serving: Callable[[], Coroutine[Any, Any, None]], goodbye: str
) -> None:
    running = asyncio.ensure_future(serving())
    was_told = False

    def stop() -> None:
        nonlocal was_told
        if not was_told:  # once is enough: all programs are being asked to end
            was_told = True
            say("\nStopping …")
            running.cancel()

    for ending in ENDINGS:
        asyncio.get_running_loop().add_signal_handler(ending, stop)
    try:
        await running
    except asyncio.CancelledError:
        say(goodbye)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


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
