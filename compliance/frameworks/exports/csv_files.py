"""The tables of a report as CSV files, in one ZIP file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from shutil import copyfileobj
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile

from compliance.frameworks.exports.cells import Cell, is_formula
from compliance.frameworks.exports.export import Export
from compliance.frameworks.exports.pieces import entry, pieces, spool
from compliance.frameworks.exports.tables import (
    GAPS,
    Row,
    Table,
    fixed_tables,
    rows_by_version,
    versions_table,
)

Written = Callable[[Iterable[Row]], None]


def csv_files(export: Export) -> Iterator[bytes]:
    """Return a ZIP file with a CSV file a table, in UTF-8 with a byte order mark.

    A text that a spreadsheet program could take for a formula has an apostrophe before
    it. A ZIP file takes one file after the other: the gaps wait beside it meanwhile.
    """
    with spool() as whole, spool() as waiting:
        with ZipFile(whole, "w", ZIP_DEFLATED) as archive:
            for table, rows in fixed_tables(export):
                with _opened(archive, table) as file, _rows(file, table) as written:
                    written(rows)
            table = versions_table(export.report.framework)
            with (
                _rows(waiting, GAPS) as gaps,
                _opened(archive, table) as file,
                _rows(file, table) as versions,
            ):
                for which, row in rows_by_version(export):
                    (gaps if which is GAPS else versions)([row])
            waiting.seek(0)
            with _opened(archive, GAPS) as file:
                copyfileobj(waiting, file)
        yield from pieces(whole)


def guarded(value: Cell) -> Cell:
    """Put an apostrophe before a text that could be taken for a formula."""
    return f"'{value}" if isinstance(value, str) and is_formula(value) else value


def _opened(archive: ZipFile, table: Table) -> IO[bytes]:
    # Its length is not known before, and may be more than 2 GiB.
    return archive.open(entry(f"{table.name.lower()}.csv"), "w", force_zip64=True)


@contextmanager
def _rows(file: IO[bytes], table: Table) -> Iterator[Written]:
    """Write the head of a table, then its rows as they are given."""
    text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
    writer = csv.writer(text)
    writer.writerow(column.title for column in table.columns)

    def written(rows: Iterable[Row]) -> None:
        writer.writerows(map(guarded, row) for row in rows)

    yield written
    text.flush()
    text.detach()
