"""Whole syncs, from the set-ups in which customers run MLflow 3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from accounts import tenancy
from accounts.models import Organization
from inventory.models import ModelVersion, RegisteredModel
from inventory.records import Section
from mlflow_sync import servers
from mlflow_sync.models import SyncFailure, SyncRun, TrackingServer
from mlflow_sync.servers import Credentials, save_server
from tests.mlflow_sync.conftest import sync_to_end
from tests.registry import Registry, unique
from tests.servers import PREFIX, Flavour, MlflowServer, shared_mlflow
from tests.wire import gate

pytestmark = pytest.mark.django_db(transaction=True)

MLMODEL = b"flavors:\n  python_function: {}\n"

Opening = Callable[[], Registry]


@pytest.fixture(scope="module")
def prefixed(shared_folder: Path) -> Iterator[Registry]:
    folder = shared_folder / "mlflow-prefixed"
    with shared_mlflow(folder, Flavour.PREFIXED) as server, Registry(server) as found:
        yield found


@pytest.fixture(scope="module")
def unserved(shared_folder: Path) -> Iterator[Registry]:
    folder = shared_folder / "mlflow-unserved"
    with shared_mlflow(folder, Flavour.UNSERVED) as server, Registry(server) as found:
        yield found


@pytest.fixture(scope="module")
def with_workspaces(shared_folder: Path) -> Iterator[MlflowServer]:
    folder = shared_folder / "mlflow-workspaces"
    with shared_mlflow(folder, Flavour.WORKSPACES) as server:
        yield server


@pytest.fixture
def open_workspace(with_workspaces: MlflowServer) -> Iterator[Opening]:
    """Make a workspace, in which nothing is yet, and write into it."""
    with ExitStack() as stack:
        everywhere = stack.enter_context(Registry(with_workspaces))

        def open_one() -> Registry:
            name = unique("risk").replace(" ", "-")
            everywhere.post("/api/3.0/mlflow/workspaces", name=name)
            return stack.enter_context(Registry(with_workspaces, workspace=name))

        yield open_one


def saved(
    organization: Organization, url: str, *, name: str = "Production", **settings: Any
) -> TrackingServer:
    credentials = settings.pop("credentials", None)
    with tenancy.acting_for(organization):
        return save_server(
            TrackingServer(url=url, **settings), name=name, credentials=credentials
        )


def answer_of(organization: Organization, server: TrackingServer) -> servers.TestResult:
    with tenancy.acting_for(organization):
        return servers.test_server(server)


def register(registry: Registry, name: str, *, owner: str = "nina@example.org") -> str:
    """Register a model with files as MLflow 2 and 3 lay them; return its experiment."""
    experiment = registry.experiment()
    run_id = registry.run(experiment, tags={"owner": owner}, metrics={"auc": 0.9})
    logged = registry.logged_model(experiment, run_id)
    root = registry.server.folder / "artifacts"
    if registry.workspace:
        root = root / "workspaces" / registry.workspace
    lay_out(root / experiment, run_id, logged)
    registry.model(name)
    registry.version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    registry.version(name, source=f"models:/{logged}", run_id=run_id)
    return experiment


def lay_out(root: Path, run_id: str, logged: str) -> None:
    """Put a model's file where a run of MLflow 2 has it, and a logged model of 3."""
    for folder in (
        root / run_id / "artifacts" / "model",
        root / "models" / logged / "artifacts",
    ):
        folder.mkdir(parents=True)
        (folder / "MLmodel").write_bytes(MLMODEL)


def version_of(server: TrackingServer, name: str, number: int = 1) -> ModelVersion:
    return ModelVersion.objects.present().get(
        source=server.source, registered_model__name=name, version_number=number
    )


def assert_read_whole(server: TrackingServer, name: str) -> None:
    """Assert that both versions of a registered model came with run and files."""
    for number in (1, 2):
        version = version_of(server, name, number)
        assert version.owner == "nina@example.org"
        assert version.metrics == {"auc": 0.9}
        assert version.flavors == ["python_function"]
        assert version.incomplete == {}


def test_a_static_prefix_belongs_to_the_url(
    acme: Organization, prefixed: Registry
) -> None:
    name = unique("prefixed")
    register(prefixed, name)
    server = saved(acme, prefixed.server.url)
    assert server.url.endswith(PREFIX)
    assert answer_of(acme, server).passed

    run = sync_to_end(acme, server, artifacts=True)

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    with tenancy.acting_for(acme):
        assert_read_whole(server, name)
    bare = saved(acme, prefixed.server.url.removesuffix(PREFIX), name="Bare")
    assert "a path may be missing from it" in answer_of(acme, bare).message


@pytest.mark.parametrize("closed", [(), ("/model-versions", "/get-artifact")])
def test_a_proxy_below_a_path_that_wants_a_token_and_a_header(
    acme: Organization, own_registry: Registry, closed: tuple[str, ...]
) -> None:
    """It may also let nothing but the API through."""
    name = unique("proxied")
    register(own_registry, name)
    wanted = {"Authorization": "Bearer t0ken", "X-Team": "risk"}
    with gate(
        own_registry.server.url, path="/ml", wanted=wanted, closed=closed
    ) as proxy:
        server = saved(
            acme,
            proxy.url,
            auth_method="token",
            credentials=Credentials(token="t0ken", headers={"X-Team": "risk"}),
        )

        run = sync_to_end(acme, server, artifacts=True)

        assert len(proxy.seen) == run.count("requests")
    assert run.has_read, run.error
    assert run.identity == "Bearer token, header X-Team"
    with tenancy.acting_for(acme):
        assert version_of(server, name).flavors == ["python_function"]
        assert version_of(server, name).owner == "nina@example.org"


def test_a_reader_gets_what_was_granted_and_nothing_else(
    acme: Organization, basic_auth_registry: Registry
) -> None:
    """A model whose experiment was not granted is read without its run."""
    registry = basic_auth_registry
    whole, half, hidden = unique("whole"), unique("half"), unique("hidden")
    experiment = register(registry, whole)
    for name in (half, hidden):
        register(registry, name)
    reader, password = unique("reader").replace(" ", "-"), "pässword: 1234"
    registry.post("users/create", username=reader, password=password)
    for kind, thing in (
        ("registered_model", whole),
        ("registered_model", half),
        ("experiment", experiment),
    ):
        registry.post(
            "/api/3.0/mlflow/users/permissions/grant",
            username=reader,
            resource_type=kind,
            resource_id=thing,
            permission="READ",
        )
    server = saved(
        acme,
        registry.server.url,
        auth_method="basic",
        credentials=Credentials(username=reader, password=password),
    )

    run = sync_to_end(acme, server, artifacts=True)

    assert run.status == SyncRun.Status.PARTIAL
    assert run.identity.endswith(f"known to MLflow as “{reader}”")
    with tenancy.acting_for(acme):
        names = set(RegisteredModel.objects.values_list("name", flat=True))
        assert names == {whole, half}
        assert_read_whole(server, whole)
        failed = SyncFailure.objects.filter(sync_run=run)
        assert set(failed.values_list("model_name", flat=True)) == {half}
        assert Section.RUN in version_of(server, half).incomplete


def test_a_server_of_half_a_second_a_request_is_asked_few(
    acme: Organization, open_workspace: Opening
) -> None:
    registry = open_workspace()
    for _ in range(4):
        register(registry, unique("slow"))
    with gate(registry.server.url, delay=0.5) as slow:
        server = saved(acme, slow.url, workspace=registry.workspace)

        first = sync_to_end(acme, server)
        with_files = sync_to_end(acme, server, artifacts=True)
        again = sync_to_end(acme, server, artifacts=True)

    assert first.count("versions") == 8
    # Which MLflow it is, models, experiments, versions, runs.
    assert first.count("requests") == again.count("requests") == 5
    # And of each version: the folder, the rest of the run, MLmodel.
    assert with_files.count("requests") <= 5 + 4 * 8
    assert again.count("unchanged") == 8
    assert first.seconds >= 2.5


class TestWorkspaces:
    def test_two_of_one_server_are_two_sources_and_are_not_confused(
        self, acme: Organization, open_workspace: Opening
    ) -> None:
        risk, retail = open_workspace(), open_workspace()
        name = "credit-scoring"
        register(risk, name, owner="nina@example.org")
        register(retail, name, owner="omar@example.org")
        url = risk.server.url
        first = saved(acme, url, name="Risk", workspace=risk.workspace)
        second = saved(acme, url, name="Retail", workspace=retail.workspace)
        told = answer_of(acme, first).message
        assert told.endswith(f" answers for the workspace “{risk.workspace}”.")

        for server in (first, second):
            run = sync_to_end(acme, server, artifacts=True)
            assert run.status == SyncRun.Status.SUCCEEDED, run.error
            assert (run.count("models"), run.count("versions")) == (1, 2)

        with tenancy.acting_for(acme):
            assert version_of(first, name).owner == "nina@example.org"
            assert version_of(second, name).owner == "omar@example.org"
            assert version_of(second, name).flavors == ["python_function"]
            assert version_of(second, name, 2).flavors == ["python_function"]
            assert RegisteredModel.objects.filter(name=name).count() == 2

        retail.send("DELETE", "registered-models/delete", name=name)
        assert sync_to_end(acme, second).count("absent") == 2
        assert sync_to_end(acme, first).count("unchanged") == 2
        with tenancy.acting_for(acme):
            there = RegisteredModel.objects.get(source=first.source)
            gone = RegisteredModel.objects.get(source=second.source)
            assert (there.is_absent, gone.is_absent) == (False, True)

    def test_without_one_the_default_is_read_and_the_test_says_so(
        self, acme: Organization, with_workspaces: MlflowServer, open_workspace: Opening
    ) -> None:
        elsewhere = unique("elsewhere")
        register(open_workspace(), elsewhere)
        name = unique("legacy")
        with Registry(with_workspaces) as registry:
            register(registry, name)
        server = saved(acme, with_workspaces.url)
        assert " answers for its default workspace" in answer_of(acme, server).message

        sync_to_end(acme, server)

        with tenancy.acting_for(acme):
            names = set(RegisteredModel.objects.values_list("name", flat=True))
            assert name in names
            assert elsewhere not in names

    def test_one_that_does_not_exist_is_named_and_nothing_is_taken_for_gone(
        self, acme: Organization, open_workspace: Opening
    ) -> None:
        registry = open_workspace()
        register(registry, "credit-scoring")
        server = saved(acme, registry.server.url, workspace=registry.workspace)
        sync_to_end(acme, server)
        with tenancy.acting_for(acme):
            server.workspace = "no-such-one"
            save_server(server)
        sentence = "The tracking server has no workspace “no-such-one”."
        assert answer_of(acme, server).message == sentence

        run = sync_to_end(acme, server)

        assert (run.status, run.error) == (SyncRun.Status.FAILED, sentence)
        with tenancy.acting_for(acme):
            assert not version_of(server, "credit-scoring").is_absent


def test_two_servers_with_the_same_model_are_two_sources(
    acme: Organization, own_registry: Registry, prefixed: Registry
) -> None:
    name = unique("everywhere")
    register(own_registry, name, owner="nina@example.org")
    register(prefixed, name, owner="omar@example.org")
    ours = saved(acme, own_registry.server.url, name="Here")
    theirs = saved(acme, prefixed.server.url, name="There")

    for server in (ours, theirs, ours):
        assert sync_to_end(acme, server).has_read

    with tenancy.acting_for(acme):
        assert version_of(ours, name).owner == "nina@example.org"
        assert version_of(theirs, name).owner == "omar@example.org"
        assert ModelVersion.objects.filter(registered_model__name=name).count() == 4


class TestArtifactsThatAreNotServed:
    def test_files_that_the_server_can_read_are_read(
        self, acme: Organization, unserved: Registry
    ) -> None:
        name = unique("on a disk")
        root = unserved.server.folder / unique("root").replace(" ", "-")
        experiment = unserved.experiment(artifact_location=f"file://{root}")
        run_id = unserved.run(experiment, tags={"owner": "nina@example.org"})
        logged = unserved.logged_model(experiment, run_id)
        lay_out(root, run_id, logged)
        unserved.model(name)
        for source in (f"runs:/{run_id}/model", f"models:/{logged}"):
            unserved.version(name, source=source, run_id=run_id)
        # Its bucket, which another process may have filled, would be given up on.
        server = saved(acme, unserved.server.url, include_names=name)

        sync_to_end(acme, server, artifacts=True)

        with tenancy.acting_for(acme):
            for number in (1, 2):
                version = version_of(server, name, number)
                assert version.flavors == ["python_function"]
                assert version.incomplete == {}

    def test_a_store_without_its_credentials_costs_the_files_and_nothing_else(
        self, acme: Organization, unserved: Registry
    ) -> None:
        name = unique("in a bucket")
        experiment = unserved.experiment()
        run_id = unserved.run(experiment, tags={"owner": "nina@example.org"})
        unserved.model(name)
        for _ in range(20):
            unserved.version(name, source=f"runs:/{run_id}/model", run_id=run_id)
        server = saved(acme, unserved.server.url)
        without = sync_to_end(acme, server)

        run = sync_to_end(acme, server, artifacts=True)

        assert without.status == SyncRun.Status.SUCCEEDED, without.error
        assert run.status == SyncRun.Status.PARTIAL
        assert run.count("incomplete") >= 20
        with tenancy.acting_for(acme):
            version = version_of(server, name, 20)
            assert version.owner == "nina@example.org"
            assert set(version.incomplete) == {Section.ARTIFACTS}
            assert "(500)" in version.incomplete[Section.ARTIFACTS]
            assert version.artifact_manifest == []
