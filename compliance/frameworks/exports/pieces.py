"""Files that are made whole before they are sent, outside memory where they are long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from zipfile import ZIP_DEFLATED, ZipInfo

IN_MEMORY = 4 * 1024 * 1024  # octets that are kept in memory; what is longer, on disk
PIECE = 64 * 1024
FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the first moment that a ZIP file can tell of


def entry(name: str) -> ZipInfo:
    """Return the entry of a ZIP file that tells nothing of when it was made."""
    told = ZipInfo(name, date_time=FIRST_DAY)
    told.compress_type = ZIP_DEFLATED
    return told


@contextmanager
def spool() -> Iterator[SpooledTemporaryFile[bytes]]:
    """Return a file that goes to disk where it grows long, and is gone at the end."""
    with SpooledTemporaryFile(IN_MEMORY) as file:
        yield file


def pieces(file: SpooledTemporaryFile[bytes]) -> Iterator[bytes]:
    """Return what a file holds, from its beginning."""
    file.seek(0)
    while piece := file.read(PIECE):
        yield piece
