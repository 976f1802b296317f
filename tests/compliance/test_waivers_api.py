"""Waivers over REST: asked for, decided on, listed, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from accounts.models import Organization, User
from compliance.evaluation import evaluate_organization
from compliance.models import Gap, Waiver
from inventory.models import ModelVersion, RegisteredModel
from tests.callers import Caller, calling
from tests.compliance.conftest import TODAY
from tests.rows import a_waiver

OWNER = "VW-INV-001"


def in_days(count: int) -> str:
    return (now().date() + timedelta(days=count)).isoformat()


@pytest.fixture
def gap(acme: Organization, make_version: Callable[..., ModelVersion]) -> Gap:
    make_version(3, owner="")
    evaluate_organization(acme, at=TODAY)
    return Gap.objects.get(rule_id=OWNER)


@pytest.fixture
def maxs(max_: User) -> Caller:
    return calling(max_)


@pytest.fixture
def olgas(olga: User) -> Caller:
    return calling(olga)


def asking(gap: Gap, /, **told: Any) -> dict[str, Any]:
    usual = {"scope": "gap", "gap": gap.pk, "reason": "We are moving."}
    return usual | {"ends_on": in_days(90)} | told


def errors(answer: tuple[int, Any]) -> dict[str, str]:
    status, body = answer
    assert status == 400, body
    return {error["field"]: error["detail"] for error in body["errors"]}


def test_from_asking_to_revoking(gap: Gap, maxs: Caller, olgas: Caller) -> None:
    status, asked = maxs.post("waivers/", asking(gap))
    assert (status, asked["status"]) == (201, "requested")
    assert asked["requested_by"]["name"] == "Max"
    assert asked["subject"] == "VW-INV-001 on credit-scoring version 3"
    waiver = f"waivers/{asked['id']}/"

    status, told = olgas.post(f"{waiver}approve/", {"reason": "Until then."})
    assert (status, told["status"]) == (200, "approved")
    assert (told["decided_by"]["name"], told["decision"]) == ("Olga", "Until then.")
    _, waived = olgas.get(f"gaps/{gap.pk}/")
    assert (waived["status"], waived["waiver"]) == ("waived", asked["id"])
    assert waived["waived_until"] == in_days(90)
    assert waived["result"]["verdict"] == "fail"
    assert [change["event"] for change in waived["changes"]] == ["waived"]

    status, renewal = maxs.post(
        f"{waiver}renew/", {"reason": "Longer.", "ends_on": in_days(200)}
    )
    assert (status, renewal["renews"]) == (201, asked["id"])
    status, told = maxs.post(f"waivers/{renewal['id']}/withdraw/", {"reason": "No."})
    assert (status, told["status"], told["ending"]) == (200, "withdrawn", "No.")

    status, told = olgas.post(f"{waiver}revoke/", {"reason": "Over."})
    assert (status, told["status"], told["ended_by"]["name"]) == (
        200,
        "revoked",
        "Olga",
    )
    assert olgas.get(f"gaps/{gap.pk}/")[1]["status"] == "open"


def test_a_rule_is_waived_on_a_model_and_on_all(
    gap: Gap, credit: RegisteredModel, maxs: Caller
) -> None:
    terms = {"rule_id": OWNER, "reason": "r", "ends_on": in_days(9)}
    status, told = maxs.post(
        "waivers/", {"scope": "model", "registered_model": credit.pk, **terms}
    )
    assert (status, told["registered_model"], told["gap"]) == (201, credit.pk, None)
    status, told = maxs.post("waivers/", {"scope": "organization", **terms})
    assert (status, told["subject"]) == (201, "VW-INV-001 on all models")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"ends_on": "2020-01-01"}, ("ends_on", "The last day has to be after today")),
        ({"ends_on": "soon"}, ("ends_on", "Date has wrong format")),
        ({"ends_on": None}, ("ends_on", "A waiver has a last day")),
        ({"reason": ""}, ("reason", "Say why")),
        ({"gap": 0}, ("gap", "Invalid pk")),
        ({"kind": "amnesty"}, ("kind", "is not a valid choice")),
        ({"rule_id": OWNER}, ("rule_id", "does not go with the scope “gap”")),
        ({"scope": "model"}, ("gap", "does not go with the scope “model”")),
        ({"scope": "organization"}, ("rule_id", "The scope “organization” needs it")),
    ],
)
def test_a_fault_is_told_by_its_field(
    gap: Gap, maxs: Caller, fault: dict[str, Any], expected: tuple[str, str]
) -> None:
    field, words = expected
    assert words in errors(maxs.post("waivers/", asking(gap, **fault)))[field]
    assert not Waiver.objects.exists()


def test_an_unknown_rule_is_named(gap: Gap, maxs: Caller) -> None:
    body = {"scope": "organization", "rule_id": "VW-NO-1", "reason": "r"}
    found = errors(maxs.post("waivers/", body | {"ends_on": in_days(9)}))
    assert found == {"rule_id": "There is no rule VW-NO-1."}


def test_who_asked_may_not_approve(gap: Gap, olgas: Caller) -> None:
    _, asked = olgas.post("waivers/", asking(gap))
    status, told = olgas.post(f"waivers/{asked['id']}/approve/", {"reason": "Mine."})
    assert status == 403
    assert (
        told["detail"] == "Nobody decides on a waiver that they asked for themselves."
    )


def test_roles_decide(gap: Gap, maxs: Caller, audrey: User) -> None:
    _, asked = maxs.post("waivers/", asking(gap))
    for act in ("approve", "refuse", "revoke"):
        assert maxs.post(f"waivers/{asked['id']}/{act}/", {"reason": "r"})[0] == 403
    audreys = calling(audrey)
    assert audreys.post("waivers/", asking(gap))[0] == 403
    assert len(audreys.results("waivers/")) == 1


def test_a_second_decision_is_a_conflict(gap: Gap, maxs: Caller, olgas: Caller) -> None:
    _, asked = maxs.post("waivers/", asking(gap))
    path = f"waivers/{asked['id']}/"
    assert olgas.post(f"{path}refuse/", {"reason": "No."})[0] == 200
    status, told = olgas.post(f"{path}approve/", {"reason": "Yes."})
    assert status == 409
    assert told["detail"].endswith("is refused already, by Olga.")


def test_waivers_are_neither_changed_nor_deleted(gap: Gap, maxs: Caller) -> None:
    _, asked = maxs.post("waivers/", asking(gap))
    assert maxs.patch(f"waivers/{asked['id']}/", {"ends_on": in_days(1)})[0] == 405
    assert maxs.delete(f"waivers/{asked['id']}/")[0] == 405


def test_the_list_is_filtered_as_of_today(
    gap: Gap, max_: User, olga: User, maxs: Caller
) -> None:
    decided = {"status": "approved", "decided_by": olga, "decided_at": now()}
    requested = a_waiver(gap, max_)
    in_force = a_waiver(gap, max_, ends_on=in_days(99), **decided)
    expiring = a_waiver(gap, max_, ends_on=in_days(9), **decided)
    over = a_waiver(gap, max_, ends_on=in_days(-1), **decided)

    def ids(**filters: str) -> set[int]:
        return {row["id"] for row in maxs.results("waivers/", **filters)}

    assert ids(status="requested") == {requested.pk}
    assert ids(status="approved") == {in_force.pk, expiring.pk}
    assert ids(status="expired") == {over.pk}
    assert ids(is_expiring="true") == {expiring.pk}
    assert ids(is_expiring="false") == {requested.pk, in_force.pk, over.pk}
    assert maxs.get(f"waivers/{over.pk}/")[1]["status"] == "expired"


def test_gaps_are_filtered_as_of_today(
    gap: Gap, max_: User, olga: User, maxs: Caller
) -> None:
    decided = {"status": "approved", "decided_by": olga, "decided_at": now()}
    waiver = a_waiver(gap, max_, **decided)

    def statuses(**filters: Any) -> list[str]:
        found = maxs.results("gaps/", rule_id=OWNER, **filters)
        return [told["status"] for told in found]

    Gap.objects.filter(pk=gap.pk).update(
        status="waived", waiver=waiver, waived_until=in_days(1)
    )
    assert statuses(status="waived") == ["waived"]
    assert statuses(status="open") == []
    assert statuses(status=["open", "waived"]) == ["waived"]
    Gap.objects.filter(pk=gap.pk).update(waived_until=in_days(-1))
    assert statuses(status="waived") == []
    assert statuses(status="open") == ["open"]
    assert statuses(status=["open", "waived"]) == ["open"]


def test_a_page_of_waivers_costs_the_same_for_one_and_for_many(
    gap: Gap, max_: User, olga: User, maxs: Caller
) -> None:
    decided = {"status": "approved", "decided_by": olga, "decided_at": now()}
    a_waiver(gap, max_, **decided)
    maxs.get("me/")  # the first request of a session costs more
    for_one = maxs.queries("waivers/")
    for days in range(5):
        a_waiver(gap, max_, ends_on=in_days(days + 10), **decided)
    assert maxs.queries("waivers/") == for_one
    assert for_one <= 11


def test_the_counts_of_a_version_tell_waived_gaps_apart(
    gap: Gap, maxs: Caller, olgas: Caller
) -> None:
    _, asked = maxs.post("waivers/", asking(gap))
    olgas.post(f"waivers/{asked['id']}/approve/", {"reason": "Until then."})

    (version,) = olgas.results("modelInventory/", gaps="waived")
    assert version["gaps"]["waived"] == 1
    (model,) = olgas.results("registered-models/", gaps="waived")
    assert model["gaps"]["waived"] == 1
