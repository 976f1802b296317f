"""Members, tokens, the trail and oneself over REST."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts import audit, tenancy
from accounts.members import issue_token
from accounts.models import ApiToken, AuditEvent, Membership, Organization, User
from accounts.permissions import MemberPermission
from accounts.rest import TenantViewSet
from accounts.roles import Permission, Role
from tests.conftest import member, signed_in

pytestmark = pytest.mark.django_db(transaction=True)


def call(user: User, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Return status and body of a call; bodies go and come as JSON."""
    send = getattr(signed_in(user), method)
    answer = send(f"/api/{path}", body, content_type="application/json")
    return answer.status_code, answer.json() if answer.content else None


def membership_of(user: User, organization: Organization) -> Membership:
    with tenancy.acting_for(organization):
        return Membership.objects.get(user=user)


# Oneself


def test_me_tells_who_calls_where_and_what_they_may(max_: User) -> None:
    status, me = call(max_, "get", "me/")

    assert status == 200
    assert me["user"] == {"id": max_.pk, "email": max_.email, "name": "Max"}
    assert me["organization"]["name"] == "Acme Bank"
    assert me["organization"]["role"] == "ml_engineer"
    assert me["permissions"] == [
        "view",
        "sync",
        "attest",
        "ask_waiver",
        "work_on_gaps",
        "decide",
    ]


def test_my_organizations_are_told_with_my_role_in_each(
    alice: User, borealis: Organization
) -> None:
    with tenancy.acting_for(borealis):
        Membership.objects.create(user=alice, role=Role.AUDITOR)

    _, organizations = call(alice, "get", "me/organizations/")

    assert [(mine["slug"], mine["role"]) for mine in organizations] == [
        ("acme", "administrator"),
        ("borealis", "auditor"),
    ]


# Members


def test_members_are_listed_and_searched(alice: User, olga: User, bob: User) -> None:
    _, listed = call(alice, "get", "members/")
    _, found = call(alice, "get", "members/?search=olga")
    _, filtered = call(alice, "get", "members/?role=administrator")

    assert [one["user"]["email"] for one in listed["results"]] == [
        "alice@example.org",
        "olga@example.org",
    ]
    assert [one["user"]["name"] for one in found["results"]] == ["Olga"]
    assert [one["user"]["name"] for one in filtered["results"]] == ["Alice"]
    assert "password" not in str(listed)


def test_a_member_is_added_changed_and_removed(alice: User, acme: Organization) -> None:
    status, added = call(
        alice, "post", "members/", {"email": "Dora@Example.org", "role": "editor"}
    )
    assert (status, added["user"]["email"]) == (201, "dora@example.org")

    path = f"members/{added['id']}/"
    status, changed = call(alice, "patch", path, {"role": "auditor"})
    assert (status, changed["role"]) == (200, "auditor")
    assert call(alice, "delete", path) == (204, None)

    with tenancy.acting_for(acme):
        events = AuditEvent.objects.filter(action__startswith="member.")
        assert [(event.action, event.actor) for event in events] == [
            ("member.removed", alice),
            ("member.changed", alice),
            ("member.added", alice),
        ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "dora@example.org", "role": "king"}, "role"),
        ({"email": "nonsense", "role": "editor"}, "email"),
        ({"email": "olga@example.org", "role": "editor"}, "email"),
        ({"role": "editor"}, "email"),
    ],
)
def test_a_wrong_member_is_a_problem_that_names_the_field(
    alice: User, olga: User, body: dict[str, str], field: str
) -> None:
    status, problem = call(alice, "post", "members/", body)

    assert status == 400
    assert [error["field"] for error in problem["errors"]] == [field]


def test_the_last_administrator_stays_over_rest_too(
    alice: User, acme: Organization
) -> None:
    path = f"members/{membership_of(alice, acme).pk}/"

    for method, body in (("patch", {"role": "editor"}), ("delete", None)):
        status, problem = call(alice, method, path, body)
        assert status == 400
        assert "last administrator" in problem["detail"]


@pytest.mark.parametrize("role", [role for role in Role if role != "administrator"])
def test_other_roles_manage_no_members(
    alice: User, acme: Organization, role: Role
) -> None:
    mallory = member(acme, "Mallory", role)
    path = f"members/{membership_of(alice, acme).pk}/"

    assert call(mallory, "get", path)[0] == 200
    assert call(mallory, "post", "members/", {})[0] == 403
    assert call(mallory, "patch", path, {"role": "editor"})[0] == 403
    status, problem = call(mallory, "delete", path)
    assert (status, problem["title"]) == (403, "Forbidden")
    assert problem["detail"] == (
        f"“Manage members” is not open to the role “{role.label}”."
    )


# Tokens


def test_a_token_is_told_once(olga: User) -> None:
    status, made = call(olga, "post", "tokens/", {"name": "CI", "days": 30})

    assert status == 201
    client = Client(headers={"Authorization": f"Bearer {made['token']}"})
    assert client.get("/api/me/").json()["user"]["name"] == "Olga"
    for path in ("tokens/", f"tokens/{made['id']}/"):
        assert made["token"] not in str(call(olga, "get", path)[1])


def test_a_token_is_listed_and_revoked_by_its_owner_only(
    alice: User, olga: User, acme: Organization
) -> None:
    with tenancy.acting_for(acme):
        token = issue_token("CI", user=olga)
    path = f"tokens/{token.token_key}/"

    assert call(alice, "get", "tokens/")[1]["results"] == []
    assert call(alice, "delete", path)[0] == 404
    assert call(olga, "delete", path) == (204, None)
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "CI"}, "name"),
        ({"name": "other", "days": 0}, "days"),
        ({"name": "other", "days": "for ever"}, "days"),
    ],
)
def test_a_wrong_token_is_a_problem_that_names_the_field(
    olga: User, acme: Organization, body: dict[str, Any], field: str
) -> None:
    with tenancy.acting_for(acme):
        issue_token("CI", user=olga)

    status, problem = call(olga, "post", "tokens/", body)

    assert status == 400
    assert [error["field"] for error in problem["errors"]] == [field]


# The trail


@pytest.fixture
def ten_entries(acme: Organization) -> None:
    with tenancy.acting_for(acme):
        for number in range(10):
            audit.record(
                "sync.succeeded" if number % 2 else "sync.requested",
                label=f"sync {number}",
            )


def test_the_trail_is_read_page_by_page_newest_first(
    audrey: User, ten_entries: None
) -> None:
    client = signed_in(audrey)
    numbers, address = [], "/api/audit-events/?page_size=4"

    while address:
        page = client.get(address).json()
        numbers += [entry["sequence"] for entry in page["results"]]
        address = page["next"]

    assert numbers == list(range(11, 0, -1))


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("action=sync.succeeded", 5),
        ("search=sync%203", 1),
        ("origin=console", 1),
        ("after=2999-01-01T00:00:00Z", 0),
        ("before=2999-01-01T00:00:00Z", 11),
        ("object_type=accounts.user", 1),
    ],
)
def test_the_trail_is_filtered(
    audrey: User, ten_entries: None, query: str, count: int
) -> None:
    _, told = call(audrey, "get", f"audit-events/?{query}")

    assert len(told["results"]) == count


def test_the_trail_is_filtered_by_actor(audrey: User, ten_entries: None) -> None:
    _, told = call(audrey, "get", f"audit-events/?actor={audrey.pk}")

    assert [entry["action"] for entry in told["results"]] == ["session.started"]


def test_an_entry_is_found_under_its_number(audrey: User, ten_entries: None) -> None:
    _, entry = call(audrey, "get", "audit-events/3/")

    assert (entry["sequence"], entry["object_label"]) == (3, "sync 2")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_is_changed_on_the_trail(
    alice: User, ten_entries: None, method: str
) -> None:
    assert call(alice, method, "audit-events/1/", {})[0] == 405


@pytest.mark.parametrize("role", [Role.SENIOR_ENGINEER, Role.ML_ENGINEER, Role.EDITOR])
def test_the_trail_is_closed_to_who_may_not_read_it(
    acme: Organization, ten_entries: None, role: Role
) -> None:
    somebody = member(acme, "Somebody", role)

    assert call(somebody, "get", "audit-events/")[0] == 403
    assert call(somebody, "get", "audit-events/1/")[0] == 403


# The base of all viewsets


class Forgetful(TenantViewSet[Membership]):
    permissions = {"archive": Permission.MANAGE_MEMBERS}


@pytest.mark.parametrize(
    ("method", "action", "allowed"),
    [
        ("get", "list", True),
        ("get", "archive", False),
        ("post", "archive", False),
        ("post", "publish", False),
        ("delete", None, True),  # the view itself answers 405
    ],
)
def test_an_action_that_names_no_permission_may_only_be_read(
    acme: Organization, max_: User, method: str, action: str | None, allowed: bool
) -> None:
    view = Forgetful()
    view.action = action  # type: ignore[assignment]
    request = Request(getattr(APIRequestFactory(), method)("/"))

    with tenancy.acting_for(acme, actor=max_, role=Role.ML_ENGINEER):
        assert MemberPermission().has_permission(request, view) is allowed
    assert not MemberPermission().has_permission(request, view)
