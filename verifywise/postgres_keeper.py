"""The keeper of an embedded PostgreSQL server: a program of its own.

It starts the server, and stops it when the last process that used it is gone, however
that one ended: kill -9 runs no code in the process that it kills.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from verifywise.postgres_server import READY, EmbeddedPostgresError, Server, stop

LOOK_SECONDS = 1  # between two looks whether the server is used


def keep(home: Path, *, gate: int, report: int, settings: Sequence[str]) -> None:
    """Start the server of `home`, tell how that went, and stay until it is unused.

    `gate` is the starter's lock, held here too: nobody else must start a server if the
    starter is killed. On `report` goes READY, or why the server did not start.
    """
    server = Server(home)
    with suppress(BrokenPipeError), os.fdopen(report, "w") as teller:
        try:
            process = server.start(settings)
        except EmbeddedPostgresError as error:
            teller.write(str(error))
            return
        except OSError as error:
            teller.write(str(EmbeddedPostgresError.at(home, error)))
            return
        os.close(gate)
        teller.write(READY)
        teller.flush()  # breaks if the starter was killed meanwhile

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # leave whoever stops it no zombie
    while process.poll() is None:
        try:
            with server.gate():
                if server.is_unused():
                    stop(process)
        except FileNotFoundError:  # somebody removed the folder
            stop(process)
        time.sleep(LOOK_SECONDS)


def main(home: str, gate: str, report: str, *settings: str) -> None:
    if os.fork():
        return  # init inherits the keeper and reaps it: its starter need not
    keep(Path(home), gate=int(gate), report=int(report), settings=settings)


if __name__ == "__main__":
    main(*sys.argv[1:])
