"""What PostgreSQL has done, by its own account. Needs Django to be set up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


def writes() -> dict[str, int]:
    """Return rows written so far per table, by PostgreSQL's own statistics."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables"
        )
        return dict(cursor.fetchall())


def tell_the_planner() -> None:
    """Count rows anew, as the pipeline does after a large sync."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


@contextmanager
def statements() -> Iterator[list[str]]:
    """Yield a list that grows with every statement: settings, locks and all.

    Only BEGIN and COMMIT are not in it.
    """
    sent: list[str] = []

    def note(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        sent.append(str(sql))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield sent
