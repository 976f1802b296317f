"""Arrays on their way to PostgreSQL, as which Django inserts the columns of many rows.

psycopg quotes their elements by a regular expression, whose replacement Python expands
for each quotation mark: of JSON columns, a third of the time that a first sync takes.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.types.array import ListDumper


class QuickListDumper(ListDumper):
    """Quotes every element, which any type may be, by methods that are not Python's."""

    def dump(self, obj: list[Any]) -> Buffer | None:
        """Return the text of a list; one that is nested, or of no type, is psycopg's."""
        if (
            self.sub_dumper is None
            or not obj
            or any(isinstance(item, list) for item in obj)
        ):
            return super().dump(obj)
        dumped = (None if item is None else self.sub_dumper.dump(item) for item in obj)
        elements = (b"NULL" if told is None else _quoted(told) for told in dumped)
        return b"{" + self.delimiter.join(elements) + b"}"


def _quoted(told: Buffer) -> bytes:
    return b'"' + bytes(told).replace(b"\\", rb"\\").replace(b'"', rb"\"") + b'"'


def register() -> None:
    """Use it on all connections that are opened from now on."""
    psycopg.adapters.register_dumper(list, QuickListDumper)
