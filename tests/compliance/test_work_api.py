"""Gaps as work over REST."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from accounts.models import User
from compliance.models import Gap, GapComment
from inventory.models import ModelVersion
from tests.callers import Caller, calling
from tests.rows import a_gap


def in_days(count: int) -> str:
    day: date = now().date() + timedelta(days=count)
    return day.isoformat()


@pytest.fixture
def gaps(version: ModelVersion) -> list[Gap]:
    return [a_gap(version, rule_id=f"R-{number}") for number in range(3)]


@pytest.fixture
def olgas(olga: User) -> Caller:
    return calling(olga)


def errors(answer: tuple[int, Any]) -> dict[str, str]:
    status, body = answer
    assert status == 400, body
    return {error["field"]: error["detail"] for error in body["errors"]}


def test_one_gap_is_assigned_due_and_commented_on(
    gaps: list[Gap], olgas: Caller, max_: User
) -> None:
    path = f"gaps/{gaps[0].pk}/"
    done = {"changed": [gaps[0].pk], "left": []}
    assert olgas.post(f"{path}assign/", {"owner": max_.pk}) == (200, done)
    assert olgas.post(f"{path}due/", {"due_on": in_days(2)}) == (200, done)
    status, said = olgas.post(f"{path}comments/", {"text": "Soon."})
    assert (status, said["author"]["name"], said["text"]) == (201, "Olga", "Soon.")

    _, gap = olgas.get(path)
    assert gap["owner"]["email"] == "max@example.org"
    assert (gap["due_on"], gap["is_overdue"]) == (in_days(2), False)
    assert gap["comments"] == [said]
    assert olgas.get(f"{path}comments/") == (200, [said])
    assert olgas.post(f"{path}assign/", {"owner": None})[1] == done
    assert olgas.post(f"{path}due/", {"due_on": None})[1] == done
    assert olgas.post(f"{path}assign/", {"to_model_owner": True})[1] == done
    assert Gap.objects.get(pk=gaps[0].pk).owner == max_


def test_many_gaps_at_once_or_none(gaps: list[Gap], olgas: Caller, max_: User) -> None:
    ids = [gap.pk for gap in gaps]
    for path, body in (
        ("assign-many", {"owner": max_.pk}),
        ("due-many", {"due_on": in_days(0)}),
        ("comment-many", {"text": "We meet on Monday."}),
    ):
        status, done = olgas.post(f"gaps/{path}/", body | {"gaps": ids})
        assert status in (200, 201)
        assert sorted(done["changed"]) == sorted(ids)
    assert Gap.objects.filter(owner=max_, due_on=in_days(0)).count() == 3
    assert GapComment.objects.count() == 3
    Gap.objects.filter(pk=ids[0]).update(status="closed", closed_at=now())
    refused = olgas.post("gaps/assign-many/", {"gaps": ids, "owner": None})
    assert "R-0 on credit-scoring version 1 is closed" in errors(refused)["gaps"]
    assert Gap.objects.filter(owner=max_).count() == 3


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("assign", {}, ("owner", "Say either an owner, or to_model_owner.")),
        ("assign", {"owner": 1, "to_model_owner": True}, ("owner", "Say either")),
        ("assign", {"owner": 999}, ("owner", "No active member")),
        ("assign", {"owner": "Max"}, ("owner", "A valid integer")),
        ("due", {"due_on": "2020-01-01"}, ("due_on", "has passed")),
        ("due", {"due_on": "soon"}, ("due_on", "Date has wrong format")),
        ("due", {}, ("due_on", "required")),
        ("comments", {"text": "  "}, ("text", "not empty")),
    ],
)
def test_a_fault_is_told_by_its_field(
    gaps: list[Gap],
    olgas: Caller,
    path: str,
    body: dict[str, Any],
    expected: tuple[str, str],
) -> None:
    field, words = expected
    assert words in errors(olgas.post(f"gaps/{gaps[0].pk}/{path}/", body))[field]


def test_gaps_that_are_not_there_are_named(gaps: list[Gap], olgas: Caller) -> None:
    body = {"gaps": [gaps[0].pk, 999999], "due_on": None}
    assert errors(olgas.post("gaps/due-many/", body)) == {
        "gaps": "There is none with the id 999999."
    }
    assert olgas.post("gaps/999999/due/", {"due_on": None})[0] == 404


def test_an_auditor_reads_comments_and_does_nothing(
    gaps: list[Gap], audrey: User
) -> None:
    audreys, path = calling(audrey), f"gaps/{gaps[0].pk}/"
    assert audreys.get(f"{path}comments/") == (200, [])
    for act, body in (
        (f"{path}assign/", {"owner": None}),
        (f"{path}due/", {"due_on": None}),
        (f"{path}comments/", {"text": "Hm."}),
        ("gaps/assign-many/", {"owner": None, "gaps": [gaps[0].pk]}),
        ("gaps/due-many/", {"due_on": None, "gaps": [gaps[0].pk]}),
        ("gaps/comment-many/", {"text": "Hm.", "gaps": [gaps[0].pk]}),
    ):
        assert audreys.post(act, body)[0] == 403, act


def test_the_list_is_filtered_by_owner_and_due_date(
    gaps: list[Gap], olgas: Caller, max_: User
) -> None:
    for gap, fields in zip(
        gaps,
        (
            {"owner": max_, "due_on": in_days(-1)},
            {"owner": olgas.user, "due_on": in_days(7)},
            {},
        ),
        strict=True,
    ):
        Gap.objects.filter(pk=gap.pk).update(**fields)

    def found(**asked: str) -> list[str]:
        return [gap["rule_id"] for gap in olgas.results("gaps/", **asked)]

    assert found(owner="me") == ["R-1"]
    assert found(owner="nobody") == ["R-2"]
    assert found(owner=str(max_.pk)) == ["R-0"]
    assert found(overdue="true") == ["R-0"]
    assert found(overdue="false") == ["R-1", "R-2"]
    assert found(due="week") == ["R-1"]
    assert found(due="none") == ["R-2"]
    assert found(ordering="-due_on") == ["R-1", "R-0", "R-2"]
    assert "“me” or “nobody”" in olgas.fault("gaps/", owner="max")["owner"]
