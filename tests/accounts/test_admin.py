"""The console's pages of members, tokens and the trail, role by role."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import audit, tenancy
from accounts.members import issue_token
from accounts.models import ApiToken, AuditEvent, Membership, Organization, User
from accounts.roles import Role
from tests.conftest import member, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

MEMBERS = "/console/accounts/membership/"
TOKENS = "/console/accounts/apitoken/"
TRAIL = "/console/accounts/auditevent/"


def page(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.content[:500]
    return answer.content.decode()


def membership_of(user: User, organization: Organization) -> Membership:
    with tenancy.acting_for(organization):
        return Membership.objects.get(user=user)


@pytest.fixture
def without_mail(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"


# Members


def test_a_member_is_added_by_address_and_role(
    alice: User, acme: Organization, bob: User
) -> None:
    answer = signed_in(alice).post(
        f"{MEMBERS}add/", {"email": bob.email, "name": "", "role": "editor"}
    )

    assert answer.status_code == 302
    assert membership_of(bob, acme).role == "editor"
    assert mail.outbox == []  # Bob has a password


def test_the_form_shows_no_field_of_the_user(alice: User, olga: User) -> None:
    form = page(signed_in(alice), f"{MEMBERS}add/")

    names = set(re.findall(r'<(?:input|select|textarea)[^>]* name="(\w+)"', form))
    assert {"email", "name", "role"} <= names
    assert not names & {"user", "organization", "password", "is_active"}


@pytest.mark.parametrize(
    ("email", "sentence"),
    [
        ("olga@example.org", "olga@example.org is a member already."),
        ("nonsense", "Enter a valid email address."),
        ("", "This field is required."),
    ],
)
def test_what_is_wrong_is_said_at_the_field(
    alice: User, olga: User, email: str, sentence: str
) -> None:
    answer = signed_in(alice).post(f"{MEMBERS}add/", {"email": email, "role": "editor"})

    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors == {"email": [sentence]}


def test_without_mail_the_invitation_is_shown_once(
    alice: User, acme: Organization, without_mail: None, client: Client
) -> None:
    answer = signed_in(alice).post(
        f"{MEMBERS}add/",
        {"email": "dora@example.org", "name": "Dora", "role": "editor"},
    )

    (link,) = re.findall(
        r"http://testserver(/console/password/\S+/)<", answer.content.decode()
    )
    form = client.get(link, follow=True)
    chosen = {"new_password1": "a quite long one", "new_password2": "a quite long one"}
    assert client.post(form.redirect_chain[-1][0], chosen).status_code == 302
    assert client.login(
        username="dora@example.org",
        password="a quite long one",
        request=form.wsgi_request,
    )
    assert "not valid" in page(Client(), link)
    with tenancy.acting_for(acme):
        actions = AuditEvent.objects.values_list("action", "actor_name")
        assert ("password.chosen", "Dora") in actions


def test_a_weak_password_is_refused_by_name(
    alice: User, acme: Organization, without_mail: None, client: Client
) -> None:
    answer = signed_in(alice).post(
        f"{MEMBERS}add/", {"email": "dora@example.org", "role": "editor"}
    )
    (link,) = re.findall(
        r"http://testserver(/console/password/\S+/)<", answer.content.decode()
    )
    form = client.get(link, follow=True)

    again = client.post(
        form.redirect_chain[-1][0], {"new_password1": "short", "new_password2": "short"}
    )

    assert "too short" in again.content.decode()


def test_with_mail_the_invitation_goes_to_the_person_only(
    alice: User, acme: Organization
) -> None:
    answer = signed_in(alice).post(
        f"{MEMBERS}add/",
        {"email": "dora@example.org", "name": "Dora", "role": "editor"},
        follow=True,
    )

    assert "/console/password/" not in answer.content.decode()
    (message,) = mail.outbox
    assert message.to == ["dora@example.org"]
    assert "Acme Bank" in message.subject
    assert "http://testserver/console/password/" in message.body


def test_a_mail_server_that_refuses_is_told_and_the_member_stays(
    alice: User, acme: Organization, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1

    answer = signed_in(alice).post(
        f"{MEMBERS}add/", {"email": "dora@example.org", "role": "editor"}, follow=True
    )

    assert "could not be mailed" in answer.content.decode()
    with tenancy.acting_for(acme):
        assert Membership.objects.filter(user__email="dora@example.org").exists()


def test_a_role_is_changed_and_told(
    alice: User, olga: User, acme: Organization
) -> None:
    own = membership_of(olga, acme)

    signed_in(alice).post(f"{MEMBERS}{own.pk}/change/", {"role": "auditor"})

    assert membership_of(olga, acme).role == "auditor"
    with tenancy.acting_for(acme):
        entries = AuditEvent.objects.filter(object_type="accounts.membership")
        assert [entry.action for entry in entries] == ["member.changed"]


def test_the_last_administrator_is_told_why_they_stay(
    alice: User, olga: User, acme: Organization
) -> None:
    client, own = signed_in(alice), membership_of(alice, acme)

    change = client.post(f"{MEMBERS}{own.pk}/change/", {"role": "editor"})
    removal = client.post(f"{MEMBERS}{own.pk}/delete/", {"post": "yes"}, follow=True)

    assert "last administrator" in change.content.decode()
    assert "last administrator" in removal.content.decode()
    assert membership_of(alice, acme).role == "administrator"


def test_a_member_is_removed_after_a_confirmation(
    alice: User, olga: User, acme: Organization
) -> None:
    client, own = signed_in(alice), membership_of(olga, acme)

    assert "Are you sure" in page(client, f"{MEMBERS}{own.pk}/delete/")
    assert membership_of(olga, acme) == own
    client.post(f"{MEMBERS}{own.pk}/delete/", {"post": "yes"})

    with tenancy.acting_for(acme):
        assert not Membership.objects.filter(user=olga).exists()


@pytest.mark.parametrize("role", [role for role in Role if role != "administrator"])
def test_other_roles_see_members_and_change_none(
    alice: User, acme: Organization, role: Role
) -> None:
    client = signed_in(member(acme, "Mallory", role))
    own = membership_of(alice, acme)

    assert alice.email in page(client, MEMBERS)
    assert 'name="_save"' not in page(client, f"{MEMBERS}{own.pk}/change/")
    for path in ("add/", f"{own.pk}/delete/"):
        page(client, MEMBERS + path, 403)
        assert client.post(MEMBERS + path, {"post": "yes"}).status_code == 403
    answer = client.post(f"{MEMBERS}{own.pk}/change/", {"role": "editor"})
    assert answer.status_code == 403
    assert membership_of(alice, acme).role == "administrator"


# API tokens


def test_a_token_is_shown_once_and_works(olga: User, acme: Organization) -> None:
    client = signed_in(olga)

    answer = client.post(f"{TOKENS}add/", {"name": "CI", "days": "30"})

    assert answer.status_code == 200
    (token,) = re.findall(r'id="token">(vw_[0-9a-f]+)<', answer.content.decode())
    assert "no-store" in answer["Cache-Control"]
    me = Client().get("/api/me/", headers={"Authorization": f"Bearer {token}"})
    assert me.json()["user"]["email"] == olga.email
    for path in (TOKENS, f"{TOKENS}{ApiToken.objects.get().pk}/change/", TRAIL):
        assert token not in page(client, path)


def test_a_second_token_of_the_name_is_refused_at_the_field(
    olga: User, acme: Organization
) -> None:
    client = signed_in(olga)
    client.post(f"{TOKENS}add/", {"name": "CI", "days": "30"})

    answer = client.post(f"{TOKENS}add/", {"name": "CI", "days": "30"})

    assert "You have a token named CI already." in answer.content.decode()
    assert ApiToken.objects.count() == 1


def test_members_see_their_own_tokens_and_administrators_all(
    alice: User,
    olga: User,
    max_: User,
    bob: User,
    acme: Organization,
    borealis: Organization,
) -> None:
    with tenancy.acting_for(acme):
        theirs = issue_token("Olga's CI", user=olga)
    with tenancy.acting_for(borealis):
        foreign = issue_token("Bob's CI", user=bob)

    assert "Olga&#x27;s CI" in page(signed_in(olga), TOKENS)
    assert "Olga&#x27;s CI" in page(signed_in(alice), TOKENS)
    assert "Olga&#x27;s CI" not in page(signed_in(max_), TOKENS)
    assert "Bob&#x27;s CI" not in page(signed_in(alice), TOKENS)
    page(signed_in(max_), f"{TOKENS}{theirs.pk}/change/", 302)
    page(signed_in(max_), f"{TOKENS}{theirs.pk}/delete/", 302)
    page(signed_in(alice), f"{TOKENS}{foreign.pk}/delete/", 302)


def test_an_administrator_revokes_anybodys_token(
    alice: User, olga: User, acme: Organization
) -> None:
    with tenancy.acting_for(acme):
        token = issue_token("CI", user=olga)

    signed_in(alice).post(f"{TOKENS}{token.pk}/delete/", {"post": "yes"})

    assert not ApiToken.objects.exists()
    with tenancy.acting_for(acme):
        entry = AuditEvent.objects.latest("sequence")
    assert (entry.action, entry.actor) == ("token.revoked", alice)


# The trail


@pytest.fixture
def told(acme: Organization, alice: User, olga: User) -> None:
    with tenancy.acting_for(
        acme, actor=alice, role=Role.ADMINISTRATOR, origin="console"
    ):
        audit.record(
            "server.changed",
            label="Production <MLflow>",
            changes={
                "url": {"from": "http://old", "to": "http://new"},
                "credentials": ["token"],
            },
            reason="moved",
        )
    with tenancy.acting_for(acme):
        audit.record("sync.succeeded", label="sync 7")


def test_the_trail_shows_who_did_what(audrey: User, told: None) -> None:
    text = page(signed_in(audrey), TRAIL)

    assert "Alice (administrator)" in text
    assert "server.changed" in text
    assert "Production &lt;MLflow&gt;" in text
    assert "VerifyWise" in text


def test_an_entry_shows_its_changes_and_its_proof(
    audrey: User, told: None, acme: Organization
) -> None:
    with tenancy.acting_for(acme):
        entry = AuditEvent.objects.get(action="server.changed")

    text = page(signed_in(audrey), f"{TRAIL}{entry.pk}/change/")

    for shown in ("http://old", "http://new", "moved", entry.digest, entry.signature):
        assert shown in text
    assert 'name="_save"' not in text


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("q=production", {"server.changed"}),
        ("q=alice", {"server.changed", "session.started"}),
        ("action=sync.succeeded", {"sync.succeeded"}),
        ("who=none", {"sync.succeeded"}),
        ("object_type=nothing.at.all&object_id=7", set()),
        ("at__year=2001", set()),
    ],
)
def test_the_trail_is_searched_and_filtered(
    audrey: User, alice: User, told: None, query: str, shown: set[str]
) -> None:
    signed_in(alice)
    answer = signed_in(audrey).get(f"{TRAIL}?{query}")

    assert {entry.action for entry in answer.context["cl"].result_list} == shown


def test_the_trail_is_filtered_by_member(audrey: User, alice: User, told: None) -> None:
    answer = signed_in(audrey).get(f"{TRAIL}?who={alice.pk}")

    assert {entry.actor_id for entry in answer.context["cl"].result_list} == {alice.pk}


def test_the_trail_is_verified_on_its_page(audrey: User, told: None) -> None:
    answer = signed_in(audrey).get(f"{TRAIL}verify/", follow=True)

    assert "Acme Bank: 3 entries, intact." in answer.content.decode()


@pytest.mark.parametrize(
    ("role", "status"),
    [
        (Role.ADMINISTRATOR, 200),
        (Role.COMPLIANCE_OFFICER, 200),
        (Role.AUDITOR, 200),
        (Role.SENIOR_ENGINEER, 403),
        (Role.ML_ENGINEER, 403),
        (Role.EDITOR, 403),
    ],
)
def test_the_trail_is_open_to_those_who_may_read_it(
    acme: Organization, role: Role, status: int
) -> None:
    client = signed_in(member(acme, "Somebody", role))

    page(client, TRAIL, status)
    page(client, f"{TRAIL}verify/", 302 if status == 200 else 403)


def test_nothing_is_changed_on_the_trails_pages(
    alice: User, told: None, acme: Organization
) -> None:
    client = signed_in(alice)
    with tenancy.acting_for(acme):
        entry = AuditEvent.objects.latest("sequence")

    for path in (
        f"{TRAIL}add/",
        f"{TRAIL}{entry.pk}/change/",
        f"{TRAIL}{entry.pk}/delete/",
    ):
        assert client.post(path, {"post": "yes", "reason": "x"}).status_code == 403


def test_a_row_without_history_points_to_its_entries(
    alice: User, olga: User, acme: Organization
) -> None:
    own = membership_of(olga, acme)
    client = signed_in(alice)
    client.post(f"{MEMBERS}{own.pk}/change/", {"role": "auditor"})

    answer = client.get(f"{MEMBERS}{own.pk}/history/", follow=True)

    (entry,) = answer.context["cl"].result_list
    assert entry.action == "member.changed"


# All of them


@pytest.mark.parametrize("path", [MEMBERS, TOKENS, TRAIL])
def test_a_list_takes_few_queries_however_long_it_is(
    alice: User, acme: Organization, path: str
) -> None:
    def count() -> int:
        client = signed_in(alice)
        client.get(path)
        with CaptureQueriesContext(connection) as queries:
            page(client, path)
        return len(queries)

    few = count()
    for number in range(20):
        user = member(acme, f"Member {number}".replace(" ", ""), Role.EDITOR)
        with tenancy.acting_for(acme):
            issue_token("CI", user=user)

    assert count() == few <= 15


@pytest.mark.parametrize("model", ["membership", "apitoken", "auditevent"])
def test_what_belongs_to_another_organization_is_not_there(
    alice: User, bob: User, borealis: Organization, model: str
) -> None:
    """Bob's rows: pages to change and delete lead away, the history is not found."""
    with tenancy.acting_for(borealis):
        theirs: Any = {
            "membership": Membership.objects.get,
            "apitoken": lambda: issue_token("CI", user=bob),
            "auditevent": lambda: AuditEvent.objects.latest("sequence"),
        }
        audit.record("thing.done")
    with tenancy.acting_for(borealis):
        key = theirs[model]().pk
    client = signed_in(alice)
    root = f"/console/accounts/{model}/{key}"

    page(client, f"{root}/change/", 302)
    if model != "auditevent":  # which nobody may delete: 403 whatever is asked for
        page(client, f"{root}/delete/", 302)
        assert client.post(f"{root}/delete/", {"post": "yes"}).status_code == 302
    page(client, f"{root}/history/", 404)
    with tenancy.acting_for(borealis):
        assert theirs["membership"]().user == bob


def test_no_filter_offers_the_users_or_organizations_of_all() -> None:
    """Django's own filter of a key lists every row: of users, of all organizations."""
    for model, model_admin in admin.site._registry.items():
        for given in model_admin.list_filter:
            if isinstance(given, str):
                field = model._meta.get_field(given)
                assert field.related_model is None, f"{model_admin}: {given}"


def test_nobody_without_an_organization_comes_in(charlie: User) -> None:
    client = signed_in(charlie)

    for path in ("/console/", MEMBERS, TOKENS, TRAIL):
        assert client.get(path)["Location"].startswith("/console/login/")
