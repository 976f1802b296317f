"""What must hold before we work: the walls stand only for a role they bind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

_judged: set[str] = set()


def is_privileged(database: BaseDatabaseWrapper) -> bool:
    """Tell whether the login role bypasses row-level security. Costs one query."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        return bool(cursor.fetchone()[0])


def refuse_privileged_role(
    sender: type[BaseDatabaseWrapper], connection: BaseDatabaseWrapper, **_: Any
) -> None:
    """Refuse, once a process, to work as a role that row-level security does not bind."""
    role = str(connection.settings_dict["USER"])
    if role in _judged:
        return
    if is_privileged(connection):
        connection.close()
        raise ImproperlyConfigured(
            f"DATABASE_URL signs in as {role!r}, which bypasses row-level security: "
            "organizations would see each other. Use a role that is NOSUPERUSER "
            "NOBYPASSRLS and owns the database."
        )
    _judged.add(role)


@register(Tags.database)
def role_is_bound(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **_: Any,
) -> list[CheckMessage]:
    if not databases:
        return []
    try:
        connection.ensure_connection()
    except ImproperlyConfigured as error:
        return [
            Error(
                str(error),
                hint="ALTER ROLE … NOSUPERUSER NOBYPASSRLS, or make another role.",
                id="accounts.E001",
            )
        ]
    return []
