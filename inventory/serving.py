"""Which version served when, and which one an alias meant: from what syncs observed.

Pure data in, intervals out. No exact time is known of any move, only two moments between
which it happened; what moved there and back between two syncs left no trace at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from inventory.fields import Stage


@dataclass(frozen=True, slots=True)
class Between:
    """Some moment later than `after`, None where that is unknown, up to `before`."""

    after: datetime | None
    before: datetime


@dataclass(frozen=True, slots=True)
class StageMove:
    """A version moved. An empty stage: it was not told before, or no longer is."""

    from_stage: str
    to_stage: str
    told_by: str
    observed: Between


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What was observed of one version, the oldest move first."""

    version: int  # its key; several may have had one number, one after the other
    number: int
    created_at: datetime  # by MLflow's clock
    moves: Sequence[StageMove]


@dataclass(frozen=True, slots=True)
class AliasMove:
    """An alias moved to a version number; None: it was not there, or no longer is."""

    alias: str
    to_number: int | None
    observed: Between
    version: int | None = None  # the key of the version that had the number then


class Certainty(StrEnum):
    """How sure it is that a version served at a moment."""

    CERTAIN = "certain"  # the syncs around the moment saw it so
    POSSIBLE = "possible"  # it began, or ended, at some time around the moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A version was in a stage; without an end, it still is."""

    version: int
    number: int
    told_by: str  # what said so when it began, such as “alias champion”
    since: Between
    earliest: datetime  # it began later than this
    until: Between | None = None
    followed_by: str | None = None  # the next stage; empty: it was no longer told

    def certainty(
        self, moment: datetime, *, last_read: datetime | None
    ) -> Certainty | None:
        """Tell how sure it is that the version was in the stage, None if it was not.

        Nobody has looked since `last_read`; None where that is unknown itself.
        """
        first_seen = self.since.before
        last_seen = last_read if self.until is None else self.until.after
        if first_seen <= moment <= max(first_seen, last_seen or first_seen):
            return Certainty.CERTAIN
        is_over = self.until is not None and moment >= self.until.before
        return Certainty.POSSIBLE if self.earliest < moment and not is_over else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenure:
    """An alias pointed to a version; without an end, it still does."""

    alias: str
    version: int | None  # None: no version of the number was told
    number: int
    since: Between
    earliest: datetime | None  # it began later than this; None: unknown
    until: Between | None = None
    followed_by: int | None = None  # the next version; None: the alias was removed


def intervals(
    lifecycles: Iterable[Lifecycle], *, stage: str = Stage.PRODUCTION
) -> list[Interval]:
    """Return when each version was in a stage: what still is first, then the newest."""
    found = [each for lifecycle in lifecycles for each in _intervals(lifecycle, stage)]
    return sorted(
        found,
        key=lambda each: (each.until is None, each.since.before, each.number),
        reverse=True,
    )


def _intervals(lifecycle: Lifecycle, stage: str) -> Iterator[Interval]:
    current: Interval | None = None
    earliest = lifecycle.created_at
    for move in lifecycle.moves:
        observed = move.observed
        if not move.from_stage and lifecycle.created_at < (observed.after or earliest):
            # It was there before it was told: nobody knows in which stage.
            observed = replace(observed, after=None)
        earliest = max(earliest, observed.after or earliest)
        if current and move.to_stage != stage:
            yield replace(current, until=observed, followed_by=move.to_stage)
            current = None
        elif not current and move.to_stage == stage:
            current = Interval(
                version=lifecycle.version,
                number=lifecycle.number,
                told_by=move.told_by,
                since=observed,
                earliest=earliest,
            )
    if current:
        yield current


def tenures(moves: Iterable[AliasMove]) -> list[Tenure]:
    """Return which versions aliases meant, from moves told the oldest first.

    What still holds comes first, then the newest.
    """
    found: list[Tenure] = []
    current: dict[str, Tenure] = {}
    earliest: dict[str, datetime] = {}
    for move in moves:
        if after := move.observed.after:
            earliest[move.alias] = after
        if before := current.pop(move.alias, None):
            found.append(
                replace(before, until=move.observed, followed_by=move.to_number)
            )
        if move.to_number is not None:
            current[move.alias] = Tenure(
                alias=move.alias,
                version=move.version,
                number=move.to_number,
                since=move.observed,
                earliest=earliest.get(move.alias),
            )
    return sorted(
        [*found, *current.values()],
        key=lambda each: (each.until is None, each.since.before),
        reverse=True,
    )
