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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mlflow_sync.exceptions import SandboxError

CHILD = Path(__file__).with_name("sandbox_child.py")
TIMEOUT = 10.0  # seconds for one file, or one chunk of a file that is only hashed
MAX_CHUNK = 2**20  # bytes; a larger one is handed over in parts
MAX_ANSWER = 8 * 2**20  # bytes
_LENGTH = struct.Struct(">I")
# Instead of the length of a content, and of a chunk.
_STREAMED = 2**32 - 1
_TELL_STATE = 2**32 - 2
_RESTART = 2**32 - 3


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
        with self._guarded() as deadline:
            line = self._ask(path, len(content), deadline)
            line.sendall(content)
            return self._answer(line, deadline)

    def hash(self, path: str, chunks: Iterable[bytes]) -> Inspection:
        """Hash a file of any size, which neither process ever holds.

        The time-out is for each chunk and for the answer, not for waiting for chunks:
        that is in the hands of who makes them. What making one raises goes on as it is.
        Raises SandboxError as `inspect` does.
        """
        with self.digest(path) as digest:
            for chunk in chunks:
                digest.update(chunk)
            return digest.finish()

    @contextmanager
    def digest(self, path: str, *, state: str = "") -> Iterator[Digest]:
        """Begin to hash a file, or go on where `state` of another digest was told.

        Left without `finish`, the child, which waits for the rest, is given up and
        replaced.
        """
        with self._guarded() as deadline:
            line = self._ask(path, _STREAMED, deadline)
            told = state.encode()
            line.sendall(_LENGTH.pack(len(told)) + told)
            accepted = int(self._json(line, deadline)["size"])
        digest = Digest(self, line, size=accepted)
        try:
            yield digest
        finally:
            if not digest.is_finished:
                self.close()

    @contextmanager
    def _guarded(self) -> Iterator[float]:
        """Yield a deadline for speaking to the child; whatever goes wrong ends it."""
        try:
            yield time.monotonic() + self._timeout
        except TimeoutError:
            self.close()
            raise SandboxError(
                f"Reading it took more than {self._timeout:g} seconds."
            ) from None
        except (OSError, EOFError, ValueError, TypeError, KeyError):
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

    def _ask(self, path: str, length: int, deadline: float) -> socket.socket:
        """Begin a request, and return the line on which the content follows."""
        name = path.encode("utf-8", "replace")
        line = self._line or self._start()
        self._wait(line, deadline)
        line.sendall(struct.pack(">II", len(name), length) + name)
        return line

    def _answer(self, line: socket.socket, deadline: float) -> Inspection:
        return Inspection(**self._json(line, deadline))

    def _json(self, line: socket.socket, deadline: float) -> Any:
        (length,) = _LENGTH.unpack(self._receive(line, _LENGTH.size, deadline))
        if length > MAX_ANSWER:
            raise SandboxError("Reading it gave more than can be kept.")
        text = self._receive(line, length, deadline)
        return json.loads(text, parse_constant=lambda _: None)

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


class Digest:
    """A file that is being hashed. `size` is how much of it is: 0 where a state that
    was handed in is none that this child can go on from.
    """

    def __init__(self, sandbox: Sandbox, line: socket.socket, *, size: int) -> None:
        self.size = size
        self.is_finished = False
        self._sandbox = sandbox
        self._line = line

    def update(self, chunk: bytes) -> None:
        for part in _parts(chunk):
            with self._speaking():
                self._line.sendall(_LENGTH.pack(len(part)))
                self._line.sendall(part)
        self.size += len(chunk)

    def restart(self) -> None:
        """Forget what was hashed: the file begins anew."""
        with self._speaking():
            self._line.sendall(_LENGTH.pack(_RESTART))
        self.size = 0

    def state(self) -> str:
        """Return what another digest can go on from, "" where none could."""
        with self._speaking() as deadline:
            self._line.sendall(_LENGTH.pack(_TELL_STATE))
            return str(self._sandbox._json(self._line, deadline)["state"])

    def finish(self) -> Inspection:
        with self._speaking() as deadline:
            self._line.sendall(_LENGTH.pack(0))
            found = self._sandbox._answer(self._line, deadline)
        self.is_finished = True
        return found

    @contextmanager
    def _speaking(self) -> Iterator[float]:
        with self._sandbox._guarded() as deadline:
            self._sandbox._wait(self._line, deadline)
            yield deadline


def _parts(chunk: bytes) -> Iterator[memoryview]:
    """Yield a chunk in pieces that a child can hold; nothing of an empty one."""
    whole = memoryview(chunk)
    for begin in range(0, len(whole), MAX_CHUNK):
        yield whole[begin : begin + MAX_CHUNK]
