"""The files of a version are found in every layout, and only the telling ones are read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from mlflow_sync.client import Client, Connection, artifacts
from mlflow_sync.client.transport import API
from mlflow_sync.exceptions import FailureKind, SyncError
from mlflow_sync.snapshots import ArtifactsSnapshot, VersionSnapshot
from tests.registry import Registry, unique
from tests.wire import gate

EVERYTHING = re.compile("")
MLMODEL = b"flavors:\n  python_function: {}\n"


@pytest.fixture
def client(registry: Registry) -> Iterator[Client]:
    with Client(Connection(registry.server.url), delays=()) as client:
        yield client


@pytest.fixture
def experiment_id(registry: Registry) -> str:
    return registry.experiment()


@pytest.fixture
def run_id(registry: Registry, experiment_id: str) -> str:
    return registry.run(experiment_id)


def version_of(
    registry: Registry, source: str, run_id: str = "", name: str = ""
) -> VersionSnapshot:
    name = registry.model(name or unique("model"))
    number = registry.version(name, source=source, run_id=run_id)
    return VersionSnapshot(
        name=name, version=number, source=source, run_id=run_id, fingerprint=""
    )


def paths(found: ArtifactsSnapshot) -> list[str]:
    return [file.path for file in found.files]


class TestLayouts:
    def test_mlflow_2_files_of_the_run(
        self, client: Client, registry: Registry, experiment_id: str, run_id: str
    ) -> None:
        root = f"{experiment_id}/{run_id}/artifacts"
        registry.put(f"{root}/model/MLmodel", MLMODEL)
        registry.put(f"{root}/model/conda.yaml", b"name: x\n")
        registry.put(f"{root}/model/python_env.yaml", b"python: 3.11\n")
        registry.put(f"{root}/model/requirements.txt", b"mlflow\n")
        registry.put(f"{root}/model/model.pkl", b"pickle")
        registry.put(f"{root}/model/data/deep/weights.bin", b"0123")
        registry.put(f"{root}/reports/fairness report ü.json", b"{}")
        registry.put(f"{root}/reports/plot.png", b"png")
        source = f"mlflow-artifacts:/{root}/model"
        found = client.fetch_artifacts(version_of(registry, source, run_id))

        assert found.root == source
        assert found.failures == {}
        sizes = {file.path: file.size for file in found.files}
        assert sizes["MLmodel"] == len(MLMODEL)
        assert sizes["data/deep/weights.bin"] == 4
        run = f"runs:/{run_id}/reports"
        assert sizes[f"{run}/plot.png"] == 3
        assert len(sizes) == 8
        assert found.contents == {
            "MLmodel": MLMODEL,
            "conda.yaml": b"name: x\n",
            "python_env.yaml": b"python: 3.11\n",
            "requirements.txt": b"mlflow\n",
            f"{run}/fairness report ü.json": b"{}",
        }

    def test_mlflow_3_files_of_the_logged_model(
        self, client: Client, registry: Registry, experiment_id: str, run_id: str
    ) -> None:
        model_id = registry.logged_model(experiment_id, run_id)
        root = f"{experiment_id}/models/{model_id}/artifacts"
        registry.put(f"{root}/MLmodel", MLMODEL)
        registry.put(f"{root}/code/train.py", b"pass")
        registry.put(f"{root}/MODEL-CARD.md", b"# Card")
        registry.put(f"{experiment_id}/{run_id}/artifacts/bias.txt", b"none")
        version = version_of(registry, f"models:/{model_id}", run_id)
        found = client.fetch_artifacts(version)

        assert found.root == f"mlflow-artifacts:/{root}"
        assert found.failures == {}
        bias = f"runs:/{run_id}/bias.txt"
        assert paths(found) == ["MLmodel", "MODEL-CARD.md", "code/train.py", bias]
        assert found.contents == {
            "MLmodel": MLMODEL,
            "MODEL-CARD.md": b"# Card",
            bias: b"none",
        }

    def test_a_copy_of_another_version(
        self, client: Client, registry: Registry, experiment_id: str, run_id: str
    ) -> None:
        root = f"{experiment_id}/{run_id}/artifacts/model"
        registry.put(f"{root}/MLmodel", MLMODEL)
        first = version_of(registry, f"mlflow-artifacts:/{root}", run_id)
        copy = version_of(registry, f"models:/{first.name}/1", run_id)
        found = client.fetch_artifacts(copy)
        assert found.root == f"mlflow-artifacts:/{root}"
        assert found.contents == {"MLmodel": MLMODEL}

    def test_a_copy_of_a_logged_model(
        self, client: Client, registry: Registry, experiment_id: str, run_id: str
    ) -> None:
        model_id = registry.logged_model(experiment_id, run_id)
        root = f"{experiment_id}/models/{model_id}/artifacts"
        registry.put(f"{root}/MLmodel", MLMODEL)
        first = version_of(registry, f"models:/{model_id}", run_id)
        copy = version_of(registry, f"models:/{first.name}/1", run_id)
        found = client.fetch_artifacts(copy)
        assert found.root == f"mlflow-artifacts:/{root}"
        assert found.contents == {"MLmodel": MLMODEL}

    @pytest.mark.parametrize("path", ["/model", ""])
    def test_a_source_in_the_words_of_a_run(
        self,
        client: Client,
        registry: Registry,
        experiment_id: str,
        run_id: str,
        path: str,
    ) -> None:
        root = f"{experiment_id}/{run_id}/artifacts{path}"
        registry.put(f"{root}/MLmodel", MLMODEL)
        version = version_of(registry, f"runs:/{run_id}{path}", run_id)
        found = client.fetch_artifacts(version)
        assert found.root == f"mlflow-artifacts:/{root}"
        assert found.failures == {}
        assert found.contents == {"MLmodel": MLMODEL}

    def test_a_deleted_run_keeps_its_files(
        self, client: Client, registry: Registry, experiment_id: str, run_id: str
    ) -> None:
        root = f"{experiment_id}/{run_id}/artifacts/model"
        registry.put(f"{root}/MLmodel", MLMODEL)
        version = version_of(registry, f"mlflow-artifacts:/{root}", run_id)
        registry.post("runs/delete", run_id=run_id)
        assert client.fetch_artifacts(version).contents == {"MLmodel": MLMODEL}

    def test_files_outlive_a_purged_run(
        self, client: Client, registry: Registry, experiment_id: str, run_id: str
    ) -> None:
        """MLflow cannot list them any more, and still hands them out by name."""
        root = f"{experiment_id}/{run_id}/artifacts/model"
        version = version_of(registry, f"mlflow-artifacts:/{root}", run_id)
        registry.purge(run_id)
        registry.put(f"{root}/MLmodel", MLMODEL)
        registry.put(f"{root}/requirements.txt", b"mlflow\n")
        found = client.fetch_artifacts(version)
        assert found.contents == {"MLmodel": MLMODEL, "requirements.txt": b"mlflow\n"}
        assert paths(found) == ["MLmodel", "requirements.txt"]
        assert list(found.failures) == [""]
        assert "(404)" in found.failures[""]

    def test_a_version_without_files_or_run(
        self, client: Client, registry: Registry, experiment_id: str, run_id: str
    ) -> None:
        root = f"{experiment_id}/{run_id}/artifacts/model"
        version = version_of(registry, f"mlflow-artifacts:/{root}", run_id)
        found = client.fetch_artifacts(version)
        assert (found.files, found.contents, found.failures) == ((), {}, {})

    def test_a_store_that_the_server_cannot_read_is_told_and_not_raised(
        self, client: Client, registry: Registry, run_id: str
    ) -> None:
        version = version_of(registry, "s3://bucket/model", run_id)
        found = client.fetch_artifacts(version)
        assert found.root == "s3://bucket/model"
        assert found.files == ()
        assert "The tracking server failed (500)" in found.failures[""]

    @pytest.mark.parametrize("source", [None, "", "dbfs:/a", "models:/gone/1", "…"])
    def test_sources_that_lead_nowhere(
        self, client: Client, source: str | None
    ) -> None:
        version = VersionSnapshot(
            name="nobody's", version="1", source=source, fingerprint=""
        )
        found = client.fetch_artifacts(version)
        assert found.files == ()
        assert found.failures[""]

    def test_a_proxy_that_lets_only_the_api_through(
        self, registry: Registry, experiment_id: str, run_id: str
    ) -> None:
        """The blocked routes are tried once, not for every file."""
        root = f"{experiment_id}/{run_id}/artifacts"
        registry.put(f"{root}/model/MLmodel", MLMODEL)
        registry.put(f"{root}/model/odd & ü = name fairness.md", b"# Fair")
        version = version_of(registry, f"mlflow-artifacts:/{root}/model", run_id)
        closed = ("/model-versions", "/get-artifact")
        with (
            gate(registry.server.url, closed=closed) as proxy,
            Client(Connection(proxy.url), delays=()) as client,
        ):
            found = client.fetch_artifacts(version)
            requests = client.requests
            assert client.fetch_artifacts(version) == found
        assert found.failures == {}
        assert found.contents == {
            "MLmodel": MLMODEL,
            "odd & ü = name fairness.md": b"# Fair",
        }
        assert client.requests - requests == requests - 2


class Store:
    """An artifact listing and its files, as a server might tell them."""

    def __init__(self, listing: dict[str, list[dict[str, Any]]]) -> None:
        self.listing = listing
        self.asked: list[str] = []
        self.read: list[str] = []
        self.status = 200
        self.content = b"text"

    def __call__(self, request: Request) -> Response:
        if request.path.endswith("/directories"):
            path = request.args.get("artifact_directory_path", "")
            self.asked.append(path)
            answer = {"root_uri": "file:///m", "files": self.listing.get(path, [])}
            return Response(json.dumps(answer))
        self.read.append(request.args["path"])
        return Response(self.content, self.status)

    def fetch(self, server: HTTPServer) -> ArtifactsSnapshot:
        server.expect_request(EVERYTHING).respond_with_handler(self)
        version = VersionSnapshot(
            name="a/b:c", version="1", source="models:/m-1", fingerprint=""
        )
        with Client(Connection(server.url_for("")), sleep=lambda _: None) as client:
            return client.fetch_artifacts(version)


def file(path: str, size: Any = 4) -> dict[str, Any]:
    return {"path": path, "is_dir": False, "file_size": size}


def folder(path: str) -> dict[str, Any]:
    return {"path": path, "is_dir": True}


class TestBounds:
    def test_only_environment_files_and_small_reports_are_read(
        self, httpserver: HTTPServer
    ) -> None:
        read = [
            "MLmodel",
            "requirements.txt",
            "Fairness_Report.MD",
            "bias.txt",
            "evaluation.json",
            "model_card.md",
        ]
        left = ["model.pkl", "bias.pkl", "data.json", "readme.md", "fairness.html"]
        store = Store({"": [file(name) for name in (*left, *read)]})
        found = store.fetch(httpserver)
        assert sorted(found.contents) == sorted(read)
        assert sorted(store.read) == sorted(read)
        assert len(found.files) == len(read) + len(left)
        assert httpserver.log[-1][0].args["name"] == "a/b:c"

    def test_an_environment_file_of_another_folder_is_not_the_models(
        self, httpserver: HTTPServer
    ) -> None:
        store = Store({"": [folder("code")], "code": [file("code/requirements.txt")]})
        assert store.fetch(httpserver).contents == {}

    def test_a_file_that_says_it_is_large_is_not_asked_for(
        self, httpserver: HTTPServer
    ) -> None:
        store = Store({"": [file("MLmodel", 5_000_000_000)]})
        found = store.fetch(httpserver)
        assert store.read == []
        assert "larger than 1,048,576 bytes" in found.failures["MLmodel"]
        assert found.files[0].size == 5_000_000_000

    @pytest.mark.parametrize("size", [4, None, "4", "four", -4])
    def test_a_file_that_is_larger_than_it_says_is_given_up(
        self, httpserver: HTTPServer, size: Any
    ) -> None:
        store = Store({"": [file("MLmodel", size)]})
        store.content = b"x" * 5_000_000
        found = store.fetch(httpserver)
        assert found.contents == {}
        assert "larger than 1,048,576 bytes" in found.failures["MLmodel"]

    def test_files_and_bytes_of_one_version_are_bounded(
        self, httpserver: HTTPServer
    ) -> None:
        many = [file(f"bias{number:03}.txt") for number in range(60)]
        big = [file(f"fairness{number}.txt", 900_000) for number in range(6)]
        store = Store({"": [*many, *big]})
        found = store.fetch(httpserver)
        assert len(store.read) == artifacts.MAX_READ_FILES
        assert len(found.contents) + len(found.failures) == 66
        assert "too many reports" in found.failures["bias059.txt"]

    def test_a_listing_stops_somewhere(self, httpserver: HTTPServer) -> None:
        store = Store(
            {
                "": [file(f"checkpoint-{number}") for number in range(999)]
                + [folder("more")],
                "more": [file("more/a"), file("more/b"), folder("more/still")],
            }
        )
        found = store.fetch(httpserver)
        assert len(found.files) == 1000
        assert store.asked == ["", "more"]
        assert found.failures == {"": "The listing was stopped after 1,000 files."}

    def test_a_folder_of_many_files_is_cut_and_what_is_read_is_not_cut_off(
        self, httpserver: HTTPServer
    ) -> None:
        store = Store(
            {"": [*(file(f"{n:05}.bin") for n in range(10_000)), file("MLmodel")]}
        )
        found = store.fetch(httpserver)
        assert len(found.files) == 1000
        assert store.read == ["MLmodel"]
        assert found.failures == {"": "The listing was stopped after 1,000 files."}

    def test_a_listing_that_ends_at_the_bound_is_whole(
        self, httpserver: HTTPServer
    ) -> None:
        store = Store({"": [folder("a")], "a": [file(f"a/{n}") for n in range(1000)]})
        found = store.fetch(httpserver)
        assert (len(found.files), found.failures) == (1000, {})

    def test_a_path_without_end_is_left_out_and_told_in_short(
        self, httpserver: HTTPServer
    ) -> None:
        store = Store({"": [file("x" * 100_000), file("MLmodel")]})
        found = store.fetch(httpserver)
        assert paths(found) == ["MLmodel"]
        assert found.failures == {
            "x" * 4096 + "…": "The path is longer than 4,096 characters."
        }

    @pytest.mark.parametrize("size", ["9" * 5000, "٣", [4], True, 1e3])
    def test_a_size_that_is_none_is_unknown(
        self, httpserver: HTTPServer, size: Any
    ) -> None:
        store = Store({"": [file("weights.bin", size)]})
        assert [each.size for each in store.fetch(httpserver).files] == [None]

    @pytest.mark.parametrize(
        "files", ["abc", {"path": "MLmodel"}, ["MLmodel"], [None], 7]
    )
    def test_what_is_no_list_of_files_is_told_so(
        self, httpserver: HTTPServer, files: Any
    ) -> None:
        found = Store({"": files}).fetch(httpserver)
        assert found.files == ()
        assert found.failures == {
            "": "The tracking server's list of files is not as MLflow makes them."
        }

    def test_a_folder_within_itself_ends(self, httpserver: HTTPServer) -> None:
        class Endless(dict[str, Any]):
            def get(self, path: str, default: Any = None) -> Any:
                return [
                    folder(f"{path}/a".lstrip("/")),
                    folder(f"{path}/b".lstrip("/")),
                ]

        store = Store(Endless())
        found = store.fetch(httpserver)
        assert len(store.asked) == artifacts.MAX_FOLDERS
        assert found.failures[""] == "The listing was stopped after 0 files."

    def test_folders_that_lie_too_deep_are_told(self, httpserver: HTTPServer) -> None:
        way = ["/".join("abcdefg"[:depth]) for depth in range(8)]
        store = Store({above: [folder(below)] for above, below in pairwise(way)})
        found = store.fetch(httpserver)
        assert list(found.failures) == ["a/b/c/d/e/f"]

    @pytest.mark.parametrize(
        "path", ["../../etc/passwd", "/etc/passwd", "a/../../b", "a//b", "", "."]
    )
    def test_a_path_that_leads_out_is_told_and_never_asked_for(
        self, httpserver: HTTPServer, path: str
    ) -> None:
        store = Store({"": [folder(path), file(path), file("MLmodel")]})
        found = store.fetch(httpserver)
        assert store.asked == [""]
        assert (
            found.failures[path] == "The path leads out of the folder that was listed."
        )
        assert list(found.contents) == ["MLmodel"]

    def test_a_failing_store_is_asked_once_and_the_rest_is_told(
        self, httpserver: HTTPServer
    ) -> None:
        store = Store({"": [file("MLmodel"), file("conda.yaml"), file("bias.md")]})
        store.status = 500
        found = store.fetch(httpserver)
        assert len(store.read) == 1
        assert set(found.failures) == {"MLmodel", "conda.yaml", "bias.md"}

    def test_a_file_that_is_gone_by_now_is_told(self, httpserver: HTTPServer) -> None:
        store = Store({"": [file("MLmodel"), file("conda.yaml")]})
        store.status = 404
        found = store.fetch(httpserver)
        assert store.read == ["MLmodel", "conda.yaml"]
        assert "(404)" in found.failures["MLmodel"]

    def test_a_server_that_refuses_the_credentials_ends_the_sync(
        self, httpserver: HTTPServer
    ) -> None:
        store = Store({"": [file("MLmodel")]})
        store.status = 401
        with pytest.raises(SyncError) as caught:
            store.fetch(httpserver)
        assert caught.value.kind is FailureKind.UNAUTHORIZED

    def test_an_artifacts_bytes_are_handed_on_as_they_are(
        self, httpserver: HTTPServer
    ) -> None:
        content = b"<html>\x00!!python/object/apply:os.system"
        store = Store({"": [file("MLmodel", len(content))]})
        store.content = content
        assert store.fetch(httpserver).contents == {"MLmodel": store.content}


@pytest.mark.parametrize("source", ["s3://b/1/r1/artifacts/m", "models:/m-1"])
def test_a_store_that_fails_is_not_asked_for_the_rest_of_the_run(
    httpserver: HTTPServer, source: str
) -> None:
    httpserver.expect_request(EVERYTHING).respond_with_data("<p>Boom", 503)
    version = VersionSnapshot(
        name="m", version="1", source=source, run_id="r1", fingerprint=""
    )
    with Client(Connection(httpserver.url_for("")), sleep=lambda _: None) as client:
        found = client.fetch_artifacts(version)
    assert len(httpserver.log) == 1
    assert set(found.failures) == {"", "runs:/r1/"}
    assert "(503)" in found.failures["runs:/r1/"]


def test_a_store_that_fails_hides_nothing_of_another_one(
    httpserver: HTTPServer,
) -> None:
    """A model that was bought lies elsewhere than the run that evaluated it."""
    httpserver.expect_request("/model-versions/get-artifact").respond_with_data("", 500)
    httpserver.expect_request(f"{API}/artifacts/list").respond_with_json(
        {"root_uri": "mlflow-artifacts:/1/r1/artifacts", "files": [file("plot.png")]}
    )
    version = VersionSnapshot(
        name="m", version="1", source="s3://vendor/m", run_id="r1", fingerprint=""
    )
    with Client(Connection(httpserver.url_for("")), sleep=lambda _: None) as client:
        found = client.fetch_artifacts(version)
    assert paths(found) == ["runs:/r1/plot.png"]
    assert "(500)" in found.failures[""]
