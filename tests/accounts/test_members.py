"""The acts on members and their tokens, each tried by every role."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils.timezone import now

from accounts import tenancy
from accounts.exceptions import NotAllowed
from accounts.members import (
    add_member,
    change_role,
    issue_token,
    remove_member,
    revoke_token,
)
from accounts.models import ApiToken, AuditEvent, Membership, Organization, User
from accounts.roles import Role
from tests.conftest import member

pytestmark = pytest.mark.django_db(transaction=True)

OTHERS = [role for role in Role if role != Role.ADMINISTRATOR]


@contextmanager
def acting(user: User, organization: Organization) -> Iterator[None]:
    """Act as a member, as a request would."""
    with tenancy.acting_for(organization):
        role = Role(Membership.objects.get(user=user).role)
    with tenancy.acting_for(organization, actor=user, role=role, origin="console"):
        yield


def membership_of(user: User, organization: Organization) -> Membership:
    with tenancy.acting_for(organization):
        return Membership.objects.select_related("user").get(user=user)


def last_entry(organization: Organization) -> AuditEvent:
    with tenancy.acting_for(organization):
        return AuditEvent.objects.latest("sequence")


def test_an_administrator_adds_somebody_new(acme: Organization, alice: User) -> None:
    with acting(alice, acme):
        membership = add_member(" Dora@Example.org ", role=Role.EDITOR, name="Dora")

    dora = User.objects.get(email="dora@example.org")
    assert (dora.name, dora.has_usable_password()) == ("Dora", False)
    assert membership_of(dora, acme).role == Role.EDITOR
    entry = last_entry(acme)
    assert (entry.action, entry.actor) == ("member.added", alice)
    assert entry.object_id == str(membership.pk)
    assert entry.changes == {"user": "dora@example.org", "role": "editor"}


def test_a_person_of_another_organization_keeps_their_account(
    acme: Organization, alice: User, bob: User
) -> None:
    with acting(alice, acme):
        add_member("BOB@example.org", role=Role.AUDITOR, name="Robert")

    bob.refresh_from_db()
    assert bob.name == "Bob"
    assert bob.has_usable_password()
    assert membership_of(bob, acme).role == Role.AUDITOR


@pytest.mark.parametrize(
    ("email", "role", "field"),
    [
        ("olga@example.org", Role.EDITOR, "email"),
        ("not an address", Role.EDITOR, "email"),
        ("dora@example.org", "king", "role"),
    ],
)
def test_what_is_wrong_with_a_new_member_is_named(
    acme: Organization, alice: User, olga: User, email: str, role: Any, field: str
) -> None:
    with pytest.raises(ValidationError) as error, acting(alice, acme):
        add_member(email, role=role)

    assert list(error.value.message_dict) == [field]
    assert not User.objects.filter(email="dora@example.org").exists()


def test_without_mail_an_invitation_of_another_organization_is_not_taken_over(
    acme: Organization, borealis: Organization, alice: User, bob: User, settings: Any
) -> None:
    """Its administrator may hold the link by which the account gets its password."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    with acting(bob, borealis):
        add_member("dora@example.org", role=Role.EDITOR)

    with (
        pytest.raises(ValidationError, match="Another organization"),
        acting(alice, acme),
    ):
        add_member("dora@example.org", role=Role.EDITOR)


def test_who_was_removed_before_signing_in_is_invited_anew(
    acme: Organization, alice: User
) -> None:
    with acting(alice, acme):
        membership = add_member("dora@example.org", role=Role.EDITOR)
        before = membership.user.password
        remove_member(membership)
        again = add_member("dora@example.org", role=Role.EDITOR)

    assert again.user.password != before  # links given out before are dead


@pytest.mark.parametrize("role", OTHERS)
@pytest.mark.parametrize("act", ["add", "change", "remove"])
def test_no_other_role_manages_members(
    acme: Organization, alice: User, olga: User, role: Role, act: str
) -> None:
    mallory = member(acme, "Mallory", role)
    target = membership_of(olga, acme)
    acts = {
        "add": lambda: add_member("dora@example.org", role=Role.EDITOR),
        "change": lambda: change_role(target, Role.ADMINISTRATOR),
        "remove": lambda: remove_member(target),
    }

    with pytest.raises(NotAllowed, match="Manage members"), acting(mallory, acme):
        acts[act]()

    assert membership_of(olga, acme).role == Role.COMPLIANCE_OFFICER
    assert not User.objects.filter(email="dora@example.org").exists()
    entry = last_entry(acme)
    assert (entry.action, entry.actor, entry.actor_role) == (
        "act.refused",
        mallory,
        role,
    )


def test_a_role_is_changed(acme: Organization, alice: User, olga: User) -> None:
    with acting(alice, acme):
        change_role(membership_of(olga, acme), Role.AUDITOR)

    assert membership_of(olga, acme).role == Role.AUDITOR
    entry = last_entry(acme)
    assert entry.action == "member.changed"
    assert entry.changes == {"role": {"from": "compliance_officer", "to": "auditor"}}


def test_the_same_role_again_is_no_change(
    acme: Organization, alice: User, olga: User
) -> None:
    with acting(alice, acme):
        change_role(membership_of(olga, acme), Role.COMPLIANCE_OFFICER)

    with tenancy.acting_for(acme):
        assert not AuditEvent.objects.exists()


def test_who_is_removed_loses_their_tokens_and_keeps_their_account(
    acme: Organization, borealis: Organization, alice: User, olga: User
) -> None:
    with acting(olga, acme):
        issue_token("CI")
    with tenancy.acting_for(borealis):
        Membership.objects.create(user=olga, role=Role.EDITOR)
    with acting(olga, borealis):
        issue_token("CI")

    with acting(alice, acme):
        remove_member(membership_of(olga, acme))

    assert [token.organization for token in ApiToken.objects.all()] == [borealis]
    assert User.objects.filter(pk=olga.pk, is_active=True).exists()
    with tenancy.acting_for(acme):
        assert list(AuditEvent.objects.values_list("action", flat=True))[:2] == [
            "member.removed",
            "token.revoked",
        ]


@pytest.mark.parametrize("act", ["change", "remove"])
def test_the_last_administrator_stays(
    acme: Organization, alice: User, act: str
) -> None:
    retired = member(acme, "Rita", Role.ADMINISTRATOR)
    retired.is_active = False
    retired.save()
    own = membership_of(alice, acme)

    with (
        pytest.raises(ValidationError, match="last administrator"),
        acting(alice, acme),
    ):
        change_role(own, Role.EDITOR) if act == "change" else remove_member(own)

    assert membership_of(alice, acme).role == Role.ADMINISTRATOR


def test_two_administrators_cannot_remove_each_other(
    acme: Organization, alice: User
) -> None:
    berta = member(acme, "Berta", Role.ADMINISTRATOR)
    together = Barrier(2)
    refusals: list[Exception] = []

    def remove(who: User, whom: User) -> None:
        target = membership_of(whom, acme)
        together.wait()
        try:
            with acting(who, acme):
                remove_member(target)
        except (ValidationError, Membership.DoesNotExist) as error:
            refusals.append(error)
        finally:
            connection.close()

    pairs = ((alice, berta), (berta, alice))
    threads = [Thread(target=remove, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refusals) == 1
    with tenancy.acting_for(acme):
        assert Membership.objects.filter(role=Role.ADMINISTRATOR).count() == 1


def test_who_is_gone_already_cannot_be_changed(
    acme: Organization, alice: User, olga: User
) -> None:
    target = membership_of(olga, acme)
    with acting(alice, acme):
        remove_member(membership_of(olga, acme))

    with pytest.raises(NotAllowed, match="not a member any more"), acting(alice, acme):
        change_role(target, Role.AUDITOR)


@pytest.mark.parametrize("role", list(Role))
def test_every_member_makes_and_revokes_their_own_tokens(
    acme: Organization, role: Role
) -> None:
    user = member(acme, "Somebody", role)

    with acting(user, acme):
        token = issue_token(" CI ", expires_in=timedelta(days=30))
    assert token.told_once.startswith("vw_")
    assert token.name == "CI"
    assert abs(token.expiry - now() - timedelta(days=30)) < timedelta(minutes=1)
    assert token.told_once not in str(ApiToken.objects.values().get())
    assert last_entry(acme).action == "token.issued"
    assert token.told_once not in str(last_entry(acme).__dict__)

    with acting(user, acme):
        revoke_token(token)
    assert not ApiToken.objects.exists()
    assert last_entry(acme).action == "token.revoked"


def test_a_name_is_used_for_one_token(
    acme: Organization, olga: User, max_: User
) -> None:
    with acting(max_, acme):
        issue_token("CI")
    with acting(olga, acme):
        issue_token("CI")

    with pytest.raises(ValidationError) as error, acting(olga, acme):
        issue_token("CI")
    assert list(error.value.message_dict) == ["name"]


def test_a_token_is_made_by_whom_it_is_for(
    acme: Organization, alice: User, olga: User, bob: User
) -> None:
    with pytest.raises(NotAllowed, match="by whom it is for"), acting(alice, acme):
        issue_token("CI", user=olga)
    with (
        pytest.raises(NotAllowed, match="Bob is not a member"),
        tenancy.acting_for(acme),
    ):
        issue_token("CI", user=bob)
    with tenancy.acting_for(acme):
        assert issue_token("CI", user=olga).user == olga


def test_only_administrators_revoke_what_is_not_theirs(
    acme: Organization,
    borealis: Organization,
    alice: User,
    olga: User,
    max_: User,
    bob: User,
) -> None:
    with acting(max_, acme):
        token = issue_token("CI")

    with pytest.raises(NotAllowed, match="Manage members"), acting(olga, acme):
        revoke_token(token)
    with pytest.raises(NotAllowed, match="another organization"), acting(bob, borealis):
        revoke_token(token)
    with acting(alice, acme):
        revoke_token(token)
    assert not ApiToken.objects.exists()
