"""Waivers in the console: asked for on the page of a gap, decided on by somebody else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Organization, User
from compliance.evaluation import evaluate_organization
from compliance.models import Gap, Waiver
from inventory.models import ModelVersion
from tests.compliance.conftest import TODAY
from tests.pages import Visitor
from tests.rows import a_waiver

OWNER = "VW-INV-001"
ASK = "compliance/waiver/ask/"
SOON = now().date() + timedelta(days=20)
LATER = now().date() + timedelta(days=90)


@pytest.fixture
def gap(acme: Organization, make_version: Callable[..., ModelVersion]) -> Gap:
    make_version(owner="")
    evaluate_organization(acme, at=TODAY)
    return Gap.objects.get(rule_id=OWNER)


@pytest.fixture
def max_visits(max_: User) -> Visitor:
    return Visitor(max_)


@pytest.fixture
def olga_visits(olga: User) -> Visitor:
    return Visitor(olga)


def asking(**told: str) -> dict[str, str]:
    usual = {"kind": "waiver", "scope": "gap", "reason": "We are moving."}
    return usual | {"ends_on": LATER.isoformat()} | told


def act(visitor: Visitor, waiver: Waiver, what: str, reason: str = "Because.") -> str:
    answer = visitor.client.post(
        reverse("admin:compliance_waiver_act", args=[waiver.pk]),
        {"act": what, "reason": reason},
        follow=True,
    )
    assert answer.status_code == 200
    return answer.content.decode()


def test_from_the_page_of_a_gap_to_a_waived_one(
    gap: Gap, max_visits: Visitor, olga_visits: Visitor
) -> None:
    page = max_visits.page(f"compliance/gap/{gap.pk}/change/")
    assert f'href="/console/{ASK}?gaps={gap.pk}&amp;kind=waiver"' in page
    assert f'href="/console/{ASK}?gaps={gap.pk}&amp;kind=not_applicable"' in page

    answer = max_visits.post(f"{ASK}?gaps={gap.pk}", **asking())
    waiver = Waiver.objects.get()
    assert answer["Location"] == waiver.get_absolute_url()
    assert (waiver.gap, waiver.ends_on) == (gap, LATER)
    (row,) = olga_visits.rows("compliance/waiver/", queue="requested")
    assert "Requested" in row
    assert "credit-scoring version 1" in row
    assert "We are moving." in row

    page = act(olga_visits, waiver, "approve", "Until then.")

    assert "was approved" in page
    text = olga_visits.text(f"compliance/gap/{gap.pk}/change/")
    assert "Waived" in text
    assert "approved by Olga: We are moving." in text
    assert "Ask for a waiver" not in text
    version = olga_visits.text(f"inventory/modelversion/{gap.version_id}/change/")
    assert "1 gap waived" in version
    assert "1 gap: the rule still fails" in version
    (listed,) = olga_visits.rows("inventory/modelversion/")
    assert "1 waived" in listed
    (waived,) = olga_visits.rows("compliance/gap/", status="waived")
    assert OWNER in waived
    assert not [row for row in olga_visits.rows("compliance/gap/") if OWNER in row]
    assert len(olga_visits.rows("inventory/modelversion/", severity="waived")) == 1


def test_not_applicable_is_asked_for_without_an_end(
    gap: Gap, max_visits: Visitor
) -> None:
    told = asking(kind="not_applicable", ends_on="")
    max_visits.post(f"{ASK}?gaps={gap.pk}", **told)
    assert Waiver.objects.get().kind == Waiver.Kind.NOT_APPLICABLE


@pytest.mark.parametrize("scope", ["model", "organization"])
def test_the_rule_can_be_waived_on_the_model_or_on_all(
    gap: Gap, max_visits: Visitor, scope: str
) -> None:
    form = max_visits.text(ASK, gaps=str(gap.pk))
    assert "The rule on all versions of credit-scoring" in form
    max_visits.post(f"{ASK}?gaps={gap.pk}", **asking(scope=scope))
    waiver = Waiver.objects.get()
    assert (waiver.scope, waiver.gap) == (scope, None)
    assert (waiver.registered_model is not None) == (scope == "model")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"ends_on": "2020-01-01"}, "The last day has to be after today"),
        ({"ends_on": ""}, "A waiver has a last day"),
        ({"reason": " "}, "Say why: there is no waiver without a reason."),
    ],
)
def test_a_fault_is_shown_at_its_field_and_what_was_typed_stays(
    gap: Gap, max_visits: Visitor, told: dict[str, str], words: str
) -> None:
    answer = max_visits.post(f"{ASK}?gaps={gap.pk}", **asking(**told))
    assert answer.status_code == 200
    page = answer.content.decode()
    assert words in page
    if "reason" not in told:
        assert "We are moving." in page
    assert not Waiver.objects.exists()


def test_many_gaps_are_asked_for_at_once(gap: Gap, max_visits: Visitor) -> None:
    ids = list(Gap.objects.filter(kind=Gap.Kind.RULE).values_list("pk", flat=True))
    answer = max_visits.post(
        "compliance/gap/", action="ask_for_waivers", _selected_action=ids
    )
    address = answer["Location"].removeprefix("/console/")
    assert (
        f"Ask for waivers of {len(ids)} gaps"
        in max_visits.client.get(answer["Location"]).content.decode()
    )

    answer = max_visits.post(address, **asking())

    assert answer["Location"] == "/console/compliance/waiver/?queue=requested"
    assert Waiver.objects.requested().count() == len(ids)
    assert len(max_visits.rows("compliance/waiver/", queue="requested")) == len(ids)


def test_more_than_a_list_holds_are_not_asked_for_at_once(
    gap: Gap, max_visits: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compliance.admin.gaps.MOST_AT_ONCE", 1)
    ids = list(Gap.objects.values_list("pk", flat=True)[:2])
    answer = max_visits.client.post(
        "/console/compliance/gap/",
        {"action": "ask_for_waivers", "_selected_action": ids},
        follow=True,
    )
    assert "needs one waiver only" in answer.content.decode()


def test_a_page_offers_what_its_visitor_may_do(
    gap: Gap, max_: User, max_visits: Visitor, olga_visits: Visitor, audrey: User
) -> None:
    waiver = a_waiver(gap, max_)
    page = f"compliance/waiver/{waiver.pk}/change/"
    assert 'value="approve"' in olga_visits.page(page)
    assert 'value="withdraw"' not in olga_visits.page(page)
    assert 'value="approve"' not in max_visits.page(page)
    assert 'value="withdraw"' in max_visits.page(page)
    assert "<textarea" not in Visitor(audrey).page(page)
    assert "Ask for a waiver" not in Visitor(audrey).text(
        f"compliance/gap/{gap.pk}/change/"
    )
    assert (
        Visitor(audrey).client.get(f"/console/{ASK}?gaps={gap.pk}").status_code == 403
    )


def test_who_asked_cannot_approve_whatever_they_send(
    gap: Gap, olga: User, olga_visits: Visitor
) -> None:
    waiver = a_waiver(gap, olga)
    answer = olga_visits.post(
        f"compliance/waiver/{waiver.pk}/act/", act="approve", reason="Mine."
    )
    assert answer.status_code == 403
    assert Waiver.objects.get().is_requested


def test_a_decision_without_a_reason_and_one_too_late_are_told(
    gap: Gap, max_: User, olga_visits: Visitor
) -> None:
    waiver = a_waiver(gap, max_)
    assert "Say why." in act(olga_visits, waiver, "approve", " ")
    assert "was refused" in act(olga_visits, waiver, "refuse")
    assert "is refused already, by Olga" in act(olga_visits, waiver, "approve")
    assert olga_visits.post(f"compliance/waiver/{waiver.pk}/act/").status_code == 404


def test_a_waiver_is_renewed_and_revoked_from_its_page(
    gap: Gap, max_: User, max_visits: Visitor, olga_visits: Visitor
) -> None:
    waiver = a_waiver(gap, max_, ends_on=SOON)
    act(olga_visits, waiver, "approve")
    page = max_visits.page(f"compliance/waiver/{waiver.pk}/change/")
    assert f"/console/{ASK}?renews={waiver.pk}" in page
    assert "Expiring" in page

    max_visits.post(
        f"{ASK}?renews={waiver.pk}", reason="Longer.", ends_on=LATER.isoformat()
    )
    renewal = Waiver.objects.requested().get()
    assert (renewal.renews, renewal.ends_on, renewal.gap) == (waiver, LATER, gap)

    assert "its gaps are open again" in act(olga_visits, waiver, "revoke")
    assert Gap.objects.get(pk=gap.pk).is_open


def test_each_queue_shows_its_own(
    gap: Gap, max_: User, olga: User, max_visits: Visitor
) -> None:
    decided = {"status": "approved", "decided_by": olga, "decided_at": now()}
    a_waiver(gap, max_, reason="Waits.")
    a_waiver(gap, max_, reason="Holds.", ends_on=LATER, **decided)
    a_waiver(gap, max_, reason="Fades.", ends_on=SOON, **decided)
    yesterday = now().date() - timedelta(days=1)
    a_waiver(gap, max_, reason="Gone.", ends_on=yesterday, **decided)

    def reasons(queue: str) -> set[str]:
        rows = max_visits.rows("compliance/waiver/", queue=queue)
        known = ("Waits.", "Holds.", "Fades.", "Gone.")
        return {word for row in rows for word in known if word in row}

    assert reasons("requested") == {"Waits."}
    assert reasons("in_force") == {"Holds.", "Fades."}
    assert reasons("expiring") == {"Fades."}
    assert reasons("ended") == {"Gone."}
    assert len(reasons("all")) == 4


def test_the_address_of_a_gap_that_is_not_there_is_404(
    gap: Gap, max_visits: Visitor, borealis: Organization, bob: User
) -> None:
    for query in (f"gaps={gap.pk + 999}", "gaps=", "gaps=x", "renews=999", "renews=x"):
        assert max_visits.client.get(f"/console/{ASK}?{query}").status_code == 404
    foreign = Visitor(bob).client.get(f"/console/{ASK}?gaps={gap.pk}")
    assert foreign.status_code == 404


def test_charlie_without_membership_sees_no_waiver(gap: Gap, charlie: User) -> None:
    answer = Visitor(charlie).client.get("/console/compliance/waiver/")
    assert answer.status_code in (302, 403)


def test_the_list_costs_the_same_for_one_and_for_many(
    gap: Gap, max_: User, olga: User, max_visits: Visitor
) -> None:
    decided = {"status": "approved", "decided_by": olga, "decided_at": now()}
    a_waiver(gap, max_, **decided)
    max_visits.page("compliance/waiver/")
    for_one = max_visits.queries("compliance/waiver/")
    for days in range(6):
        a_waiver(gap, max_, ends_on=LATER + timedelta(days=days), **decided)
    assert max_visits.queries("compliance/waiver/") == for_one
    assert for_one <= 12
