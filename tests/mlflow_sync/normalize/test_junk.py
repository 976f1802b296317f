"""Whatever MLflow says ends as a record that can be stored, or as a named error."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.records import FIELDS
from mlflow_sync.exceptions import NormalizationError
from mlflow_sync.normalize.records import normalize_version
from mlflow_sync.snapshots import (
    DatasetInput,
    ExperimentSnapshot,
    ModelSnapshot,
    RunSnapshot,
    VersionSnapshot,
)
from tests.mlflow_sync.builders import (
    CREATED,
    VOCABULARY,
    experiment_record,
    model_record,
    run_record,
    with_tags,
)

TEXT = st.text(
    st.one_of(st.characters(), st.sampled_from("\x00\ud800\udfff@:/?=[{,%$1")),
    max_size=40,
)
KEYS = st.one_of(
    TEXT,
    st.sampled_from(
        sorted(
            {
                key
                for claims in (VOCABULARY.registry_tags, VOCABULARY.params)
                for key in (*claims.exact, *claims.prefixes)
            }
        )
    ),
)
TAGS = st.dictionaries(KEYS, TEXT, max_size=8)
MAYBE = st.one_of(st.none(), TEXT)
TIMES = st.one_of(st.none(), st.integers())
GOOD_OR_JUNK_NUMBER = st.one_of(st.integers(1, 9).map(str), TEXT)

MODELS = st.builds(
    ModelSnapshot,
    name=TEXT,
    description=MAYBE,
    creation_timestamp=TIMES,
    last_updated_timestamp=TIMES,
    tags=TAGS,
    aliases=st.dictionaries(TEXT, st.sampled_from("123"), max_size=3),
    fingerprint=TEXT,
)
RUNS = st.builds(
    RunSnapshot,
    run_id=st.text("0123456789abcdef", min_size=1, max_size=32),
    run_name=MAYBE,
    experiment_id=MAYBE,
    user_id=MAYBE,
    status=MAYBE,
    start_time=TIMES,
    end_time=TIMES,
    artifact_uri=MAYBE,
    lifecycle_stage=MAYBE,
    tags=TAGS,
    params=TAGS,
    metrics=st.dictionaries(KEYS, st.floats(), max_size=4),
    dataset_inputs=st.tuples(
        st.builds(DatasetInput, name=TEXT, digest=TEXT, source=TEXT, context=TEXT)
    ),
    fingerprint=TEXT,
)
EXPERIMENTS = st.builds(
    ExperimentSnapshot,
    experiment_id=st.text("0123456789", min_size=1, max_size=20),
    name=TEXT,
    artifact_location=MAYBE,
    creation_time=TIMES,
    tags=TAGS,
    fingerprint=TEXT,
)
VERSIONS = st.builds(
    VersionSnapshot,
    name=TEXT,
    version=GOOD_OR_JUNK_NUMBER,
    creation_timestamp=st.one_of(TIMES, st.just(CREATED)),
    last_updated_timestamp=TIMES,
    description=MAYBE,
    user_id=MAYBE,
    current_stage=MAYBE,
    source=MAYBE,
    run_id=MAYBE,
    status=MAYBE,
    tags=TAGS,
    fingerprint=TEXT,
)
LONGEST = {
    "name": 600,
    "model_name": 600,
    "run_id": 64,
    "source_run_id": 64,
    "experiment_id": 64,
    "experiment_name": 600,
    "lifecycle_stage": 20,
    "native_stage": 20,
    "status": 20,
    "training_status": 20,
    "registration_status": 40,
    "user_id": 256,
}


def assert_storable(record: Any) -> None:
    """Assert that PostgreSQL takes the record: as JSON, and in columns of their length."""
    row = asdict(record)
    text = json.dumps(row, allow_nan=False, ensure_ascii=False, default=str)
    text.encode()
    assert "\\u0000" not in text
    for name, value in row.items():
        if isinstance(value, str):
            assert len(value) <= LONGEST.get(name, 10**6), name


@settings(max_examples=300, deadline=None)
@given(VERSIONS, MODELS, st.none() | RUNS, st.none() | EXPERIMENTS)
def test_junk_gives_a_record_that_can_be_stored_or_an_error_that_names_it(
    version: VersionSnapshot,
    model: ModelSnapshot,
    run: RunSnapshot | None,
    experiment: ExperimentSnapshot | None,
) -> None:
    try:
        model_told = model_record(model)
        run_told = run_record(run) if run else None
        experiment_told = experiment_record(experiment) if experiment else None
        record = normalize_version(
            version,
            model=model_told,
            run=run_told,
            experiment=experiment_told,
            artifacts=None,
            vocabulary=VOCABULARY,
            incomplete={},
        )
    except NormalizationError:
        return

    for each in (model_told, run_told, experiment_told, record):
        if each is not None:
            assert_storable(each)
    known = {name for name in FIELDS if record.value(name) not in (None, "", (), {})}
    assert known - {"lifecycle_stage"} <= record.provenance.keys()


@settings(max_examples=300, deadline=None)
@given(TAGS, TAGS, TAGS, TAGS)
def test_any_tags_give_the_record_of_a_sound_version(
    version: dict[str, str],
    model: dict[str, str],
    run: dict[str, str],
    experiment: dict[str, str],
) -> None:
    record = with_tags(version, model, run, experiment)

    assert_storable(record)
    assert record == with_tags(version, model, run, experiment)
