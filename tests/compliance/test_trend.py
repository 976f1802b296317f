"""The trend of gaps: a story of a gap, day by day, and that the last day is today."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from accounts.models import Organization, User
from compliance.catalogue import Severity
from compliance.evaluation import evaluate_organization
from compliance.models import Gap, Policy, ResultChange
from compliance.policy import read
from compliance.trend import Day, Trend, trend
from compliance.trend_chart import AREA, LEFT, WIDTH, chart
from inventory.models import ModelVersion, Source
from tests.callers import calling
from tests.compliance.conftest import change
from tests.pages import MOST_QUERIES, Visitor
from tests.rows import a_gap, a_model, a_version, a_waiver

LAST_DAYS = 5


def ago(days: int, *, hour: int = 0) -> datetime:
    """Return a moment so many days before today, early in the day."""
    day = now().date() - timedelta(days=days)
    return datetime.combine(day, time(hour), tzinfo=UTC)


def told(days: list[Day], what: str) -> list[int]:
    return [sum(getattr(day, what).values()) for day in days[-LAST_DAYS:]]


# gap, changes as (days ago, event), open, waived, opened and closed on the last five days
STORIES: dict[str, tuple[dict[str, Any], list[tuple[int, str]], str, str, str, str]] = {
    "opened by the first judgement": (
        {"opened_at": 3}, [],
        "01111", "00000", "01000", "00000",
    ),
    "opened before the time that is looked at": (
        {"opened_at": 200}, [],
        "11111", "00000", "00000", "00000",
    ),
    "opened by a later judgement, which is a change too": (
        {"opened_at": 3}, [(3, "opened"), (2, "refreshed"), (1, "undecided")],
        "01111", "00000", "01000", "00000",
    ),
    "closed and reopened": (
        {"opened_at": 4, "reopened_at": 1}, [(3, "closed"), (1, "reopened")],
        "10011", "00000", "10010", "01000",
    ),
    "opened and closed on one day": (
        {"opened_at": 2, "closed_at": 2, "status": "closed"}, [(2, "closed")],
        "00000", "00000", "00100", "00100",
    ),
    "waived, open again, closed": (
        {"opened_at": 4, "closed_at": 1, "status": "closed"},
        [(3, "waived"), (2, "unwaived"), (1, "closed")],
        "10100", "01000", "10000", "00010",
    ),
    "waived, and closed while it was": (
        {"opened_at": 4, "closed_at": 2, "status": "closed"},
        [(3, "waived"), (2, "closed")],
        "10000", "01000", "10000", "00100",
    ),
    "waived by its very opening, and still": (
        {"opened_at": 3, "waived_until": -9}, [],
        "00000", "01111", "01000", "00000",
    ),
    "waived by its opening, a change, until it was revoked": (
        {"opened_at": 3}, [(3, "waived"), (1, "unwaived")],
        "00011", "01100", "01000", "00000",
    ),
    "waived by its first opening, until it was revoked": (
        {"opened_at": 3}, [(1, "unwaived")],
        "00011", "01100", "01000", "00000",
    ),
    "reopened under a waiver": (
        {"opened_at": 4, "reopened_at": 2, "waived_until": -9},
        [(3, "closed"), (2, "waived")],
        "10000", "00111", "10100", "01000",
    ),
    "reopened by a rule that was off": (
        {"opened_at": 4, "reopened_at": 2}, [(3, "closed")],
        "10111", "00000", "10100", "01000",
    ),
    "waived until yesterday, and the job that ends it is late": (
        {"opened_at": 4, "waived_until": 1}, [(3, "waived")],
        "10001", "01110", "10000", "00000",
    ),
    "of a version that vanished, and was judged after that": (
        {"opened_at": 4, "gone": 2, "closed_at": 1, "status": "closed"},
        [(1, "closed")],
        "11000", "00000", "10000", "00000",
    ),
    "that a version vanished": (
        {"opened_at": 2, "gone": 2, "rule_id": "VW-OPS-003"}, [],
        "00111", "00000", "00100", "00000",
    ),
}  # fmt: skip


@pytest.fixture
def tell(source: Source, max_: User, olga: User) -> Callable[[str], Gap]:
    """Return a function that makes the rows of a story."""
    model = a_model(source)
    numbers = iter(range(1, 100))

    def make(name: str) -> Gap:
        fields, changes, *_ = STORIES[name]
        fields = dict(fields)
        gone, until = fields.pop("gone", None), fields.pop("waived_until", None)
        moments = {
            key: ago(value) if isinstance(value, int) else value
            for key, value in fields.items()
        }
        version = a_version(
            model,
            next(numbers),
            absent_since=None if gone is None else ago(gone, hour=1),
        )
        gap = a_gap(version, **moments)
        if until is not None:
            last = ago(until).date()
            waiver = a_waiver(
                gap, max_, status="approved", decided_by=olga, decided_at=now(),
                ends_on=last,
            )  # fmt: skip
            waived = {"status": "waived", "waiver": waiver, "waived_until": last}
            Gap.objects.filter(pk=gap.pk).update(**waived)
        for days, event in changes:
            ResultChange.objects.create(
                version=version, gap=gap, rule_id=gap.rule_id, before="pass",
                after="fail", event=event, at=ago(days),
            )  # fmt: skip
        return gap

    return make


@pytest.mark.parametrize("name", STORIES)
def test_a_gap_is_counted_on_each_day_as_it_was(
    tell: Callable[[str], Gap], name: str
) -> None:
    tell(name)
    found = list(trend(30).days)
    _, _, is_open, waived, opened, closed = STORIES[name]
    assert "".join(map(str, told(found, "open"))) == is_open
    assert "".join(str(day.waived) for day in found[-LAST_DAYS:]) == waived
    assert "".join(map(str, told(found, "opened"))) == opened
    assert "".join(map(str, told(found, "closed"))) == closed


def open_now() -> Counter[Severity]:
    gaps = Gap.objects.open().present().filter(kind=Gap.Kind.RULE)
    return Counter(Severity(gap.severity) for gap in gaps)


def assert_today_is_now(found: Trend) -> None:
    today = found.days[-1]
    assert today.day == now().date()
    assert +Counter(today.open) == open_now()
    assert today.waived == Gap.objects.waived().present().count()


def test_what_is_open_today_is_what_is_open_now(
    tell: Callable[[str], Gap],
    source: Source,
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    for name in STORIES:
        tell(name)
    a_gap(source=source, severity=Severity.LOW, rule_id="VW-OPS-001")
    a_gap(source=source, kind=Gap.Kind.MISSING_FIELD, rule_id="VW-FIELD-OWNER")
    for length in (30, 90, 365):
        with django_assert_num_queries(2):
            found = trend(length)
        assert len(found.days) == length
        assert_today_is_now(found)
    (missing,) = trend(30, kind=Gap.Kind.MISSING_FIELD).days[-1:]
    assert sum(missing.open.values()) == 1


def test_real_judgements_are_told_as_they_went(
    acme: Organization, make_version: Callable[..., ModelVersion]
) -> None:
    version = make_version(owner="")
    for days, owner in ((9, ""), (6, "max@example.org"), (3, ""), (1, "")):
        change(version, at=ago(days), owner=owner, lifecycle_stage="Production")
        evaluate_organization(acme, at=ago(days))
        assert_today_is_now(trend(30))
    found = {day.day: day for day in trend(30).days}
    assert sum(found[ago(9).date()].opened.values()) > 1
    assert sum(found[ago(6).date()].closed.values()) == 1
    assert sum(found[ago(3).date()].opened.values()) == 1
    assert not found[ago(1).date()].is_eventful


def a_published_policy(number: int, at: datetime) -> None:
    said = read({"packs": ["starter"]})
    Policy.objects.create(
        number=number, published_at=at, content=said.to_json(), digest=said.digest,
        title="Stricter",
    )  # fmt: skip


def test_the_page_and_the_api_tell_the_same_with_the_policies(
    tell: Callable[[str], Gap], olga: User
) -> None:
    for name in STORIES:
        tell(name)
    a_published_policy(1, ago(100))
    a_published_policy(2, ago(2))
    visitor = Visitor(olga)
    visitor.page("compliance/gap/")  # the first request of a session costs more

    page, text = (
        visitor.page("compliance/gap/trend/"),
        visitor.text("compliance/gap/trend/"),
    )

    assert visitor.queries("compliance/gap/trend/") <= MOST_QUERIES - 4
    assert f"{sum(open_now().values())} open today" in text
    assert "Policy 2, published on" in page
    assert "Policy 1, published on" not in page
    assert "Policy 1, published on" in visitor.page("compliance/gap/trend/", days="365")
    assert "open today" in visitor.text("compliance/gap/trend/", days="7", kind="eat")

    caller = calling(olga)
    status, body = caller.get("gaps/trend/", days=30)
    assert (status, len(body["days"])) == (200, 30)
    assert body["days"][-1]["open"]["high"] == open_now()[Severity.HIGH]
    policy = {"number": 2, "title": "Stricter", "day": ago(2).date().isoformat()}
    assert body["policies"] == [policy]
    assert list(caller.fault("gaps/trend/", days="7")) == ["days"]
    assert list(caller.fault("gaps/trend/", dais="30")) == ["dais"]


def test_the_chart_stacks_the_severities_on_one_scale() -> None:
    def day(number: int, critical: int, low: int) -> Day:
        none = dict.fromkeys(Severity, 0)
        levels = none | {Severity.CRITICAL: critical, Severity.LOW: low}
        return Day(day=ago(2 - number).date(), open=levels, waived=0, opened=levels,
                   closed=none)  # fmt: skip

    drawn = chart([day(0, 0, 0), day(1, 2, 3), day(2, 0, 5)], [])

    assert [area.tone for area in drawn.areas] == ["critical", "low"]
    middle = round(LEFT + (WIDTH - LEFT) / 2, 1)
    critical, low = (area.points.split(" ") for area in drawn.areas)
    assert critical[1] == f"{middle},{AREA * (1 - 2 / 5)}"
    assert low[1] == f"{middle},0.0"
    assert low[-2] == critical[1]  # it stands on the other one
    assert [bar.tone for bar in drawn.bars] == ["critical", "low", "low"]
    assert all(LEFT <= bar.x <= WIDTH - bar.width for bar in drawn.bars)
    assert [label.text for label in drawn.area_scale] == ["5", "0"]
