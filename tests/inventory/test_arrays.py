"""What Django inserts as arrays arrives as it was, whatever is in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from inventory.arrays import QuickListDumper

pytestmark = pytest.mark.django_db

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
AT_LEISURE = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def back(values: list[Any], type_: str) -> list[Any]:
    """Return a list as it comes back from an array of a type."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT %s::{type_}[]", [values])
        found: list[Any] = cursor.fetchone()[0]
    return found


def test_the_connections_of_django_use_it() -> None:
    with connection.cursor() as cursor:
        dumper = cursor.connection.adapters.get_dumper(list, "t")
    assert dumper is QuickListDumper


@AT_LEISURE
@given(st.lists(st.one_of(st.none(), TEXT), min_size=1))
def test_any_text_arrives(values: list[str | None]) -> None:
    assert back(values, "text") == values


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1, -2, None, 2**40], "bigint"),
        ([0.5, float("inf"), None], "double precision"),
        ([True, False, None], "boolean"),
        ([datetime(2026, 1, 2, 3, 4, 5, 6, UTC), None], "timestamptz"),
        (["null", "NULL", "", " ", "{a,b}", 'a"b', "a\\b", "\\", "'"], "text"),
        ([None, None], "text"),
    ],
)
def test_values_of_every_type_arrive(values: list[Any], type_: str) -> None:
    assert back(values, type_) == values


@AT_LEISURE
@given(st.lists(st.dictionaries(TEXT, TEXT), min_size=1))
def test_any_document_arrives(documents: list[dict[str, str]]) -> None:
    with connection.cursor() as cursor:
        told = [Jsonb(document) for document in documents]
        cursor.execute("SELECT to_jsonb(%s::jsonb[])", [told])
        assert json.loads(cursor.fetchone()[0]) == documents


def test_nested_and_empty_lists_are_as_ever() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::int[], %s::text[]", [[[1, 2], [3, 4]], []])
        assert cursor.fetchone() == ([[1, 2], [3, 4]], [])
