"""The MLflow servers of the tests, and hands that fill them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry import Registry
from tests.servers import ADMIN, Flavour, MlflowServer, shared_mlflow


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test run have in common."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def mlflow_server(shared_folder: Path) -> Iterator[MlflowServer]:
    """An MLflow 3 without authentication, shared by all tests: use names of your own."""
    with shared_mlflow(shared_folder / "mlflow-open", Flavour.OPEN) as server:
        yield server


@pytest.fixture(scope="session")
def basic_auth_server(shared_folder: Path) -> Iterator[MlflowServer]:
    """An MLflow 3 that wants a user name and password, shared by all tests."""
    folder = shared_folder / "mlflow-basic-auth"
    with shared_mlflow(folder, Flavour.BASIC_AUTH) as server:
        yield server


@pytest.fixture(scope="session")
def registry(mlflow_server: MlflowServer) -> Iterator[Registry]:
    """Writes into `mlflow_server`."""
    with Registry(mlflow_server) as registry:
        yield registry


@pytest.fixture(scope="session")
def basic_auth_registry(basic_auth_server: MlflowServer) -> Iterator[Registry]:
    """Writes into `basic_auth_server`, as its administrator."""
    with Registry(basic_auth_server, auth=ADMIN) as registry:
        yield registry
