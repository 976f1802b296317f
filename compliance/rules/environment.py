"""Can the environment of the model be built again?"""

from __future__ import annotations

from compliance.engine import (
    PASS,
    Outcome,
    missing,
    not_applicable,
    rulebook,
    unknown,
)
from compliance.facts import ModelFacts
from inventory.records import Section

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
