"""An organization and its first administrator, from nothing."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts import tenancy
from accounts.models import AuditEvent, Membership, Organization, User
from accounts.roles import Role

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "a-long-enough-phrase"


def bootstrap(*args: str) -> str:
    out = StringIO()
    call_command("bootstrap", *args, stdout=out)
    return out.getvalue()


def test_a_password_is_generated_and_printed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VERIFYWISE_ADMIN_PASSWORD", raising=False)

    told = bootstrap("--organization=acme-bank", "--email=Alice@Example.org")

    password = told.split("shown this once: ")[1].strip()
    alice = User.objects.get(email="alice@example.org")
    assert alice.check_password(password)
    acme = Organization.objects.get(slug="acme-bank")
    assert acme.name == "Acme Bank"
    with tenancy.acting_for(acme):
        assert Membership.objects.get().role == Role.ADMINISTRATOR
        assert AuditEvent.objects.filter(action="member.added").exists()


def test_a_given_password_is_taken_and_not_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VERIFYWISE_ADMIN_PASSWORD", PASSWORD)

    told = bootstrap("--organization=acme", "--email=alice@example.org")

    assert PASSWORD not in told
    assert User.objects.get().check_password(PASSWORD)


def test_doing_it_twice_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERIFYWISE_ADMIN_PASSWORD", PASSWORD)
    bootstrap("--organization=acme", "--email=alice@example.org")

    told = bootstrap("--organization=acme", "--email=alice@example.org")

    assert "is a member of Acme already" in told
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("args", "password", "sentence"),
    [
        (("--organization=Not A Slug", "--email=a@example.org"), PASSWORD, "slug"),
        (("--organization=acme", "--email=nonsense"), PASSWORD, "valid email"),
        (("--organization=acme", "--email=a@example.org"), "short", "too short"),
    ],
)
def test_what_is_wrong_is_a_sentence_and_nothing_is_made(
    monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], password: str, sentence: str
) -> None:
    monkeypatch.setenv("VERIFYWISE_ADMIN_PASSWORD", password)

    with pytest.raises(CommandError, match=sentence):
        bootstrap(*args)

    assert not User.objects.exists()
    assert not Organization.objects.filter(slug__startswith="acme").exists()


def test_the_installations_own_trail_is_no_organization_to_join(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VERIFYWISE_ADMIN_PASSWORD", PASSWORD)
    installation = Organization.installation()

    with pytest.raises(CommandError, match="is closed"):
        bootstrap(f"--organization={installation.slug}", "--email=a@example.org")
