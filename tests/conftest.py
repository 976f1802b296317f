"""The cast, the database and the clock of all tests.

Acme: Alice administers it, Olga is its compliance officer, Max an ML engineer, Audrey
its auditor. Bob administers Borealis. Charlie has an account and no membership.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from whitenoise.middleware import WhiteNoiseMiddleware

from accounts import tenancy
from accounts.models import Membership, Organization, User
from accounts.roles import Role
from inventory.models import Source
from tests.emptying import emptied_by_deleting
from tests.migrated import migrated

pytest_plugins = ("tests.mlflow_fixtures", "tests.tally")

PASSWORD = "correct-horse-battery"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings: None, django_db_blocker: Any
) -> None:
    """Copy this process's database from one that is migrated."""
    if not os.environ.get("DATABASE_URL"):
        with django_db_blocker.unblock():
            connection.settings_dict["TEST"]["TEMPLATE"] = migrated()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Transactional tests empty tables, which the audit tables refuse.

    No commit waits for the disk: nobody misses what a crash would take.
    """
    with django_db_blocker.unblock():
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        connection.close()  # it holds for connections to come
    if not os.environ.get("DATABASE_URL"):
        with emptied_by_deleting():
            yield
        return
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE accounts_auditevent DISABLE TRIGGER audit_no_truncate;"
            "ALTER TABLE accounts_audithead DISABLE TRIGGER audit_head_no_truncate"
        )
    yield


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """Hash cheaply: slow hashing is Django's to test."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session", autouse=True)
def static_files_found_once() -> Iterator[None]:
    """Look once for the static files.

    Each test's client starts the middleware anew, and WhiteNoise would look for some
    two hundred files and their dates: 0.1 s.
    """
    look = WhiteNoiseMiddleware.add_files_from_finders
    found: dict[str, Any] = {}

    def remember(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            look(middleware)
            found.update(middleware.files)
        middleware.files = found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", remember)
        yield


@pytest.fixture
def acme(db: None) -> Organization:
    return Organization.objects.create(name="Acme Bank", slug="acme")


@pytest.fixture
def borealis(db: None) -> Organization:
    return Organization.objects.create(name="Borealis Health", slug="borealis")


def member(organization: Organization, name: str, role: Role) -> User:
    """Make a member called `name` who signs in as name@example.org with PASSWORD."""
    user = User.objects.create_user(f"{name.lower()}@example.org", PASSWORD, name=name)
    with tenancy.acting_for(organization):
        Membership.objects.create(user=user, role=role)
    return user


@pytest.fixture
def alice(acme: Organization) -> User:
    return member(acme, "Alice", Role.ADMINISTRATOR)


@pytest.fixture
def olga(acme: Organization) -> User:
    return member(acme, "Olga", Role.COMPLIANCE_OFFICER)


@pytest.fixture
def max_(acme: Organization) -> User:
    return member(acme, "Max", Role.ML_ENGINEER)


@pytest.fixture
def audrey(acme: Organization) -> User:
    return member(acme, "Audrey", Role.AUDITOR)


@pytest.fixture
def bob(borealis: Organization) -> User:
    return member(borealis, "Bob", Role.ADMINISTRATOR)


@pytest.fixture
def charlie(db: None) -> User:
    """Charlie should have no access to anybody's stuff."""
    return User.objects.create_user("charlie@example.org", PASSWORD, name="Charlie")


@pytest.fixture
def in_acme(acme: Organization) -> Iterator[tenancy.Acting]:
    """Work inside Acme, as the system does."""
    with tenancy.acting_for(acme) as acting:
        yield acting


@pytest.fixture
def source(in_acme: tenancy.Acting) -> Source:
    return Source.objects.create(name="Production MLflow")


def signed_in(user: User) -> Client:
    """Return a browser in which the user has signed in."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client
