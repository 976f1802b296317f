"""The tables of a report as the sheets of an XLSX workbook."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.writer.excel import ExcelWriter

from compliance.frameworks.exports.cells import Cell, cut, is_formula
from compliance.frameworks.exports.export import Export
from compliance.frameworks.exports.pieces import IN_MEMORY, entry, pieces
from compliance.frameworks.exports.tables import (
    GAPS,
    Row,
    Table,
    fixed_tables,
    rows_by_version,
    versions_table,
)

LONGEST_SHEET = 1_048_576  # rows, of which the head is one
BOLD = Font(bold=True)


def workbook(export: Export) -> Iterator[bytes]:
    """Return a workbook with a sheet a table. Rows are written as they are read.

    Texts stay texts, whatever they begin with, and moments are ISO texts: a spreadsheet
    program knows no time zones.
    """
    book = Workbook(write_only=True)
    properties = book.properties
    properties.creator = "VerifyWise"
    properties.title = f"{export.report.framework.name}: evidence for controls"
    # Of the report, as all of the workbook but its first sheet.
    moment = export.report.moment.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    properties.created = properties.modified = moment

    for table, rows in fixed_tables(export):
        sheet = _Sheet(book, table)
        for row in rows:
            sheet.append(row)
    long = {
        table.name: _Sheet(book, table)
        for table in (GAPS, versions_table(export.report.framework))
    }
    for table, row in rows_by_version(export):
        long[table.name].append(row)
    with SpooledTemporaryFile(IN_MEMORY) as whole:
        with _Archive(whole, "w", ZIP_DEFLATED) as archive:
            ExcelWriter(book, archive).save()
        yield from pieces(whole)


class _Archive(ZipFile):
    """A ZIP file whose entries tell nothing of when they were made."""

    def writestr(
        self,
        zinfo_or_arcname: str | ZipInfo,
        data: Any,
        compress_type: int | None = None,
        compresslevel: int | None = None,
    ) -> None:
        name = zinfo_or_arcname
        told = entry(name if isinstance(name, str) else name.filename)
        super().writestr(told, data, compress_type, compresslevel)

    def write(self, filename: Any, arcname: Any = None, *_: Any) -> None:
        with (
            Path(filename).open("rb") as source,
            self.open(entry(str(arcname)), "w", force_zip64=True) as target,
        ):
            copyfileobj(source, target)


class _Sheet:
    """The sheet of a table, which goes on in a second one where it is full."""

    def __init__(self, book: Workbook, table: Table) -> None:
        self._book = book
        self._table = table
        self._parts = 0
        self._begin()

    def append(self, row: Row) -> None:
        if self._rows == LONGEST_SHEET:
            self._begin()
        self._sheet.append([self._cell(value) for value in row])
        self._rows += 1

    def _begin(self) -> None:
        self._parts += 1
        name = self._table.name
        title = name if self._parts == 1 else f"{name} {self._parts}"
        self._sheet = self._book.create_sheet(title)
        self._sheet.freeze_panes = "A2"
        for number, column in enumerate(self._table.columns, 1):
            letter = get_column_letter(number)
            self._sheet.column_dimensions[letter].width = column.width
        self._sheet.append([self._head(column.title) for column in self._table.columns])
        self._rows = 1

    def _head(self, title: str) -> WriteOnlyCell:
        head = WriteOnlyCell(self._sheet, title)
        head.font = BOLD
        return head

    def _cell(self, value: Cell) -> Cell | WriteOnlyCell:
        """Return a cell; a text that looks like a formula, or an error, stays a text."""
        if not isinstance(value, str):
            return value
        text = cut(value)
        if not is_formula(text) and not text.startswith("#"):
            return text
        told = WriteOnlyCell(self._sheet, text)
        told.data_type = "s"
        told.quotePrefix = True
        return told
