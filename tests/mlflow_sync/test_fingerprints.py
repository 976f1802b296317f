"""What changed is known before it is normalized."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from inventory.records import Section
from mlflow_sync.fingerprints import row_fingerprint, version_fingerprint
from mlflow_sync.snapshots import (
    ModelSnapshot,
    VersionSnapshot,
)
from tests.mlflow_sync.builders import (
    ARTIFACTS,
    CREATED,
    EXPERIMENT,
    MODEL,
    RUN,
    VERSION,
    VOCABULARY,
    model_record,
    version_record,
)


def fingerprint(
    version: VersionSnapshot = VERSION, model: ModelSnapshot = MODEL, **others: Any
) -> str:
    told: dict[str, Any] = {
        "run_fingerprint": row_fingerprint(RUN, vocabulary=VOCABULARY),
        "experiment_fingerprint": row_fingerprint(EXPERIMENT, vocabulary=VOCABULARY),
        "artifacts_fingerprint": None,
        "vocabulary": VOCABULARY,
    }
    return version_fingerprint(version, model=model_record(model), **(told | others))


def test_fingerprints_are_known_without_normalizing() -> None:
    assert version_record().fingerprint == fingerprint()
    assert version_record(artifacts=ARTIFACTS).fingerprint == fingerprint(
        artifacts_fingerprint="a1", incomplete=ARTIFACTS.incomplete
    )


@pytest.mark.parametrize(
    "change",
    [
        {"version": replace(VERSION, fingerprint="v2")},
        {"model": replace(MODEL, description="Another.")},
        {"model": replace(MODEL, tags={"owner": "alice"})},
        {"model": replace(MODEL, aliases={})},
        {"run_fingerprint": None},
        {"experiment_fingerprint": "x"},
        {"artifacts_fingerprint": "x"},
        {"incomplete": {Section.RUN: "It could not be read."}},
        {"vocabulary": replace(VOCABULARY, fingerprint="x")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_a_record_is_made_of_changes_its_fingerprint(
    change: dict[str, Any],
) -> None:
    assert fingerprint(**change) != fingerprint()


def test_what_happens_to_siblings_leaves_a_version_as_it_is() -> None:
    moved = replace(
        MODEL,
        aliases={"champion": "3", "challenger": "5"},
        latest_versions={"Production": "3", "None": "5"},
        last_updated_timestamp=CREATED + 99,
        fingerprint="m2",
    )

    assert fingerprint(model=moved) == fingerprint()
