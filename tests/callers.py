"""Programs that call the API, with a session or a token."""

from __future__ import annotations

from typing import Any

import yaml
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.conftest import signed_in

PROBLEM = "application/problem+json"

_schema: dict[str, Any] = {}


class Caller:
    """Calls the API as somebody; what it returns is (status, decoded body)."""

    def __init__(self, user: User, client: Client) -> None:
        self.user = user
        self.client = client

    def get(self, path: str, **parameters: Any) -> tuple[int, Any]:
        return self._told(self.client.get(f"/api/{path}", parameters))

    def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        return self._told(
            self.client.post(f"/api/{path}", body or {}, "application/json")
        )

    def patch(self, path: str, body: Any) -> tuple[int, Any]:
        return self._told(self.client.patch(f"/api/{path}", body, "application/json"))

    def delete(self, path: str) -> tuple[int, Any]:
        return self._told(self.client.delete(f"/api/{path}"))

    def results(self, path: str, **parameters: Any) -> list[Any]:
        """Return the first page of a list."""
        status, body = self.get(path, **parameters)
        assert status == 200, body
        found: list[Any] = body["results"]
        return found

    def fault(self, path: str, **parameters: Any) -> dict[str, str]:
        """Return which parameters a list refuses, and why."""
        status, body = self.get(path, **parameters)
        assert status == 400, body
        return {error["field"]: error["detail"] for error in body["errors"]}

    def queries(self, path: str, **parameters: Any) -> int:
        """Count the queries of a request that succeeds."""
        with CaptureQueriesContext(connection) as captured:
            status, body = self.get(path, **parameters)
        assert status == 200, body
        return len(captured)

    def _told(self, response: Any) -> tuple[int, Any]:
        if response.status_code >= 400:
            assert response["Content-Type"] == PROBLEM, response.content
            assert response.json()["status"] == response.status_code
        return response.status_code, response.json() if response.content else None


def calling(user: User) -> Caller:
    """Return a caller with the user's session."""
    return Caller(user, signed_in(user))


def with_token(user: User) -> Caller:
    """Return a caller with a new API token of the user."""
    _, told = calling(user).post("tokens/", {"name": "CI"})
    client = Client(headers={"Authorization": f"Bearer {told['token']}"})
    return Caller(user, client)


def schema_told_to(caller: Caller) -> dict[str, Any]:
    """Return the API's schema, as it was told to whoever asked first.

    It is the same for everybody, and takes 3 s to be made.
    """
    if not _schema:
        answer = caller.client.get("/api/schema/")
        assert answer.status_code == 200
        _schema.update(yaml.load(answer.content, Loader=yaml.CSafeLoader))
    return _schema
