"""The bytes of one file as they come, from its beginning or from where they stopped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from mlflow_sync.client.connection import MEBIBYTE
from mlflow_sync.exceptions import FailureKind, SyncError

# A file may take as long as it takes, if so much of it comes in so many seconds.
LEAST_BYTES = 8 * MEBIBYTE
LEAST_SECONDS = 60.0
TOO_SLOW = (
    f"sent less than {LEAST_BYTES // MEBIBYTE} MiB of the file in {LEAST_SECONDS:g} s"
)

_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStream:
    """A file that a server is sending, of which byte `begin` comes first.

    `size` is that of the whole file, None where the server does not tell it.
    `validator` names the content: the server goes on in the middle for who hands it
    back, if the file still is the same; "" where it gives no such promise.
    """

    begin: int
    size: int | None
    validator: str
    chunks: Iterator[bytes]


def asking(*, begin: int, validator: str) -> dict[str, str]:
    """Return the headers that ask for a file as it is stored, from a byte on."""
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    if begin:
        headers |= {"Range": f"bytes={begin}-", "If-Range": validator}
    return headers


def answered(
    status: int, headers: Mapping[str, str], *, asked: int, chunks: Iterator[bytes]
) -> FileStream:
    """Return what a 2xx answer sends. Raises SyncError if that is another part."""
    etag = headers.get("ETag", "")
    # What is weak, or was packed on the way, promises nothing about single bytes.
    is_exact = etag.startswith('"') and not headers.get("Content-Encoding")
    begin, size = 0, headers.get("Content-Length", "")
    if status == HTTPStatus.PARTIAL_CONTENT:
        told = _RANGE.fullmatch(headers.get("Content-Range", ""))
        begin, size = (int(told[1]), told[2]) if told else (-1, "")
    if begin not in (0, asked):
        raise SyncError(
            "The tracking server sent another part of the file than it was asked for.",
            kind=FailureKind.BAD_REQUEST,
        )
    return FileStream(
        begin=begin,
        size=int(size) if size.isdecimal() else None,
        validator=etag if is_exact else "",
        chunks=chunks,
    )
