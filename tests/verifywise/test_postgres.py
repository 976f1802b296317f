"""The embedded PostgreSQL under the faults that it was built for.

Each test has a folder of its own. "Users" are real processes that hold the server.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from verifywise import postgres
from verifywise.postgres import EmbeddedPostgresError, ensure_running, provision
from verifywise.postgres_server import PORT, Server

ROOT = Path(__file__).resolve().parents[2]
FAST = {"fsync": "off"}
PATIENCE = 30  # seconds until something that must come counts as never
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")

# A process that holds the server until its standard input is closed. What `{extra}`
# does is the fault.
USER = """
import os, signal, subprocess, sys, time
from pathlib import Path
from verifywise.postgres import ensure_running
data = Path(sys.argv[1])
print(ensure_running(data, settings={"fsync": "off"}), flush=True)
%s
sys.stdin.read()
"""


def until(met: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def ask(place: Path, statement: str, *, user: str = "postgres") -> object:
    """Return the first value that a statement answers, None where it answers none."""
    with psycopg.connect(
        host=str(place), port=PORT, user=user, dbname="postgres", autocommit=True
    ) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


class House:
    """A server's folder, and the processes that use it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "postgres"
        self.users: list[subprocess.Popen[str]] = []

    @property
    def server(self) -> Server:
        return Server(self.data.resolve())

    @property
    def process(self) -> psutil.Process:
        process = self.server.process()
        assert process, "there is no server"
        return process

    @property
    def keeper(self) -> psutil.Process:
        keeper = self.process.parent()
        assert keeper
        assert "verifywise.postgres_keeper" in keeper.cmdline()
        return keeper

    def start(self, extra: str = "") -> subprocess.Popen[str]:
        user = subprocess.Popen(
            [sys.executable, "-c", USER % extra, str(self.data)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.users.append(user)
        return user

    def enter(self, extra: str = "") -> subprocess.Popen[str]:
        """Return a process that uses the server, once it does."""
        user = self.start(extra)
        assert user.stdout
        said = user.stdout.readline().rstrip("\n")
        assert said == str(self.server.socket), user.communicate()[1]
        return user

    def stopped(self) -> None:
        until(lambda: self.server.process() is None, "the server stops")

    def end(self) -> None:
        """End what this house started, and see that the server follows."""
        for user in self.users:
            for pipe in (user.stdin, user.stdout, user.stderr):
                assert pipe
                pipe.close()
            user.wait(PATIENCE)
        try:
            self.stopped()
        finally:
            if left := self.server.process():
                left.kill()
            if self.server.socket != self.server.cluster:
                shutil.rmtree(self.server.socket, ignore_errors=True)


def leave(user: subprocess.Popen[str]) -> None:
    """Let a user end as Python programs do; it says nothing on its way."""
    assert user.communicate(timeout=PATIENCE) == ("", "")
    assert user.returncode == 0


def kill(user: subprocess.Popen[str]) -> None:
    user.kill()
    user.wait()


@contextmanager
def short_folder() -> Iterator[Path]:
    # Short, and open to the account nobody: pytest's own tmp_path is neither.
    made = Path(tempfile.mkdtemp(prefix="vw-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as made:
        yield made


@pytest.fixture
def house(folder: Path) -> Iterator[House]:
    house = House(folder)
    yield house
    house.end()


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    """Return a server that is in use already, for tests that only look at it."""
    with short_folder() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET_KEY", "of-the-process-that-started-it")
        house = House(folder)
        house.enter()
        yield house
        house.end()


def test_it_starts_from_nothing_stops_with_its_user_and_keeps_its_data(house: House):
    user = house.enter()
    ask(house.server.socket, "CREATE TABLE kept AS SELECT 42 AS answer")
    leave(user)
    assert house.server.process() is None  # at once: the last user waited for it

    house.enter()
    assert ask(house.server.socket, "SELECT answer FROM kept") == 42


def test_text_sorts_by_code_point_and_nobody_listens_on_tcp(running: House):
    place = running.server.socket
    assert ask(place, "SELECT datlocale FROM pg_database") == "C.UTF-8"
    assert ask(place, "SHOW listen_addresses") == ""
    assert ask(place, "SHOW timezone") == "UTC"
    assert ask(place, "SHOW fsync") == "off"
    assert not running.process.net_connections("inet")


def test_the_role_owns_its_database_and_is_bound_by_row_level_security(running: House):
    place = running.server.socket
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda _: provision(place, user="al'ice", database='in"ventory'),
                range(8),
            )
        )
    assert ask(
        place,
        "SELECT rolcanlogin AND rolcreatedb AND NOT rolsuper AND NOT rolbypassrls"
        " AND NOT rolcreaterole FROM pg_roles WHERE rolname = 'al''ice'",
    )
    with psycopg.connect(
        host=str(place), user="al'ice", dbname='in"ventory'
    ) as connection:
        connection.execute("CREATE TABLE public.models ()")
    ask(place, 'CREATE DATABASE "test_inventory"', user="al'ice")


def test_a_database_that_cannot_be_made_is_said(folder: Path):
    with pytest.raises(EmbeddedPostgresError, match="The database inventory could not"):
        provision(folder, user="alice", database="inventory")


def test_four_cold_starts_at_once_share_one_server_which_the_last_one_stops(
    house: House,
):
    for _ in range(4):
        house.start()
    for user in house.users:
        assert user.stdout
        assert user.stdout.readline() == f"{house.server.socket}\n"
    first = house.process.pid
    for user in house.users:
        assert ask(house.server.socket, "SELECT 1") == 1
        leave(user)
    assert house.server.process() is None
    log = house.server.log.read_text()
    assert log.count("starting PostgreSQL") == 1, log
    assert f"[{first}]" in log


def test_a_fork_that_outlives_its_parent_keeps_the_server_and_stops_it_in_the_end(
    house: House,
):
    parent = house.enter("""
if os.fork():
    sys.exit()
""")
    # The fork holds the pipes too: wait for the parent only.
    assert parent.wait(PATIENCE) == 0
    time.sleep(1.5)  # longer than the keeper waits between two looks
    assert ask(house.server.socket, "SELECT 1") == 1

    assert parent.communicate(timeout=PATIENCE) == ("", "")
    assert house.server.process() is None


def test_a_worker_outlives_the_killed_process_that_forked_it(house: House):
    parent = house.enter("""
import multiprocessing
def work():
    print(os.getpid(), flush=True)
    time.sleep(60)
multiprocessing.get_context("fork").Process(target=work).start()
""")
    assert parent.stdout
    worker = psutil.Process(int(parent.stdout.readline()))
    kill(parent)
    time.sleep(1.5)
    assert ask(house.server.socket, "SELECT 1") == 1

    worker.kill()
    house.stopped()


def test_the_keeper_stops_the_server_after_its_only_user_was_killed(house: House):
    keeper = house.keeper if house.enter() else None
    kill(house.users[0])
    house.stopped()
    assert keeper
    until(lambda: not keeper.is_running(), "the keeper goes too")


def test_a_killed_user_takes_nothing_from_the_others(house: House):
    first, second = house.enter(), house.enter()
    kill(first)
    time.sleep(1.5)
    assert ask(house.server.socket, "SELECT 1") == 1
    leave(second)
    assert house.server.process() is None


def test_a_starter_that_is_killed_leaves_a_server_that_the_next_one_can_use(
    house: House,
):
    first = house.start()
    until((house.data / "cluster.new").exists, "the data are being made")
    kill(first)
    second = house.enter()
    assert ask(house.server.socket, "SELECT 1") == 1
    leave(second)
    assert house.server.process() is None


def test_a_starter_that_is_killed_leaves_no_server_that_nobody_uses(house: House):
    user = house.start()
    until((house.data / "cluster.new").exists, "the data are being made")
    kill(user)
    until(lambda: "is shut down" in house.server.log.read_text(), "it came and went")
    house.stopped()
    assert "Traceback" not in house.server.log.read_text()


def test_data_that_were_half_made_are_made_again(house: House):
    (house.data / "cluster.new/base").mkdir(parents=True)
    (house.data / "cluster.new/PG_VERSION").write_text("18\n")
    house.enter()
    assert ask(house.server.socket, "SELECT 1") == 1


@pytest.mark.parametrize("claim", ["", "somebody else"])
def test_a_crash_is_recovered_from_whatever_the_lock_files_claim(
    house: House, claim: str
):
    user = house.enter()
    ask(house.server.socket, "CREATE TABLE kept AS SELECT 42 AS answer")
    house.keeper.kill()
    house.process.kill()
    kill(user)
    until(lambda: house.server.process() is None, "the server is gone")
    innocent = subprocess.Popen(["sleep", "60"])
    try:
        for lock in ("postmaster.pid", f".s.PGSQL.{PORT}.lock"):
            path = house.server.cluster / lock
            _, *rest = path.read_text().splitlines(keepends=True)
            path.write_text(claim and "".join([f"{innocent.pid}\n", *rest]))

        house.enter()
        assert ask(house.server.socket, "SELECT answer FROM kept") == 42
        assert innocent.poll() is None
    finally:
        kill(innocent)


def test_a_server_that_crashed_under_its_users_is_started_by_the_next_one(
    house: House,
):
    first = house.enter()
    ask(house.server.socket, "CREATE TABLE kept AS SELECT 42 AS answer")
    house.process.kill()
    second = house.enter()
    assert ask(house.server.socket, "SELECT answer FROM kept") == 42
    leave(second)
    assert ask(house.server.socket, "SELECT answer FROM kept") == 42
    leave(first)
    assert house.server.process() is None


def test_without_its_keeper_the_server_serves_on_and_its_last_user_stops_it(
    house: House,
):
    first = house.enter()
    house.keeper.kill()
    second = house.enter()
    leave(first)
    assert ask(house.server.socket, "SELECT 1") == 1
    leave(second)
    assert house.server.process() is None


def test_a_server_whose_socket_was_removed_is_started_anew(house: House):
    house.enter()
    before = house.process.pid
    (house.server.socket / f".s.PGSQL.{PORT}").unlink()
    house.enter()
    assert house.process.pid != before
    assert ask(house.server.socket, "SELECT 1") == 1


def test_a_removed_folder_takes_its_server_with_it(house: House):
    user = house.enter()
    process, keeper = house.process, house.keeper
    house.data.rename(house.data.with_name("gone"))
    until(lambda: not keeper.is_running(), "the keeper goes")
    assert not process.is_running()
    leave(user)


@pytest.mark.parametrize(
    "name",
    [
        r"""it's a "quoted" back\slash, 100%d $HOME; `x` ünï""",
        r"""it's a "quoted" back\slash 100%d $HOME; `x` ünï""",
        "-D",
        "long" * 60,
    ],
)
def test_any_name_of_a_folder_will_do(folder: Path, name: str):
    (folder / name).mkdir()
    house = House(folder / name)
    try:
        user = house.enter()
        assert ask(house.server.socket, "SHOW data_directory") == str(
            house.server.cluster
        )
        leave(user)
        assert house.server.process() is None
    finally:
        house.end()


def test_the_socket_of_a_long_path_is_in_a_private_folder_of_its_own(folder: Path):
    deepest = folder / ("d" * (103 - len(f"{folder}//postgres/cluster/.s.PGSQL.5432")))
    assert Server(deepest / "postgres").socket == deepest / "postgres/cluster"
    longer = Path(f"{deepest}d")
    longer.mkdir()
    house = House(longer)
    try:
        house.enter()
        place = house.server.socket
        assert str(place).startswith("/tmp/verifywise-")
        assert place.stat().st_mode & 0o777 == 0o700
        assert ask(place, "SELECT 1") == 1
    finally:
        house.end()


def test_a_link_planted_where_the_socket_would_be_is_refused(folder: Path):
    server = Server(folder / ("d" * 100))
    server.socket.symlink_to(folder)
    try:
        with pytest.raises(EmbeddedPostgresError, match="is not a folder"):
            ensure_running(server.home, settings=FAST)
    finally:
        server.socket.unlink()


def test_a_name_that_cannot_be_printed_is_refused(folder: Path):
    with pytest.raises(EmbeddedPostgresError, match=r"'.*two\\nlines'.*be printed"):
        ensure_running(folder / "two\nlines")


def test_a_second_checkout_has_a_server_of_its_own(folder: Path):
    houses = [House(folder / "one"), House(folder / "two")]
    try:
        first, second = (house.enter() for house in houses)
        assert houses[0].process.pid != houses[1].process.pid
        leave(first)
        assert ask(houses[1].server.socket, "SELECT 1") == 1
        leave(second)
    finally:
        for house in houses:
            house.end()


def test_a_file_in_the_way_is_said(folder: Path):
    (folder / "file").touch()
    with pytest.raises(EmbeddedPostgresError) as refusal:
        ensure_running(folder / "file" / "postgres")
    assert str(refusal.value) == (
        f"PostgreSQL cannot run in {folder}/file/postgres "
        f"(Not a directory: {folder}/file/postgres): "
        "set DATA_DIR to another folder, or DATABASE_URL to a server."
    )


@AS_ROOT
def test_a_folder_that_cannot_be_written_is_said(folder: Path):
    # As nobody, from before the call: the interpreter may be closed to that account.
    script = """
import os, sys
from pathlib import Path
from verifywise.postgres import EmbeddedPostgresError, ensure_running
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    ensure_running(Path(sys.argv[1]))
except EmbeddedPostgresError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder / "postgres")],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert f"(Permission denied: {folder}/postgres)" in done.stdout, done.stderr


@AS_ROOT
def test_data_of_another_account_are_refused(folder: Path):
    (folder / "postgres/cluster").mkdir(parents=True)
    (folder / "postgres/cluster/PG_VERSION").write_text("18\n")
    os.chown(folder / "postgres/cluster", 12345, 12345)
    with pytest.raises(EmbeddedPostgresError, match="cluster belongs to user 12345"):
        ensure_running(folder / "postgres")


def test_data_of_another_major_version_are_refused(folder: Path):
    (folder / "postgres/cluster").mkdir(parents=True)
    (folder / "postgres/cluster/PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedPostgresError) as refusal:
        ensure_running(folder / "postgres")
    assert str(refusal.value) == (
        f"{folder}/postgres/cluster holds data of PostgreSQL 16, "
        "which PostgreSQL 18 cannot read."
    )


def test_a_server_that_does_not_start_is_said_with_the_end_of_its_log(house: House):
    with pytest.raises(EmbeddedPostgresError) as refusal:
        ensure_running(house.data, settings=FAST | {"shared_buffers": "plenty"})
    assert f"did not start in {house.data}: " in str(refusal.value)
    assert 'invalid value for parameter "shared_buffers": "plenty"' in str(
        refusal.value
    )
    assert house.data.resolve() not in postgres._held

    house.enter()
    assert ask(house.server.socket, "SELECT 1") == 1


def test_a_keeper_that_cannot_run_is_said(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(EmbeddedPostgresError, match=rf"see {house.data}/log\.$"):
        ensure_running(house.data)


@AS_ROOT
def test_for_root_it_runs_as_nobody_and_opens_closed_parents_for_passage_only(
    folder: Path, caplog: pytest.LogCaptureFixture
):
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    house = House(closed / "open")
    try:
        user = house.start()
        assert user.stdout
        assert user.stdout.readline() == f"{house.server.socket}\n"
        assert house.process.username() == "nobody"
        assert closed.stat().st_mode & 0o777 == 0o701
        said, complained = user.communicate()
        assert said == ""
        assert complained == (
            f"{closed} can now be passed through (not listed) by other accounts, "
            "because PostgreSQL does not run as root.\n"
        )
        leave(house.enter())  # says it once only
    finally:
        house.end()


def test_the_server_is_private(running: House):
    assert running.server.cluster.stat().st_mode & 0o777 == 0o700
    for name in ("log", "gate.lock", "users.lock"):
        assert (running.data / name).stat().st_mode & 0o777 == 0o600


def test_other_programs_that_a_user_starts_do_not_hold_the_server(house: House):
    user = house.enter("""
child = subprocess.Popen(["sleep", "60"], close_fds=False, stdin=subprocess.DEVNULL,
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
print(child.pid, flush=True)
child.returncode = 0  # not waited for
""")
    assert user.stdout
    sleeper = psutil.Process(int(user.stdout.readline()))
    try:
        leave(user)
        assert house.server.process() is None
        assert sleeper.is_running()
    finally:
        sleeper.kill()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux tells of files")
def test_the_server_and_its_keeper_are_no_users_and_know_no_secret(running: House):
    for process in (running.keeper, running.process):
        files = [
            os.readlink(path) for path in Path(f"/proc/{process.pid}/fd").iterdir()
        ]
        assert not [name for name in files if name.endswith("users.lock")], process
        environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        assert b"of-the-process-that-started-it" not in environment


PRELOADED = """
import os, sys
from pathlib import Path
import psycopg
from verifywise.postgres import ensure_running
socket = ensure_running(Path(sys.argv[-1]), settings={"fsync": "off"})
def application(environ, start_response):
    with psycopg.connect(host=str(socket), user="postgres") as connection:
        connection.execute("SELECT 1")
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_the_workers_of_a_preloaded_gunicorn_share_one_server_to_the_end(
    house: House, folder: Path, end: signal.Signals
):
    (folder / "preloaded.py").write_text(
        PRELOADED.replace("sys.argv[-1]", f"{str(house.data)!r}")
    )
    web = folder / "web"
    log = (folder / "gunicorn").open("w")
    master = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--preload", "--no-control-socket",
         "--timeout", "2", "--workers", "2", "--bind", f"unix:{web}", "preloaded:application"],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{folder}"},
        stdout=log, stderr=log,
    )  # fmt: skip
    try:
        until(lambda: listens(web), "gunicorn listens")
        serving = house.process.pid
        victim = psutil.Process(int(fetch(web)))
        victim.kill()  # its successor is a fork of the master too
        until(lambda: not victim.is_running(), "the worker goes")
        assert int(fetch(web)) != victim.pid
        assert house.process.pid == serving

        workers = psutil.Process(master.pid).children()
        master.send_signal(end)
        master.wait(PATIENCE)
        psutil.wait_procs(workers, PATIENCE)
        house.stopped()
    finally:
        kill(master)
        log.close()


def listens(web: Path) -> bool:
    """Tell whether a connection is taken: a socket's file is there before it listens."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(web)) == 0


def fetch(web: Path) -> str:
    """Return the body of the answer to GET / on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(web))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = client.makefile(encoding="ascii").read()
    return answer.rpartition("\n")[2]


def test_the_settings_of_the_embedded_database_connect_as_its_owner(house: House):
    script = """
import sys
from pathlib import Path
import psycopg
from verifywise import env
database = env.embedded_database(Path(sys.argv[1]), settings={"fsync": "off"})
with psycopg.connect(
    host=database["HOST"], port=database["PORT"], user=database["USER"],
    dbname=database["NAME"],
) as connection:
    row = connection.execute("SELECT current_user, current_database()").fetchone()
print(database["ENGINE"], *row)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(house.data.parent)],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    said = "django.db.backends.postgresql verifywise verifywise\n"
    assert (done.stdout, done.stderr) == (said, "")
