from __future__ import annotations

from collections.abc import Callable
from threading import Thread

import pytest
from django.db import ProgrammingError, connection, transaction
from django.db.utils import IntegrityError
from django.utils.timezone import now

from accounts import tenancy
from accounts.exceptions import NoOrganization
from accounts.models import Membership, Organization, User
from accounts.roles import Permission, Role
from inventory.models import RegisteredModel, Source
from tests.conftest import member


def names() -> list[str]:
    """Return what is seen without any filter."""
    return list(Source.objects.values_list("name", flat=True))


def execute(sql: str, *values: object) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.rowcount


@pytest.fixture
def two_sources(acme: Organization, borealis: Organization) -> None:
    for organization in (acme, borealis):
        with tenancy.acting_for(organization):
            Source.objects.create(name=organization.slug)


def test_a_query_outside_any_organization_sees_nothing(two_sources: None) -> None:
    assert names() == []
    assert execute("SELECT * FROM inventory_source") == 0


def test_a_query_inside_sees_its_own_rows_only(
    two_sources: None, borealis: Organization
) -> None:
    with tenancy.acting_for(borealis):
        assert names() == ["borealis"]
        assert execute("SELECT * FROM inventory_source") == 1


def test_history_is_behind_the_same_wall(
    acme: Organization, borealis: Organization
) -> None:
    with tenancy.acting_for(acme):
        source = Source.objects.create(name="Production")
        RegisteredModel.objects.create(source=source, name="m", fingerprint="f")
        assert RegisteredModel.history.count() == 1

    assert RegisteredModel.history.count() == 0
    with tenancy.acting_for(borealis):
        assert RegisteredModel.history.count() == 0


def test_raw_sql_without_a_filter_changes_own_rows_only(
    two_sources: None, acme: Organization, borealis: Organization
) -> None:
    assert execute("UPDATE inventory_source SET name = 'taken'") == 0
    with tenancy.acting_for(acme):
        assert execute("UPDATE inventory_source SET name = 'ours'") == 1
        assert execute("DELETE FROM inventory_source") == 1

    with tenancy.acting_for(borealis):
        assert names() == ["borealis"]


def test_a_row_for_another_organization_is_refused(
    acme: Organization, borealis: Organization
) -> None:
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        tenancy.acting_for(acme),
    ):
        Source.objects.create(name="Planted", organization=borealis)


def test_a_row_cannot_be_moved_to_another_organization(
    two_sources: None, acme: Organization, borealis: Organization
) -> None:
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        tenancy.acting_for(acme),
    ):
        execute("UPDATE inventory_source SET organization_id = %s", borealis.pk)


def test_a_row_outside_any_organization_is_refused(acme: Organization) -> None:
    with pytest.raises(NoOrganization):
        Source.objects.create(name="Lost")
    with pytest.raises(ProgrammingError, match="row-level security"):
        Source.objects.create(name="Lost", organization=acme)


@pytest.mark.django_db(transaction=True)
def test_a_key_to_another_organizations_row_is_refused(
    acme: Organization, borealis: Organization
) -> None:
    with tenancy.acting_for(borealis):
        theirs = Source.objects.create(name="Theirs")

    with (
        pytest.raises(IntegrityError, match="same_inventory_model_source"),
        tenancy.acting_for(acme),
    ):
        RegisteredModel.objects.create(source=theirs, name="m", fingerprint="f")


def test_contexts_nest(
    two_sources: None, acme: Organization, borealis: Organization
) -> None:
    with tenancy.acting_for(acme):
        with tenancy.acting_for(borealis):
            assert names() == ["borealis"]
            with tenancy.acting_for(acme):
                assert names() == ["acme"]
            assert names() == ["borealis"]
        assert names() == ["acme"]
    assert names() == []


@pytest.mark.parametrize("transactions", ["one", "own"])
def test_an_error_puts_the_outer_organization_back(
    two_sources: None, acme: Organization, borealis: Organization, transactions: str
) -> None:
    def fail() -> None:
        with tenancy.acting_for(borealis):
            if transactions == "own":
                with transaction.atomic():
                    execute("SELECT 1 / 0")
            raise ValueError("no")

    with tenancy.acting_for(acme):
        with pytest.raises(Exception, match=r"no|zero"):
            fail()
        assert names() == ["acme"]
        assert tenancy.current_organization_id() == acme.pk


@pytest.mark.django_db(transaction=True)
def test_nothing_leaks_to_the_next_job_on_the_same_connection(
    two_sources: None, acme: Organization
) -> None:
    def fail(act: Callable[[], object]) -> None:
        with tenancy.acting_for(acme):
            assert names() == ["acme"]
            act()
            raise ValueError("the job failed")

    for act in (lambda: None, lambda: transaction.set_rollback(True)):
        with pytest.raises(ValueError, match="the job failed"):
            fail(act)
        assert tenancy.current() is None
        assert names() == []
    with tenancy.acting_for(acme):
        transaction.set_rollback(True)
    assert names() == []


def test_a_context_inside_a_callers_transaction_is_put_back(
    two_sources: None, acme: Organization
) -> None:
    with transaction.atomic():
        with tenancy.acting_for(acme):
            assert names() == ["acme"]
        assert names() == []


def test_another_thread_is_outside(acme: Organization) -> None:
    seen: list[object] = []
    with tenancy.acting_for(acme):
        thread = Thread(target=lambda: seen.append(tenancy.current()))
        thread.start()
        thread.join()

    assert seen == [None]


def test_the_role_does_not_follow_its_holder_into_another_organization(
    acme: Organization, borealis: Organization, alice: User
) -> None:
    with tenancy.acting_for(acme, actor=alice, role=Role.ADMINISTRATOR):
        with tenancy.acting_for(acme) as again:
            assert again.may(Permission.MANAGE_MEMBERS)
        with tenancy.acting_for(borealis) as abroad:
            assert abroad.actor == alice
            assert not any(abroad.may(permission) for permission in Permission)


def test_work_without_a_person_may_all_where_it_has_entered(acme: Organization) -> None:
    with tenancy.acting_for(acme) as acting:
        assert all(acting.may(permission) for permission in Permission)
    with tenancy.request_scope(origin="console"):
        acting = tenancy.current() or tenancy.Acting()
        assert not any(acting.may(permission) for permission in Permission)


def test_users_find_their_own_open_memberships_and_nobody_elses(
    acme: Organization, borealis: Organization, alice: User, bob: User
) -> None:
    closed = Organization.objects.create(name="Closed", slug="closed", closed_at=now())
    for organization in (borealis, closed):
        with tenancy.acting_for(organization):
            Membership.objects.create(user=alice, role=Role.AUDITOR)

    found = tenancy.memberships_of(alice)

    assert [membership.organization for membership in found] == [acme, borealis]
    assert Membership.objects.count() == 0  # what was shown for the look-up is over


def test_an_own_membership_elsewhere_can_be_read_but_not_changed(
    acme: Organization, alice: User
) -> None:
    with transaction.atomic():
        execute("SELECT set_config('app.user', %s, true)", str(alice.pk))
        assert execute("SELECT * FROM accounts_membership") == 1
        assert execute("UPDATE accounts_membership SET role = 'editor'") == 0
        assert execute("DELETE FROM accounts_membership") == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fails", [True, False])
def test_what_is_left_for_afterwards_is_done_whatever_became_of_the_act(
    acme: Organization, fails: bool
) -> None:
    done: list[bool] = []

    def act() -> None:
        with tenancy.acting_for(acme):
            tenancy.afterwards(lambda: done.append(connection.in_atomic_block))
            with tenancy.acting_for(acme):
                tenancy.afterwards(lambda: done.append(connection.in_atomic_block))
            assert done == []
            if fails:
                raise ValueError("no")

    if fails:
        with pytest.raises(ValueError, match="no"):
            act()
    else:
        act()

    assert done == [False, False]


def test_the_cast_is_where_it_should_be(borealis: Organization, bob: User) -> None:
    """The walls are tried with members: a fixture that fails to add one would hide it."""
    member(borealis, "Berta", Role.EDITOR)

    with tenancy.acting_for(borealis):
        assert set(Membership.objects.values_list("user__name", flat=True)) == {
            "Bob",
            "Berta",
        }
