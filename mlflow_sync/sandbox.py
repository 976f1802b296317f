"""Artifacts are strangers' bytes: they are parsed in a child process with little to lose.

The child (`sandbox_child`) has an empty environment and limits on memory, CPU, files
written and files open. One child serves a whole sync; one that dies or hangs is replaced,
and the file it died of is given up.
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mlflow_sync.exceptions import SandboxError

CHILD = Path(__file__).with_name("sandbox_child.py")
TIMEOUT = 10.0  # seconds for one file
MAX_ANSWER = 8 * 2**20  # bytes
_HEADER = struct.Struct(">I")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What the child found: `facts` are as untrusted as the file, `problem` a phrase."""

    sha256: str
    size: int
    facts: dict[str, Any]
    problem: str


class Sandbox:
    """A child process that reads files. For one thread; close it, or use `with`.

    Starting the child costs about a tenth of a second and is put off to the first file.
    """

    def __init__(self, *, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._child: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process id of the child, None while there is none."""
        return self._child.pid if self._child else None

    def inspect(self, path: str, content: bytes) -> Inspection:
        """Hash a file, and parse it if its name is one of an environment or MLmodel.

        Raises SandboxError if the child dies or takes too long. The next file gets a
        new one.
        """
        name = path.encode("utf-8", "replace")
        deadline = time.monotonic() + self._timeout
        try:
            line = self._line or self._start()
            self._wait(line, deadline)
            line.sendall(struct.pack(">II", len(name), len(content)) + name + content)
            (length,) = _HEADER.unpack(self._receive(line, _HEADER.size, deadline))
            if length > MAX_ANSWER:
                raise SandboxError("Reading it gave more than can be kept.")
            text = self._receive(line, length, deadline)
            return Inspection(**json.loads(text, parse_constant=lambda _: None))
        except TimeoutError:
            self.close()
            raise SandboxError(
                f"Reading it took more than {self._timeout:g} seconds."
            ) from None
        except (OSError, EOFError, ValueError, TypeError):
            self.close()
            raise SandboxError("Reading it broke the sandbox.") from None
        except SandboxError:
            self.close()
            raise

    def close(self) -> None:
        """End the child."""
        if self._line:
            self._line.close()
        if self._child:
            self._child.kill()
            self._child.wait()
        self._line = self._child = None

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-I", str(CHILD)],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
            )
        self._line = ours
        return ours

    @staticmethod
    def _wait(line: socket.socket, deadline: float) -> None:
        """Let the next operation take what is left of the time."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        line.settimeout(left)

    def _receive(self, line: socket.socket, length: int, deadline: float) -> bytes:
        received = bytearray()
        while len(received) < length:
            self._wait(line, deadline)
            chunk = line.recv(min(length - len(received), 2**16))
            if not chunk:
                raise EOFError
            received += chunk
        return bytes(received)
