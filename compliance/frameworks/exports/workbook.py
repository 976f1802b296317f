"""The tables of a report as the sheets of an XLSX workbook.

openpyxl makes the workbook, with the head of each sheet; the rows are written here,
and put into their sheets as these go into the file: it takes eight times as long for
a cell, and a workbook has millions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC
from pathlib import Path
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import Any
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.writer.excel import ExcelWriter

from compliance.frameworks.exports.cells import cut, is_formula
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

LONGEST_SHEET = 1_048_576  # rows, of which the head is one
END_OF_ROWS = b"</sheetData>"
BOLD = Font(bold=True)


def workbook(export: Export) -> Iterator[bytes]:
    """Return a workbook with a sheet a table. Rows are written as they are read.

    Texts stay texts, whatever they begin with, and moments are ISO texts: a spreadsheet
    program knows no time zones.
    """
    with ExitStack() as files:
        book = _Book(export, files)
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
        yield from pieces(book.saved())


class _Book:
    """A workbook, and a file of rows for each of its sheets."""

    def __init__(self, export: Export, files: ExitStack) -> None:
        self.book = Workbook(write_only=True)
        self._files = files
        self._rows: list[SpooledTemporaryFile[bytes]] = []
        properties = self.book.properties
        properties.creator = "VerifyWise"
        properties.title = f"{export.report.framework.name}: evidence for controls"
        # Of the report, as all of the workbook but its first sheet.
        moment = export.report.moment.astimezone(UTC)
        properties.created = properties.modified = moment.replace(
            tzinfo=None, microsecond=0
        )

    def rows(self) -> SpooledTemporaryFile[bytes]:
        """Return the file for the rows of the next sheet."""
        self._rows.append(self._files.enter_context(spool()))
        return self._rows[-1]

    def saved(self) -> SpooledTemporaryFile[bytes]:
        whole = self._files.enter_context(spool())
        with _Archive(whole, "w", ZIP_DEFLATED) as archive:
            archive.rows = {
                f"xl/worksheets/sheet{number}.xml": rows
                for number, rows in enumerate(self._rows, 1)
            }
            ExcelWriter(self.book, archive).save()
        return whole


class _Archive(ZipFile):
    """A ZIP file whose entries tell nothing of when they were made.

    A sheet that goes into it takes its rows along.
    """

    rows: dict[str, SpooledTemporaryFile[bytes]]

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
        head, end, rest = Path(filename).read_bytes().partition(END_OF_ROWS)
        rows = self.rows[arcname]
        rows.seek(0)
        with self.open(entry(arcname), "w", force_zip64=True) as sheet:
            sheet.write(head)
            copyfileobj(rows, sheet)
            sheet.write(end + rest)


class _Sheet:
    """The sheet of a table, which goes on in a second one where it is full."""

    def __init__(self, book: _Book, table: Table) -> None:
        self._book = book
        self._table = table
        self._letters = [
            get_column_letter(number) for number in range(1, len(table.columns) + 1)
        ]
        self._parts = 0
        self._begin()

    def append(self, row: Row) -> None:
        if self._number == LONGEST_SHEET:
            self._begin()
        self._number += 1
        number = self._number
        cells = [f'<row r="{number}">']
        for letter, value in zip(self._letters, row, strict=True):
            if isinstance(value, str):
                style = self._quoted if is_formula(value) else ""
                cells.append(
                    f'<c r="{letter}{number}" t="inlineStr"{style}><is>'
                    f'<t xml:space="preserve">{escape(cut(value))}</t></is></c>'
                )
            elif value is not None:
                cells.append(f'<c r="{letter}{number}" t="n"><v>{value}</v></c>')
        cells.append("</row>")
        self._rows.write("".join(cells).encode())

    def _begin(self) -> None:
        self._parts += 1
        name = self._table.name
        title = name if self._parts == 1 else f"{name} {self._parts}"
        sheet = self._book.book.create_sheet(title)
        sheet.freeze_panes = "A2"
        heads = []
        for letter, column in zip(self._letters, self._table.columns, strict=True):
            sheet.column_dimensions[letter].width = column.width
            head = WriteOnlyCell(sheet, column.title)
            head.font = BOLD
            heads.append(head)
        sheet.append(heads)
        # What a spreadsheet program sets where a text was typed with an apostrophe.
        quoted = WriteOnlyCell(sheet)
        quoted.quotePrefix = True
        self._quoted = f' s="{quoted.style_id}"'
        self._rows = self._book.rows()
        self._number = 1
