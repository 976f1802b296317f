"""Gaps as work in the console: the list, its views, the page that asks, one gap's page."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from accounts.models import Membership, SavedView, User
from accounts.roles import Role
from compliance.models import Gap, GapComment
from inventory.models import ModelVersion
from tests.conftest import member
from tests.pages import MOST_QUERIES, Visitor
from tests.rows import a_gap, a_view, a_waiver

LIST = "compliance/gap/"
WORK = "compliance/gap/work/"


def in_days(count: int) -> date:
    return now().date() + timedelta(days=count)


@pytest.fixture
def gaps(version: ModelVersion, max_: User, olga: User) -> dict[str, Gap]:
    """A gap for each of the ways in which gaps are work, by rule."""
    left = User.objects.create_user("lea@example.org", name="Lea")
    waiver = a_waiver(
        a_gap(version, rule_id="W"), max_, status="approved", decided_by=olga,
        decided_at=now(), ends_on=in_days(9),
    )  # fmt: skip
    waived = {"status": "waived", "waiver": waiver, "waived_until": in_days(9)}
    Gap.objects.filter(rule_id="W").update(**waived)
    for rule_id, fields in {
        "MAXS": {"owner": max_, "due_on": in_days(-1)},
        "OLGAS": {"owner": olga, "due_on": in_days(7), "kind": "missing_field"},
        "LEAS": {"owner": left, "due_on": in_days(8), "gate": "warn"},
        "NOBODYS": {"gate": "warn"},
        "CLOSED": {
            "owner": max_,
            "due_on": in_days(-9),
            "status": "closed",
            "closed_at": now(),
        },
    }.items():
        a_gap(version, rule_id=rule_id, **fields)
    return {gap.rule_id: gap for gap in Gap.objects.all()}


def listed(visitor: Visitor, gaps: dict[str, Gap], **asked: str) -> set[str]:
    rows = visitor.rows(LIST, **asked)
    return {rule_id for rule_id in gaps for row in rows if f" {rule_id} " in row}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"owner": "me", "kind": "all"}, {"OLGAS"}),
        ({"owner": "nobody"}, {"LEAS", "NOBODYS"}),
        ({"due": "overdue", "status": "all"}, {"MAXS"}),
        ({"due": "week", "kind": "all"}, {"OLGAS"}),
        ({"due": "none"}, {"NOBODYS"}),
        ({"gate": "block", "stage": "Production"}, {"MAXS"}),
        ({"stage": "Staging"}, set()),
        ({"status": "ending"}, {"W"}),
    ],
)
def test_the_list_is_narrowed_by_owner_due_date_gate_and_stage(
    gaps: dict[str, Gap], olga: User, asked: dict[str, str], found: set[str]
) -> None:
    assert listed(Visitor(olga), gaps, **asked) == found


def test_a_row_shows_whose_it_is_and_that_it_is_overdue(
    gaps: dict[str, Gap], olga: User, max_: User
) -> None:
    visitor = Visitor(olga)
    (row,) = visitor.rows(LIST, owner=str(max_.pk))
    assert ", overdue" in row
    assert f"Max {in_days(-1):%-d %b}" in row
    (row,) = visitor.rows(LIST, q="LEAS")
    assert "Lea left" in row


def test_the_list_and_the_page_cost_what_they_cost(
    gaps: dict[str, Gap], version: ModelVersion, olga: User, max_: User
) -> None:
    visitor = Visitor(olga)
    page = f"{LIST}{gaps['MAXS'].pk}/change/"
    visitor.page(LIST)  # the first request of a session costs more
    few = [visitor.queries(LIST), visitor.queries(page)]
    for number in range(9):
        a_gap(version, rule_id=f"R-{number}", owner=max_)
        a_view(max_, f"View {number}", is_shared=True)
        GapComment.objects.create(gap=gaps["MAXS"], author=olga, text="Soon.")
    assert [visitor.queries(LIST), visitor.queries(page)] == few
    assert max(few) <= MOST_QUERIES


# The acts, from the list


def chosen(visitor: Visitor, action: str, gaps: list[Gap], query: str = "") -> str:
    """Choose gaps on the list and an action; return where that leads."""
    ids = [gap.pk for gap in gaps]
    answer = visitor.post(f"{LIST}{query}", action=action, _selected_action=ids)
    return str(answer["Location"]).removeprefix("/console/")


def test_chosen_gaps_are_assigned_and_the_list_is_as_it_was(
    gaps: dict[str, Gap], olga: User, max_: User
) -> None:
    visitor = Visitor(olga)
    two = [gaps["LEAS"], gaps["NOBODYS"]]
    place = chosen(visitor, "assign_gaps", two, "?owner=nobody&severity=high")

    answer = visitor.client.get(f"/console/{place}")
    assert "Assign: 2 gaps" in answer.content.decode()
    answer = visitor.post(place, owner=max_.pk)

    assert answer["Location"] == "/console/compliance/gap/?owner=nobody&severity=high"
    assert set(Gap.objects.filter(owner=max_, closed_at=None)) == {gaps["MAXS"], *two}
    place = chosen(visitor, "assign_gaps", two)
    visitor.post(place, owner="nobody")
    assert not Gap.objects.filter(pk__in=[gap.pk for gap in two], owner=max_).exists()
    visitor.post(place, owner="model")
    assert all(Gap.objects.get(pk=gap.pk).owner == max_ for gap in two)


def test_due_dates_and_comments_of_many(gaps: dict[str, Gap], olga: User) -> None:
    visitor, two = Visitor(olga), [gaps["MAXS"], gaps["NOBODYS"]]
    place = chosen(visitor, "set_due_dates", two)
    refused = visitor.post(place, due_on=in_days(-1).isoformat())
    assert "has passed: today is" in refused.content.decode()
    visitor.post(place, due_on=in_days(4).isoformat())
    assert Gap.objects.filter(due_on=in_days(4)).count() == 2
    visitor.post(place, due_on="")
    assert Gap.objects.filter(due_on=None, pk__in=[gap.pk for gap in two]).count() == 2

    place = chosen(visitor, "comment_on_gaps", two)
    assert "a comment is not empty" in visitor.post(place, text=" ").content.decode()
    visitor.post(place, text="We meet on Monday.")
    assert {each.gap for each in GapComment.objects.all()} == set(two)


def test_a_closed_gap_among_the_chosen_refuses_all(
    gaps: dict[str, Gap], olga: User, max_: User
) -> None:
    visitor = Visitor(olga)
    place = chosen(
        visitor, "assign_gaps", [gaps["CLOSED"], gaps["NOBODYS"]], "?status=all"
    )
    page = visitor.post(place, owner=max_.pk).content.decode()
    assert (
        "CLOSED on credit-scoring version 1 is closed: there is nothing to do" in page
    )
    assert Gap.objects.get(rule_id="NOBODYS").owner is None


def test_too_many_are_not_chosen(
    gaps: dict[str, Gap], olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compliance.admin.gaps.MOST_AT_ONCE", 1)
    answer = Visitor(olga).client.post(
        f"/console/{LIST}",
        {
            "action": "assign_gaps",
            "_selected_action": [gaps["NOBODYS"].pk, gaps["MAXS"].pk],
        },
        follow=True,
    )
    assert "Choose 1 gaps at most" in answer.content.decode()


# The page of one


def test_the_page_of_a_gap_offers_its_models_owner_and_takes_comments(
    gaps: dict[str, Gap], olga: User, max_: User
) -> None:
    visitor, gap = Visitor(olga), gaps["NOBODYS"]
    page = f"{LIST}{gap.pk}/change/"
    assert "Model’s owner: Max" in visitor.text(page)
    assert "Assign to Max" in visitor.text(page)

    answer = visitor.post(f"{WORK}?act=assign&gaps={gap.pk}", owner=max_.pk)
    assert answer["Location"] == f"/console/{page}"
    visitor.post(f"{WORK}?act=comment&gaps={gap.pk}", text="<b>Soon</b>")

    assert "Assign to Max" not in visitor.text(page)
    assert "Olga said <b>Soon</b>" in visitor.text(page)
    assert "<b>Soon</b>" not in visitor.page(page)
    assert 'value="" selected disabled>Lea (left)' in visitor.page(
        f"{LIST}{gaps['LEAS'].pk}/change/"
    )


def test_an_auditor_reads_and_does_nothing(
    gaps: dict[str, Gap], audrey: User, max_: User
) -> None:
    visitor, gap = Visitor(audrey), gaps["NOBODYS"]
    assert "<textarea" not in visitor.page(f"{LIST}{gap.pk}/change/")
    assert 'value="assign_gaps"' not in visitor.page(LIST)
    for act, told in (("assign", {"owner": max_.pk}), ("comment", {"text": "Hm."})):
        address = f"{WORK}?act={act}&gaps={gap.pk}"
        assert visitor.post(address, **told).status_code == 403
    assert Gap.objects.get(pk=gap.pk).owner is None


def test_an_address_of_what_is_not_there_is_404(
    gaps: dict[str, Gap], olga: User, bob: User
) -> None:
    visitor = Visitor(olga)
    first = gaps["W"].pk
    for query in (f"act=eat&gaps={first}", "act=due&gaps=", "act=due&gaps=x,1",
                  f"act=due&gaps={first},999999999"):  # fmt: skip
        visitor.page(f"{WORK}?{query}", answers=404)
    Visitor(bob).page(f"{WORK}?act=due&gaps={first}", answers=404)


# Views


def test_the_built_in_views_are_links_and_each_shows_its_own(
    gaps: dict[str, Gap], max_: User
) -> None:
    visitor = Visitor(max_)
    page = visitor.page(LIST)
    for name, query, found in (
        ("Mine", "kind=all&amp;owner=me", {"MAXS"}),
        ("Overdue", "due=overdue&amp;kind=all", {"MAXS"}),
        ("Nobody’s", "owner=nobody", {"LEAS", "NOBODYS"}),
        ("Blocking production", "gate=block&amp;stage=Production", {"MAXS"}),
        ("Waived, ending within 30 days", "kind=all&amp;status=ending", {"W"}),
    ):
        pairs = dict(pair.split("=") for pair in query.split("&amp;"))
        assert listed(visitor, gaps, **pairs) == found, name
        assert f">{name}</a>" in page
    current = visitor.page(LIST, kind="all", owner="me")
    assert 'aria-current="true">Mine</a>' in current


def test_a_view_is_saved_from_the_list_and_shared_by_who_may(
    gaps: dict[str, Gap], max_: User, olga: User
) -> None:
    maxs, olgas = Visitor(max_), Visitor(olga)
    assert "Share it with all members" not in maxs.page(LIST, severity="high")
    query = "severity=high&gate=block&p=2"

    answer = maxs.post(
        f"{LIST}save-view/", name="Grave", query="gate=block&severity=high"
    )
    assert answer["Location"] == "/console/compliance/gap/?gate=block&severity=high"
    answer = olgas.post(f"{LIST}save-view/", name="Ours", query=query, is_shared="on")
    assert not SavedView.objects.filter(name="Ours").exists()  # p is no filter
    olgas.post(f"{LIST}save-view/", name="Ours", query="q=x", is_shared="on")

    assert ">Grave</a>" in maxs.page(LIST)
    assert ">Grave</a>" not in olgas.page(LIST)
    assert ">Ours</a>" in maxs.page(LIST)
    refused = maxs.post(f"{LIST}save-view/", name="All", query="q=y", is_shared="on")
    assert refused.status_code == 403

    view = SavedView.objects.get(name="Grave")
    address = f"accounts/savedview/{view.pk}/"
    maxs.post(f"{address}change/", name="Worst")
    assert SavedView.objects.get(pk=view.pk).name == "Worst"
    assert len(maxs.rows("accounts/savedview/")) == 2
    assert len(olgas.rows("accounts/savedview/")) == 1
    maxs.post(f"{address}delete/", post="yes")
    assert [each.name for each in SavedView.objects.all()] == ["Ours"]


def test_who_left_is_not_offered(gaps: dict[str, Gap], acme: Any, olga: User) -> None:
    nina = member(acme, "Nina", Role.EDITOR)
    visitor = Visitor(olga)
    place = f"{WORK}?act=assign&gaps={gaps['W'].pk}"
    assert ">Nina<" in visitor.page(place)
    Membership.objects.get(user=nina).delete()
    assert ">Nina<" not in visitor.page(place)
    assert (
        "Select a valid choice" in visitor.post(place, owner=nina.pk).content.decode()
    )
