"""Reading “as of”: a day, or an exact moment, that is not in the future."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from django.utils.dateparse import parse_datetime


def moment_of(told: str, *, now: datetime) -> datetime | None:
    """Return the moment that is meant; None for now: nothing was told, or today.

    A day means its end in UTC. Raises ValueError with a sentence for people.
    """
    told = told.strip()
    if not told:
        return None
    try:
        day = date.fromisoformat(told)
    except ValueError:
        return _exact(told, now=now)
    if day == now.date():
        return None
    if day > now.date():
        raise ValueError(f"{told} is in the future.")
    return datetime.combine(day, time.max, UTC)


def _exact(told: str, *, now: datetime) -> datetime:
    try:
        moment = parse_datetime(told)
    except ValueError:
        moment = None
    if moment is None:
        raise ValueError(
            f"“{told}” is neither a day, such as 2026-03-31, nor a moment, such as "
            "2026-03-31T12:00:00Z."
        )
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment > now:
        raise ValueError(f"{told} is in the future.")
    return moment
