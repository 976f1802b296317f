"""Several listings in one request, from real servers."""

from __future__ import annotations

from functools import partial

import pytest
from werkzeug import Request, Response

from accounts import tenancy
from accounts.models import Organization
from inventory.models import ModelVersion
from mlflow_sync.client import Client, Connection, pace
from mlflow_sync.client.batching import ENDPOINT, list_many, listing
from mlflow_sync.client.queries import LISTINGS
from mlflow_sync.client.transport import Transport
from mlflow_sync.exceptions import NotReadOnly
from mlflow_sync.files import listing as files
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.servers import Credentials, save_server
from tests.mlflow_sync.conftest import sync_to_end
from tests.mlflow_sync.faulty import Faulty, html, on
from tests.registry import Registry, unique
from tests.servers import ADMIN, MlflowServer

FILES = ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt")


def with_files(registry: Registry, name: str, *, versions: int) -> list[str]:
    """Register versions of the MLflow 2 layout, with their files; return the runs."""
    experiment = registry.experiment()
    registry.model(name)
    runs = []
    for number in range(versions):
        run_id = registry.run(experiment, metrics={"auc": number / 10})
        place = f"{experiment}/{run_id}/artifacts/model"
        folder = registry.server.folder / "artifacts" / place
        folder.mkdir(parents=True)
        for file in FILES:
            (folder / file).write_text("a: b")
        registry.version(name, source=f"mlflow-artifacts:/{place}", run_id=run_id)
        runs.append(run_id)
    return runs


def test_many_listings_are_what_each_alone_would_be(
    mlflow_server: MlflowServer, registry: Registry
) -> None:
    runs = with_files(registry, unique("batched"), versions=6)
    asked = [(run, path) for run in runs for path in ("", "model")]
    transport = Transport(Connection(mlflow_server.url))

    found = list_many(transport, [*asked, ("0" * 32, "")])

    assert transport.requests == 2  # ten at once, then the rest
    assert set(found) == {listing(*each) for each in asked}  # nobody has that run
    for query, answer in found.items():
        alone = transport.get_json(ENDPOINT, query)
        assert answer["root_uri"] == alone["root_uri"]
        sizes = {entry["path"]: entry.get("file_size") for entry in alone["files"]}
        assert {
            entry["path"]: int(entry["file_size"] or 0) or None
            for entry in answer["files"]
        } == {path: size or None for path, size in sizes.items()}


@pytest.mark.parametrize(
    "document",
    [
        "mutation { mlflowSearchRuns(input: {}) { apiError { code } } }",
        LISTINGS[1] + " ",
        "",
    ],
)
def test_no_document_but_ours_is_sent(
    mlflow_server: MlflowServer, document: str
) -> None:
    transport = Transport(Connection(mlflow_server.url))

    with pytest.raises(NotReadOnly):
        transport.post_json("/graphql", {"query": document})

    assert transport.requests == 0


@pytest.mark.django_db(transaction=True)
def test_where_a_request_is_dear_fewer_are_sent_and_the_same_is_read(
    acme: Organization,
    borealis: Organization,
    basic_auth_server: MlflowServer,
    basic_auth_registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a server whose basic-auth takes its toll of every request."""
    monkeypatch.setattr(pace, "ENOUGH", 1)
    monkeypatch.setattr(files, "AHEAD", 0)  # so that the first few have been timed
    name, more = unique("dear"), 10
    with_files(basic_auth_registry, name, versions=more)
    user, password = ADMIN

    def read(organization: Organization, dear: float) -> SyncRun:
        monkeypatch.setattr(pace, "DEAR", dear)
        with tenancy.acting_for(organization):
            server = save_server(
                TrackingServer(url=basic_auth_server.url, auth_method="basic"),
                name="Basic",
                credentials=Credentials(username=user, password=password),
            )
        return sync_to_end(organization, server, artifacts=True)

    one_by_one = read(acme, dear=1000)
    batched = read(borealis, dear=0)

    assert batched.status == one_by_one.status == SyncRun.Status.SUCCEEDED
    saved = one_by_one.count("requests") - batched.count("requests")
    assert saved >= 9  # of the twenty listings the last ten, asked for in one request
    assert _digests(acme, name) == _digests(borealis, name)


@pytest.mark.django_db(transaction=True)
def test_where_there_is_no_graphql_it_is_asked_for_once(
    acme: Organization,
    own_registry: Registry,
    faulty: Faulty,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "DEAR", 0)
    name = unique("no graphql")
    with_files(own_registry, name, versions=24)
    asked: list[str] = []
    refuse = on("/graphql", html(404))

    def fault(request: Request, response: Response) -> Response:
        asked.append(request.path)
        return refuse(request, response)

    faulty.fault = fault
    with tenancy.acting_for(acme):
        server = save_server(TrackingServer(url=faulty.url), name="Old")

    run = sync_to_end(acme, server, artifacts=True)

    assert run.status == SyncRun.Status.SUCCEEDED
    assert 1 <= asked.count("/graphql") <= server.concurrency
    assert all(len(rows) == len(FILES) for rows in _digests(acme, name).values())


def test_a_client_lists_ahead_what_it_then_need_not_ask_for(
    mlflow_server: MlflowServer, registry: Registry
) -> None:
    name = unique("ahead")
    with_files(registry, name, versions=2)
    with Client(Connection(mlflow_server.url)) as client:
        versions = [
            (version, None)
            for page in client.search_versions(name=name)
            for version in page
        ]
        before = client.requests
        fetch = partial(client.fetch_artifacts, known=client.list_ahead(versions))
        found = [fetch(version) for version, _ in versions]

    assert client.requests - before == 1 + 2 * len(FILES)
    assert [set(each.contents) for each in found] == [set(FILES)] * 2


def _digests(organization: Organization, name: str) -> dict[int, dict[str, str]]:
    with tenancy.acting_for(organization):
        versions = ModelVersion.objects.present().filter(registered_model__name=name)
        return {
            version.version_number: {
                file["path"]: file["sha256"] for file in version.artifact_manifest
            }
            for version in versions
        }
