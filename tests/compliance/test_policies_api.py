"""Policies over REST: the same acts, the same refusals, as in the console."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from accounts.models import Organization, User
from accounts.tenancy import acting_for
from compliance.evaluation import evaluate_organization
from compliance.models import Policy
from tests.callers import Caller, calling
from tests.compliance.conftest import TODAY
from tests.rows import a_policy

PRIVACY = "VW-PRIV-001"
OFF = {"packs": ["starter"], "rules": {PRIVACY: {"switched_on": False}}}


@pytest.fixture
def alices(alice: User) -> Caller:
    return calling(alice)


@pytest.fixture
def olgas(olga: User) -> Caller:
    return calling(olga)


@pytest.fixture
def draft(olgas: Caller) -> Any:
    status, draft = olgas.post("policies/", {"title": "Less", "content": OFF})
    assert status == 201, draft
    return draft


def test_a_policy_is_drafted_changed_and_published(
    acme: Organization, alices: Caller, olgas: Caller, draft: Any
) -> None:
    assert draft["number"] is None
    assert draft["content"] == {**OFF, "parameters": {}}
    assert draft["drafted_by"]["name"] == "Olga"
    path = f"policies/{draft['id']}/"

    status, changed = olgas.patch(path, {"revision": 1, "title": "Less privacy"})
    assert (status, changed["revision"], changed["content"]) == (
        200,
        2,
        draft["content"],
    )
    status, problem = olgas.patch(path, {"revision": 1, "title": "Late"})
    assert status == 409
    assert problem["detail"].startswith("The draft was saved meanwhile by Olga")

    status, problem = olgas.post(f"{path}publish/", {"revision": 2, "reason": "So."})
    assert status == 400
    assert "Four eyes are on" in problem["detail"]
    status, policy = alices.post(f"{path}publish/", {"revision": 2, "reason": "So."})
    assert (status, policy["number"], policy["reason"]) == (200, 1, "So.")

    status, current = alices.get("policies/in-force/")
    assert status == 200
    assert (current["number"], current["four_eyes"]) == (1, True)
    assert current["policy"] == policy
    assert alices.patch(path, {"revision": 2, "title": "Other"})[0] == 409


def test_before_the_first_the_defaults_are_in_force(alices: Caller) -> None:
    _, current = alices.get("policies/in-force/")
    assert (current["number"], current["policy"]) == (0, None)
    assert current["content"] == {"packs": ["starter"], "rules": {}, "parameters": {}}


def test_the_rules_are_told_as_the_policy_has_them(
    in_acme: Any, alices: Caller
) -> None:
    a_policy(
        1,
        rules={PRIVACY: {"switched_on": False, "severity": "low", "gate": "info"}},
        parameters={"demographic_parity_max": 0.05},
    )
    _, rule = alices.get(f"rules/{PRIVACY}/")
    assert rule["is_switched_on"] is False
    assert (rule["severity"], rule["gate"]) == ("low", "info")
    _, rule = alices.get("rules/VW-FAIR-002/")
    assert rule["thresholds"]["demographic_parity_max"] == 0.05
    assert alices.queries("rules/", page_size=200) == alices.queries(
        f"rules/{PRIVACY}/"
    )


def test_results_and_changes_say_under_which_policy_they_are(
    acme: Organization, alices: Caller, version: Any
) -> None:
    evaluate_organization(acme)
    a_policy(1, rules={PRIVACY: {"severity": "low", "gate": "info"}})
    evaluate_organization(acme, at=TODAY)

    results = alices.results(f"modelInventory/{version.pk}/results/")
    assert {result["policy"] for result in results} == {1}
    (gap,) = alices.results("gaps/", rule_id=PRIVACY)
    assert (gap["severity"], gap["gate"]) == ("low", "info")
    _, gap = alices.get(f"gaps/{gap['id']}/")
    assert gap["result"]["policy"] == 1
    assert [change["policy"] for change in gap["changes"]] == [1]


def test_a_preview_says_what_would_happen(
    acme: Organization, olgas: Caller, version: Any, draft: Any
) -> None:
    evaluate_organization(acme)

    status, told = olgas.get(f"policies/{draft['id']}/preview/")

    assert status == 200
    assert told["sentence"] == (
        "This would open 0 gaps and close 1 gap, among 1 version."
    )
    assert (told["opened"], told["closed"], told["changed"]) == (0, 1, 1)
    assert told["by_severity"][0] == {"severity": "critical", "before": 2, "after": 1}
    assert told["rules"] == [
        {
            "rule_id": PRIVACY,
            "title": "Personal data needs a privacy assessment",
            "opened": 0,
            "closed": 1,
            "refreshed": 0,
            "undecided": 0,
            "waived": 0,
            "examples": [
                {
                    "subject": "version",
                    "id": version.pk,
                    "name": "credit-scoring version 1",
                }
            ],
        }
    ]


def test_two_policies_are_compared(in_acme: Any, olgas: Caller, draft: Any) -> None:
    a_policy(1, packs=["practice"])
    path = f"policies/{draft['id']}/diff/"
    sentences = [
        "The pack “Starter” is switched on.",
        "The pack “Practice” is switched off.",
        "VW-PRIV-001 “Personal data needs a privacy assessment” is switched off, "
        "whatever its packs.",
    ]
    assert olgas.get(path)[1] == {"against": 1, "changes": sentences}
    assert olgas.get(path, against=0)[1] == {"against": 0, "changes": sentences[2:]}
    assert olgas.get(path, against=7)[0] == 404
    assert olgas.fault(path, against="first") == {
        "against": "Give the number of a policy."
    }
    assert "no such parameter" in olgas.fault(path, other=1)["other"]


def test_what_is_exported_is_imported(olgas: Caller, draft: Any) -> None:
    _, told = olgas.get(f"policies/{draft['id']}/export/")
    assert olgas.post(f"policies/{draft['id']}/discard/", {"revision": 1})[0] == 204
    assert olgas.results("policies/") == []

    status, copy = olgas.post("policies/import/", {**told, "title": "A copy"})

    assert status == 200
    assert (copy["content"], copy["title"]) == (draft["content"], "A copy")


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"packs": ["startr"]}, "packs"),
        ({"packs": [], "rules": {"VW-X": {}}}, "rules.VW-X"),
        (
            {"packs": [], "parameters": {"stale_staging_days": 0}},
            "parameters.stale_staging_days",
        ),
        (["starter"], "content"),
    ],
)
def test_what_a_policy_cannot_say_is_refused_by_its_field(
    olgas: Caller, content: Any, field: str
) -> None:
    status, problem = olgas.post("policies/", {"content": content})
    assert status == 400
    assert [error["field"] for error in problem["errors"]] == [field]
    assert olgas.results("policies/") == []


def test_a_bad_file_is_refused_and_leaves_the_draft(olgas: Caller, draft: Any) -> None:
    status, problem = olgas.post("policies/import/", {"yaml": "packs: ["})
    assert status == 400
    assert problem["errors"][0]["detail"].startswith("The file is no YAML: ")
    assert olgas.get(f"policies/{draft['id']}/")[1] == draft


def test_an_administrator_says_whether_it_takes_two(
    alices: Caller, olgas: Caller, draft: Any
) -> None:
    assert olgas.post("policies/four-eyes/", {"is_on": False})[0] == 403
    assert alices.post("policies/four-eyes/", {"is_on": False}) == (
        200,
        {"is_on": False},
    )
    told = {"revision": 1, "reason": "Alone."}
    assert olgas.post(f"policies/{draft['id']}/publish/", told)[0] == 200


@pytest.mark.parametrize("name", ["max_", "audrey"])
def test_who_may_only_read_policies_reads_them(
    draft: Any, name: str, request: pytest.FixtureRequest
) -> None:
    caller = calling(request.getfixturevalue(name))
    path = f"policies/{draft['id']}/"
    for read in (path, f"{path}preview/", f"{path}diff/", f"{path}export/"):
        assert caller.get(read)[0] == 200
    assert caller.post("policies/", {})[0] == 403
    assert caller.patch(path, {"revision": 1})[0] == 403
    for act in ("discard/", "publish/"):
        assert caller.post(path + act, {"revision": 1, "reason": "So."})[0] == 403
    assert caller.post("policies/import/", {"yaml": "packs: []"})[0] == 403


def test_charlie_and_bob_see_no_policy_of_acme(
    charlie: User, bob: User, draft: Any
) -> None:
    path = f"policies/{draft['id']}/"
    assert calling(charlie).get("policies/")[0] == 403
    assert calling(charlie).get("policies/in-force/")[0] == 403
    bobs = calling(bob)
    assert bobs.results("policies/") == []
    for read in (path, f"{path}preview/", f"{path}diff/", f"{path}export/"):
        assert bobs.get(read)[0] == 404
    told = {"revision": 1, "reason": "Mine.", "title": "Mine"}
    assert bobs.patch(path, told)[0] == 404
    assert bobs.post(f"{path}publish/", told)[0] == 404


def test_a_list_of_thirty_costs_no_more_than_one_of_three(
    acme: Organization, alices: Caller
) -> None:
    with acting_for(acme):
        for number in range(1, 4):
            a_policy(number)
    few = alices.queries("policies/")
    with acting_for(acme):
        for number in range(4, 31):
            a_policy(number)
    assert alices.queries("policies/") == few
    assert [each["number"] for each in alices.results("policies/")][:2] == [30, 29]


def test_a_draft_has_its_page(in_acme: Any, draft: Any) -> None:
    page = reverse("admin:compliance_policy_change", args=[draft["id"]])
    assert Policy.objects.get().get_absolute_url() == page
