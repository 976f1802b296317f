"""What may be set wrong, each with an id and a hint, and the checks of a start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection

from verifywise.env import SettingError

LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}
OLDEST_POSTGRES = 150000


def check_start() -> None:
    """Run all checks, those of the database too; raise SettingError at the first error.

    Web server and workers call it, so that what is wrong stops the start with a
    sentence and not a request hours later.
    """
    try:
        found = checks.run_checks(databases=["default"])
    except (DatabaseError, ImproperlyConfigured) as error:
        raise SettingError(f"DATABASE_URL: {error}".strip()) from error
    for message in found:
        if message.level >= checks.ERROR:
            raise SettingError(f"{message.msg} {message.hint or ''} ({message.id})")


@register(Tags.security)
def hosts_are_named(
    app_configs: Sequence[AppConfig] | None, **_: Any
) -> list[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        return [
            Warning(
                "ALLOWED_HOSTS lets every name through.",
                hint="Name the hosts people open, separated by commas.",
                id="verifywise.W001",
            )
        ]
    return []


@register(Tags.security)
def others_come_by_https(
    app_configs: Sequence[AppConfig] | None, **_: Any
) -> list[CheckMessage]:
    if set(settings.ALLOWED_HOSTS) <= LOOPBACK or settings.HTTPS:
        return []
    return [
        Warning(
            "ALLOWED_HOSTS opens the console to other machines, and VERIFYWISE_HTTPS is "
            "off: passwords and sessions would travel in the clear.",
            hint="Put a TLS proxy in front and set VERIFYWISE_HTTPS=yes.",
            id="verifywise.W002",
        )
    ]


@register(Tags.security)
def debug_stays_at_home(
    app_configs: Sequence[AppConfig] | None, **_: Any
) -> list[CheckMessage]:
    if settings.DEBUG and not set(settings.ALLOWED_HOSTS) <= LOOPBACK:
        return [
            Error(
                "VERIFYWISE_DEBUG shows settings and data to whoever causes an error.",
                hint="Unset it, or let ALLOWED_HOSTS name this machine only.",
                id="verifywise.E001",
            )
        ]
    return []


@register(Tags.database)
def postgres_is_new_enough(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **_: Any,
) -> list[CheckMessage]:
    if not databases:
        return []
    version = connection.pg_version  # type: ignore[attr-defined]  # psycopg's
    if version < OLDEST_POSTGRES:
        return [
            Error(
                f"DATABASE_URL leads to PostgreSQL {version // 10000}.",
                hint="VerifyWise needs PostgreSQL 15 or newer.",
                id="verifywise.E002",
            )
        ]
    return []
