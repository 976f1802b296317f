"""Whether the stored credentials can be read with the keys we were given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection

from mlflow_sync.exceptions import UndecryptableSecret
from mlflow_sync.models import KeyCanary


@register(Tags.database)
def keys_open_the_canary(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **_: Any,
) -> list[CheckMessage]:
    """Read a word that was encrypted when the first worker or web server started."""
    if not databases or KeyCanary._meta.db_table not in _tables():
        return []
    try:
        canary = KeyCanary.objects.first()
    except UndecryptableSecret:
        return [
            Error(
                "FIELD_ENCRYPTION_KEY does not open what is stored: it is another key "
                "than before.",
                hint="Put the former key behind the new one, separated by a comma; "
                "`manage.py rotate_encryption_keys` then encrypts all with the new one.",
                id="mlflow_sync.E001",
            )
        ]
    if canary is None:
        KeyCanary.objects.create(word=KeyCanary.WORD)
    return []


def _tables() -> list[str]:
    with connection.cursor() as cursor:
        return connection.introspection.table_names(cursor)
