"""Models that runs logged, as a real MLflow tells them, and tags that are none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from mlflow_sync.client import Client, Connection, LoggedPage
from mlflow_sync.client import client as reading
from mlflow_sync.client.logged import HISTORY, read_history, read_runs
from mlflow_sync.client.transport import API
from mlflow_sync.exceptions import FailureKind, SyncError
from tests.registry import Registry, history


@pytest.fixture
def client(registry: Registry) -> Iterator[Client]:
    with Client(Connection(registry.server.url), delays=()) as client:
        yield client


def test_logged_models_come_by_id_with_what_a_version_of_them_says(
    client: Client, registry: Registry
) -> None:
    experiment = registry.experiment()
    run_id = registry.run(experiment)
    ids = [registry.logged_model(experiment, run_id) for _ in range(3)]

    [page] = client.search_logged_models([experiment])

    assert page.ids == tuple(f"models:/{model_id}" for model_id in sorted(ids))
    assert (page.token, page.doubtful) == ("", ())
    model = page.models[0]
    assert model.address == page.ids[0]
    assert model.sources[0] == model.address
    assert model.sources[1].endswith(f"/models/{sorted(ids)[0]}/artifacts")
    assert (model.name, model.run_id, model.experiment_id) == (
        "model",
        run_id,
        experiment,
    )
    assert model.status == "PENDING"
    assert model.creation_timestamp


def test_pages_go_on_from_a_token_with_the_same_experiments_only(
    client: Client, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LOGGED_PER_REQUEST", 2)
    experiments = [registry.experiment() for _ in range(2)]
    for experiment in experiments * 3:
        registry.logged_model(experiment, registry.run(experiment))
    whole = list(client.search_logged_models(experiments))
    assert [len(page.ids) for page in whole] == [2, 2, 2]

    rest = list(client.search_logged_models(experiments, token=whole[0].token))
    assert rest == whole[1:]
    with pytest.raises(SyncError) as refusal:
        list(client.search_logged_models(experiments[:1], token=whole[0].token))
    assert refusal.value.kind is FailureKind.BAD_REQUEST


def test_runs_tell_the_models_that_mlflow_2_logged(
    client: Client, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "RUNS_PER_REQUEST", 1)
    experiment = registry.experiment()
    runs = [registry.run(experiment) for _ in range(3)]
    for run_id in runs[:2]:
        registry.tag_run(run_id, HISTORY, history(run_id, "model", "a/scaler"))
    deleted = registry.run(experiment)
    registry.tag_run(deleted, HISTORY, history(deleted, "model"))
    registry.post("runs/delete", run_id=deleted)

    pages = list(client.search_logging_runs([experiment]))

    told = [run_id for page in pages for run_id in page.ids]
    assert told == sorted(runs[:2])
    first = pages[0].models[1]
    assert first.address == f"runs:/{told[0]}/a/scaler"
    assert first.sources == (
        first.address,
        f"mlflow-artifacts:/{experiment}/{told[0]}/artifacts/a/scaler",
    )
    assert (first.name, first.run_id, first.status) == (
        "a/scaler",
        told[0],
        "FINISHED",
    )
    assert first.model_type == "python_function, sklearn"
    assert first.creation_timestamp == 1_795_513_508_658
    rest = list(client.search_logging_runs([experiment], token=pages[0].token))
    assert rest == pages[1:]


def test_a_tag_that_mlflow_cut_tells_what_is_whole_of_it_and_is_doubtful(
    client: Client, registry: Registry
) -> None:
    experiment = registry.experiment()
    run_id = registry.run(experiment)
    paths = [f"model-{number:03}-{'x' * 100}" for number in range(60)]
    registry.tag_run(run_id, HISTORY, history(run_id, *paths))

    [page] = client.search_logging_runs([experiment])

    assert page.doubtful == (run_id,)
    assert 0 < len(page.models) < len(paths)
    assert [model.name for model in page.models] == paths[: len(page.models)]


def run_row(told: object, **info: Any) -> dict[str, Any]:
    text = told if isinstance(told, str) else json.dumps(told)
    return {
        "info": {"run_id": "r1", **info},
        "data": {"tags": [{"key": HISTORY, "value": text}]},
    }


def read(*rows: dict[str, Any]) -> LoggedPage:
    return read_runs({"runs": list(rows)})


@pytest.mark.parametrize(
    "told",
    [
        "",
        "never",
        "[",
        '["model"',
        "{}",
        '[{"artifact_path": 7}]',
        "[{}]",
        '[{"artifact_path": "a"}] and more',
        "[" * 100_000,
        '[{"artifact_path": "a"} {"artifact_path": "b"}]',
    ],
)
def test_a_tag_that_is_not_mlflows_is_doubtful(told: str) -> None:
    assert read(run_row(told)).doubtful == ("r1",)


@pytest.mark.parametrize(
    "told", ["[]", '[{"artifact_path": "a"} , {"artifact_path": "b"} ] ']
)
def test_a_tag_that_is_whole_is_not(told: str) -> None:
    assert read(run_row(told)).doubtful == ()


def test_an_entry_without_anything_else_is_still_a_model() -> None:
    page = read(run_row([{"artifact_path": "m", "utc_time_created": "soon"}]))

    [model] = page.models
    assert (model.address, model.sources) == ("runs:/r1/m", ("runs:/r1/m",))
    assert (model.model_type, model.creation_timestamp) == ("", None)


def test_a_path_that_was_logged_twice_is_one_model_as_it_was_last() -> None:
    entries: Sequence[dict[str, Any]] = [
        {"artifact_path": "m", "flavors": {"sklearn": {}}},
        {"artifact_path": "m/", "flavors": {"xgboost": {}}},
    ]

    [model] = read(run_row(entries)).models

    assert model.model_type == "xgboost"


def test_a_history_is_read_entry_by_entry() -> None:
    assert read_history('[{"a": 1}, {"b": "]"}, {"c":') == (
        [{"a": 1}, {"b": "]"}],
        False,
    )


def test_mlflow_2_has_no_logged_models(httpserver: HTTPServer) -> None:
    path = f"{API}/logged-models/search"
    httpserver.expect_request(path).respond_with_data("<title>404</title>", 404)
    with (
        Client(Connection(httpserver.url_for("")), delays=()) as client,
        pytest.raises(SyncError) as refusal,
    ):
        list(client.search_logged_models(["1"]))
    assert refusal.value.kind is FailureKind.NOT_FOUND
