"""The acts on tracking servers: save, remove, test.

Each checks the permission, makes the change and notes the audit entry in one go; the
console, the API and the command line all come here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.permissions import require
from accounts.roles import Permission
from inventory.models import Source
from inventory.store_files import look_at_files_again
from mlflow_sync import queueing, schedules
from mlflow_sync.client import Client, Connection
from mlflow_sync.exceptions import (
    FailureKind,
    SyncError,
    UndecryptableSecret,
)
from mlflow_sync.models import (
    SCOPE_FIELDS,
    TrackingServer,
    TrackingServerSecret,
    WebhookEndpoint,
)

NAME_OF_REMOVED = (
    "A server of this name was removed, and its models are kept under it: save the "
    "settings of that server to bring it back, or choose another name."
)
OTHER_REGISTRY = "The tracking server's {} was changed."
_OF_FILES = ("hash_files", "hash_limit", "rehash_days")
SECRET_FIELDS = ("username", "password", "token", "headers")
# Another of these is another registry: what a running sync read of it is not the rest.
_OF_REGISTRY = {"url": "URL", "workspace": "workspace"}
_AUDITED = (
    "url",
    "auth_method",
    "workspace",
    "verify_tls",
    "ca_bundle",
    "connect_timeout",
    "read_timeout",
    "read_artifacts",
    "is_enabled",
    "reread_within",
    "concurrency",
    "request_budget",
    "vanish_percent",
    "vanish_always",
    *_OF_FILES,
    *SCOPE_FIELDS,
    "find_unregistered",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """New credentials; None keeps what is stored, "" or {} forgets it."""

    username: str | None = None
    password: str | None = None
    token: str | None = None
    headers: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return "Credentials(…)"

    def given(self) -> dict[str, str]:
        """Return the columns to write."""
        told: dict[str, str | None] = {
            "username": self.username,
            "password": self.password,
            "token": self.token,
            "headers": None
            if self.headers is None
            else json.dumps(dict(self.headers), sort_keys=True),
        }
        return {name: value for name, value in told.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """What a connection test found, in a sentence for people."""

    passed: bool
    message: str
    mlflow_version: str = ""
    username: str = ""
    kind: str = ""


def save_server(
    server: TrackingServer,
    *,
    name: str | None = None,
    credentials: Credentials | None = None,
) -> TrackingServer:
    """Add a tracking server or change one. Raises ValidationError naming the field.

    A new URL forgets the stored credentials unless new ones come along: they were
    given for another host. Credentials that no key opens have to be given anew; until
    then UndecryptableSecret is raised.
    """
    require(Permission.MANAGE_SERVERS)
    is_new = server.pk is None
    before = (
        {}
        if is_new
        else TrackingServer.objects.filter(pk=server.pk).values(*_AUDITED).get()
    )
    with transaction.atomic():
        _save_source(server, name)
        server.full_clean(exclude=["source", "organization"])
        given = credentials.given() if credentials else {}
        moved = not is_new and before["url"] != server.url
        secret = _secret_to_write(server, is_given_anew=moved or bool(given))
        if moved:
            for field in SECRET_FIELDS:
                setattr(secret, field, "")
        for field, value in given.items():
            setattr(secret, field, value)
        _check_connection(server, secret)
        if moved or given:
            server.last_tested_at = server.last_test_passed = None
            server.last_test_message = ""
            server.failures_in_row, server.paused_until = 0, None
        server.removed_at = None  # saving a removed server brings it back
        server.save()
        secret.server = server
        secret.save()
        schedules.schedule_sync(server)
        if not is_new and any(
            before[name] != getattr(server, name) for name in _OF_FILES
        ):
            look_at_files_again(server.source, at=now())
        for field, label in _OF_REGISTRY.items():
            if not is_new and before[field] != getattr(server, field):
                queueing.end_syncs(server, OTHER_REGISTRY.format(label), begun=True)
        audit.record(
            "tracking_server.added" if is_new else "tracking_server.changed",
            server,
            changes=_changes(server, before, given, forgotten=moved),
        )
    return server


def remove_server(server: TrackingServer) -> None:
    """Stop reading a server. Its models stay: what was known of them is evidence."""
    require(Permission.MANAGE_SERVERS)
    with transaction.atomic():
        server.is_enabled = False
        schedules.schedule_sync(server)
        queueing.end_syncs(server, "The tracking server was removed.")
        TrackingServerSecret.objects.filter(server=server).update(
            username="", password="", token="", headers=""
        )
        WebhookEndpoint.objects.filter(server=server).delete()
        server.removed_at = now()
        server.save()
        audit.record("tracking_server.removed", server)


def connection_to(server: TrackingServer) -> Connection:
    """Return how to reach the server. Raises SyncError where a setting is wrong."""
    try:
        secret = _secret_of(server)
    except UndecryptableSecret as error:
        raise SyncError(str(error), kind=FailureKind.BAD_SETTING) from error
    return _connection(server, secret)


def test_server(server: TrackingServer) -> TestResult:
    """Ask the server who it is, and remember the answer. Takes as long as it takes."""
    require(Permission.SYNC)
    try:
        result = ask_server(connection_to(server))
    except SyncError as error:
        result = TestResult(passed=False, message=str(error), kind=error.kind)
    return remember_test(server, result)


def ask_server(connection: Connection) -> TestResult:
    """Ask who answers, as whom. Needs no database, and takes as long as it takes."""
    try:
        with Client(connection) as client:
            found = client.probe()
    except SyncError as error:
        return TestResult(passed=False, message=str(error), kind=error.kind)
    return TestResult(
        passed=True,
        message=found.message,
        mlflow_version=found.mlflow_version,
        username=found.username,
    )


def remember_test(server: TrackingServer, result: TestResult) -> TestResult:
    """Keep what a test found, unless the server has another URL meanwhile."""
    require(Permission.SYNC)
    TrackingServer.objects.filter(pk=server.pk, url=server.url).update(
        last_tested_at=now(),
        last_test_passed=result.passed,
        last_test_message=result.message,
        mlflow_version=result.mlflow_version or server.mlflow_version,
    )
    server.refresh_from_db()
    audit.record(
        "tracking_server.tested",
        server,
        changes={"passed": result.passed, "message": result.message},
    )
    return result


def _save_source(server: TrackingServer, name: str | None) -> None:
    source = server.source if server.source_id else Source()
    if name is not None:
        source.name = name.strip()
    try:
        source.full_clean(exclude=["organization"])
        source.validate_constraints()
    except ValidationError as error:
        removed = TrackingServer.objects.filter(
            source__name=source.name, removed_at__isnull=False
        )
        if removed.exists():
            raise ValidationError({"name": NAME_OF_REMOVED}) from error
        raise ValidationError({"name": error.messages}) from error
    source.save()
    server.source = source


def _secret_of(server: TrackingServer) -> TrackingServerSecret:
    if server.pk is None:
        return TrackingServerSecret()
    found = TrackingServerSecret.objects.filter(server=server).first()
    return found or TrackingServerSecret(server=server)


def _secret_to_write(
    server: TrackingServer, *, is_given_anew: bool
) -> TrackingServerSecret:
    """Return the row of the credentials, emptied where no key opens it any more."""
    try:
        return _secret_of(server)
    except UndecryptableSecret:
        if not is_given_anew:
            raise
        rows = TrackingServerSecret.objects.filter(server=server)
        return TrackingServerSecret(pk=rows.values_list("pk", flat=True).get())


def _connection(server: TrackingServer, secret: TrackingServerSecret) -> Connection:
    return Connection(
        server.url,
        auth_method=server.auth_method,
        username=secret.username,
        password=secret.password,
        token=secret.token,
        headers=secret.header_values(),
        workspace=server.workspace,
        ca_bundle=server.ca_bundle,
        verify_tls=server.verify_tls,
        allow_private_networks=settings.ALLOW_PRIVATE_NETWORKS,
        connect_timeout=server.connect_timeout,
        read_timeout=server.read_timeout,
    )


def _check_connection(server: TrackingServer, secret: TrackingServerSecret) -> None:
    try:
        _connection(server, secret)
    except SyncError as error:
        raise ValidationError(str(error)) from error


def _changes(
    server: TrackingServer,
    before: Mapping[str, Any],
    given: Mapping[str, str],
    *,
    forgotten: bool,
) -> dict[str, Any]:
    """Return what changed, old and new; of credentials only which, never their values."""
    changes: dict[str, Any] = {
        name: {"from": before.get(name), "to": getattr(server, name)}
        for name in _AUDITED
        if before.get(name) != getattr(server, name)
    }
    if given:
        changes["credentials"] = sorted(given)
    elif forgotten:
        changes["credentials"] = "forgotten, because the URL is another"
    return changes
