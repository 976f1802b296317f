"""Servers for the tests of what joins the apps."""

from __future__ import annotations

from tests.demo_fixtures import demo_servers
from tests.mlflow_fixtures import mlflow_server, registry, shared_folder

__all__ = ("demo_servers", "mlflow_server", "registry", "shared_folder")
