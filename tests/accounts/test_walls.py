"""Every table is behind a wall, or named here with the reason why it is not.

Read from PostgreSQL's catalogue: what counts is what the database enforces, for
auto-created and history tables too.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models

UNUSED = "Django's own, unused: roles are in accounts.roles; Django needs the table"

WITHOUT_ORGANIZATION = {
    "accounts_user": "a person may be in several; listed through memberships only",
    "accounts_organization": "the organizations themselves; names, no content",
    "accounts_apitoken": "read by digest to learn which organization is meant",
    "django_session": "read by its key before anybody is known; holds ids only",
    "django_q_ormq": "the queue: signed payloads that carry ids only",
    "django_q_schedule": "the queue's timetable: ids only",
    "django_q_task": "the queue's results: ids only",
    "axes_accessattempt": "failed sign-ins are counted before anybody is known",
    "axes_accessattemptexpiration": "belongs to axes_accessattempt",
    "axes_accessfailurelog": "belongs to axes; not written with our settings",
    "axes_accesslog": "sign-ins by name and address, for locking out",
    "mlflow_sync_keycanary": "one encrypted word, to notice a wrong key at start",
    "django_content_type": "names of models; no content",
    "django_migrations": "names of migrations; no content",
    "django_admin_log": "unused: accounts.console records to the audit trail instead",
    "auth_group": UNUSED,
    "auth_group_permissions": UNUSED,
    "auth_permission": "names of Django's permissions; no content, and unused",
}

# A history row may outlive what it points to, and point to what never was committed.
HISTORY = "django-simple-history gives its tables no database keys"

MINE = (
    "(organization_id = (NULLIF(current_setting('app.organization'::text, true), "
    "''::text))::bigint)"
)
OWN = "(user_id = (NULLIF(current_setting('app.user'::text, true), ''::text))::bigint)"
POLICIES = {  # table -> what it has beside the one that all have
    "accounts_membership": {("SELECT", OWN, None)},
}


def rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def tables() -> dict[str, tuple[bool, bool]]:
    """Return table -> (row-level security is on, and forced)."""
    return {
        name: (enabled, forced)
        for name, enabled, forced in rows(
            "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        )
    }


def columns() -> set[tuple[str, str]]:
    return {
        (table, column)
        for table, column in rows(
            "SELECT c.relname, a.attname FROM pg_attribute a "
            "JOIN pg_class c ON c.oid = a.attrelid "
            "WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 "
            "AND NOT a.attisdropped"
        )
    }


def policies(table: str) -> set[tuple[str, str, str | None]]:
    return {
        (command, using, check)
        for name, command, using, check in rows(
            "SELECT tablename, cmd, qual, with_check FROM pg_policies "
            "WHERE schemaname = 'public'"
        )
        if name == table
    }


def foreign_keys() -> set[tuple[str, tuple[str, ...], str, tuple[str, ...]]]:
    """Return (table, its columns, other table, its columns) of each key."""
    return {
        (table, tuple(mine), other, tuple(theirs))
        for table, mine, other, theirs in rows(
            """
            SELECT k.conrelid::regclass::text,
                (SELECT array_agg(a.attname::text ORDER BY n) FROM
                    unnest(k.conkey) WITH ORDINALITY AS u(num, n) JOIN pg_attribute a
                    ON a.attrelid = k.conrelid AND a.attnum = u.num),
                k.confrelid::regclass::text,
                (SELECT array_agg(a.attname::text ORDER BY n) FROM
                    unnest(k.confkey) WITH ORDINALITY AS u(num, n) JOIN pg_attribute a
                    ON a.attrelid = k.confrelid AND a.attnum = u.num)
            FROM pg_constraint k WHERE k.contype = 'f' AND k.convalidated
            """
        )
    }


def unique_indexes() -> list[tuple[str, str, list[str]]]:
    """Return (table, index, columns) of all that must be unique, keys excepted."""
    return [
        (table, index, named or [])
        for table, index, named in rows(
            """
            SELECT i.indrelid::regclass::text, i.indexrelid::regclass::text,
                (SELECT array_agg(a.attname::text) FROM pg_attribute a
                    WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey))
            FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
            WHERE i.indisunique AND NOT i.indisprimary
                AND c.relnamespace = 'public'::regnamespace
            """
        )
    ]


def django_keys() -> set[tuple[str, str, str]]:
    """Return (table, column, other table) of what models call keys, history apart."""
    return {
        (model._meta.db_table, field.column, field.related_model._meta.db_table)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not hasattr(model, "history_type")
        for field in model._meta.local_fields
        if isinstance(field, models.ForeignKey)
    }


def faults() -> list[str]:
    """Name everything that stands open, one sentence each."""
    known, named = tables(), columns()
    tenant = sorted(known.keys() - WITHOUT_ORGANIZATION.keys())
    found = [
        f"{table} is named as without organization, and does not exist"
        for table in WITHOUT_ORGANIZATION.keys() - known.keys()
    ]
    keys = foreign_keys()
    single = {
        (table, mine[0], other)
        for table, mine, other, _ in keys
        if len(mine) == 1 and mine != ("organization_id",)
    }
    for table in tenant:
        if (table, "organization_id") not in named:
            found.append(f"{table} has no organization")
        if not known[table][0]:
            found.append(f"{table} has no row-level security")
        if not known[table][1]:
            found.append(f"{table} does not force it on its owner")
        if policies(table) != {("ALL", MINE, MINE)} | POLICIES.get(table, set()):
            found.append(f"{table} has other policies than it should")
    for table, column, other in sorted(single | django_keys()):
        whole = (
            table,
            ("organization_id", column),
            other,
            ("organization_id", "id"),
        )
        both = table in tenant and other in tenant
        if both and column != "organization_id" and whole not in keys:
            found.append(f"{table}.{column} may point into another organization")
    for table, index, parts in unique_indexes():
        if table in tenant and "organization_id" not in parts:
            found.append(f"{index} of {table} is unique across organizations")
    return found


@pytest.mark.django_db
def test_every_table_is_behind_its_wall() -> None:
    assert faults() == []


@pytest.mark.django_db
def test_the_keys_of_history_tables_are_exempt_because_they_have_none() -> None:
    history = {
        model._meta.db_table
        for model in apps.get_models()
        if hasattr(model, "history_type")
    }

    assert history, HISTORY
    for table, _, other, _ in foreign_keys():
        assert table not in history or other in WITHOUT_ORGANIZATION, HISTORY


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        ("CREATE TABLE leak (id bigint)", "leak has no organization"),
        (
            "ALTER TABLE inventory_source DISABLE ROW LEVEL SECURITY",
            "inventory_source has no row-level security",
        ),
        (
            "ALTER TABLE inventory_historicalmodelversion NO FORCE ROW LEVEL SECURITY",
            "inventory_historicalmodelversion does not force it on its owner",
        ),
        (
            "DROP POLICY tenant_inventory_run ON inventory_run",
            "inventory_run has other policies than it should",
        ),
        (
            "CREATE POLICY generous ON inventory_run FOR SELECT USING (true)",
            "inventory_run has other policies than it should",
        ),
        (
            "ALTER TABLE inventory_modelversion "
            "DROP CONSTRAINT same_inventory_version_model",
            "inventory_modelversion.registered_model_id "
            "may point into another organization",
        ),
        (
            "CREATE UNIQUE INDEX one_name ON inventory_source (name) WHERE is_demo",
            "one_name of inventory_source is unique across organizations",
        ),
        (
            "CREATE UNIQUE INDEX one_name ON inventory_source (lower(name))",
            "one_name of inventory_source is unique across organizations",
        ),
        (
            "DROP TABLE django_admin_log",
            "django_admin_log is named as without organization, and does not exist",
        ),
    ],
)
def test_a_gap_in_a_wall_is_named(statements: str, fault: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statements)

    assert fault in faults()


@pytest.mark.django_db
def test_nothing_looks_around_the_walls_on_behalf_of_its_owner() -> None:
    """Views and SECURITY DEFINER functions act as their owner, whom FORCE still binds;

    but `security_invoker` is off by default, and a view is easily given to another.
    """
    assert not rows(
        "SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') "
        "AND relnamespace = 'public'::regnamespace"
    )
    assert not rows(
        "SELECT proname FROM pg_proc WHERE prosecdef "
        "AND pronamespace = 'public'::regnamespace"
    )
