"""The drawing of a history: on one scale, solid where it is certain."""

from __future__ import annotations

from datetime import datetime

from inventory.serving import (
    AliasMove,
    Between,
    Interval,
    Lifecycle,
    StageMove,
    intervals,
    tenures,
)
from inventory.spans import LEAST, Row, Stretch, of_alias, of_serving
from tests.rows import days

Drawing = tuple[Stretch, Stretch]


def between(after: float | None, before: float) -> Between:
    return Between(None if after is None else days(after), days(before))


def drawing(row: Row) -> Drawing:
    return row.possible, row.certain


def served(*moves: StageMove, made: float = 0) -> list[Interval]:
    return intervals([Lifecycle(7, 1, days(made), moves)])


def now() -> datetime:
    return days(10)


def test_a_row_is_pale_where_it_began_and_ended_and_solid_between() -> None:
    first = StageMove("", "Production", "alias champion", between(None, 2))
    last = StageMove("Production", "Archived", "stage Archived", between(6, 8))

    chart = of_serving(served(first, last), now=now())

    (row,) = chart.rows
    assert drawing(row) == (Stretch(0, 800), Stretch(200, 400))
    assert (row.version, row.number, row.then) == (7, 1, "Archived")
    assert (chart.first, chart.last) == (days(0), days(10))


def test_what_still_serves_reaches_the_end() -> None:
    move = StageMove("", "Production", "alias champion", between(None, 5))

    (row,) = of_serving(served(move), now=now()).rows

    assert drawing(row) == (Stretch(0, 1000), Stretch(500, 500))
    assert row.then == ""


def test_what_was_short_can_still_be_seen() -> None:
    first = StageMove("None", "Production", "alias champion", between(9.99, 9.995))
    last = StageMove("Production", "", "", between(None, 9.999))

    (row,) = of_serving(served(first, last), now=now()).rows

    assert row.certain.width == LEAST
    assert row.certain.x + row.certain.width <= 1000
    assert row.then == "no longer told"


def test_an_alias_is_drawn_from_the_first_sight_of_it() -> None:
    moves = [
        AliasMove("champion", 1, between(None, 2)),
        AliasMove("champion", 2, between(4, 5)),
        AliasMove("champion", None, between(6, 7)),
    ]

    second, first = of_alias(tenures(moves), now=now()).rows

    assert drawing(first) == (Stretch(0, 375), Stretch(0, 250))
    assert drawing(second) == (Stretch(250, 375), Stretch(375, 125))
    assert (first.then, second.then) == ("version 2", "removed")


def test_without_a_history_there_is_nothing_to_draw() -> None:
    assert not of_serving([], now=now())
    assert not of_alias([], now=now())
