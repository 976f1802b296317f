"""The child that reads strangers' bytes: what it tells, what it may do, how it ends."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mlflow_sync.exceptions import SandboxError
from mlflow_sync.files import sandbox
from mlflow_sync.files.sandbox import CHILD, Sandbox

MLMODEL = b"""
artifact_path: model
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.10, model_path: model.skops}
  sklearn: {serialization_format: skops, sklearn_version: 1.10, pickled_model: model.skops, code: null}
mlflow_version: 3.17.2
model_id: m-0123
model_size_bytes: 1234
model_uuid: ab12
signature:
  inputs: '[{"type": "double", "name": "income", "required": true}]'
  outputs: '[{"type": "long", "required": true}]'
  params: null
utc_time_created: '2026-01-31 10:00:00.123456'
"""
CONDA = b"""
channels: [conda-forge]
dependencies:
- python=3.10.14
- pip<=24
- pip:
  - mlflow==3.17.2
  - scikit-learn==1.5.2
name: mlflow-env
"""
PYTHON_ENV = b"""
python: 3.10
build_dependencies: [pip==24.0, setuptools]
dependencies: [-r requirements.txt]
"""
REQUIREMENTS = b"""\xef\xbb\xbf# made by MLflow
--index-url https://pypi.example.com/simple
mlflow==3.17.2  # the server's
scikit-learn==1.5.2 \\
    --hash=sha256:0a \\
    --hash=sha256:0b
-r more.txt

-e git+https://git.example.com/risk.git#egg=risk
"""
LAUGHS = b"a0: &a0 [ha]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9))
    for n in range(1, 10)
)


@pytest.fixture(scope="module")
def reader() -> Iterator[Sandbox]:
    with Sandbox() as found:
        yield found


@pytest.mark.parametrize(
    ("path", "content", "facts"),
    [
        (
            "MLmodel",
            MLMODEL,
            {
                "flavors": {
                    "python_function": {
                        "version": "",
                        "loader": "mlflow.sklearn",
                        "serialization": "",
                        "files": ["model.skops"],
                    },
                    "sklearn": {
                        "version": "1.10",  # and not 1.1
                        "loader": "",
                        "serialization": "skops",
                        "files": ["model.skops"],
                    },
                },
                "python": "3.10",
                "mlflow_version": "3.17.2",
                "logged_at": "2026-01-31 10:00:00.123456",
                "model_size_bytes": "1234",
                "model_uuid": "ab12",
                "model_id": "m-0123",
                "signature": {
                    "inputs": [{"type": "double", "name": "income", "required": True}],
                    "outputs": [{"type": "long", "required": True}],
                },
            },
        ),
        (
            "model/conda.yaml",
            CONDA,
            {
                "python": "3.10.14",
                "conda": ["python=3.10.14", "pip<=24"],
                "pip": ["mlflow==3.17.2", "scikit-learn==1.5.2"],
            },
        ),
        (
            "python_env.yaml",
            PYTHON_ENV,
            {"python": "3.10", "build": ["pip==24.0", "setuptools"], "pip": []},
        ),
        (
            "requirements.txt",
            REQUIREMENTS,
            {
                "pip": [
                    "mlflow==3.17.2",
                    "scikit-learn==1.5.2",
                    "-e git+https://git.example.com/risk.git#egg=risk",
                ]
            },
        ),
        ("report.pdf", b"%PDF", {}),
        ("requirements.txt", b"", {"pip": []}),
    ],
)
def test_a_file_is_hashed_and_read_by_its_name(
    reader: Sandbox, path: str, content: bytes, facts: dict[str, object]
) -> None:
    found = reader.inspect(path, content)

    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert found.size == len(content)
    assert (found.facts, found.problem) == (facts, "")


@pytest.mark.parametrize(
    ("flavor", "told", "version", "serialization"),
    [
        ("sklearn", "serialization_format: cloudpickle", "", "cloudpickle"),
        ("xgboost", "xgb_version: 2.1, data: model.ubj", "2.1", ""),
        ("lightgbm", "a_version: 1, lightgbm_version: 4.0", "4.0", ""),
        ("x", "python_version: 3.11, cloudpickle_version: 3.1", "", ""),
        ("x", "x_version: [1, 2], serialization_format: {a: b}", "", ""),
        (
            "python_function",
            "cloudpickle_version: 3.1, python_model: python_model.pkl",
            "",
            "cloudpickle",
        ),
        ("python_function", "cloudpickle_version: 3.1, model_code_path: a.py", "", ""),
        ("python_function", "python_model: model.bin", "", ""),
    ],
)
def test_a_flavor_tells_its_own_version_and_how_its_model_is_serialized(
    reader: Sandbox, flavor: str, told: str, version: str, serialization: str
) -> None:
    found = reader.inspect("MLmodel", f"flavors: {{{flavor}: {{{told}}}}}".encode())

    read = found.facts["flavors"][flavor]
    assert (read["version"], read["serialization"]) == (version, serialization)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("x" * 501, "x" * 499 + "…"),
        (f"risk @ git+https://ci:{'p' * 600}@h/risk.git", "risk @ git+https…"),
        (f"a{' ' * 600}https://u:p@h", f"a{' ' * 498}…"),
    ],
)
def test_a_line_is_cut_and_a_url_in_it_is_left_out(
    reader: Sandbox, line: str, kept: str
) -> None:
    assert reader.inspect("requirements.txt", line.encode()).facts == {"pip": [kept]}


@pytest.mark.parametrize(
    ("path", "content", "problem"),
    [
        ("conda.yaml", LAUGHS, "has more than 20 aliases"),
        ("conda.yaml", b"[" * 500_000, "is nested too deep or too large"),
        ("conda.yaml", b"- \n" * 300_000, "is nested too deep or too large"),
        ("conda.yaml", b"- a", "is no YAML mapping"),
        ("conda.yaml", b"", "is no YAML mapping"),
        ("conda.yaml", b"? [a, b]\n: c", "is not valid YAML"),
        ("conda.yaml", b"a: b\n---\na: c", "is not valid YAML"),
        ("conda.yaml", b"a: 'b", "is not valid YAML"),
        ("MLmodel", b"\xff\xfea", "is not UTF-8 text"),
        (
            "MLmodel",
            b"signature: {inputs: '[{...}]'}",
            "has a signature whose inputs are not JSON",
        ),
        (
            "MLmodel",
            b"signature: {inputs: '" + b"[" * 100_000 + b"'}",
            "has a signature whose inputs are not JSON",
        ),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_a_phrase(
    reader: Sandbox, path: str, content: bytes, problem: str
) -> None:
    assert reader.inspect(path, content).problem == problem


@pytest.mark.parametrize(
    "content",
    [
        b"dependencies: !!python/object/apply:os.system ['touch owned']",
        b"dependencies: 5\nflavors: [1]\nsignature: 7",
        b"dependencies: [[1], {pip: x}, {pip: [[1], {a: b}]}, null]",
        b"python: {a: b}\nbuild_dependencies: [1, [2]]\nmodel_size_bytes: [1]",
        b"signature: {inputs: [1], outputs: {a: b}}\nflavors: {1: 2, x: [3]}",
    ],
)
@pytest.mark.parametrize("name", ["MLmodel", "conda.yaml", "python_env.yaml"])
def test_odd_shapes_are_read_as_nothing(
    reader: Sandbox, name: str, content: bytes
) -> None:
    assert reader.inspect(name, content).problem == ""
    assert not Path("/owned").exists()  # the child works in the root folder


def test_nothing_is_told_to_the_child_but_the_files(reader: Sandbox) -> None:
    reader.inspect("a", b"")

    child = psutil.Process(reader.pid)
    assert child.environ() == {}
    assert child.cwd() == "/"
    assert child.num_fds() == 3


def test_one_child_reads_many_files_and_ends_with_the_sandbox() -> None:
    with Sandbox() as found:
        assert found.pid is None
        pids = {found.inspect(f"{n}.txt", b"x" * n) and found.pid for n in range(50)}
        (pid,) = pids

    assert found.pid is None
    assert not psutil.pid_exists(pid)


def test_a_child_that_dies_is_replaced(reader: Sandbox) -> None:
    reader.inspect("a", b"")
    dead = reader.pid
    assert dead
    os.kill(dead, signal.SIGKILL)

    with pytest.raises(SandboxError, match=r"^Reading it broke the sandbox\.$"):
        reader.inspect("a", b"x" * 10**6)

    assert reader.inspect("a", b"").size == 0
    assert reader.pid != dead


def test_a_child_that_hangs_is_replaced() -> None:
    with Sandbox(timeout=0.5) as found:
        found.inspect("a", b"")
        hung = found.pid
        assert hung
        os.kill(hung, signal.SIGSTOP)

        with pytest.raises(SandboxError, match=r"took more than 0\.5 seconds"):
            found.inspect("a", b"x" * 10**7)

        assert not psutil.pid_exists(hung)
        assert found.inspect("a", b"").size == 0


def blocks(count: int, size: int = 2**20) -> Iterator[bytes]:
    """Make a file on the fly, of blocks that differ."""
    for number in range(count):
        yield number.to_bytes(8, "big") * (size // 8)


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [b""],
        [b"a", b"", b"bc"],
        [b"x" * (3 * 2**20 + 1)],  # more than is handed over at once
    ],
)
def test_a_file_is_hashed_chunk_by_chunk(reader: Sandbox, chunks: list[bytes]) -> None:
    content = b"".join(chunks)

    found = reader.hash("model.pkl", chunks)

    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert (found.size, found.facts, found.problem) == (len(content), {}, "")
    assert reader.inspect("requirements.txt", b"a").facts == {"pip": ["a"]}


def test_a_file_larger_than_the_memory_of_the_child_is_never_held(
    reader: Sandbox,
) -> None:
    expected = hashlib.sha256()
    most = 0

    def observed() -> Iterator[bytes]:
        nonlocal most
        for number, block in enumerate(blocks(320)):
            expected.update(block)
            yield block
            if number % 16 == 0:
                most = max(most, psutil.Process(reader.pid).memory_info().rss)

    found = reader.hash("weights.bin", observed())

    assert found.sha256 == expected.hexdigest()
    assert found.size == 320 * 2**20  # the child may take 256 MiB of addresses
    assert most < 64 * 2**20


def test_a_child_that_dies_in_the_middle_of_a_stream_is_replaced(
    reader: Sandbox,
) -> None:
    def deadly() -> Iterator[bytes]:
        for number, block in enumerate(blocks(64)):
            if number == 5:
                assert reader.pid
                os.kill(reader.pid, signal.SIGKILL)
            yield block

    with pytest.raises(SandboxError, match=r"^Reading it broke the sandbox\.$"):
        reader.hash("model.pkl", deadly())

    assert reader.pid is None
    assert reader.hash("model.pkl", [b"a"]).size == 1


def test_a_child_that_hangs_in_the_middle_of_a_stream_is_replaced() -> None:
    with Sandbox(timeout=0.5) as found:

        def freezing() -> Iterator[bytes]:
            for number, block in enumerate(blocks(64)):
                if number == 5:
                    assert found.pid
                    os.kill(found.pid, signal.SIGSTOP)
                yield block

        with pytest.raises(SandboxError, match=r"took more than 0\.5 seconds"):
            found.hash("model.pkl", freezing())

        assert found.hash("model.pkl", [b"a"]).size == 1


def test_the_time_out_is_for_a_chunk_and_not_for_a_file() -> None:
    def slow() -> Iterator[bytes]:
        for _ in range(6):
            time.sleep(0.25)
            yield b"x"

    with Sandbox(timeout=1) as found:
        assert found.hash("model.pkl", slow()).size == 6  # after 1.5 seconds


def test_what_breaks_in_the_making_of_chunks_goes_on_and_costs_the_child(
    reader: Sandbox,
) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half of it"
        raise TimeoutError("the server is silent")

    with pytest.raises(TimeoutError, match="the server is silent"):
        reader.hash("model.pkl", broken())

    assert reader.pid is None
    assert reader.hash("model.pkl", [b"all of it"]).size == 9


def test_a_digest_is_gone_on_with_by_another_child(reader: Sandbox) -> None:
    expected = hashlib.sha256()
    for block in blocks(6):
        expected.update(block + b"odd")
    with reader.digest("weights.bin") as digest:
        for block in blocks(3):
            digest.update(block + b"odd")
        state = digest.state()
        first = reader.pid
        assert digest.size == 3 * (2**20 + 3)

    with reader.digest("weights.bin", state=state) as digest:
        assert reader.pid != first
        assert digest.size == 3 * (2**20 + 3)
        for block in list(blocks(6))[3:]:
            digest.update(block + b"odd")
        found = digest.finish()

    assert found.sha256 == expected.hexdigest()
    assert found.size == 6 * (2**20 + 3)


@pytest.mark.parametrize("state", ["", "rehashes-0.0.1 5 00ff"])
def test_a_state_that_nobody_can_go_on_from_begins_anew(
    reader: Sandbox, state: str
) -> None:
    with reader.digest("weights.bin", state=state) as digest:
        assert digest.size == 0
        digest.update(b"all of it")
        assert digest.finish().sha256 == hashlib.sha256(b"all of it").hexdigest()


def test_a_broken_state_breaks_only_its_file(reader: Sandbox) -> None:
    with reader.digest("weights.bin") as digest:
        digest.update(b"a")
        state = digest.state()

    with (
        pytest.raises(SandboxError, match="broke the sandbox"),
        reader.digest("weights.bin", state=state[:-2]),
    ):
        pass

    assert reader.hash("weights.bin", [b"a"]).size == 1


def test_a_file_can_begin_anew_in_the_middle(reader: Sandbox) -> None:
    with reader.digest("weights.bin") as digest:
        digest.update(b"the first half of another")
        digest.restart()
        digest.update(b"all of it")
        found = digest.finish()

    assert found.sha256 == hashlib.sha256(b"all of it").hexdigest()
    assert found.size == 9


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("b'\\x00\\x00\\x00\\x02[]'", "broke the sandbox"),
        ("b'\\x00\\x00\\x00\\x02{}'", "broke the sandbox"),
        ("b'\\x00\\x00\\x00\\x01{'", "broke the sandbox"),
        ("b'\\x00\\x00'", "broke the sandbox"),
        ("b'\\xff' * 9", "more than can be kept"),
    ],
)
def test_a_child_that_answers_nonsense_is_not_believed(
    answer: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child.py"
    child.write_text(f"import os; os.read(0, 9); os.write(1, {answer})")
    monkeypatch.setattr(sandbox, "CHILD", child)

    with Sandbox(timeout=5) as found, pytest.raises(SandboxError, match=message):
        found.inspect("a", b"")


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS knows no RLIMIT_AS")
@pytest.mark.parametrize(
    ("act", "ending"),
    [
        ("print('harmless')", 0),
        ("bytearray(child['MEMORY'])", "MemoryError"),
        ("open('/etc/hostname')", "Too many open files"),
        ("os.dup(0)", "Too many open files"),
        ("while True: pass", -signal.SIGXCPU),
        ("os.write(9, b'x')", "File too large"),
    ],
)
def test_the_child_cannot_take_more_than_it_needs(
    act: str, ending: int | str, tmp_path: Path
) -> None:
    target = str(tmp_path / "written")
    program = (
        f"import os, runpy; os.dup2(os.open({target!r}, os.O_WRONLY | os.O_CREAT), 9)\n"
        f"child = runpy.run_path({str(CHILD)!r})\n"
        f"child['limit'](); child['allow_cpu_seconds'](0)\n{act}"
    )

    ended = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, check=False
    )

    if isinstance(ending, int):
        assert ended.returncode == ending
    else:
        assert ending in ended.stderr.decode()
    assert not Path(target).read_bytes()
