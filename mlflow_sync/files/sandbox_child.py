"""The program that runs in the sandbox: it hashes and parses files, one after the other.

Started by `sandbox.Sandbox` as a script of its own, without environment and without our
packages; it imports the standard library, PyYAML and rehashes. It limits itself before the
first byte arrives. A request on standard input is two lengths (name, content) and both.
The answer on standard output is a length and a JSON object: sha256, size, facts, problem.

Where the length of the content is STREAMED, the file comes in chunks, and is hashed and
never held. A length and a state to go on from come first, and are answered by the size
that is hashed already; then chunks, each after its length, of which 0 ends them,
TELL_STATE is answered by a state, and RESTART begins the file anew.
"""

from __future__ import annotations

import hashlib
import json
import re
import resource
import struct
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any, BinaryIO

import yaml

try:
    import rehashes
except ImportError:  # it is built for Linux; elsewhere each slice begins a file anew
    rehashes = None  # type: ignore[assignment]  # no module

MEMORY = 256 * 2**20  # bytes of address space
CPU_SECONDS = 5  # for one file, or one chunk of a streamed one
OPEN_FILES = 3  # those that are open already

# A state is good for the very version that told it.
MAKER = f"rehashes-{metadata.version('rehashes')}" if rehashes else ""

STREAMED = 2**32 - 1
TELL_STATE = 2**32 - 2
RESTART = 2**32 - 3

MAX_ALIASES = 20
MAX_DEPTH = 50
MAX_NODES = 100_000
MAX_LINES = 2_000
MAX_LINE = 500  # characters
MAX_FLAVORS = 100

_BaseLoader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_CONTINUED = re.compile(r"\\\r?\n")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_HASHES = re.compile(r"\s--hash=\S+")
_SIGNATURE_PARTS = ("inputs", "outputs", "params")
# Keys under which flavors name the file that their serialization format is about.
_MODEL_FILES = ("pickled_model", "python_model", "model_path", "data")
_NO_OWN_VERSIONS = ("python_version", "cloudpickle_version")

Facts = dict[str, Any]


class Unreadable(ValueError):
    """The file is not what its name says. The message is the end of a sentence."""


def main() -> None:
    limit()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while header := requests.read(8):
        name_length, length = struct.unpack(">II", header)
        name = requests.read(name_length).decode()
        allow_cpu_seconds(CPU_SECONDS)
        if length == STREAMED:
            hash_chunks(requests, answers)
        else:
            write(answers, inspect(name, requests.read(length)))


def limit() -> None:
    """Give up what reading files does not need, for good."""
    for kind, most in (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(kind, (most, most))
    if sys.platform != "darwin":  # which knows the limit and refuses to set it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def allow_cpu_seconds(seconds: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    most = int(time.process_time()) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))


def write(answers: BinaryIO, answer: Facts) -> None:
    text = json.dumps(answer).encode()
    answers.write(struct.pack(">I", len(text)) + text)
    answers.flush()


class Digest:
    """A SHA-256 on its way, which can be told and gone on with by another child."""

    def __init__(self) -> None:
        self.size = 0
        self.hasher: Any = rehashes.PySha256() if MAKER else hashlib.sha256()

    @classmethod
    def of_state(cls, state: str) -> Digest:
        """Return the digest that told its state, or one that begins anew."""
        digest = cls()
        maker, _, rest = state.partition(" ")
        size, _, content = rest.partition(" ")
        if maker and maker == MAKER:
            digest.hasher = rehashes.PySha256.deserialize(bytes.fromhex(content))
            digest.size = int(size)
        return digest

    def state(self) -> str:
        if not MAKER:
            return ""
        return f"{MAKER} {self.size} {self.hasher.serialize().hex()}"

    def update(self, content: bytes) -> None:
        self.hasher.update(content)
        self.size += len(content)

    def answer(self) -> Facts:
        found = self.hasher.finalize() if MAKER else self.hasher.hexdigest()
        return {"sha256": found, "size": self.size, "facts": {}, "problem": ""}


def hash_chunks(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer with digest and size of a file that comes in chunks."""
    (length,) = struct.unpack(">I", requests.read(4))
    digest = Digest.of_state(requests.read(length).decode())
    write(answers, {"size": digest.size})
    while length := struct.unpack(">I", requests.read(4))[0]:
        allow_cpu_seconds(CPU_SECONDS)
        if length == TELL_STATE:
            write(answers, {"state": digest.state()})
        elif length == RESTART:
            digest = Digest()
        else:
            digest.update(requests.read(length))
    write(answers, digest.answer())


def inspect(name: str, content: bytes) -> Facts:
    """Return digest and size of a file, what it says, and why it could not be read."""
    answer: Facts = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "facts": {},
        "problem": "",
    }
    if reader := READERS.get(name.rpartition("/")[2]):
        try:
            answer["facts"] = reader(content.decode().removeprefix("\ufeff"))
            answer["problem"] = answer["facts"].pop("problem", "")
        except UnicodeDecodeError:
            answer["problem"] = "is not UTF-8 text"
        except yaml.YAMLError:
            answer["problem"] = "is not valid YAML"
        except Unreadable as error:
            answer["problem"] = str(error)
        except (MemoryError, RecursionError):
            answer["problem"] = "needs more memory than a file may take"
    return answer


def load_yaml(text: str) -> Facts:
    """Return a YAML mapping whose scalars are all text: no tags, no types, no merging.

    Text keeps a python version of 3.10 from becoming 3.1. Depth, size and the number of
    aliases are counted before anything is built.
    """
    aliases = depth = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=_BaseLoader)):
        if isinstance(event, yaml.AliasEvent):
            aliases += 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if aliases > MAX_ALIASES:
            raise Unreadable(f"has more than {MAX_ALIASES} aliases")
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise Unreadable("is nested too deep or too large")
    document = yaml.load(text, Loader=_BaseLoader)  # noqa: S506 - builds text only
    if not isinstance(document, dict):
        raise Unreadable("is no YAML mapping")
    return document


def read_mlmodel(text: str) -> Facts:
    document = load_yaml(text)
    flavors = {
        short(str(name)): mapping(told)
        for name, told in sorted(mapping(document.get("flavors")).items())[:MAX_FLAVORS]
    }
    parts = mapping(document.get("signature"))
    facts: Facts = {
        "flavors": {name: read_flavor(name, told) for name, told in flavors.items()},
        "python": scalar(flavors.get("python_function", {}).get("python_version")),
        "mlflow_version": scalar(document.get("mlflow_version")),
        "logged_at": scalar(document.get("utc_time_created")),
        "model_size_bytes": scalar(document.get("model_size_bytes")),
        "model_uuid": scalar(document.get("model_uuid")),
        "model_id": scalar(document.get("model_id")),
        "signature": {},
    }
    for part in _SIGNATURE_PARTS:
        if told := text_of(parts.get(part)):
            try:
                facts["signature"][part] = json.loads(told)
            except (ValueError, RecursionError):
                facts["problem"] = f"has a signature whose {part} are not JSON"
    return facts


def read_flavor(name: str, flavor: Facts) -> Facts:
    """Return version and loader of a flavor, the format of its model, and its files.

    A python model beside a version of cloudpickle was pickled with it. The version alone
    says nothing: models from code have it, too.
    """
    versions = [
        key
        for key in flavor
        if str(key).endswith("_version") and key not in _NO_OWN_VERSIONS
    ]
    own = f"{name}_version"
    told = own if own in versions else min(versions, default=own)
    serialization = scalar(flavor.get("serialization_format"))
    if not serialization and scalar(flavor.get("python_model")):
        serialization = "cloudpickle" if "cloudpickle_version" in flavor else ""
    return {
        "version": scalar(flavor.get(told)),
        "loader": scalar(flavor.get("loader_module")),
        "serialization": serialization,
        "files": [path for key in _MODEL_FILES if (path := scalar(flavor.get(key)))],
    }


def read_conda(text: str) -> Facts:
    facts: Facts = {"python": "", "conda": [], "pip": []}
    for entry in entries(load_yaml(text).get("dependencies")):
        if isinstance(entry, dict):
            facts["pip"] += requirements(entries(entry.get("pip")))
        elif isinstance(entry, str):
            facts["conda"].append(short(entry))
            if match := re.fullmatch(r"python\s*={1,2}\s*([\w.]+)(?:=.*)?", entry):
                facts["python"] = match[1]
    return facts


def read_python_env(text: str) -> Facts:
    document = load_yaml(text)
    return {
        "python": scalar(document.get("python")),
        "build": requirements(entries(document.get("build_dependencies"))),
        "pip": requirements(entries(document.get("dependencies"))),
    }


def read_requirements(text: str) -> Facts:
    return {"pip": requirements(_CONTINUED.sub(" ", text).splitlines())}


def requirements(lines: list[Any]) -> list[str]:
    """Return requirement lines without comments, hashes and options of pip."""
    found = []
    for line in lines:
        if not isinstance(line, str):
            continue
        text = _HASHES.sub("", _COMMENT.sub("", line)).strip()
        if text and (not text.startswith("-") or text.startswith(("-e", "--editable"))):
            found.append(short(text))
    return found[:MAX_LINES]


def mapping(value: Any) -> Facts:
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> list[Any]:
    return value[:MAX_LINES] if isinstance(value, list) else []


def text_of(value: Any) -> str:
    """Return a text, "" for what YAML calls null and for anything else."""
    return value if isinstance(value, str) and value not in ("null", "~") else ""


def scalar(value: Any) -> str:
    """Return a text that is no longer than what can be shown."""
    return short(text_of(value))


def short(text: str) -> str:
    """Return a text of at most MAX_LINE characters.

    A URL is left out rather than cut: half a password looks like none.
    """
    if len(text) <= MAX_LINE:
        return text
    return f"{text[: MAX_LINE - 1].partition('://')[0]}…"


READERS: dict[str, Callable[[str], Facts]] = {
    "MLmodel": read_mlmodel,
    "conda.yaml": read_conda,
    "python_env.yaml": read_python_env,
    "requirements.txt": read_requirements,
}

if __name__ == "__main__":
    main()
