"""The manifest of a version: what is known of each of its files. Pure data, no Django.

A row has path, size (bytes, None where nobody told) and type, and

- state: what is known of the content now (`State`);
- sha256, hashed_at: the digest of the file as it was first read, and when that was;
- verified_at: when it was last read to its end, and compared;
- reason: why it is too large or unavailable; asked_at: when it was asked for in vain;
- changed: {sha256, size, found_at} of a file that is no longer what it was when it was
  first read; without a sha256 while only another size is known of it;
- unsafe, format: loading it runs code of its own.

Times are ISO 8601 in UTC, as JSON holds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from accounts.history import LOOKED_AT

ManifestRow = Mapping[str, Any]


class State(StrEnum):
    """What we know of the content of a file."""

    HASHED = "hashed"
    TOO_LARGE = "too_large"
    UNAVAILABLE = "unavailable"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True)
class FileCounts:
    """How many files of a version are hashed, wait for it, are too large, have changed."""

    hashed: int = 0
    waiting: int = 0
    too_large: int = 0
    changed: int = 0

    @classmethod
    def of(cls, manifest: Iterable[ManifestRow]) -> FileCounts:
        rows = list(manifest)
        states = [row.get("state") for row in rows]
        return cls(
            hashed=states.count(State.HASHED),
            waiting=states.count(State.NOT_ASKED),
            too_large=states.count(State.TOO_LARGE),
            changed=sum("changed" in row for row in rows),
        )


def content(manifest: Iterable[ManifestRow]) -> list[dict[str, Any]]:
    """Return a manifest without the times at which it was found to be still so."""
    return [
        {name: value for name, value in row.items() if name not in LOOKED_AT}
        for row in manifest
    ]


def changed_files(manifest: Iterable[ManifestRow]) -> list[ManifestRow]:
    """Return the files that are no longer what they were when they were first read."""
    return [row for row in manifest if "changed" in row]


def with_states(
    evidence_files: Iterable[Mapping[str, Any]], manifest: Iterable[ManifestRow]
) -> list[dict[str, Any]]:
    """Return the evidence files with what the manifest knows of their content."""
    known = {row["path"]: row for row in manifest}
    return [
        dict(file)
        | {
            name: known[file["path"]][name]
            for name in ("state", "sha256")
            if name in known.get(file["path"], ())
        }
        for file in evidence_files
    ]
