"""Empties the database behind a transactional test: only the tables that hold rows.

Django truncates all tables after each, some fifty with their indexes, and makes the
content types and permissions anew: 0.4 s a test, for a handful of rows mostly.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection
from django.test import TransactionTestCase
from psycopg import sql

from verifywise.postgres_server import SUPERUSER

# What migrations made, and no test changes.
KEPT = ("django_migrations", "django_content_type", "auth_permission")
LARGE = 128 * 1024  # bytes: worth giving back what deleted rows took
HOLDING = """
    SELECT relname, pg_relation_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    AND pg_relation_size(oid) > 0 AND relname <> ALL(%s)
"""


@contextmanager
def emptied_by_deleting() -> Iterator[None]:
    """Let transactional tests end so, where the server is ours: it takes a superuser.

    Row-level security would hide the rows, and triggers refuse to delete some of them.
    """
    found: dict[str, Any] = connection.settings_dict
    place = {"host": found["HOST"], "port": found["PORT"], "dbname": found["NAME"]}
    options = "-c session_replication_role=replica"  # no trigger, and no foreign key
    with psycopg.connect(
        **place, user=SUPERUSER, options=options, autocommit=True
    ) as superuser:
        truncating = TransactionTestCase._fixture_teardown
        TransactionTestCase._fixture_teardown = lambda _: empty(superuser)
        yield
        TransactionTestCase._fixture_teardown = truncating


def empty(superuser: psycopg.Connection[Any]) -> None:
    """Delete all rows of the tests' database. Costs some 20 ms."""
    holding = superuser.execute(HOLDING, [list(KEPT)]).fetchall()
    with superuser.transaction():
        for table, _ in holding:
            superuser.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
    for table, size in holding:
        if size > LARGE:
            superuser.execute(sql.SQL("VACUUM {}").format(sql.Identifier(table)))
