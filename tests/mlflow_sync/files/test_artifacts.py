"""What the files of a version tell, and how much of it survives a bad file."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory.records import Section
from mlflow_sync.files.artifacts import ReadArtifacts, read_artifacts
from mlflow_sync.files.sandbox import Inspection, Sandbox
from mlflow_sync.snapshots import ArtifactsSnapshot, FileSnapshot

CONTENTS = {
    "MLmodel": b"flavors: {sklearn: {serialization_format: skops, "
    b"sklearn_version: 1.5.2, pickled_model: model.skops},"
    b" python_function: {loader_module: mlflow.sklearn, python_version: 3.10.14}}\n"
    b"mlflow_version: 3.17.2\nmodel_size_bytes: 99\nmodel_uuid: 0a1b\n"
    b"utc_time_created: '2026-01-31 10:00:00.123456'\n"
    b'signature: {inputs: \'[{"type": "long", "name": "age"}]\'}\n',
    "conda.yaml": b"dependencies: [python=3.10.14, {pip: [mlflow]}]",
    "python_env.yaml": b"python: 3.10.14\nbuild_dependencies: [pip]\n"
    b"dependencies: [-r requirements.txt]",
    "requirements.txt": b"mlflow==3.17.2\n"
    b"risk @ git+https://ci:hunter2@git.example.com/risk.git\n",
    "model_card.md": b"# Card",
}
SNAPSHOT = ArtifactsSnapshot(
    root="mlflow-artifacts:/1/models/m-1/artifacts",
    files=(
        *(FileSnapshot(path=path, size=len(text)) for path, text in CONTENTS.items()),
        FileSnapshot(path="model.skops", size=10**9),
        FileSnapshot(path="reports/evaluation.json", size=2 * 2**20),
        FileSnapshot(path="runs:/r1/fairness/gender.json", size=10),
        FileSnapshot(path="runs:/r1/shap_summary.png", size=None),
    ),
    contents=CONTENTS,
    failures={
        "reports/evaluation.json": "The file is larger than 1,048,576 bytes.",
        "runs:/r1/fairness/gender.json": "The server answered 500.",
    },
)


@pytest.fixture(scope="module")
def reader() -> Iterator[Sandbox]:
    with Sandbox() as found:
        yield found


def digest(path: str) -> str:
    return hashlib.sha256(CONTENTS[path]).hexdigest()


def test_the_manifest_says_of_each_file_what_is_known(reader: Sandbox) -> None:
    manifest = {row["path"]: row for row in read_artifacts(SNAPSHOT, reader).manifest}

    assert manifest["MLmodel"] == {
        "path": "MLmodel",
        "size": len(CONTENTS["MLmodel"]),
        "type": "model description",
        "state": "hashed",
        "sha256": digest("MLmodel"),
    }
    assert manifest["model.skops"] == {
        "path": "model.skops",
        "size": 10**9,
        "type": "model",
        "state": "not_asked",
    }
    assert manifest["reports/evaluation.json"] == {
        "path": "reports/evaluation.json",
        "size": 2 * 2**20,
        "type": "data",
        "state": "too_large",
        "reason": "The file is larger than 1,048,576 bytes.",
    }
    assert manifest["runs:/r1/fairness/gender.json"]["state"] == "unavailable"
    assert manifest["runs:/r1/shap_summary.png"]["type"] == "image"
    assert len(manifest) == len(SNAPSHOT.files)


def test_the_environment_is_read_from_all_that_describe_it(reader: Sandbox) -> None:
    assert read_artifacts(SNAPSHOT, reader).runtime_environment == {
        "files": ["conda.yaml", "python_env.yaml", "requirements.txt"],
        "python": "3.10.14",
        "dependencies": [
            "mlflow==3.17.2",
            "risk @ git+https://[redacted]@git.example.com/risk.git",
        ],
        "conda_dependencies": ["python=3.10.14"],
        "build_dependencies": ["pip"],
        "packages": [
            {
                "manager": "pip",
                "name": "mlflow",
                "specifier": "==3.17.2",
                "version": "3.17.2",
                "purl": "pkg:pypi/mlflow@3.17.2",
            },
            {
                "manager": "pip",
                "name": "risk",
                "told": "risk @ git+https://[redacted]@git.example.com/risk.git",
                "purl": "pkg:generic/risk?vcs_url="
                "git%2Bhttps://git.example.com/risk.git",
            },
            {
                "manager": "conda",
                "name": "python",
                "specifier": "=3.10.14",
                "version": "3.10.14",
                "purl": "pkg:conda/python@3.10.14",
            },
            {
                "manager": "pip",
                "scope": "build",
                "name": "pip",
                "purl": "pkg:pypi/pip",
            },
        ],
    }


def test_mlmodel_tells_flavors_versions_formats_and_when(reader: Sandbox) -> None:
    found = read_artifacts(SNAPSHOT, reader)

    assert found.flavors == ("python_function", "sklearn")
    assert found.mlmodel == {
        "flavors": {
            "python_function": {"loader": "mlflow.sklearn"},
            "sklearn": {"version": "1.5.2", "serialization": "skops"},
        },
        "python": "3.10.14",
        "mlflow_version": "3.17.2",
        "logged_at": "2026-01-31T10:00:00.123456Z",
        "model_size_bytes": 99,
        "model_uuid": "0a1b",
        "serialization": ["skops"],
    }


def mlmodel(reader: Sandbox, text: str, *files: str) -> ReadArtifacts:
    """Read a version of an MLmodel and other files, which are only listed."""
    return read_artifacts(
        ArtifactsSnapshot(
            root="",
            files=tuple(FileSnapshot(path=path) for path in ("MLmodel", *files)),
            contents={"MLmodel": text.encode()},
        ),
        reader,
    )


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("2026-01-31 10:00:00", "2026-01-31T10:00:00Z"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00Z"),
        ("yesterday", "yesterday"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_a_time_of_mlmodel_is_in_utc_and_what_is_none_stays_as_told(
    reader: Sandbox, told: str, kept: str
) -> None:
    found = mlmodel(reader, f"utc_time_created: '{told}'")

    assert found.mlmodel == {"logged_at": kept}


@pytest.mark.parametrize(
    ("told", "kept"), [("0", 0), ("99", 99), ("9" * 30, "9" * 30), ("big", "big")]
)
def test_a_size_is_a_number_and_what_is_none_stays_as_told(
    reader: Sandbox, told: str, kept: int | str
) -> None:
    found = mlmodel(reader, f"model_size_bytes: {told}")

    assert found.mlmodel == {"model_size_bytes": kept}


def unsafe(found: ReadArtifacts) -> dict[str, str]:
    return {row["path"]: row["format"] for row in found.manifest if row.get("unsafe")}


def test_a_file_that_mlmodel_says_is_pickled_is_unsafe_whatever_it_is_called(
    reader: Sandbox,
) -> None:
    text = "flavors: {sklearn: {serialization_format: pickle, pickled_model: a/m.dat}}"

    found = mlmodel(reader, text, "a/m.dat", "m.dat", "model.skops")

    assert unsafe(found) == {"a/m.dat": "pickle"}
    assert (found.mlmodel["serialization"], found.mlmodel["unsafe"]) == (
        ["pickle"],
        True,
    )


def test_a_pickled_python_model_is_unsafe_and_a_model_from_code_is_not(
    reader: Sandbox,
) -> None:
    pickled = (
        "flavors: {python_function: {loader_module: mlflow.pyfunc.model, "
        "cloudpickle_version: 3.1.2, python_model: python_model.pkl.xz}}"
    )
    code = (
        "flavors: {python_function: {loader_module: mlflow.pyfunc.loaders.code_model, "
        "cloudpickle_version: 3.1.2, model_code_path: agent.py}}"
    )

    found = mlmodel(reader, pickled, "python_model.pkl.xz", "agent.py")
    assert unsafe(found) == {"python_model.pkl.xz": "cloudpickle"}
    assert found.mlmodel["unsafe"] is True

    found = mlmodel(reader, code, "agent.py")
    assert unsafe(found) == {}
    assert "unsafe" not in found.mlmodel


def test_a_safe_model_beside_a_pickle_leaves_the_pickle_unsafe(reader: Sandbox) -> None:
    text = "flavors: {sklearn: {serialization_format: skops, pickled_model: m.skops}}"

    found = mlmodel(reader, text, "m.skops", "preprocessing/scaler.pkl")

    assert unsafe(found) == {"preprocessing/scaler.pkl": "pickle"}
    assert "unsafe" not in found.mlmodel


def test_credentials_in_files_are_taken_out_and_named(reader: Sandbox) -> None:
    secret = "AKIA" + "IOSFODNN7EXAMPLE"
    signature = json.dumps([{"name": "key", "type": "string", "default": secret}])
    contents = CONTENTS | {
        "MLmodel": f"signature: {{params: '{signature}'}}\n"
        f"flavors: {{x: {{loader_module: {secret}}}}}".encode()
    }

    found = read_artifacts(replace(SNAPSHOT, contents=contents), reader)

    assert secret not in json.dumps(asdict(found))
    assert "hunter2" not in json.dumps(asdict(found))
    assert [(each.place, each.key, each.kind) for each in found.redactions] == [
        ("artifact", "MLmodel", "AWS access key"),
        ("artifact", "requirements.txt", "URL with credentials"),
    ]


def test_the_root_is_told_without_credentials(reader: Sandbox) -> None:
    told = ArtifactsSnapshot(root="s3://KEY:SECRET@bucket/1/models/m-1/artifacts")

    assert read_artifacts(told, reader).root == "s3://bucket/1/models/m-1/artifacts"


def test_without_a_file_that_describes_it_there_is_no_environment(
    reader: Sandbox,
) -> None:
    only_mlmodel = replace(
        SNAPSHOT,
        files=(FileSnapshot(path="MLmodel"),),
        contents={"MLmodel": CONTENTS["MLmodel"]},
        failures={},
    )

    found = read_artifacts(only_mlmodel, reader)

    assert found.runtime_environment == {}
    assert found.flavors == ("python_function", "sklearn")
    assert found.mlmodel["python"] == "3.10.14"
    assert found.input_schema == {"age": "long"}
    assert found.incomplete == {}


def test_evidence_is_told_by_the_names_of_files(reader: Sandbox) -> None:
    evidence = read_artifacts(SNAPSHOT, reader).evidence_files

    assert {row["path"]: row["kind"] for row in evidence} == {
        "MLmodel": "signature",
        "conda.yaml": "environment",
        "python_env.yaml": "environment",
        "requirements.txt": "environment",
        "model_card.md": "model card",
        "reports/evaluation.json": "evaluation report",
        "runs:/r1/fairness/gender.json": "bias report",
        "runs:/r1/shap_summary.png": "explanation",
    }
    assert {row["path"]: row["state"] for row in evidence}["model_card.md"] == "hashed"


def test_what_could_not_be_had_makes_its_section_incomplete(reader: Sandbox) -> None:
    assert read_artifacts(SNAPSHOT, reader).incomplete == {
        Section.ARTIFACTS: "runs:/r1/fairness/gender.json: The server answered 500."
    }  # a file that is too large is known to be so

    failing = replace(
        SNAPSHOT,
        contents=CONTENTS | {"conda.yaml": b"- a", "MLmodel": b"\xff"},
        failures={"": "The listing was stopped.", "x": "The server answered 500."},
    )
    assert read_artifacts(failing, reader).incomplete == {
        Section.ARTIFACTS: "The listing was stopped. (And 1 more.)",
        Section.ENVIRONMENT: "MLmodel: It is not UTF-8 text. (And 1 more.)",
    }


class Assassin(Sandbox):
    """A sandbox whose child dies of one file."""

    def inspect(self, path: str, content: bytes) -> Inspection:
        if path == "conda.yaml":
            super().inspect("", b"")
            assert self.pid
            os.kill(self.pid, signal.SIGKILL)
        return super().inspect(path, content)


def test_a_file_that_kills_the_child_spoils_nothing_else(reader: Sandbox) -> None:
    with Assassin() as mortal:
        found = read_artifacts(SNAPSHOT, mortal)

    whole = read_artifacts(SNAPSHOT, reader)
    states = {row["path"]: row["state"] for row in found.manifest}
    assert states == {row["path"]: row["state"] for row in whole.manifest} | {
        "conda.yaml": "unavailable"
    }
    assert found.incomplete[Section.ENVIRONMENT] == (
        "conda.yaml: Reading it broke the sandbox."
    )
    assert (
        found.runtime_environment["dependencies"]
        == (whole.runtime_environment["dependencies"])
    )


def test_nothing_listed_is_nothing_known(reader: Sandbox) -> None:
    found = read_artifacts(ArtifactsSnapshot(root=""), reader)

    assert (found.manifest, found.runtime_environment, found.signature) == ((), {}, {})
    assert (found.model_card, found.input_schema, found.incomplete) == ("", {}, {})
    assert found.fingerprint


def test_what_was_found_can_be_made_again_of_the_columns(reader: Sandbox) -> None:
    found = read_artifacts(SNAPSHOT, reader)
    columns = json.loads(json.dumps(asdict(found)))
    row = SimpleNamespace(
        artifact_manifest=columns["manifest"],
        runtime_environment=columns["runtime_environment"] | {"image": "sha256:0a"},
        evidence_files=columns["evidence_files"],
        signature=columns["signature"],
        flavors=columns["flavors"],
        mlmodel=columns["mlmodel"],
        artifact_root=columns["root"],
        redactions=[
            *columns["redactions"],
            {"place": "run tag", "key": "k", "kind": "password", "is_secret": True},
        ],
        incomplete=columns["incomplete"] | {"run": "It is not there."},
        artifacts_fingerprint=columns["fingerprint"],
    )

    assert ReadArtifacts.of_columns(row) == found


@pytest.mark.parametrize(
    "change",
    [
        {"files": SNAPSHOT.files[1:]},
        {"root": "s3://bucket/elsewhere"},
        {"contents": CONTENTS | {"model_card.md": b"# Another"}},
        {"failures": {}},
    ],
)
def test_whatever_changes_in_the_files_changes_the_fingerprint(
    reader: Sandbox, change: dict[str, Any]
) -> None:
    found = read_artifacts(SNAPSHOT, reader)

    assert read_artifacts(SNAPSHOT, reader).fingerprint == found.fingerprint
    assert (
        read_artifacts(replace(SNAPSHOT, **change), reader).fingerprint
        != found.fingerprint
    )


@pytest.mark.parametrize(
    ("inputs", "schema"),
    [
        ([{"type": "long", "name": "a"}, {"type": "string"}], {"a": "long", "1": "string"}),
        (
            [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}],
            {"0": "tensor float32"},
        ),
        ("oops", {}),
        ([1, None], {}),
        (None, {}),
    ],
)  # fmt: skip
def test_the_input_schema_is_the_signature_in_short(
    inputs: object, schema: dict[str, str]
) -> None:
    found = ReadArtifacts(
        runtime_environment={},
        signature={"inputs": inputs},
        incomplete={},
        fingerprint="a1",
    )

    assert found.input_schema == schema


def test_what_postgresql_cannot_store_is_replaced(reader: Sandbox) -> None:
    contents = {
        "MLmodel": rb"""signature: {inputs: '[{"name": "\u0000\ud800", "x": NaN}]'}""",
        "conda.yaml": rb'dependencies: ["a\0b"]',
    }
    snapshot = replace(SNAPSHOT, contents=contents, failures={})

    found = read_artifacts(snapshot, reader)

    assert found.signature == {"inputs": [{"name": "��", "x": None}]}
    assert found.runtime_environment["conda_dependencies"] == ["a�b"]


PATHS = st.one_of(st.sampled_from(["\ud800", "a\x00b", *CONTENTS]), st.text(max_size=9))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
)  # fmt: skip
@given(
    st.lists(st.builds(FileSnapshot, path=PATHS, size=st.none() | st.integers(0))),
    st.dictionaries(PATHS, st.binary() | st.text().map(str.encode), max_size=4),
    st.dictionaries(PATHS, st.text(max_size=9), max_size=3),
)
def test_whatever_lies_there_can_be_stored(
    reader: Sandbox,
    files: list[FileSnapshot],
    contents: dict[str, bytes],
    failures: dict[str, str],
) -> None:
    found = read_artifacts(
        ArtifactsSnapshot(
            root="", files=tuple(files), contents=contents, failures=failures
        ),
        reader,
    )

    text = json.dumps(asdict(found), allow_nan=False, ensure_ascii=False)
    text.encode()
    assert "\\u0000" not in text
