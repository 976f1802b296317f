"""Many rows of one table in one statement.

Does as `bulk_create`, for rows whose attributes are already what the database takes:
`bulk_create` prepares each value of each row by itself, which costs more than the
insertion. A column of JSON, of texts or of whole numbers goes as one text with a row a
line, for PostgreSQL to take apart: as an array each of its elements would be quoted,
JSON twice, and unquoted on the other side.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from operator import itemgetter
from typing import Any, TypeVar

from django.db import connection, models
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper
from django.db.models.base import ModelState

from compliance.canonical import Texts, Written

_Row = TypeVar("_Row", bound=models.Model)


def blank(model: type[models.Model]) -> dict[str, Any]:
    """Return the attributes of a row of which nothing is told, in their order."""
    return {each.attname: each.get_default() for each in model._meta.concrete_fields}


def made(model: type[_Row], attributes: Mapping[str, Any]) -> _Row:
    """Make a new row that has all its attributes, as unpickling does.

    Django's constructor puts each in its place by a descriptor, and sends signals: for
    a gap that takes as long as to judge its rule.
    """
    row = model.__new__(model)
    row.__dict__.update(attributes, _state=ModelState())
    return row


def insert(
    rows: Sequence[models.Model],
    *,
    unless: Collection[str] = (),
    with_keys: bool = False,
) -> None:
    """Insert the rows of one model. One query, or none where there are no rows.

    Where there is a row that is alike in the fields `unless`, which have to be unique
    together, that one is updated instead. `with_keys` tells the rows their keys.
    """
    if not rows:
        return
    model = type(rows[0])
    columns = [each for each in model._meta.concrete_fields if each.column != "id"]
    values, sources, params = _told(columns, rows)
    quote = connection.ops.quote_name
    names = [quote(str(each.column)) for each in columns]
    sql = (
        f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(names)}) "  # noqa: S608
        f"SELECT {', '.join(values)} FROM ROWS FROM ({', '.join(sources)}) "
        f"AS told ({', '.join(f'c{number}' for number in range(len(sources)))})"
    )
    if unless:
        keys = {quote(str(each.column)) for each in columns if each.name in unless}
        changes = (f"{name} = EXCLUDED.{name}" for name in names if name not in keys)
        sql += f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(changes)}"
    with _cursor() as cursor:
        if not with_keys:
            cursor.execute(sql, params)
            return
        cursor.execute(f"{sql} RETURNING id", params)
        for row, (key,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk = key


def _cursor() -> CursorWrapper:
    """Return a cursor whose parameters PostgreSQL binds.

    Django's default writes them into the statement: megabytes of JSON, which would be
    quoted here, and read as SQL there, for longer than it takes to parse them.
    """
    connection.ensure_connection()
    cursor_class: Any = ServerBindingCursor  # whose stub takes no connection
    bound = cursor_class(connection.connection)
    if connection.queries_logged:
        return connection.make_debug_cursor(bound)
    return connection.make_cursor(bound)


def _told(
    columns: Sequence[models.Field[Any, Any]], rows: Sequence[models.Model]
) -> tuple[list[str], list[str], list[Any]]:
    """Return a value for each column, the functions that give those that differ from
    row to row, and the parameters of the values, then of the functions.

    There is one function at least, which says how many rows there are.
    """
    values: list[str] = []
    sources: list[str] = []
    constants: list[Any] = []
    varied: list[Any] = []
    # Rows are whole. By their attributes foreign keys would cost a descriptor's call.
    attributes = list(map(vars, rows))
    for column in columns:
        told: list[Any] = list(map(itemgetter(column.attname), attributes))
        # Without its length, or what is too long would be cut off.
        kind = str(column.db_type(connection)).split("(")[0]
        if isinstance(column, models.JSONField):
            values.append(f"c{len(sources)}::{kind}")
            sources.append("string_to_table(%s, E'\\n')")
            varied.append("\n".join(map(_json, told)))
        elif sources and told.count(told[0]) == len(told):
            values.append(f"%s::{kind}")
            constants.append(_plain(told[0]))
        elif lines := _lines(told):
            values.append(f"c{len(sources)}::{kind}")
            sources.append("string_to_table(%s, E'\\n')")
            varied.append(lines)
        else:
            values.append(f"c{len(sources)}")
            sources.append(f"unnest(%s::{kind}[])")
            varied.append([_plain(value) for value in told])
    return values, sources, [*constants, *varied]


def _lines(told: Sequence[Any]) -> str:
    """Return numbers or texts as one text, a line each; empty where that cannot be.

    None is no line, and a text may have several of its own.
    """
    kinds = set(map(type, told))
    if kinds == {int}:
        return "\n".join(map(str, told))
    if not all(issubclass(kind, str) for kind in kinds):
        return ""
    lines = "\n".join(told)
    return lines if lines.count("\n") == len(told) - 1 else ""


def _json(value: Any) -> str:
    return str(value) if isinstance(value, Texts | Written) else json.dumps(value)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
