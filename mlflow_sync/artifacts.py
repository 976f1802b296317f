"""What the files of a model version tell: which there are, its environment, its evidence.

Pure but for the sandbox, in which the bytes are read. What was found can be made again
of the stored version's columns, so that a later sync need not download the files anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Protocol, Self

from inventory.records import Section
from mlflow_sync.exceptions import SandboxError
from mlflow_sync.normalize_text import clean_document, clean_text
from mlflow_sync.redaction import redact_mapping
from mlflow_sync.sandbox import Inspection, Sandbox
from mlflow_sync.snapshots import ArtifactsSnapshot, FileSnapshot

READ_LIMIT = 2**20  # bytes; a wanted file that is larger is too large
ENVIRONMENT_FILES = ("conda.yaml", "python_env.yaml", "requirements.txt")
MLMODEL = "MLmodel"
_OF_TAGS = "image"  # of the runtime environment; it comes from a tag

_TYPES = {
    "model": "bin ckpt cbm h5 joblib keras mar model onnx pb pickle pkl pt pth "
    "safetensors skops tflite ubj xgb",
    "document": "docx htm html md pdf rst txt",
    "data": "avro csv feather json jsonl npy npz parquet tsv",
    "image": "gif jpeg jpg png svg webp",
    "settings": "cfg ini toml yaml yml",
    "code": "ipynb py r sh sql",
}
_TYPE_OF = {
    suffix: kind for kind, suffixes in _TYPES.items() for suffix in suffixes.split()
}
_REPORT = r"\.(?:pdf|html?|md|json|txt|csv|docx|png)$"
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(regex, re.IGNORECASE))
    for kind, regex in (
        ("model card", r"(?:^|/)(?:model[_-]?card(?:[._-][^/]*)?(?:/.*)?|readme\.md)$"),
        ("bias report", rf"(?<![a-z])(?:bias|fairness)[^/]*(?:/.*)?{_REPORT}"),
        ("explanation", rf"(?<![a-z])(?:shap(?![a-z])|explain|explanation|lime(?![a-z])|feature_importance).*{_REPORT}"),
        ("evaluation report", rf"(?:report|(?<![a-z])eval|validation).*{_REPORT}"),
    )
)  # fmt: skip


class State(StrEnum):
    """What we know of the content of a file."""

    HASHED = "hashed"
    TOO_LARGE = "too_large"
    UNAVAILABLE = "unavailable"
    NOT_ASKED = "not_asked"


class ArtifactColumns(Protocol):
    """A stored version, as far as its files go."""

    artifact_manifest: Sequence[Mapping[str, Any]]
    runtime_environment: Mapping[str, Any]
    evidence_files: Sequence[Mapping[str, Any]]
    signature: Mapping[str, Any]
    flavors: Sequence[str]
    incomplete: Mapping[str, str]
    artifacts_fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadArtifacts:
    """The files of a version; every value can be stored as JSON.

    A row of `manifest` has path, size (bytes), type and state, and sha256 where the
    state is hashed, or reason where the file is unavailable; one of `evidence_files` has
    path, kind, state and sha256. `incomplete` says what could not be listed or read.
    """

    manifest: tuple[Mapping[str, Any], ...] = ()
    runtime_environment: Mapping[str, Any]
    evidence_files: tuple[Mapping[str, Any], ...] = ()
    signature: Mapping[str, Any]
    flavors: tuple[str, ...] = ()
    incomplete: Mapping[Section, str]
    fingerprint: str

    @classmethod
    def of_columns(cls, row: ArtifactColumns) -> Self:
        """Return what a version was stored with."""
        environment = {
            name: value
            for name, value in row.runtime_environment.items()
            if name != _OF_TAGS
        }
        return cls(
            manifest=tuple(row.artifact_manifest),
            runtime_environment=environment,
            evidence_files=tuple(row.evidence_files),
            signature=row.signature,
            flavors=tuple(row.flavors),
            incomplete={
                section: row.incomplete[section]
                for section in (Section.ARTIFACTS, Section.ENVIRONMENT)
                if section in row.incomplete
            },
            fingerprint=row.artifacts_fingerprint,
        )

    @property
    def model_card(self) -> str:
        """The path of the model card, "" if there is none."""
        cards = [
            row["path"] for row in self.evidence_files if row["kind"] == "model card"
        ]
        # A README may be a card; one that says so is.
        return min(cards, key=lambda path: ("readme" in path.lower(), path), default="")

    @property
    def input_schema(self) -> dict[str, str]:
        """The inputs of the signature: name (or position) -> type."""
        inputs = self.signature.get("inputs")
        columns = inputs if isinstance(inputs, list) else []
        return {
            str(column.get("name", position)): _column_type(column)
            for position, column in enumerate(columns)
            if isinstance(column, Mapping)
        }


def _column_type(column: Mapping[str, Any]) -> str:
    """Return the type of a column of a signature, such as `double` or `tensor float32`."""
    tensor = column.get("tensor-spec")
    dtype = tensor.get("dtype", "") if isinstance(tensor, Mapping) else ""
    return f"{column.get('type', '')} {dtype}".strip()


def read_artifacts(snapshot: ArtifactsSnapshot, sandbox: Sandbox) -> ReadArtifacts:
    """Read what was downloaded of a version's files.

    A file that the sandbox gives up is unavailable, with the reason; it spoils nothing
    else. Cost: about a millisecond a file that was downloaded.
    """
    inspections: dict[str, Inspection] = {}
    failures = {clean_text(p): clean_text(why) for p, why in snapshot.failures.items()}
    for path, content in snapshot.contents.items():
        try:
            inspections[clean_text(path)] = sandbox.inspect(path, content)
        except SandboxError as error:
            failures[clean_text(path)] = str(error)
    manifest = tuple(_row(file, inspections, failures) for file in snapshot.files)
    facts = {
        path: clean_document(inspections[path].facts)
        for path in (MLMODEL, *ENVIRONMENT_FILES)
        if path in inspections
    }
    signature = facts.get(MLMODEL, {}).get("signature") or {}
    found: dict[str, Any] = {
        "manifest": manifest,
        "runtime_environment": _environment(manifest, facts),
        "evidence_files": tuple(_evidence(manifest, has_signature=bool(signature))),
        "signature": signature,
        "flavors": tuple(facts.get(MLMODEL, {}).get("flavors", ())),
        "incomplete": _incomplete(manifest, failures, inspections),
    }
    text = json.dumps(found, sort_keys=True)
    return ReadArtifacts(**found, fingerprint=hashlib.sha256(text.encode()).hexdigest())


def _row(
    file: FileSnapshot,
    inspections: Mapping[str, Inspection],
    failures: Mapping[str, str],
) -> dict[str, Any]:
    path = clean_text(file.path)
    row: dict[str, Any] = {
        "path": path,
        "size": file.size,
        "type": _type(path),
        "state": State.NOT_ASKED.value,
    }
    if read := inspections.get(path):
        row |= {"size": read.size, "state": State.HASHED.value, "sha256": read.sha256}
    elif path in failures:
        too_large = file.size is not None and file.size > READ_LIMIT
        state = State.TOO_LARGE if too_large else State.UNAVAILABLE
        row |= {"state": state.value, "reason": failures[path]}
    return row


def _type(path: str) -> str:
    if path == MLMODEL:
        return "model description"
    if path in ENVIRONMENT_FILES:
        return "environment"
    return _TYPE_OF.get(PurePosixPath(path).suffix[1:].lower(), "other")


def _environment(
    manifest: Iterable[Mapping[str, Any]], facts: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the runtime environment, {} unless a file describes it.

    requirements.txt tells the dependencies of pip best, for the others may point to it.
    """
    files = [row["path"] for row in manifest if row["path"] in ENVIRONMENT_FILES]
    if not files:
        return {}
    mlmodel = facts.get(MLMODEL, {})
    conda, python_env, requirements = (
        facts.get(name, {}) for name in ENVIRONMENT_FILES
    )
    pip = (requirements.get("pip"), conda.get("pip"), python_env.get("pip"))
    python = (python_env.get("python"), mlmodel.get("python"), conda.get("python"))
    environment = {
        "files": files,
        "python": next(filter(None, python), ""),
        "dependencies": _without_secrets(next(filter(None, pip), [])),
        "conda_dependencies": _without_secrets(conda.get("conda") or []),
        "build_dependencies": _without_secrets(python_env.get("build") or []),
        "mlflow_version": mlmodel.get("mlflow_version"),
        "logged_at": mlmodel.get("logged_at"),
        "model_size_bytes": _number(mlmodel.get("model_size_bytes")),
        "serialization": mlmodel.get("serialization"),
    }
    return {name: value for name, value in environment.items() if value}


def _without_secrets(lines: list[str]) -> list[str]:
    """Return requirement lines without the credentials of private repositories."""
    clean, _ = redact_mapping(
        "dependency", {str(n): line for n, line in enumerate(lines)}
    )
    return list(clean.values())


def _number(told: str | None) -> int | None:
    return int(told) if told and re.fullmatch(r"[0-9]{1,18}", told) else None


def _evidence(
    manifest: Iterable[Mapping[str, Any]], *, has_signature: bool
) -> Iterable[dict[str, Any]]:
    """Yield the files that are evidence of something, each of one kind."""
    for row in manifest:
        path = row["path"]
        if path in ENVIRONMENT_FILES:
            kind = "environment"
        elif path == MLMODEL:
            kind = "signature" if has_signature else ""
        else:
            kind = next((kind for kind, regex in _PATTERNS if regex.search(path)), "")
        if kind:
            hashed = {"sha256": row["sha256"]} if "sha256" in row else {}
            yield {"path": path, "kind": kind, "state": row["state"]} | hashed


def _incomplete(
    manifest: Iterable[Mapping[str, Any]],
    failures: Mapping[str, str],
    inspections: Mapping[str, Inspection],
) -> dict[Section, str]:
    """Return why the artifacts, or the environment in them, are not wholly known.

    A file that is too large to be read is known to be so.
    """
    too_large = {row["path"] for row in manifest if row["state"] == State.TOO_LARGE}
    told = {path: why for path, why in failures.items() if path not in too_large}
    told |= {
        path: f"It {read.problem}."
        for path, read in inspections.items()
        if read.problem
    }
    environment = (MLMODEL, *ENVIRONMENT_FILES)
    reasons = {
        Section.ENVIRONMENT: [path for path in sorted(told) if path in environment],
        Section.ARTIFACTS: [path for path in sorted(told) if path not in environment],
    }
    return {
        section: _sentence(paths, told) for section, paths in reasons.items() if paths
    }


def _sentence(paths: list[str], told: Mapping[str, str]) -> str:
    first = paths[0]
    sentence = f"{first}: {told[first]}" if first else told[first]
    return f"{sentence} (And {len(paths) - 1} more.)" if len(paths) > 1 else sentence
