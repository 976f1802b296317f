"""Can it be told from which run, code and data the model came?"""

from __future__ import annotations

import re

from compliance.engine import (
    PASS,
    Outcome,
    fail,
    missing,
    not_applicable,
    rulebook,
    unknown,
    without,
)
from compliance.facts import ModelFacts
from inventory.manifest import changed_files
from inventory.records import Section

TRAINING = ("training", "train", "", None)
EVALUATION = ("evaluation", "eval", "test", "validation")
FINISHED = "FINISHED"
# Flavors whose models mostly stand on somebody else's.
BORROWING = frozenset(
    {"transformers", "sentence_transformers", "openai", "langchain", "llama_index",
     "anthropic", "gemini", "mistral", "dspy", "peft"}
)  # fmt: skip
FINE_TUNING = re.compile(r"fine[-_ ]?tun|(?<![a-z])q?lora(?![a-z])", re.IGNORECASE)
GIT_HASH = re.compile(r"[0-9a-f]{7,40}", re.IGNORECASE)

# A version, a hash, a commit or a date inside a dataset's name: data@v3, data:1.2,
# s3://bucket/v3/train.csv, 3f2a1b9, 2026-01-31.
VERSION = re.compile(
    r"@\S+"
    r"|(?<![0-9a-z])v\d+"
    r"|(?<![\d.])\d+\.\d+(?:\.\d+)?(?![\d.])"
    r"|\d{4}-?\d{2}-?\d{2}"
    r"|(?<![0-9a-z])(?=[a-f]*\d)[0-9a-f]{7,64}(?![0-9a-z])"
    r"|(?<![a-z])(?:version|rev|revision|commit|digest|md5|sha\d*)[ =:/_-]*\w*\d",
    re.IGNORECASE,
)


@rulebook.rule(
    "VW-LIN-001", reads=("source_run_id", "run_found", "run_deleted", "incomplete")
)
def training_run_resolves(facts: ModelFacts) -> Outcome:
    """A deleted run fails although it can still be read: MLflow will purge it.

    A run that MLflow does not tell may be purged, or hidden from our user: that leaves
    the rule undecided, and VW-OPS-001 fails.
    """
    run_id = facts.source_run_id
    if not run_id:
        return missing(
            facts, "The version names no source run.", sections=(Section.VERSION,)
        )
    if facts.run_deleted:
        return fail(f"The source run {run_id} is deleted in MLflow.")
    if facts.run_found:
        return PASS
    if reason := facts.incomplete.get(Section.RUN):
        return unknown(f"The source run {run_id} could not be read: {reason}")
    return fail(f"The source run {run_id} does not exist in MLflow.")


@rulebook.rule("VW-LIN-002", reads=("lifecycle_stage", "run_found", "training_status"))
def training_run_is_finished(facts: ModelFacts) -> Outcome:
    if not facts.is_staged:
        return not_applicable("The version is neither in staging nor in production.")
    if not facts.run_found:
        return not_applicable("The source run was not read.")
    if facts.training_status == FINISHED:
        return PASS
    if not facts.training_status:
        return unknown("The status of the training run is not told.")
    return fail(f"The training run is {facts.training_status}, not {FINISHED}.")


@rulebook.rule("VW-LIN-003", reads=("code_commit", "lifecycle_stage", "incomplete"))
def code_commit_is_recorded(facts: ModelFacts) -> Outcome:
    if not facts.is_staged:
        return not_applicable("The version is neither in staging nor in production.")
    if not facts.code_commit:
        return missing(facts, "No code commit is recorded.")
    if GIT_HASH.fullmatch(facts.code_commit):
        return PASS
    return fail(f"The code commit “{facts.code_commit}” does not look like a git hash.")


@rulebook.rule("VW-LIN-004", reads=("code_commit", "code_dirty"))
def code_tree_was_clean(facts: ModelFacts) -> Outcome:
    """A run that tells nothing about its tree proves nothing: MLflow mostly is silent."""
    if not facts.code_commit:
        return not_applicable("No code commit is recorded.")
    if facts.code_dirty is None:
        return unknown("Whether the code tree was clean is not recorded.")
    if facts.code_dirty:
        return fail("The code tree held changes that the commit does not.")
    return PASS


@rulebook.rule(
    "VW-LIN-005", reads=("dataset_inputs", "dataset_reference", "incomplete")
)
def training_data_is_traced(facts: ModelFacts) -> Outcome:
    """An input without a context counts as training data: MLflow's default is none."""
    for dataset in facts.dataset_inputs:
        if dataset.get("digest") and dataset.get("context") in TRAINING:
            return Outcome(
                PASS.verdict,
                inputs={"dataset": dataset.get("name"), "digest": dataset["digest"]},
            )
    if not facts.dataset_reference:
        return missing(facts, "No training dataset is recorded.")
    if VERSION.search(facts.dataset_reference):
        return PASS
    return fail(
        f"The training dataset “{facts.dataset_reference}” is named without a version, "
        "a hash or a commit."
    )


@rulebook.rule("VW-LIN-006", reads=("dataset_inputs",))
def test_data_is_other_data(facts: ModelFacts) -> Outcome:
    digests: dict[str, set[str]] = {"training": set(), "evaluation": set()}
    for dataset in facts.dataset_inputs:
        digest, context = dataset.get("digest"), dataset.get("context")
        if digest and context in TRAINING:
            digests["training"].add(digest)
        elif digest and context in EVALUATION:
            digests["evaluation"].add(digest)
    if not digests["training"] or not digests["evaluation"]:
        return not_applicable("Not both datasets were logged with their digests.")
    if shared := digests["training"] & digests["evaluation"]:
        told = sorted(shared)
        return fail(
            f"The model was evaluated on the data it was trained on: {', '.join(told)}.",
            digests=told,
        )
    return PASS


@rulebook.rule(
    "VW-LIN-007",
    reads=("flavors", "tags", "base_model", "license", "incomplete"),
)
def base_model_is_named(facts: ModelFacts) -> Outcome:
    borrowing = BORROWING.intersection(facts.flavors)
    is_tuned = any(
        FINE_TUNING.search(f"{key} {told}") for key, told in facts.tags.items()
    )
    if not (borrowing or is_tuned or facts.base_model):
        return not_applicable("Nothing tells of a base model.")
    lacking = without(
        {
            "the base model": facts.base_model,
            "its licence": facts.license,
        }
    )
    if not lacking:
        return PASS
    return missing(facts, f"Not recorded: {' and '.join(lacking)}.")


@rulebook.rule(
    "VW-LIN-008",
    reads=("approvals_set_up", "approved_at", "approved_files", "artifact_manifest"),
)
def artifacts_are_those_approved(facts: ModelFacts) -> Outcome:
    """The files are compared with those approved; a file that changed is one changed.

    A file without a digest, now or then, leaves the rule undecided.
    """
    if not facts.approvals_set_up:
        return unknown("Approvals are not set up.")
    if facts.approved_at is None:
        return not_applicable("The version is not approved.")
    changed = {str(row["path"]) for row in changed_files(facts.artifact_manifest)}
    now = {
        str(row["path"]): str(row.get("sha256", "")) for row in facts.artifact_manifest
    }
    others = {
        path
        for path in now.keys() | facts.approved_files.keys()
        if now.get(path) != facts.approved_files.get(path)
    }
    undigested = {path for path in others if now.get(path) == ""}
    if told := sorted(changed | (others - undigested)):
        return fail(f"Not as approved: {', '.join(told)}.", files=told)
    if undigested:
        return unknown(f"Without a digest: {', '.join(sorted(undigested))}.")
    return PASS


@rulebook.rule("VW-LIN-009", reads=("evidence_files", "source_run_id", "incomplete"))
def outputs_refer_to_their_run(facts: ModelFacts) -> Outcome:
    """A report lies with the run that wrote it, so that the run's id is its reference.

    Files of a version that names no run cannot be traced to what made them.
    """
    if not facts.evidence_files:
        return not_applicable("No evidence file is registered.")
    if facts.source_run_id:
        return PASS
    return missing(
        facts,
        f"{len(facts.evidence_files)} evidence files name no run that made them.",
        sections=(Section.VERSION,),
    )
