"""The PostgreSQL that comes with the program, for installations without a DATABASE_URL.

Whoever needs it first starts it, and it stops when the last process that uses it is
gone: an orderly last process stops it itself and waits; after a process that was
killed, the keeper does (`postgres_keeper`).
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import psycopg
from psycopg import sql

from verifywise.postgres_server import (
    PORT,
    READY,
    SUPERUSER,
    EmbeddedPostgresError,
    Server,
    stop,
)

__all__ = ("PORT", "EmbeddedPostgresError", "ensure_running", "provision")

# What Python itself may need. The rest of the environment may hold secrets, and the
# keeper outlives the process which was given them.
KEEPERS_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
ROOT = Path(__file__).resolve().parent.parent
PROVISIONING = 0x5657  # the advisory lock of `provision`

_held: dict[Path, int] = {}  # home of a server -> descriptor of our share of its lock


def ensure_running(
    data: Path, *, settings: Mapping[str, str] = MappingProxyType({})
) -> Path:
    """Return the socket's folder of a running server, and hold it till this process ends.

    A fork holds it too. `settings` are PostgreSQL's own; they reach a server that this
    call starts, not one that runs already. Costs some 2 ms if it runs, half a second
    if it has to be started, two if its data has to be made.
    Raises EmbeddedPostgresError.
    """
    server = Server(data.resolve())
    try:
        server.prepare()
        with server.gate() as gate:
            if not server.is_ready():
                _start(server, gate=gate, settings=settings)
            _hold(server)
    except OSError as error:
        raise EmbeddedPostgresError.at(server.home, error) from error
    return server.socket


def provision(socket: Path, *, user: str, database: str) -> None:
    """Make the login role and its database where they are missing.

    The role is bound by row-level security; it may make databases, for the tests.
    Any number of processes may call this at once.
    """
    try:
        with psycopg.connect(
            host=str(socket),
            port=PORT,
            user=SUPERUSER,
            dbname="postgres",
            autocommit=True,  # CREATE DATABASE refuses transactions
        ) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [PROVISIONING])
            role, name = sql.Identifier(user), sql.Identifier(database)
            if not connection.execute(
                "SELECT 1 FROM pg_roles WHERE rolname = %s", [user]
            ).fetchone():
                connection.execute(
                    sql.SQL(
                        "CREATE ROLE {} LOGIN CREATEDB NOSUPERUSER NOBYPASSRLS"
                    ).format(role)
                )
            if not connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [database]
            ).fetchone():
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role)
                )
    except psycopg.Error as error:
        raise EmbeddedPostgresError(
            f"The database {database} could not be made in {socket}: {error}"
        ) from error


def _start(server: Server, *, gate: int, settings: Mapping[str, str]) -> None:
    """Start a keeper, which starts the server, and wait until it says how that went."""
    ours, keepers = os.pipe()
    with os.fdopen(ours) as report:
        with os.fdopen(keepers, "w"), server.log.open("a") as log:
            subprocess.run(
                [
                    *(sys.executable, "-m", "verifywise.postgres_keeper"),
                    *(str(server.home), str(gate), str(keepers)),
                    *(f"{name}={value}" for name, value in settings.items()),
                ],
                check=False,  # the report says more
                cwd=ROOT,
                env={
                    name: os.environ[name]
                    for name in KEEPERS_ENVIRONMENT
                    if name in os.environ
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is not for the database
                pass_fds=(gate, keepers),
            )
        said = report.read()
    if said != READY:
        raise EmbeddedPostgresError(
            said or f"PostgreSQL did not start in {server.home}, see {server.log}."
        )


def _hold(server: Server) -> None:
    """Share the server's lock; a former share is given back."""
    share = server.use()
    former = _held.get(server.home)
    _held[server.home] = share
    if former is None:
        atexit.register(_leave, server)
    else:
        os.close(former)


def _leave(server: Server) -> None:
    """Give our share of the lock back, and stop the server if it was the last.

    Forks come here too, those that end as Python programs do.
    """
    os.close(_held.pop(server.home))
    try:
        with server.gate():
            if server.is_unused() and (process := server.process()):
                stop(process)
    except FileNotFoundError:
        return  # somebody removed the folder: the keeper stops the server
