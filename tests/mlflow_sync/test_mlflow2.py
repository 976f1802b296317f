"""A real MLflow 2, of an environment of its own: `make test-mlflow2` runs this.

Beside it run the tests of `test_sync.py`, which ask nothing that MLflow 2 does not have.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from accounts import tenancy
from accounts.models import Organization
from inventory.models import RegisteredModel
from inventory.records import Section
from mlflow_sync import servers
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.servers import Credentials, save_server
from tests.mlflow_sync.conftest import sync_to_end
from tests.mlflow_sync.test_sync import version_of
from tests.recordings.expected import WholeRegistry
from tests.recordings.record import fill
from tests.registry import Registry, unique
from tests.servers import MLFLOW_PYTHON, PREFIX, Flavour, MlflowServer, shared_mlflow

pytestmark = [pytest.mark.mlflow2, pytest.mark.django_db(transaction=True)]

MLMODEL = b"flavors:\n  python_function: {}\n"


@pytest.fixture(scope="module")
def filled(shared_folder: Path) -> Iterator[MlflowServer]:
    """A server whose pages lie below a prefix: its API does not."""
    folder = shared_folder / "mlflow2-filled"
    with shared_mlflow(folder, Flavour.PREFIXED) as server:
        fill(server, python=server.python)
        yield server


@pytest.fixture(scope="module", autouse=True)
def another_mlflow() -> None:
    assert sys.executable != MLFLOW_PYTHON, "Run this by make test-mlflow2."


def saved(
    organization: Organization, url: str, **settings: Any
) -> tuple[TrackingServer, servers.TestResult]:
    """Save a server of the organization, and test its connection."""
    credentials = settings.pop("credentials", None)
    with tenancy.acting_for(organization):
        server = save_server(
            TrackingServer(url=url, **settings), name="Old", credentials=credentials
        )
        return server, servers.test_server(server)


def registered(
    registry: Registry, *, artifact_location: str = "", name: str = "credit"
) -> tuple[str, str]:
    """Register a model with a file; return its name and its experiment."""
    name = unique(name)
    where = {"artifact_location": artifact_location} if artifact_location else {}
    experiment = registry.experiment(**where)
    run_id = registry.run(experiment, tags={"owner": "nina@example.org"})
    if not artifact_location:
        registry.put(f"{experiment}/{run_id}/artifacts/model/MLmodel", MLMODEL)
    registry.model(name)
    registry.version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    return name, experiment


class TestFilled(WholeRegistry):
    """What MLflow's own client logged is read as the recordings of it are."""

    # The route by which it would be tried lies below the prefix.
    OUT_OF_REACH = "MLflow cannot list the files of this source"

    @pytest.fixture
    def sync_filled(
        self, acme: Organization, filled: MlflowServer
    ) -> Callable[[], SyncRun]:
        server, _ = saved(acme, filled.url)
        return partial(sync_to_end, acme, server, artifacts=True)

    def test_a_connection_test_names_the_release(
        self, acme: Organization, filled: MlflowServer
    ) -> None:
        _, found = saved(acme, filled.url)
        assert found.passed
        assert found.mlflow_version.startswith("2.22.")
        assert found.message == f"MLflow {found.mlflow_version} answers."

    def test_a_workspace_is_refused_which_mlflow_2_would_ignore(
        self, acme: Organization, filled: MlflowServer
    ) -> None:
        _, found = saved(acme, filled.url, workspace="risk")
        assert not found.passed
        assert "leave the field workspace empty" in found.message


class TestBasicAuth:
    def test_a_reader_gets_what_was_granted_and_nothing_else(
        self,
        acme: Organization,
        basic_auth_server: MlflowServer,
        basic_auth_registry: Registry,
    ) -> None:
        registry = basic_auth_registry
        granted, experiment = registered(registry)
        hidden, _ = registered(registry, name="hidden")
        reader, password = unique("reader").replace(" ", "-"), "pässword: 1234"
        registry.post("users/create", username=reader, password=password)
        grant = {"username": reader, "permission": "READ"}
        registry.post("registered-models/permissions/create", name=granted, **grant)
        registry.post(
            "experiments/permissions/create", experiment_id=experiment, **grant
        )
        server, found = saved(
            acme,
            basic_auth_server.url,
            auth_method="basic",
            credentials=Credentials(username=reader, password=password),
        )
        assert found.passed, found.message

        run = sync_to_end(acme, server, artifacts=True)

        assert run.status == SyncRun.Status.SUCCEEDED, run.error
        with tenancy.acting_for(acme):
            names = set(RegisteredModel.objects.values_list("name", flat=True))
            assert granted in names
            assert hidden not in names
            version = version_of(granted)
            assert version.owner == "nina@example.org"
            assert version.flavors == ["python_function"]

    def test_the_wrong_password_is_a_sentence(
        self, acme: Organization, basic_auth_server: MlflowServer
    ) -> None:
        _, found = saved(
            acme,
            basic_auth_server.url,
            auth_method="basic",
            credentials=Credentials(username="admin", password="wrong-4711"),
        )
        assert found.message == (
            "The tracking server does not accept the user name and password "
            "(401, Basic)."
        )


class TestStaticPrefix:
    """MLflow 2 puts its pages below the prefix, and leaves its API where it was.

    That all is read nevertheless, `TestFilled` shows.
    """

    def test_files_that_the_server_does_not_serve_are_told_as_unavailable(
        self, acme: Organization, filled: MlflowServer
    ) -> None:
        """The one route to them lies below the prefix."""
        root = filled.folder / "elsewhere"
        with Registry(filled) as registry:
            name, experiment = registered(registry, artifact_location=f"file://{root}")
            run_id = registry.post(
                "runs/search", experiment_ids=[experiment]
            )["runs"][0]["info"]["run_id"]  # fmt: skip
            folder = root / run_id / "artifacts" / "model"
            folder.mkdir(parents=True)
            (folder / "MLmodel").write_bytes(MLMODEL)
            server, _ = saved(acme, filled.url)

            run = sync_to_end(acme, server, artifacts=True)

            registry.send("DELETE", "registered-models/delete", name=name)
        assert run.status == SyncRun.Status.PARTIAL
        with tenancy.acting_for(acme):
            version = version_of(name)
            assert version.artifact_manifest[0]["state"] == "unavailable"
            assert "(404)" in version.incomplete[Section.ENVIRONMENT]

    def test_with_the_prefix_the_connection_test_says_what_to_do(
        self, acme: Organization, filled: MlflowServer
    ) -> None:
        _, found = saved(acme, filled.url + PREFIX)
        assert not found.passed
        assert "MLflow 2 has its API beside its --static-prefix" in found.message
