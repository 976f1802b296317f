"""Test a connection: what answers there, as whom, and what is wrong if nothing does."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from mlflow_sync.client import failures
from mlflow_sync.client.connection import AuthMethod
from mlflow_sync.client.transport import API, Transport
from mlflow_sync.exceptions import FailureKind, SyncError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_VERSION = re.compile(r"\d+\.\d+[\w.+-]{0,40}")
_DATABRICKS = (".databricks.com", ".azuredatabricks.net", ".databricks.us")

# An older MLflow, or a proxy that lets only the API through.
_NOT_OFFERED = frozenset(
    {
        FailureKind.NOT_FOUND,
        FailureKind.FORBIDDEN,
        FailureKind.UNAUTHORIZED,
        FailureKind.REDIRECT,
        FailureKind.NOT_MLFLOW,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a connection test found. Empty and None mean: the server does not tell."""

    mlflow_version: str
    username: str
    workspaces_enabled: bool | None
    workspace: str = ""  # that was asked for
    sees_models: bool

    @property
    def message(self) -> str:
        """Say it in one sentence for people."""
        what = f"MLflow {self.mlflow_version}" if self.mlflow_version else "An MLflow"
        where = ""
        if self.workspaces_enabled:
            where = " for its default workspace"
            if self.workspace:
                where = f" for the workspace “{self.workspace}”"
        whom = f" and knows us as “{self.username}”" if self.username else ""
        seen = "" if self.sees_models else ", but shows us no registered model"
        return f"{what} answers{where}{whom}{seen}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which MLflow answers, and as whom it knows us. Empty: the server does not tell."""

    mlflow_version: str = ""
    username: str = ""


def identify(transport: Transport) -> Identity:
    """Ask for version and user, once each; what fails is not told.

    Whether the server can be read is not decided here, but by reading it. Only
    Databricks is refused, of which a part could be.
    """
    _refuse_databricks(transport)
    version = _if_told(lambda: _version(transport.send("GET", "/version")))
    username = None
    if transport.connection.auth_method != AuthMethod.NONE:
        username = _if_told(
            lambda: _username(transport.get_json(f"{API}/users/current"))
        )
    return Identity(mlflow_version=version or "", username=username or "")


def probe(transport: Transport) -> Probe:
    """Make each kind of request that a sync makes, once. Raises SyncError."""
    _refuse_databricks(transport)
    try:
        models = transport.get_json(
            f"{API}/registered-models/search", [("max_results", 1)]
        )
        # Some proxies let only GET pass.
        transport.post_json(
            f"{API}/runs/search", {"experiment_ids": [], "max_results": 1}
        )
    except SyncError as error:
        if error.kind is not FailureKind.NOT_FOUND:
            raise
        raise _not_mlflow(transport.connection.base_path) from None
    version = _if_offered(lambda: transport.send("GET", "/version"))
    user = _if_offered(lambda: transport.get_json(f"{API}/users/current"))
    info = _if_offered(lambda: transport.get_json("/api/3.0/mlflow/server-info"))
    if transport.connection.workspace and info is None:
        raise SyncError(
            "The tracking server is too old for workspaces: leave the field workspace "
            "empty.",
            kind=FailureKind.BAD_SETTING,
        )
    return Probe(
        mlflow_version="" if version is None else _version(version),
        username=_username(user or {}),
        workspaces_enabled=None
        if info is None
        else bool(info.get("workspaces_enabled")),
        workspace=transport.connection.workspace,
        sees_models=bool(models.get("registered_models")),
    )


def _refuse_databricks(transport: Transport) -> None:
    """Refuse it by its host; by what it answers, `failures` does."""
    if transport.connection.host.lower().endswith(_DATABRICKS):
        raise failures.unity_catalog()


def _if_offered(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except SyncError as error:
        if error.kind in _NOT_OFFERED:
            return None
        raise


def _if_told(ask: Callable[[], str]) -> str | None:
    try:
        return ask()
    except SyncError as error:
        if error.kind is FailureKind.NOT_SUPPORTED:
            raise
        logger.info("The tracking server does not tell who answers: %s", error)
        return None


def _version(content: bytes) -> str:
    version = content[:100].decode("ascii", "replace").strip()
    if _VERSION.fullmatch(version):
        return version
    if failures.looks_like_page(content):  # a proxy's, in place of what is not the API
        return ""
    raise _not_mlflow()


def _username(answer: dict[str, Any]) -> str:
    user = answer.get("user")
    return str(user.get("username", "")) if isinstance(user, dict) else ""


def _not_mlflow(path: str = "") -> SyncError:
    told = "a path may be missing from it."
    if path:
        told = (
            "its path may be wrong. MLflow 2 has its API beside its --static-prefix, "
            "not below it: leave the prefix out."
        )
    return SyncError(
        f"What answers at this URL is not an MLflow tracking server: {told}",
        kind=FailureKind.NOT_MLFLOW,
    )
