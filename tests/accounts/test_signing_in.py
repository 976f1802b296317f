"""Signing in and out, what a session is about, and who loses what in the middle of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts import tenancy
from accounts.middleware import SESSION_KEY
from accounts.models import AuditEvent, Membership, Organization, User
from accounts.roles import Role
from tests.conftest import PASSWORD, signed_in

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.accounts.served"),
]

SIGN_IN = "/console/login/?next=/test/state"


def sign_in(client: Client, email: str, password: str = PASSWORD) -> int:
    answer = client.post(SIGN_IN, {"username": email, "password": password})
    return int(answer.status_code)


def acting(client: Client) -> str | None:
    found: str | None = client.get("/test/state").json()["acting"]
    return found


def trail(organization: Organization) -> list[tuple[str, str]]:
    with tenancy.acting_for(organization):
        events = AuditEvent.objects.order_by("sequence")
        return list(events.values_list("action", "actor_name"))


@pytest.fixture
def two_homes(acme: Organization, borealis: Organization, alice: User) -> User:
    """Alice, who is an auditor of Borealis too."""
    with tenancy.acting_for(borealis):
        Membership.objects.create(user=alice, role=Role.AUDITOR)
    return alice


def choose(client: Client, organization: Organization) -> None:
    client.post("/console/organization/", {"organization": organization.pk})


def test_signing_in_and_out_is_told_to_all_of_a_persons_organizations(
    two_homes: User, acme: Organization, borealis: Organization, client: Client
) -> None:
    assert sign_in(client, "Alice@Example.org") == 302
    client.post("/console/logout/")

    told = [("session.started", "Alice"), ("session.ended", "Alice")]
    assert trail(acme) == trail(borealis) == told
    with tenancy.acting_for(borealis):
        assert AuditEvent.objects.latest("sequence").actor_role == Role.AUDITOR


def test_a_person_without_an_organization_is_told_to_the_installation(
    charlie: User, client: Client
) -> None:
    sign_in(client, charlie.email)

    assert trail(Organization.installation()) == [("session.started", "Charlie")]
    assert not acting(client)
    assert client.get("/console/accounts/membership/").status_code == 302


@pytest.mark.parametrize("email", ["alice@example.org", "nobody@example.org"])
def test_a_failed_sign_in_is_told_to_the_installation(
    alice: User, acme: Organization, client: Client, email: str
) -> None:
    assert sign_in(client, email, "wrong") == 200

    assert trail(acme) == []
    assert trail(Organization.installation()) == [
        ("session.refused", "(not signed in)")
    ]
    with tenancy.acting_for(Organization.installation()):
        assert AuditEvent.objects.get().object_label == email


def test_after_ten_failures_the_right_password_is_refused_too(
    alice: User, olga: User, client: Client
) -> None:
    for spelling in ("alice@example.org", "Alice@Example.ORG") * 5:
        sign_in(client, spelling, "wrong")

    assert sign_in(client, alice.email) == 429
    assert sign_in(client, olga.email) == 302
    assert sign_in(Client(REMOTE_ADDR="10.0.0.1"), alice.email) == 302


def test_signing_in_again_as_somebody_else_leaves_nothing_of_the_first(
    two_homes: User, borealis: Organization, bob: User, client: Client
) -> None:
    sign_in(client, two_homes.email)
    choose(client, borealis)
    key = client.session.session_key

    sign_in(client, bob.email)

    assert client.session.session_key != key
    assert acting(client) == "Borealis Health"
    assert client.get("/test/state").json()["sources"] == []


def test_a_session_is_about_the_chosen_organization(
    two_homes: User, borealis: Organization
) -> None:
    client = signed_in(two_homes)
    assert acting(client) == "Acme Bank"

    choose(client, borealis)

    assert acting(client) == "Borealis Health"
    page = client.get("/console/accounts/membership/").content.decode()
    assert "Borealis Health" in page
    assert acting(signed_in(two_homes)) == "Acme Bank"  # of this session only


def test_the_console_offers_the_other_organizations(
    two_homes: User, borealis: Organization, olga: User
) -> None:
    switch = f'name="organization" value="{borealis.pk}"'

    assert switch in signed_in(two_homes).get(HOME).content.decode()
    assert "Borealis" not in signed_in(olga).get(HOME).content.decode()


HOME = "/console/accounts/membership/"


def test_a_strangers_organization_cannot_be_chosen(
    alice: User, borealis: Organization
) -> None:
    client = signed_in(alice)

    choose(client, borealis)

    assert acting(client) == "Acme Bank"


@pytest.mark.parametrize("planted", ["a stranger's", 10**9, "nonsense", [1], None])
def test_a_choice_that_is_not_ones_own_is_not_followed(
    two_homes: User, planted: Any
) -> None:
    stranger = Organization.objects.create(name="A Stranger", slug="stranger")
    client = signed_in(two_homes)
    session = client.session
    session[SESSION_KEY] = stranger.pk if planted == "a stranger's" else planted
    session.save()

    assert acting(client) == "Acme Bank"  # the first of hers


def test_another_membership_does_not_move_an_open_session(
    borealis: Organization, bob: User, acme: Organization
) -> None:
    client = signed_in(bob)
    with tenancy.acting_for(acme):  # which comes first by name
        Membership.objects.create(user=bob, role=Role.EDITOR)

    assert acting(client) == "Borealis Health"


def test_a_form_opened_before_the_choice_is_not_saved_after_it(
    two_homes: User, borealis: Organization
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(two_homes, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get("/console/password_change/")
    before = {"csrfmiddlewaretoken": page.context["csrf_token"]}
    client.post("/console/organization/", before | {"organization": borealis.pk})

    answer = client.post("/console/accounts/apitoken/add/", before | {"name": "CI"})

    assert answer.status_code == 403
    assert acting(client) == "Borealis Health"


def test_who_is_deactivated_is_signed_out_at_the_next_request(alice: User) -> None:
    client = signed_in(alice)
    alice.is_active = False
    alice.save()

    assert acting(client) is None
    assert client.get(HOME).status_code == 302


def test_who_is_removed_sees_nothing_at_the_next_request(
    alice: User, acme: Organization
) -> None:
    client = signed_in(alice)
    with tenancy.acting_for(acme):
        Membership.objects.all().delete()

    assert not acting(client)
    assert client.get(HOME).status_code == 302


def test_a_form_of_a_lost_organization_is_not_saved_in_another_one(
    two_homes: User, acme: Organization, borealis: Organization
) -> None:
    client = signed_in(two_homes)
    with tenancy.acting_for(acme):
        Membership.objects.filter(user=two_homes).delete()

    answer = client.post("/console/accounts/apitoken/add/", {"name": "CI", "days": 30})

    assert answer.status_code == 403
    assert acting(client) == "Borealis Health"


def test_a_closed_organization_is_nobodys_any_more(
    two_homes: User, acme: Organization
) -> None:
    client = signed_in(two_homes)
    acme.closed_at = now()
    acme.save()

    assert acting(client) == "Borealis Health"


def test_a_role_that_changes_counts_at_the_next_request(
    alice: User, olga: User, acme: Organization
) -> None:
    client = signed_in(alice)
    assert client.get("/console/accounts/membership/add/").status_code == 200

    with tenancy.acting_for(acme):
        Membership.objects.filter(user=alice).update(role=Role.EDITOR)

    assert client.get("/console/accounts/membership/add/").status_code == 403
    assert ("act.refused", "Alice") in trail(acme)


def test_a_stranger_without_a_session_sees_no_row(alice: User, client: Client) -> None:
    state = client.get("/test/state").json()

    assert (state["acting"], state["sources"], state["events"]) == (None, [], 0)
