"""Who served when, by a table of what syncs may observe. Times are days after New Year."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from inventory.records import Stage
from inventory.serving import (
    AliasMove,
    Between,
    Certainty,
    Interval,
    Lifecycle,
    StageMove,
    Tenure,
    intervals,
    tenures,
)
from tests.rows import days

NONE, STAGING, PRODUCTION, ARCHIVED = "None", "Staging", "Production", "Archived"
ABSENT = ""
Days = tuple[float | None, float]
Moves = Sequence[tuple[str, str, str, float | None, float]]


def between(bounds: Days) -> Between:
    after, before = bounds
    return Between(None if after is None else days(after), days(before))


def lifecycle(
    moves: Moves, *, number: int = 1, version: int | None = None, made: float = 0.5
) -> Lifecycle:
    """Return what was observed of a version: from, to, told by, after, before."""
    return Lifecycle(
        version=version or number,
        number=number,
        created_at=days(made),
        moves=[
            StageMove(came, went, told_by, between((after, before)))
            for came, went, told_by, after, before in moves
        ],
    )


def bounds(told: Between | None) -> Days | None:
    if told is None:
        return None
    at = [
        moment and (moment - days(0)).total_seconds() / 86_400
        for moment in (told.after, told.before)
    ]
    return at[0], at[1] or 0


def shown(each: Interval) -> tuple[int, str, Days | None, Days | None, str | None]:
    return (
        each.version,
        each.told_by,
        bounds(each.since),
        bounds(each.until),
        each.followed_by,
    )


def test_a_version_that_never_served_has_no_interval() -> None:
    moves = [(ABSENT, NONE, "stage None", 1, 2), (NONE, STAGING, "tag", 2, 3)]

    assert intervals([lifecycle(moves)]) == []


@pytest.mark.parametrize(
    ("moves", "found"),
    [
        pytest.param(
            [
                (ABSENT, NONE, "stage None", None, 1),
                (NONE, PRODUCTION, "alias champion", 2, 3),
            ],
            [("alias champion", (2, 3), None, None)],
            id="promoted, and still there",
        ),
        pytest.param(
            [(ABSENT, PRODUCTION, "stage Production", None, 1)],
            [("stage Production", (None, 1), None, None)],
            id="already in production at the first sync: since when is unknown",
        ),
        pytest.param(
            [(ABSENT, PRODUCTION, "stage Production", 0.2, 1)],
            [("stage Production", (0.2, 1), None, None)],
            id="made and promoted between two syncs",
        ),
        pytest.param(
            [(ABSENT, PRODUCTION, "stage Production", 3, 4)],
            [("stage Production", (None, 4), None, None)],
            id="made long before it came into sight: since when is unknown",
        ),
        pytest.param(
            [
                (ABSENT, NONE, "stage None", None, 1),
                (NONE, PRODUCTION, "run tag stage", None, 4),
                (PRODUCTION, NONE, "stage None", None, 6),
            ],
            [("run tag stage", (None, 4), (None, 6), NONE)],
            id="told by a run, which not every sync reads",
        ),
        pytest.param(
            [
                (ABSENT, NONE, "stage None", None, 1),
                (NONE, PRODUCTION, "alias champion", 2, 3),
                (PRODUCTION, STAGING, "alias challenger", 4, 5),
                (STAGING, PRODUCTION, "stage Production", 6, 7),
                (PRODUCTION, ARCHIVED, "stage Archived", 8, 9),
            ],
            [
                ("stage Production", (6, 7), (8, 9), ARCHIVED),
                ("alias champion", (2, 3), (4, 5), STAGING),
            ],
            id="moved back and forth",
        ),
        pytest.param(
            [
                (ABSENT, PRODUCTION, "tag stage", None, 1),
                (PRODUCTION, ABSENT, "", 4, 5),
            ],
            [("tag stage", (None, 1), (4, 5), ABSENT)],
            id="deleted while it served",
        ),
        pytest.param(
            [
                (ABSENT, PRODUCTION, "alias champion", None, 1),
                (PRODUCTION, ABSENT, "", 4, 5),
                (ABSENT, PRODUCTION, "alias champion", 7, 8),
            ],
            [
                ("alias champion", (None, 8), None, None),
                ("alias champion", (None, 1), (4, 5), ABSENT),
            ],
            id="told again: it may have served while it was hidden",
        ),
        pytest.param(
            [
                (ABSENT, PRODUCTION, "alias champion", None, 1),
                (PRODUCTION, ABSENT, "", 4, 5),
                (ABSENT, ARCHIVED, "stage Archived", 7, 8),
            ],
            [("alias champion", (None, 1), (4, 5), ABSENT)],
            id="told again in another stage",
        ),
        pytest.param(
            [
                (ABSENT, NONE, "stage None", None, 1),
                (NONE, PRODUCTION, "alias champion", 2, 4),
                (PRODUCTION, ARCHIVED, "stage Archived", 2, 5),
            ],
            [("alias champion", (2, 4), (2, 5), ARCHIVED)],
            id="seen by a sync that failed later, and by the next whole one",
        ),
    ],
)
def test_when_a_version_served(
    moves: Moves, found: list[tuple[str, Days, Days | None, str | None]]
) -> None:
    assert [shown(each)[1:] for each in intervals([lifecycle(moves)])] == found


def test_the_next_version_archives_the_one_before_in_the_same_sync() -> None:
    first = [
        (ABSENT, PRODUCTION, "stage Production", None, 1),
        (PRODUCTION, ARCHIVED, "stage Archived", 4, 5),
    ]
    second = [
        (ABSENT, NONE, "stage None", 2, 3),
        (NONE, PRODUCTION, "stage Production", 4, 5),
    ]

    found = intervals([lifecycle(first), lifecycle(second, number=2, made=2.5)])

    assert [shown(each) for each in found] == [
        (2, "stage Production", (4, 5), None, None),
        (1, "stage Production", (None, 1), (4, 5), ARCHIVED),
    ]


def test_two_versions_may_serve_at_once() -> None:
    first = [(ABSENT, PRODUCTION, "stage Production", None, 1)]
    canary = [(ABSENT, PRODUCTION, "alias canary", 2, 3)]

    found = intervals([lifecycle(first), lifecycle(canary, number=2, made=2.5)])

    assert [(each.number, each.until) for each in found] == [(2, None), (1, None)]


def test_versions_under_one_number_are_told_apart() -> None:
    old = [
        (ABSENT, PRODUCTION, "alias champion", None, 1),
        (PRODUCTION, ABSENT, "", 4, 5),
    ]
    new = [(ABSENT, PRODUCTION, "alias champion", 4, 5)]

    found = intervals(
        [
            lifecycle(old, number=3, version=31),
            lifecycle(new, number=3, version=32, made=4.5),
        ]
    )

    assert [(each.version, each.number) for each in found] == [(32, 3), (31, 3)]
    assert bounds(found[0].since) == (4, 5)


def test_any_stage_can_be_asked_for() -> None:
    moves = [
        (ABSENT, STAGING, "alias challenger", 1, 2),
        (STAGING, PRODUCTION, "alias champion", 3, 4),
    ]

    (found,) = intervals([lifecycle(moves)], stage=Stage.STAGING)

    assert (found.told_by, found.followed_by) == ("alias challenger", PRODUCTION)


CERTAIN, POSSIBLE = Certainty.CERTAIN, Certainty.POSSIBLE
ENDED = [
    (ABSENT, NONE, "stage None", None, 1),
    (NONE, PRODUCTION, "alias champion", 2, 3),
    (PRODUCTION, ARCHIVED, "stage Archived", 6, 7),
]
SERVING = ENDED[:2]
UNKNOWN = [(ABSENT, PRODUCTION, "alias champion", None, 1)]
GONE = [*UNKNOWN, (PRODUCTION, ABSENT, "", 4, 5)]
AGAIN = [*GONE, (ABSENT, PRODUCTION, "alias champion", 7, 8)]


@pytest.mark.parametrize(
    ("moves", "moment", "found"),
    [
        (ENDED, 1, []),
        (ENDED, 2, []),  # the sync that began then still saw it elsewhere
        (ENDED, 2.5, [POSSIBLE]),
        (ENDED, 3, [CERTAIN]),
        (ENDED, 4, [CERTAIN]),
        (ENDED, 6, [CERTAIN]),
        (ENDED, 6.5, [POSSIBLE]),
        (ENDED, 7, []),
        (SERVING, 9, [CERTAIN]),
        (SERVING, 9.5, [POSSIBLE]),  # nobody has looked since
        (UNKNOWN, 0.2, []),  # it was not made yet
        (UNKNOWN, 0.7, [POSSIBLE]),
        (UNKNOWN, 1, [CERTAIN]),
        (GONE, 4.5, [POSSIBLE]),
        (GONE, 6, []),
        (AGAIN, 6, [POSSIBLE]),  # hidden it was, deleted not
        (AGAIN, 8.5, [CERTAIN]),
    ],
)
def test_how_sure_it_is_that_a_version_served(
    moves: Moves, moment: float, found: list[Certainty]
) -> None:
    told = (
        each.certainty(days(moment), last_read=days(9))
        for each in intervals([lifecycle(moves)])
    )

    assert [certainty for certainty in told if certainty] == found


def test_where_the_last_reading_is_unknown_only_the_sight_itself_is_certain() -> None:
    (serving,) = intervals([lifecycle(SERVING)])

    assert serving.certainty(days(3), last_read=None) == CERTAIN
    assert serving.certainty(days(4), last_read=None) == POSSIBLE


# Aliases


def test_an_alias_means_one_version_after_the_other() -> None:
    moves = [
        AliasMove("champion", 1, between((None, 1))),
        AliasMove("shadow", 2, between((1, 2))),
        AliasMove("champion", 2, between((3, 4))),
        AliasMove("champion", None, between((5, 6))),
        AliasMove("champion", 1, between((7, 8))),
    ]

    found = [
        (each.alias, each.number, bounds(each.since), bounds(each.until))
        for each in tenures(moves)
    ]

    assert found == [
        ("champion", 1, (7, 8), None),
        ("shadow", 2, (1, 2), None),
        ("champion", 2, (3, 4), (5, 6)),
        ("champion", 1, (None, 1), (3, 4)),
    ]


def test_a_tenure_says_who_came_next() -> None:
    moves = [
        AliasMove("champion", 1, between((None, 1))),
        AliasMove("champion", 2, between((3, 4)), 22),
        AliasMove("champion", None, between((5, 6))),
    ]

    assert [each.version for each in tenures(moves)] == [22, None]
    assert [each.earliest for each in tenures(moves)] == [days(3), None]
    assert [each.followed_by for each in tenures(moves)] == [None, 2]
    assert all(isinstance(each, Tenure) and each.until for each in tenures(moves))


def test_an_alias_that_was_hidden_was_not_there_before_it_was_last_told() -> None:
    moves = [
        AliasMove("champion", 1, between((None, 1))),
        AliasMove("champion", None, between((3, 4))),
        AliasMove("champion", 1, between((None, 6))),
    ]

    again, before = tenures(moves)

    assert (again.since.after, again.earliest) == (None, days(3))
    assert before.earliest is None
