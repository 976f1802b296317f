"""Can the environment of the model be built again?"""

from __future__ import annotations

from compliance.engine import PASS, Outcome, missing, not_applicable, rulebook
from compliance.facts import ModelFacts
from inventory.records import Section

ENVIRONMENT_FILES = ("conda.yaml", "python_env.yaml", "requirements.txt")


@rulebook.rule(
    "VW-ENV-001",
    reads=(
        "lifecycle_stage",
        "runtime_environment",
        "artifact_manifest",
        "tags",
        "incomplete",
    ),
)
def environment_is_reproducible(facts: ModelFacts) -> Outcome:
    if not facts.is_staged:
        return not_applicable("The version is neither in staging nor in production.")
    if digest := facts.tags.get("image_digest"):
        return Outcome(PASS.verdict, inputs={"image_digest": digest})
    found = sorted(
        path
        for path in (str(file.get("path", "")) for file in facts.artifact_manifest)
        if path.rpartition("/")[2] in ENVIRONMENT_FILES
    )
    if found or facts.runtime_environment:
        return Outcome(PASS.verdict, inputs={"files": found})
    return missing(
        facts,
        "Neither an environment file nor the digest of a container image is recorded.",
        sections=(Section.VERSION, Section.ARTIFACTS, Section.ENVIRONMENT),
    )
