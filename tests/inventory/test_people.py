"""Names that models are told with: whose they are, who says so, and what follows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError

from accounts import tenancy
from accounts.exceptions import NotAllowed
from accounts.models import AuditEvent, Membership, Organization, User
from accounts.roles import Role
from compliance.evaluation import evaluate_organization
from compliance.models import Evaluation
from inventory.models import ModelVersion, PersonName, RegisteredModel
from inventory.people import (
    map_names,
    members_named,
    names_of,
    unmap_name,
    unresolved_names,
)
from tests.callers import Caller, calling
from tests.compliance.conftest import credit, make_version  # noqa: F401
from tests.conftest import member
from tests.pages import Visitor
from tests.rows import a_model, a_name, a_version
from verifywise import pipeline

APPROVER = "VW-APR-004"


@pytest.fixture
def olgas(olga: User) -> Caller:
    return calling(olga)


# Whose a name is


def test_a_name_is_a_members_by_address_or_else_by_the_map(
    in_acme: tenancy.Acting,
    max_: User,
    olga: User,
    borealis: Organization,
    bob: User,
    django_assert_num_queries: Callable[..., object],
) -> None:
    a_name(olga, "Olga  Officer")
    a_name(olga, "max@example.org")  # mapped before Max became a member
    with tenancy.acting_for(borealis):
        a_name(bob, "Bob Builder")
    names = ["OLGA officer ", " Max@Example.ORG", "Bob Builder", "nobody", "", "  "]

    with django_assert_num_queries(1):
        found = members_named(names)

    assert {name: who.user for name, who in found.items()} == {
        "OLGA officer ": olga,
        " Max@Example.ORG": max_,
    }
    assert names_of(Role.COMPLIANCE_OFFICER) == {"olga@example.org", "olga officer"}
    assert names_of(Role.ML_ENGINEER) == {"max@example.org"}
    with django_assert_num_queries(0):
        assert members_named(["", " "]) == {}


def test_who_left_or_is_deactivated_is_named_by_nothing(
    in_acme: tenancy.Acting, max_: User, olga: User
) -> None:
    a_name(max_, "Max Power")
    a_name(olga, "Olga Officer")
    Membership.objects.get(user=max_).delete()
    User.objects.filter(pk=olga.pk).update(is_active=False)

    assert members_named(["Max Power", "max@example.org", "Olga Officer"]) == {}
    assert names_of(Role.COMPLIANCE_OFFICER) == set()


# Which are nobody's


def test_unresolved_names_are_counted_on_present_versions(
    in_acme: tenancy.Acting,
    credit: RegisteredModel,  # noqa: F811
    max_: User,
) -> None:
    churn = a_model(credit.source, "churn")
    told = {"owner": "Team  Risk", "compliance_approver": "Board"}
    a_version(credit, 1, **told)
    a_version(credit, 2, owner="team risk", compliance_approver=" ")
    a_version(churn, 1, owner="max@example.org", compliance_approver="TEAM RISK")
    a_version(churn, 2, owner="x" * 201)
    a_version(churn, 3, owner="Gone", absent_since=churn.changed_at)

    first, second = unresolved_names()

    assert (first.name, first.owned, first.approved) == ("Team Risk", 2, 1)
    assert first.models == {credit.pk, churn.pk}
    assert (second.name, second.owned, second.approved) == ("Board", 0, 1)
    a_name(max_, "team risk")
    assert [seen.name for seen in unresolved_names()] == ["Board"]


# The acts


@pytest.mark.parametrize(
    ("name", "field", "words"),
    [
        ("  ", "name", "A name is empty."),
        ("x" * 201, "name", "is no name: it may have 200 characters"),
        ("a\x00b", "name", "is no name"),
        ("MAX@example.org", "name", "is the address of a member"),
        ("team RISK", "name", "“Team Risk” is Max already."),
    ],
)
def test_a_name_that_cannot_be_mapped_is_refused_with_all_others(
    in_acme: tenancy.Acting, max_: User, name: str, field: str, words: str
) -> None:
    a_name(max_)
    with pytest.raises(ValidationError) as refused:
        map_names({"Fine": max_, name: max_})
    assert words in " ".join(refused.value.message_dict[field])
    assert PersonName.objects.count() == 1


def test_who_is_no_active_member_bears_no_name(
    in_acme: tenancy.Acting, max_: User, bob: User
) -> None:
    with pytest.raises(ValidationError) as refused:
        map_names({"Bob": bob, "Max P": max_, "Eve": None})
    assert refused.value.message_dict == {
        "person": [
            "“Bob”: Bob is not an active member.",
            "“Eve”: say which member it is.",
        ]
    }
    with pytest.raises(ValidationError, match="told twice"):
        map_names({"Max P": max_, "max p": max_})
    with pytest.raises(ValidationError, match="which names"):
        map_names({})


def test_mapping_needs_the_role_and_is_on_the_trail(
    acme: Organization, olga: User, max_: User
) -> None:
    with (
        tenancy.acting_for(acme, actor=max_, role=Role.ML_ENGINEER),
        pytest.raises(NotAllowed),
    ):
        map_names({"Max P": max_})
    with tenancy.acting_for(acme, actor=olga, role=Role.COMPLIANCE_OFFICER):
        (entry,) = map_names({" Max  P ": max_}).entries
        assert (entry.name, entry.made_by) == ("Max P", olga)
        unmap_name(entry)
    with tenancy.acting_for(acme):
        told = AuditEvent.objects.filter(action__startswith="person_name.")
        assert [(event.action, event.changes) for event in told.order_by("pk")] == [
            ("person_name.mapped", {"name": "Max P", "person": "max@example.org"}),
            ("person_name.unmapped", {"name": "Max P", "person": "max@example.org"}),
        ]


def test_versions_whose_approver_is_another_now_are_judged_again_at_once(
    acme: Organization,
    olga: User,
    make_version: Callable[..., ModelVersion],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named = make_version(1, compliance_approver="Risk  BOARD")
    other = make_version(2, compliance_approver="Somebody else")
    evaluate_organization(acme)

    def verdicts() -> list[str]:
        return [
            Evaluation.objects.get(version=each).results[APPROVER]["verdict"]
            for each in (named, other)
        ]

    assert verdicts() == ["fail", "fail"]
    done = map_names({"Risk Board": olga})
    assert verdicts() == ["pass", "fail"]
    assert done.told == "1 version judged again: 1 gaps closed, 0 opened."
    unmap_name(done.entries[0])
    assert verdicts() == ["fail", "fail"]

    monkeypatch.setattr(pipeline, "AT_ONCE", 0)
    queued: list[int] = []
    monkeypatch.setattr(pipeline, "async_task", lambda _, pk: queued.append(pk))
    assert "in the background" in map_names({"Risk Board": olga}).told
    assert queued == [acme.pk]
    assert verdicts() == ["fail", "fail"]
    assert evaluate_organization(acme, only_due=True).evaluated == 1
    assert verdicts() == ["pass", "fail"]


# The pages


def test_names_are_mapped_from_the_list_of_those_that_are_nobodys(
    credit: RegisteredModel,  # noqa: F811
    olga: User,
    max_: User,
) -> None:
    version = a_version(credit, 1, owner="Max P", compliance_approver="Board")
    visitor = Visitor(olga)
    assert "2 names that models are told with" in visitor.text("inventory/personname/")
    page = visitor.text("inventory/personname/add/")
    assert "Max P 1 version" in page

    answer = visitor.post(
        "inventory/personname/add/", name=["Max P", "Board"], person=[max_.pk, ""]
    )

    assert answer["Location"] == "/console/inventory/personname/add/"
    assert "Max P" not in visitor.text("inventory/personname/add/")
    (row,) = visitor.rows("inventory/personname/")
    assert row.startswith("Max P Max Olga")
    owner = f"/console/inventory/modelversion/{version.pk}/change/"
    ModelVersion.objects.update(owner=" MAX  p")
    assert "MAX p Max" in visitor.text(owner.removeprefix("/console/"))
    model = f"inventory/registeredmodel/{credit.pk}/change/"
    assert "MAX p Max" in visitor.text(model)

    Membership.objects.get(user=max_).delete()
    (row,) = visitor.rows("inventory/personname/")
    assert "left" in row
    visitor.post(
        f"inventory/personname/{PersonName.objects.get().pk}/delete/", post="yes"
    )
    assert not PersonName.objects.exists()


def test_a_choice_that_is_refused_stays_chosen(
    credit: RegisteredModel,  # noqa: F811
    olga: User,
    max_: User,
) -> None:
    a_version(credit, 1, owner="Max P")
    told = {"name": ["Max P", "max p"], "person": [max_.pk, max_.pk]}
    answer = Visitor(olga).post("inventory/personname/add/", **told)
    page = answer.content.decode()
    assert "The same name is told twice." in page
    assert f'<option value="{max_.pk}" selected>' in page


def test_the_pages_cost_the_same_for_many_names_and_need_the_role(
    in_acme: tenancy.Acting,
    credit: RegisteredModel,  # noqa: F811
    olga: User,
    max_: User,
) -> None:
    visitor, pages = (
        Visitor(olga),
        ("inventory/personname/", "inventory/personname/add/"),
    )
    a_name(max_, "Max 0")
    a_version(credit, 100, owner="Nobody 0")
    visitor.page(pages[0])  # the first request of a session costs more
    few = [visitor.queries(page) for page in pages]
    for number in range(1, 9):
        a_name(max_, f"Max {number}")
        a_version(credit, number, owner=f"Nobody {number}")
    assert [visitor.queries(page) for page in pages] == few
    assert few == [14, 13]
    Visitor(max_).page("inventory/personname/add/", answers=403)
    assert Visitor(max_).post("inventory/personname/add/").status_code == 403


# Over REST


def test_names_are_mapped_listed_and_taken_back_over_rest(
    credit: RegisteredModel,  # noqa: F811
    olgas: Caller,
    max_: User,
    bob: User,
) -> None:
    a_version(credit, 1, owner="Max P")
    seen = {"name": "Max P", "owner_of": 1, "approver_of": 0, "models": 1}
    assert olgas.get("person-names/unresolved/") == (200, [seen])

    status, told = olgas.post("person-names/", {"name": "Max P", "person": max_.pk})

    assert (status, told["person"]["email"]) == (201, "max@example.org")
    assert olgas.get("person-names/unresolved/") == (200, [])
    assert len(olgas.results("person-names/", person=max_.pk)) == 1
    assert olgas.results("person-names/", person=olgas.user.pk) == []
    for body, field in (
        ({"name": "max p", "person": max_.pk}, "name"),
        ({"name": "Bob", "person": bob.pk}, "person"),
    ):
        status, refused = olgas.post("person-names/", body)
        assert (status, refused["errors"][0]["field"]) == (400, field)
    assert olgas.delete(f"person-names/{told['id']}/")[0] == 204
    assert olgas.results("person-names/") == []


def test_only_who_edits_governance_maps_names_over_rest(
    acme: Organization, max_: User
) -> None:
    editor = member(acme, "Edith", Role.EDITOR)
    body = {"name": "Max P", "person": max_.pk}
    assert calling(max_).post("person-names/", body)[0] == 403
    assert calling(editor).post("person-names/", body)[0] == 201
