"""Where a sync goes on, in a list of versions that has changed meanwhile."""

from __future__ import annotations

import pytest

from mlflow_sync.fetching import Place
from mlflow_sync.snapshots import VersionSnapshot


def page(letters: str) -> list[VersionSnapshot]:
    return [VersionSnapshot(name=name, version="1", fingerprint="") for name in letters]


PLACE = Place(count=3, name="c", version="1")


@pytest.mark.parametrize(
    ("listed", "letters", "rest"),
    [
        (0, "abcdef", "def"),
        (0, "abc", ""),
        (0, "ab", None),  # the place lies in a later page
        (0, "bcdef", "def"),  # one before the place was deleted
        (0, "a1bcdef", "def"),  # one was made
        (0, "abdef", "ef"),  # the last one itself is gone: its place counts
        (2, "cdef", "def"),
        (2, "defg", "efg"),
        (3, "defg", "defg"),
    ],
)
def test_the_last_version_marks_the_place_and_else_their_number(
    listed: int, letters: str, rest: str | None
) -> None:
    found = PLACE.rest_of(page(letters), listed=listed)

    names = None if found is None else "".join(version.name for version in found)
    assert names == rest


def test_the_place_moves_on_with_each_version() -> None:
    place = PLACE.after(page("\x00"))

    assert (place.count, place.name) == (4, "\ufffd")
