"""The walls stand only for a role they bind: no other may come in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler

from accounts import checks
from verifywise.postgres_server import SUPERUSER

pytestmark = pytest.mark.django_db


@pytest.fixture
def privileged() -> Iterator[BaseDatabaseWrapper]:
    """A connection as the embedded server's superuser."""
    if not connection.settings_dict["HOST"].startswith("/"):
        pytest.skip("The embedded server's superuser is needed.")
    settings = {**connection.settings_dict, "USER": SUPERUSER, "PASSWORD": ""}
    found = ConnectionHandler({"default": settings})["default"]
    yield found
    found.close()


def test_our_own_role_is_bound() -> None:
    assert not checks.is_privileged(connection)
    assert checks.role_is_bound(None, databases=["default"]) == []


def test_a_superuser_is_turned_away(privileged: BaseDatabaseWrapper) -> None:
    with pytest.raises(ImproperlyConfigured, match="bypasses row-level security"):
        privileged.ensure_connection()

    assert privileged.connection is None


def test_a_role_that_bypasses_the_walls_is_turned_away_too(
    privileged: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_judged", {SUPERUSER})  # to come in at all
    with privileged.cursor() as cursor:
        cursor.execute("CREATE ROLE bypassing LOGIN NOSUPERUSER BYPASSRLS")
    try:
        settings = {**privileged.settings_dict, "USER": "bypassing"}
        bypassing = ConnectionHandler({"default": settings})["default"]
        with pytest.raises(ImproperlyConfigured, match="'bypassing'"):
            bypassing.ensure_connection()
    finally:
        with privileged.cursor() as cursor:
            cursor.execute("DROP ROLE bypassing")


def test_the_check_names_the_remedy(
    privileged: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "connection", privileged)

    (error,) = checks.role_is_bound(None, databases=["default"])

    assert error.id == "accounts.E001"
    assert "NOBYPASSRLS" in str(error.hint)
