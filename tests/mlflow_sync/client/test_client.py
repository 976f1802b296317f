"""A real MLflow 3 is read whole, whatever people have put into it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from mlflow_sync.client import Client, Connection
from mlflow_sync.client.transport import API
from mlflow_sync.snapshots import (
    DatasetInput,
    ExperimentSnapshot,
    ModelSnapshot,
    RunSnapshot,
    VersionSnapshot,
)
from tests.registry import Registry, unique

ODD_NAMES = (
    'it\'s "quoted"',
    "100 % a%2Fb ?#&=+",
    "Kredit­scoring 信用 🏦",
    " edges ",
    "x" * 250,
)


@pytest.fixture
def client(registry: Registry) -> Any:
    with Client(Connection(registry.server.url), delays=()) as client:
        yield client


def model_of(client: Client, name: str) -> ModelSnapshot:
    [found] = [m for page in client.search_models() for m in page if m.name == name]
    return found


def versions_of(client: Client, name: str) -> list[VersionSnapshot]:
    return [v for page in client.search_versions() for v in page if v.name == name]


def experiment_of(client: Client, experiment_id: str) -> ExperimentSnapshot:
    [found] = [
        experiment
        for page in client.search_experiments()
        for experiment in page
        if experiment.experiment_id == experiment_id
    ]
    return found


def run_of(client: Client, run_id: str, experiment_id: str) -> RunSnapshot:
    [found] = client.fetch_runs([run_id], experiment_ids=[experiment_id])
    return found


class TestRows:
    def test_a_model_with_all_that_only_its_row_tells(
        self, client: Client, registry: Registry
    ) -> None:
        name = registry.model(
            unique("credit"),
            description="Ranks.",
            tags={"owner": "olga", "tier": "high"},
        )
        for _ in range(2):
            registry.version(name, source="s3://bucket/model")
        registry.post(
            "registered-models/alias", name=name, alias="champion", version="2"
        )
        registry.post(
            "model-versions/transition-stage", name=name, version="1", stage="Staging"
        )
        found = model_of(client, name)
        assert found.description == "Ranks."
        assert found.tags == {"owner": "olga", "tier": "high"}
        assert found.aliases == {"champion": "2"}
        assert found.latest_versions == {"None": "2", "Staging": "1"}
        assert found.creation_timestamp
        assert found.last_updated_timestamp >= found.creation_timestamp

    def test_a_version(self, client: Client, registry: Registry) -> None:
        name = registry.model(unique("credit"))
        run_id = registry.run(registry.experiment())
        registry.version(
            name,
            source=f"runs:/{run_id}/model",
            run_id=run_id,
            description="First.",
            tags={"risk_category": "high"},
        )
        [found] = versions_of(client, name)
        assert (found.version, found.run_id) == ("1", run_id)
        assert found.source == f"runs:/{run_id}/model"
        assert found.tags == {"risk_category": "high"}
        assert (found.description, found.current_stage) == ("First.", "None")
        assert found.status == "READY"

    def test_a_version_without_a_run(self, client: Client, registry: Registry) -> None:
        name = registry.model(unique("vendor"))
        registry.version(name, source="s3://bucket/model")
        [found] = versions_of(client, name)
        assert not found.run_id

    def test_a_run_with_datasets_and_all_that_it_logged(
        self, client: Client, registry: Registry
    ) -> None:
        experiment_id = registry.experiment()
        dataset = {
            "name": "loans",
            "digest": "abc",
            "source_type": "s3",
            "source": '{"uri": "s3://bucket/loans"}',
        }
        run_id = registry.run(
            experiment_id,
            tags={"owner": "max"},
            params={"depth": "5"},
            metrics={"auc": 0.91, "loss": 1e308, "zero": 0},
            datasets=[
                {
                    "dataset": dataset,
                    "tags": [{"key": "mlflow.data.context", "value": "training"}],
                }
            ],
        )
        found = run_of(client, run_id, experiment_id)
        assert found.params == {"depth": "5"}
        assert found.metrics == {"auc": 0.91, "loss": 1e308, "zero": 0}
        assert found.tags["owner"] == "max"
        assert found.dataset_inputs == (DatasetInput(**dataset, context="training"),)
        assert (found.status, found.lifecycle_stage) == ("FINISHED", "active")
        assert found.start_time
        assert found.end_time
        assert found.artifact_uri.endswith(f"/{run_id}/artifacts")

    def test_a_running_run_has_no_end(self, client: Client, registry: Registry) -> None:
        experiment_id = registry.experiment()
        run_id = registry.run(experiment_id, status="RUNNING")
        assert run_of(client, run_id, experiment_id).end_time is None

    def test_nan_and_infinity_are_floats(
        self, client: Client, registry: Registry
    ) -> None:
        experiment_id = registry.experiment()
        run_id = registry.run(experiment_id, metrics={"nan": "NaN", "inf": "Infinity"})
        metrics = run_of(client, run_id, experiment_id).metrics
        assert math.isnan(metrics["nan"])
        assert metrics["inf"] > 1e307

    def test_deleted_experiments_and_runs_are_told_as_deleted(
        self, client: Client, registry: Registry
    ) -> None:
        name = unique("gone")
        experiment_id = registry.experiment(name, tags=[{"key": "a", "value": "b"}])
        run_id = registry.run(experiment_id)
        registry.post("runs/delete", run_id=run_id)
        registry.post("experiments/delete", experiment_id=experiment_id)
        found = experiment_of(client, experiment_id)
        assert (found.name, found.lifecycle_stage) == (name, "deleted")
        assert found.tags == {"a": "b"}
        run = run_of(client, run_id, experiment_id)
        assert run.lifecycle_stage == "deleted"

    def test_purged_and_unknown_runs_are_absent_and_the_others_are_there(
        self, client: Client, registry: Registry
    ) -> None:
        experiment_id = registry.experiment()
        purged, kept = (registry.run(experiment_id) for _ in range(2))
        registry.purge(purged)
        asked = [purged, kept, "0" * 32, "", "it's') OR 1=1", "a\n", "é", kept]
        found = client.fetch_runs(asked, experiment_ids=[experiment_id])
        assert [run.run_id for run in found] == [kept]

    def test_no_experiments_means_no_runs_and_no_request(self, client: Client) -> None:
        assert client.fetch_runs(["0" * 32], experiment_ids=[]) == []
        assert client.requests == 0

    @pytest.mark.parametrize("odd", ODD_NAMES)
    def test_odd_names_survive(
        self, client: Client, registry: Registry, odd: str
    ) -> None:
        tags = {"a/b:c d": odd}
        name = registry.model(unique("") + odd, tags=tags)
        registry.version(name, source="s3://bucket/model", tags=tags)
        assert model_of(client, name).tags == tags
        assert versions_of(client, name)[0].tags == tags

    def test_long_parameters_and_tags_survive(
        self, client: Client, registry: Registry
    ) -> None:
        experiment_id = registry.experiment()
        run_id = registry.run(experiment_id, params={"prompt": "p" * 6000})
        name = registry.model(unique("long"), tags={"card": "c" * 100_000})
        assert run_of(client, run_id, experiment_id).params == {"prompt": "p" * 6000}
        assert model_of(client, name).tags == {"card": "c" * 100_000}

    def test_prompts_are_left_out(self, client: Client, registry: Registry) -> None:
        prompt = {"mlflow.prompt.is_prompt": "true"}
        name = registry.model(unique("greeting"), tags=prompt)
        registry.version(name, source="prompt-template", tags=prompt)
        found = [model.name for page in client.search_models() for model in page]
        assert name not in found
        assert versions_of(client, name) == []


class TestFingerprints:
    def test_reading_again_changes_none(
        self, client: Client, registry: Registry
    ) -> None:
        experiment_id = registry.experiment()
        run_id = registry.run(experiment_id, tags={"b": "1", "a": "2"})
        name = registry.model(unique("calm"), tags={"b": "1", "a": "2"})
        assert model_of(client, name) == model_of(client, name)
        assert run_of(client, run_id, experiment_id) == run_of(
            client, run_id, experiment_id
        )

    def test_changes_that_move_no_timestamp_are_seen(
        self, client: Client, registry: Registry
    ) -> None:
        experiment_id = registry.experiment()
        run_id = registry.run(experiment_id)
        name = registry.model(unique("restless"))
        registry.version(name, source="s3://bucket/model", run_id=run_id)

        def fingerprints() -> list[str]:
            return [
                model_of(client, name).fingerprint,
                versions_of(client, name)[0].fingerprint,
                run_of(client, run_id, experiment_id).fingerprint,
                experiment_of(client, experiment_id).fingerprint,
            ]

        tag = {"key": "owner", "value": "olga"}
        changes: tuple[tuple[set[int], str, dict[str, Any]], ...] = (
            ({0}, "registered-models/set-tag", {"name": name} | tag),
            (
                {0},
                "registered-models/alias",
                {"name": name, "alias": "champion", "version": "1"},
            ),
            # The version's row stands in the model's latest versions, too.
            ({0, 1}, "model-versions/set-tag", {"name": name, "version": "1"} | tag),
            ({2}, "runs/set-tag", {"run_id": run_id} | tag),
            (
                {2},
                "runs/log-metric",
                {"run_id": run_id, "key": "auc", "value": 0.9, "timestamp": 1},
            ),
            (
                {3},
                "experiments/set-experiment-tag",
                {"experiment_id": experiment_id} | tag,
            ),
        )
        before = fingerprints()
        for expected, path, body in changes:
            registry.post(path, **body)
            after = fingerprints()
            moved = {place for place in range(4) if before[place] != after[place]}
            assert moved == expected, path
            before = after


class TestPages:
    def test_all_pages_come_in_order_and_once(
        self, client: Client, registry: Registry
    ) -> None:
        name = registry.model(unique("many"))
        for _ in range(11):
            registry.version(name, source="s3://bucket/model")
        pages = list(client.search_versions(page_size=3))
        assert max(map(len, pages)) == 3
        found = [v.version for page in pages for v in page if v.name == name]
        assert found == [str(number) for number in range(1, 12)]
        keys = [(v.name, v.version) for page in pages for v in page]
        assert len(keys) == len(set(keys))

    def test_runs_come_in_one_request_for_three_hundred(
        self, client: Client, registry: Registry
    ) -> None:
        experiment_id = registry.experiment()
        ids = [registry.run(experiment_id) for _ in range(3)]
        unknown = [f"{number:032x}" for number in range(400)]
        found = client.fetch_runs([*unknown, *ids], experiment_ids=[experiment_id])
        assert {run.run_id for run in found} == set(ids)
        assert client.requests == 2

    def test_a_full_answer_costs_no_second_request(
        self, httpserver: HTTPServer
    ) -> None:
        """MLflow 2 gives a token, to nothing, with every page that is just full."""

        def serve(request: Request) -> Response:
            size = request.get_json()["max_results"]
            runs = [{"info": {"run_id": run_id}} for run_id in ("a", "b")]
            token = {"next_page_token": "2"} if len(runs) == size else {}
            return Response(json.dumps({"runs": runs} | token))

        httpserver.expect_request(f"{API}/runs/search").respond_with_handler(serve)
        with Client(Connection(httpserver.url_for("")), delays=()) as client:
            assert len(client.fetch_runs(["a", "b"], experiment_ids=["1"])) == 2
            assert client.requests == 1

    def test_rows_that_were_pushed_onto_the_next_page_come_once(
        self, httpserver: HTTPServer
    ) -> None:
        """Nor does an empty page end the list, nor an empty token prolong it."""
        pages = {
            "": ["a", "b"],
            "1": ["b", "c"],  # a model was registered before "a" meanwhile
            "2": [],  # all of it filtered out by MLflow's permissions
            "3": ["d", "d"],
        }
        following = {"": "1", "1": "2", "2": "3", "3": ""}

        def serve(request: Request) -> Response:
            token = request.args.get("page_token", "")
            found = [{"name": name} for name in pages[token]]
            return Response(
                json.dumps(
                    {"registered_models": found, "next_page_token": following[token]}
                )
            )

        httpserver.expect_request(
            f"{API}/registered-models/search"
        ).respond_with_handler(serve)
        with Client(Connection(httpserver.url_for("")), delays=()) as client:
            found = [[model.name for model in page] for page in client.search_models()]
        assert found == [["a", "b"], ["c"], [], ["d"]]

    def test_prompts_of_a_server_that_lists_them_are_left_out(
        self, httpserver: HTTPServer
    ) -> None:
        prompt = [{"key": "mlflow.prompt.is_prompt", "value": "True"}]
        httpserver.expect_request(f"{API}/registered-models/search").respond_with_json(
            {"registered_models": [{"name": "greet", "tags": prompt}, {"name": "m"}]}
        )
        httpserver.expect_request(f"{API}/model-versions/search").respond_with_json(
            {"model_versions": [{"name": "greet", "version": "1", "tags": prompt}]}
        )
        with Client(Connection(httpserver.url_for("")), delays=()) as client:
            assert [m.name for p in client.search_models() for m in p] == ["m"]
            assert list(client.search_versions()) == [[]]
