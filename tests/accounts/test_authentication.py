"""API tokens: whom they let in, where, and until when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts import tenancy
from accounts.members import issue_token
from accounts.models import ApiToken, AuditEvent, Membership, Organization, User
from accounts.roles import Role
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def token(acme: Organization, olga: User) -> ApiToken:
    with tenancy.acting_for(acme):
        return issue_token("CI", user=olga)


def call(token: str, path: str = "/api/me/", method: str = "get") -> Any:
    client = Client(headers={"Authorization": f"Bearer {token}"})
    return getattr(client, method)(path)


def refusals() -> list[str]:
    with tenancy.acting_for(Organization.installation()):
        events = AuditEvent.objects.filter(action="token.refused")
        return list(events.values_list("reason", flat=True))


def test_a_token_acts_as_its_owner_in_its_organization(
    token: ApiToken, olga: User, borealis: Organization
) -> None:
    with tenancy.acting_for(borealis):
        Membership.objects.create(user=olga, role=Role.ADMINISTRATOR)

    me = call(token.told_once).json()

    assert me["user"]["email"] == olga.email
    assert me["organization"]["slug"] == "acme"
    assert me["organization"]["role"] == "compliance_officer"
    assert "manage_members" not in me["permissions"]


def test_what_a_token_does_is_told_with_its_origin(
    token: ApiToken, acme: Organization
) -> None:
    answer = call(token.told_once, "/api/members/", "post")

    assert answer.status_code == 403
    with tenancy.acting_for(acme):
        refusal = AuditEvent.objects.get(action="act.refused")
    assert (refusal.origin, refusal.actor_name) == ("API", "Olga")
    assert refusal.object_label == "POST /api/members/"


@pytest.mark.parametrize(
    "header",
    ["", "vw_nonsense", "a b", "ä", "\x00", "vw_" + "f" * 64, "vw_" + "f" * 5000],
)
def test_what_is_no_token_is_refused_and_told(token: ApiToken, header: str) -> None:
    answer = call(header)

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert refusals() == ["The API token is not valid, or no longer."]


def test_a_token_with_another_end_is_refused(token: ApiToken) -> None:
    assert call(token.told_once[:-1] + "g").status_code == 401


def test_an_expired_token_is_refused_and_stays_listed(
    token: ApiToken, olga: User
) -> None:
    ApiToken.objects.update(expiry=now() - timedelta(seconds=1))

    assert call(token.told_once).status_code == 401
    assert ApiToken.objects.filter(user=olga).exists()


def test_a_token_without_an_end_works(acme: Organization, olga: User) -> None:
    with tenancy.acting_for(acme):
        token = issue_token("CI", user=olga, expires_in=None)

    assert call(token.told_once).status_code == 200


def test_the_token_of_a_deactivated_user_is_refused(
    token: ApiToken, olga: User
) -> None:
    olga.is_active = False
    olga.save()

    assert call(token.told_once).status_code == 401


def test_the_token_of_somebody_removed_is_refused(
    token: ApiToken, acme: Organization, borealis: Organization, olga: User
) -> None:
    """Removing a member ends their tokens; this is the second line."""
    with tenancy.acting_for(acme):
        Membership.objects.filter(user=olga).delete()
    with tenancy.acting_for(borealis):
        Membership.objects.create(user=olga, role=Role.EDITOR)

    assert call(token.told_once).status_code == 401
    assert refusals() == ["The API token's owner is not in its organization any more."]


def test_the_token_of_a_closed_organization_is_refused(
    token: ApiToken, acme: Organization
) -> None:
    acme.closed_at = now()
    acme.save()

    assert call(token.told_once).status_code == 401


def test_the_token_counts_before_the_session(token: ApiToken, bob: User) -> None:
    client = signed_in(bob)

    answer = client.get(
        "/api/me/", headers={"Authorization": f"Bearer {token.told_once}"}
    )

    assert answer.json()["organization"]["slug"] == "acme"


def test_a_token_opens_no_page_of_the_console(token: ApiToken) -> None:
    assert call(token.told_once, "/console/accounts/membership/").status_code == 302


def test_a_session_needs_a_csrf_token_to_change_something(olga: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(olga, backend="django.contrib.auth.backends.ModelBackend")

    assert client.get("/api/me/").status_code == 200
    answer = client.post(
        "/api/tokens/", {"name": "CI"}, content_type="application/json"
    )
    assert answer.status_code == 403
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("method", ["get", "head", "post", "options"])
def test_nobody_is_told_anything(method: str, client: Client, db: None) -> None:
    answer = getattr(client, method)("/api/members/")

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("head", "/api/members/", 200),
        ("options", "/api/members/", 405),
        ("put", "/api/members/", 405),
        ("delete", "/api/audit-events/1/", 405),
        ("get", "/api/members/999999/", 404),
        ("get", "/api/no-such-thing/", 404),
    ],
)
def test_other_methods_and_places_answer_plainly(
    token: ApiToken, method: str, path: str, status: int
) -> None:
    assert call(token.told_once, path, method).status_code == status


def test_a_member_of_no_organization_is_told_so(charlie: User) -> None:
    assert signed_in(charlie).get("/api/me/").status_code == 403
