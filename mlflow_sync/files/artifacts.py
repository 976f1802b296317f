"""What the files of a model version tell: which there are, its environment, its evidence.

Pure but for the sandbox, in which the bytes are read. What was found can be made again
of the stored version's columns, so that a later sync need not download the files anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol, Self

from inventory.manifest import ManifestRow, State, with_states
from inventory.records import Redaction, Section, is_known
from mlflow_sync.exceptions import SandboxError
from mlflow_sync.files import manifests
from mlflow_sync.files.dependencies import packages
from mlflow_sync.files.kinds import (
    ENVIRONMENT_FILES,
    MLMODEL,
    UNSAFE_SERIALIZATIONS,
    evidence_kind,
    type_of,
    unsafe_format,
)
from mlflow_sync.files.sandbox import Inspection, Sandbox
from mlflow_sync.normalize.redaction import redact_mapping
from mlflow_sync.normalize.text import clean_document, clean_text, clean_uri
from mlflow_sync.snapshots import ArtifactsSnapshot, FileSnapshot

READ_LIMIT = 2**20  # bytes; a wanted file that is larger is too large
_OF_TAGS = "image"  # of the runtime environment; it comes from a tag
_PLACE = "artifact"  # of what was redacted in files
_OF_FLAVORS = ("version", "loader", "serialization")
_PYTHON_TOLD_BY = ("python_env.yaml", MLMODEL, "conda.yaml")  # the best first


class ArtifactColumns(Protocol):
    """A stored version, as far as its files go."""

    artifact_manifest: Sequence[Mapping[str, Any]]
    runtime_environment: Mapping[str, Any]
    evidence_files: Sequence[Mapping[str, Any]]
    signature: Mapping[str, Any]
    flavors: Sequence[str]
    mlmodel: Mapping[str, Any]
    artifact_root: str
    redactions: Sequence[Mapping[str, Any]]
    incomplete: Mapping[str, str]
    artifacts_fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadArtifacts:
    """The files of a version; every value can be stored as JSON.

    The rows of `manifest` are those of `inventory.manifest`. One of `evidence_files`
    has path, kind, state and sha256. `incomplete` says what could not be listed or read.
    `fingerprint` is of what the listing told: files that were read besides, or later,
    leave it as it is.
    """

    manifest: tuple[Mapping[str, Any], ...] = ()
    runtime_environment: Mapping[str, Any]
    evidence_files: tuple[Mapping[str, Any], ...] = ()
    signature: Mapping[str, Any]
    flavors: tuple[str, ...] = ()
    mlmodel: Mapping[str, Any] = field(default_factory=dict)
    root: str = ""
    redactions: tuple[Redaction, ...] = ()
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
            mlmodel=row.mlmodel,
            root=row.artifact_root,
            redactions=tuple(
                Redaction(**told) for told in row.redactions if told["place"] == _PLACE
            ),
            incomplete={
                section: row.incomplete[section]
                for section in (Section.ARTIFACTS, Section.ENVIRONMENT)
                if section in row.incomplete
            },
            fingerprint=row.artifacts_fingerprint,
        )

    def joined(
        self, known: Sequence[ManifestRow], *, at: datetime, is_settled: bool
    ) -> tuple[Self, list[manifests.Finding]]:
        """Return this listing with what was known of its files, and what is other now."""
        manifest, findings = manifests.listed(
            self.manifest,
            known,
            at=at,
            is_whole=Section.ARTIFACTS not in self.incomplete,
            is_settled=is_settled,
        )
        evidence = with_states(self.evidence_files, manifest)
        joined = replace(self, manifest=tuple(manifest), evidence_files=tuple(evidence))
        return joined, findings

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
    redactions: list[Redaction] = []
    facts = {
        path: _without_secrets(
            clean_document(inspections[path].facts), path=path, found=redactions
        )
        for path in (MLMODEL, *ENVIRONMENT_FILES)
        if path in inspections
    }
    told = facts.get(MLMODEL, {})
    manifest = tuple(
        _row(file, inspections, failures, unsafe=_unsafe_files(told))
        for file in snapshot.files
    )
    signature = told.get("signature") or {}
    found: dict[str, Any] = {
        "manifest": manifest,
        "runtime_environment": _environment(manifest, facts),
        "evidence_files": tuple(_evidence(manifest, has_signature=bool(signature))),
        "signature": signature,
        "flavors": tuple(told.get("flavors", ())),
        "mlmodel": _mlmodel(told),
        "root": clean_uri(snapshot.root),
        "redactions": tuple(dict.fromkeys(redactions)),
        "incomplete": _incomplete(manifest, failures, inspections),
    }
    text = json.dumps(found, sort_keys=True, default=asdict)
    return ReadArtifacts(**found, fingerprint=hashlib.sha256(text.encode()).hexdigest())


def _without_secrets(value: Any, *, path: str, found: list[Redaction]) -> Any:
    """Return what a file tells without credentials, such as those of repositories."""
    if isinstance(value, str):
        clean, redactions = redact_mapping(_PLACE, {path: value})
        found += redactions
        return clean[path]
    if isinstance(value, dict):
        return {
            key: _without_secrets(item, path=path, found=found)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(item, path=path, found=found) for item in value]
    return value


def _row(
    file: FileSnapshot,
    inspections: Mapping[str, Inspection],
    failures: Mapping[str, str],
    *,
    unsafe: Mapping[str, str],
) -> dict[str, Any]:
    path = clean_text(file.path)
    row: dict[str, Any] = {
        "path": path,
        "size": file.size,
        "type": type_of(path),
        "state": State.NOT_ASKED.value,
    }
    if read := inspections.get(path):
        row |= {"size": read.size, "state": State.HASHED.value, "sha256": read.sha256}
    elif path in failures:
        too_large = file.size is not None and file.size > READ_LIMIT
        state = State.TOO_LARGE if too_large else State.UNAVAILABLE
        row |= {"state": state.value, "reason": failures[path]}
    if name := unsafe.get(path) or unsafe_format(path):
        row |= {"unsafe": True, "format": name}
    return row


def _unsafe_files(mlmodel: Mapping[str, Any]) -> dict[str, str]:
    """Return the files that MLmodel says are pickled, whatever they are called."""
    return {
        path: flavor["serialization"]
        for flavor in mlmodel.get("flavors", {}).values()
        if flavor["serialization"] in UNSAFE_SERIALIZATIONS
        for path in flavor["files"]
    }


def _mlmodel(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what MLmodel tells besides the signature.

    A time or a size that is none stays as it was told.
    """
    flavors = told.get("flavors", {})
    serialization = sorted(
        {flavor["serialization"] for flavor in flavors.values()} - {""}
    )
    document = {
        "flavors": {
            name: {key: flavor[key] for key in _OF_FLAVORS if flavor[key]}
            for name, flavor in flavors.items()
        },
        "python": told.get("python"),
        "mlflow_version": told.get("mlflow_version"),
        "logged_at": _moment(told.get("logged_at", "")),
        "model_size_bytes": _number(told.get("model_size_bytes", "")),
        "model_uuid": told.get("model_uuid"),
        "model_id": told.get("model_id"),
        "serialization": serialization,
        "unsafe": not UNSAFE_SERIALIZATIONS.isdisjoint(serialization) or None,
    }
    return {name: value for name, value in document.items() if is_known(value)}


def _environment(
    manifest: Iterable[Mapping[str, Any]], facts: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the runtime environment, {} unless a file describes it.

    requirements.txt tells the dependencies of pip best, for the others may point to it.
    """
    files = [row["path"] for row in manifest if row["path"] in ENVIRONMENT_FILES]
    if not files:
        return {}
    conda, python_env, requirements = (
        facts.get(name, {}) for name in ENVIRONMENT_FILES
    )
    of_pip = (requirements.get("pip"), conda.get("pip"), python_env.get("pip"))
    pythons = (facts.get(name, {}).get("python") for name in _PYTHON_TOLD_BY)
    pip: list[str] = next(filter(None, of_pip), [])
    of_conda, build = conda.get("conda") or [], python_env.get("build") or []
    environment = {
        "files": files,
        "python": next(filter(None, pythons), ""),
        "dependencies": pip,
        "conda_dependencies": of_conda,
        "build_dependencies": build,
        "packages": packages(pip=pip, conda=of_conda, build=build),
    }
    return {name: value for name, value in environment.items() if value}


def _number(told: str) -> int | str:
    return int(told) if re.fullmatch(r"[0-9]{1,18}", told) else told


def _moment(told: str) -> str:
    """Return a time of MLmodel, which is in UTC without saying so, as JSON has it."""
    try:
        at = datetime.fromisoformat(told)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return told
    return at.isoformat().replace("+00:00", "Z")


def _evidence(
    manifest: Iterable[Mapping[str, Any]], *, has_signature: bool
) -> Iterable[dict[str, Any]]:
    """Yield the files that are evidence of something, each of one kind."""
    for row in manifest:
        path = row["path"]
        kind = evidence_kind(path)
        if path == MLMODEL and has_signature:
            kind = "signature"
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
