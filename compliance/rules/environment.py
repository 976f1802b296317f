"""Can the environment of the model be built again?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compliance.engine import (
    PASS,
    Outcome,
    fail,
    missing,
    not_applicable,
    rulebook,
    unknown,
)
from compliance.facts import ModelFacts
from inventory.records import Section

VALIDATED = ("passed", "pass", "valid", "validated", "ok", "success", "true")
SHOWN = 10  # packages and files that a sentence lists
ENVIRONMENT_FILES = ("conda.yaml", "python_env.yaml", "requirements.txt")


@rulebook.rule(
    "VW-ENV-001",
    reads=(
        "lifecycle_stage",
        "runtime_environment",
        "artifact_manifest",
        "artifacts_read",
        "incomplete",
    ),
)
def environment_is_reproducible(facts: ModelFacts) -> Outcome:
    """A runtime environment names its files, or a container image by digest."""
    if not facts.is_staged:
        return not_applicable("The version is neither in staging nor in production.")
    if image := facts.runtime_environment.get("image"):
        return Outcome(PASS.verdict, inputs={"image": image})
    found = facts.runtime_environment.get("files") or [
        path
        for path in (str(file.get("path", "")) for file in facts.artifact_manifest)
        if path.rpartition("/")[2] in ENVIRONMENT_FILES
    ]
    if found:
        return Outcome(PASS.verdict, inputs={"files": found})
    if not facts.artifacts_read:
        return unknown("The artifacts of the version have not been read.")
    return missing(
        facts,
        "Neither an environment file nor the digest of a container image is recorded.",
        sections=(Section.VERSION, Section.ARTIFACTS, Section.ENVIRONMENT),
    )


@rulebook.rule(
    "VW-ENV-002",
    reads=("runtime_environment", "artifacts_read"),
    thresholds=("pinned_share_min",),
)
def dependencies_are_pinned(facts: ModelFacts, *, pinned_share_min: float) -> Outcome:
    """Judges what the model runs on, not what only builds its environment."""
    if not facts.artifacts_read:
        return unknown("The artifacts of the version have not been read.")
    packages = [
        row
        for row in facts.runtime_environment.get("packages", ())
        if row.get("scope") != "build"
    ]
    if not packages:
        return not_applicable("No requirements could be read.")
    loose = [
        str(row.get("told") or row.get("name"))
        for row in packages
        if not row.get("version")
    ]
    share = 1 - len(loose) / len(packages)
    seen = {"packages": len(packages), "not pinned": loose[:SHOWN]}
    if share >= pinned_share_min:
        return Outcome(PASS.verdict, inputs=seen)
    return fail(
        f"{len(loose)} of {len(packages)} packages name no exact version: "
        f"{_listed(loose)}.",
        **seen,
    )


@rulebook.rule(
    "VW-ENV-003", reads=("artifact_manifest", "artifacts_read", "risk_acceptance_ref")
)
def format_is_safe(facts: ModelFacts) -> Outcome:
    """By file names and the text of MLmodel: nothing is ever loaded."""
    if not facts.artifacts_read:
        return unknown("The artifacts of the version have not been read.")
    if not facts.artifact_manifest:
        return not_applicable("The version has no files.")
    unsafe = [
        f"{row['path']} ({row.get('format') or 'pickle'})"
        for row in facts.artifact_manifest
        if row.get("unsafe")
    ]
    if not unsafe or facts.risk_acceptance_ref:
        return Outcome(PASS.verdict, inputs={"files": unsafe[:SHOWN]})
    return fail(
        f"Loading runs code of the file's own: {_listed(unsafe)}.",
        files=unsafe[:SHOWN],
    )


@rulebook.rule(
    "VW-ENV-004",
    reads=(
        "lifecycle_stage",
        "signature",
        "schema_validation_status",
        "serving_signature",
        "artifacts_read",
        "incomplete",
    ),
)
def schema_is_validated(facts: ModelFacts) -> Outcome:
    """A signature fits if it takes no other inputs than the version in service.

    A first version, with none in service beside it, needs a validation that was told.
    """
    if not facts.is_staged:
        return not_applicable("The version is neither in staging nor in production.")
    if not (facts.signature.get("inputs") and facts.signature.get("outputs")):
        if not facts.artifacts_read:
            return unknown("The artifacts of the version have not been read.")
        return missing(
            facts,
            "The model has no signature with inputs and outputs.",
            sections=(Section.VERSION, Section.ARTIFACTS),
        )
    status = facts.schema_validation_status or ""
    if status.casefold() in VALIDATED:
        return PASS
    if status:
        return fail(f"The schema validation is “{status}”, not passed.")
    if not facts.serving_signature:
        return missing(
            facts,
            "No schema validation is recorded, and no other version is in service.",
        )
    if told := _unlike(facts.signature, facts.serving_signature):
        return fail(f"The signature does not fit the version in service: {told}.")
    return PASS


def _unlike(ours: Mapping[str, Any], served: Mapping[str, Any]) -> str:
    """Say how a signature breaks who calls the version in service, “” if it does not."""
    told = []
    for part in ("inputs", "outputs"):
        mine, theirs = _columns(ours.get(part)), _columns(served.get(part))
        told += [
            f"{part[:-1]} {name} is {mine.get(name, 'gone')}, not {kind}"
            for name, kind in theirs.items()
            if mine.get(name) != kind
        ]
        if part == "inputs":
            told += [f"input {name} is new" for name in mine.keys() - theirs.keys()]
    return ", ".join(sorted(told)[:SHOWN])


def _columns(told: Any) -> dict[str, str]:
    columns = told if isinstance(told, list) else []
    return {
        str(column.get("name", place)): str(
            column.get("type") or column.get("tensor-spec") or ""
        )
        for place, column in enumerate(columns)
        if isinstance(column, Mapping) and column.get("required", True)
    }


def _listed(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
