"""How many gaps were open on each day, and how many were opened and closed on it.

Worked out of the first openings, which gaps keep themselves, and of the changes of
results. A gap counts under the severity that it has today. One that is waived is not
open; what opens waived, or reopens so, counts as opened all the same. When a version is
no longer told, its gaps stop counting, and are not closed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.db import connection
from django.utils.timezone import now

from accounts.tenancy import current_organization_id
from compliance.catalogue import Severity
from compliance.models import Gap, Policy, ResultChange
from compliance.models.gaps import OF_ABSENCE
from inventory.models import ModelVersion

LENGTHS = (30, 90, 365)  # days

# A gap is open, waived, closed or gone after each step. Of the first opening, and of a
# reopening by a rule that was off before, no change tells whether it was waived at once:
# what follows tells, or else what the gap is now.
_STATEMENT = """
WITH gap AS (
    SELECT gap.id, gap.severity, gap.status, gap.opened_at, gap.reopened_at,
        gap.closed_at, gap.waived_until,
        CASE WHEN gap.rule_id <> %(of_absence)s THEN version.absent_since END AS gone_at
    FROM {gap} AS gap LEFT JOIN {version} AS version ON version.id = gap.version_id
    WHERE gap.organization_id = %(organization)s AND gap.kind = %(kind)s
), step AS (
    SELECT id, opened_at AS at, 0 AS nth, 0 AS change, 'begun' AS event FROM gap
    UNION ALL
    SELECT id, reopened_at, 0, 0, 'begun' FROM gap WHERE reopened_at IS NOT NULL
    UNION ALL
    SELECT gap.id, change.at, 1, change.id, change.event
    FROM {change} AS change JOIN gap ON gap.id = change.gap_id
    WHERE change.event IN ('opened', 'reopened', 'waived', 'unwaived', 'closed')
    UNION ALL
    SELECT id, closed_at, 2, 0, 'closed' FROM gap WHERE closed_at IS NOT NULL
    UNION ALL
    SELECT id, (waived_until + 1)::timestamp AT TIME ZONE 'UTC', 3, 0, 'unwaived'
    FROM gap WHERE status = 'waived' AND waived_until < %(today)s
    UNION ALL
    SELECT id, gone_at, 4, 0, 'gone' FROM gap WHERE gone_at IS NOT NULL
), followed AS (
    SELECT step.*, gap.severity, gap.status,
        lead(step.event) OVER (PARTITION BY step.id ORDER BY at, nth, change) AS next
    FROM step JOIN gap ON gap.id = step.id
    WHERE gone_at IS NULL OR at < gone_at OR (at = gone_at AND event = 'gone')
), state AS (
    SELECT id, at, nth, change, severity, CASE
        WHEN event IN ('waived', 'closed', 'gone') THEN event
        WHEN event <> 'begun' THEN 'open'
        WHEN next = 'unwaived' THEN 'waived'
        WHEN (next IS NULL OR next = 'gone') AND status = 'waived' THEN 'waived'
        ELSE 'open' END AS state
    FROM followed
), moved AS (
    SELECT severity, state, (at AT TIME ZONE 'UTC')::date AS day, coalesce(
        lag(state) OVER (PARTITION BY id ORDER BY at, nth, change), 'closed') AS before
    FROM state
)
SELECT greatest(day, %(before)s) AS day, severity,
    count(*) FILTER (WHERE state = 'open') - count(*) FILTER (WHERE before = 'open'),
    count(*) FILTER (WHERE state = 'waived')
        - count(*) FILTER (WHERE before = 'waived'),
    count(*) FILTER (WHERE state IN ('open', 'waived') AND before = 'closed'),
    count(*) FILTER (WHERE state = 'closed' AND before IN ('open', 'waived'))
FROM moved WHERE state <> before GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What was so at the end of a day, in UTC, and what happened on it, by severity."""

    day: date
    open: Mapping[Severity, int]
    waived: int
    opened: Mapping[Severity, int]
    closed: Mapping[Severity, int]

    @property
    def is_eventful(self) -> bool:
        return any((*self.opened.values(), *self.closed.values()))


@dataclass(frozen=True, slots=True)
class Marker:
    """A policy that was published: from then on, gaps may be there because of it."""

    number: int
    title: str
    day: date


@dataclass(frozen=True, slots=True)
class Trend:
    days: Sequence[Day]
    policies: Sequence[Marker]


def trend(length: int, *, kind: Gap.Kind = Gap.Kind.RULE) -> Trend:
    """Return the last days, today included. Costs two queries, however many gaps."""
    today = now().date()
    first = today - timedelta(days=length - 1)
    steps: defaultdict[date, list[tuple[int, ...]]] = defaultdict(list)
    for day, *told in _steps(kind, today=today, before=first - timedelta(days=1)):
        steps[day].append(tuple(told))
    standing, waived = dict.fromkeys(Severity, 0), 0
    days = []
    for number in range(-1, length):
        day = first + timedelta(days=number)
        opened, closed = dict.fromkeys(Severity, 0), dict.fromkeys(Severity, 0)
        for level, more, more_waived, now_opened, now_closed in steps[day]:
            severity = Severity(level)
            standing[severity] += more
            waived += more_waived
            opened[severity], closed[severity] = now_opened, now_closed
        days.append(
            Day(day=day, open={**standing}, waived=waived, opened=opened, closed=closed)
        )
    published = Policy.objects.filter(published_at__date__gte=first).order_by("number")
    return Trend(
        days=days[1:],
        policies=[
            Marker(number or 0, title, at.date())
            for number, title, at in published.values_list(
                "number", "title", "published_at"
            )
            if at is not None
        ],
    )


def _steps(
    kind: Gap.Kind, *, today: date, before: date
) -> list[tuple[date, int, int, int, int, int]]:
    """Return day, severity, more open, more waived, opened, closed.

    All that was before the first day comes together, on the day `before` it.
    """
    quote = connection.ops.quote_name
    statement = _STATEMENT.format(
        gap=quote(Gap._meta.db_table),
        version=quote(ModelVersion._meta.db_table),
        change=quote(ResultChange._meta.db_table),
    )
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            {
                "organization": current_organization_id(),
                "kind": kind.value,
                "of_absence": OF_ABSENCE,
                "today": today,
                "before": before,
            },
        )
        rows: list[tuple[date, int, int, int, int, int]] = cursor.fetchall()
    return rows
