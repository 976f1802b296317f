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
)
from compliance.facts import ModelFacts
from inventory.records import Section

TRAINING = ("training", "train", "", None)
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


@rulebook.rule("VW-LIN-003", reads=("code_commit", "lifecycle_stage", "incomplete"))
def code_commit_is_recorded(facts: ModelFacts) -> Outcome:
    if not facts.is_staged:
        return not_applicable("The version is neither in staging nor in production.")
    if not facts.code_commit:
        return missing(facts, "No code commit is recorded.")
    if GIT_HASH.fullmatch(facts.code_commit):
        return PASS
    return fail(f"The code commit “{facts.code_commit}” does not look like a git hash.")


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
