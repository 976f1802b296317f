"""What gets onto the trail, and what does not."""

from __future__ import annotations

from decimal import Decimal
from threading import Barrier, Thread

import pytest
from django.db import ProgrammingError, connection, transaction

from accounts import audit, tenancy
from accounts.exceptions import AuditError, NoOrganization, NotAllowed
from accounts.models import AuditEvent, AuditHead, Organization, User
from accounts.permissions import require
from accounts.roles import Permission, Role
from inventory.models import Source

pytestmark = pytest.mark.django_db(transaction=True)


def trail(organization: Organization) -> list[AuditEvent]:
    with tenancy.acting_for(organization):
        return list(AuditEvent.objects.order_by("sequence"))


def actions(organization: Organization) -> list[str]:
    return [event.action for event in trail(organization)]


def test_an_entry_says_who_did_what_to_what_in_which_role(
    acme: Organization, alice: User
) -> None:
    with tenancy.acting_for(
        acme, actor=alice, role=Role.ADMINISTRATOR, origin="API"
    ) as acting:
        source = Source.objects.create(name="Production")
        audit.record(
            "source.added", source, changes={"name": "Production"}, reason="asked for"
        )

    (event,) = trail(acme)
    assert (event.actor, event.actor_name) == (alice, "Alice")
    assert (event.actor_role, event.origin) == ("administrator", "API")
    assert (event.action, event.reason) == ("source.added", "asked for")
    assert (event.object_type, event.object_id) == ("inventory.source", str(source.pk))
    assert event.object_label == "Production"
    assert event.changes == {"name": "Production"}
    assert event.request_id == acting.request_id


def test_entries_of_one_act_share_its_request_id(acme: Organization) -> None:
    for _ in range(2):
        with tenancy.acting_for(acme):
            audit.record("thing.done")
            with tenancy.acting_for(acme):
                audit.record("thing.done")

    ids = [event.request_id for event in trail(acme)]
    assert ids[0] == ids[1] != ids[2] == ids[3]


def test_an_act_and_its_entry_are_sealed_together(acme: Organization) -> None:
    with tenancy.acting_for(acme):
        audit.record("thing.done", label="one")
        audit.record("thing.done", label="two")
        assert not AuditEvent.objects.exists()  # noted, and sealed last

    assert [event.object_label for event in trail(acme)] == ["one", "two"]


def test_an_act_that_was_rolled_back_leaves_no_entry(acme: Organization) -> None:
    def undone() -> None:
        with transaction.atomic():
            audit.record("thing.undone")
            raise ValueError("no")

    with tenancy.acting_for(acme):
        audit.record("thing.done")
        with pytest.raises(ValueError, match="no"):
            undone()

    assert actions(acme) == ["thing.done"]


def test_an_act_that_fails_as_a_whole_leaves_no_entry(acme: Organization) -> None:
    def fail() -> None:
        with tenancy.acting_for(acme):
            audit.record("thing.done")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()

    assert actions(acme) == []


def test_an_act_for_nobody_cannot_be_recorded() -> None:
    with pytest.raises(NoOrganization):
        audit.record("thing.done")


def test_a_refused_act_survives_the_rollback(acme: Organization, max_: User) -> None:
    def ask() -> None:
        with tenancy.acting_for(acme, actor=max_, role=Role.ML_ENGINEER):
            audit.record("thing.begun")
            require(Permission.MANAGE_MEMBERS)

    with pytest.raises(
        NotAllowed, match="“Manage members” is not open to the role “ML"
    ):
        ask()

    (event,) = trail(acme)
    assert event.action == "act.refused"
    assert (event.actor, event.actor_role) == (max_, "ml_engineer")
    assert "Manage members" in event.reason


def test_what_is_refused_outside_any_organization_is_the_installations(
    acme: Organization,
) -> None:
    audit.refuse("session.refused", label="mallory@example.org", reason="No.")

    assert actions(acme) == []
    (event,) = trail(Organization.installation())
    assert event.object_label == "mallory@example.org"
    assert (event.actor, event.actor_name) == (None, "(not signed in)")


def test_several_organizations_are_sealed_in_one_transaction(
    acme: Organization, borealis: Organization
) -> None:
    with tenancy.acting_for(borealis):
        audit.record("thing.done")
        with tenancy.acting_for(acme):
            audit.record("thing.done")
        audit.record("thing.done")

    assert [event.sequence for event in trail(acme)] == [1]
    assert [event.sequence for event in trail(borealis)] == [1, 2]


@pytest.mark.parametrize(
    ("told", "stored"),
    [
        (1.0, 1),
        (1e22, 10**22),
        (1e308, int(1e308)),
        (-0.0, 0),
        (0.1, 0.1),
        (1e-300, 1e-300),
        (True, True),
        (Decimal("1.50"), "1.50"),
        ("nul \0, half \ud800", "nul \ufffd, half ?"),
        (("a", {"b": None}), ["a", {"b": None}]),
        ({1: Role.EDITOR}, {"1": "editor"}),
    ],
)
def test_any_value_reads_back_as_it_was_digested(
    acme: Organization, told: object, stored: object
) -> None:
    with tenancy.acting_for(acme):
        audit.record("thing.done", label="\0", reason="\ud800", changes={"it": told})

    (event,) = trail(acme)
    assert event.changes == {"it": stored}
    with tenancy.acting_for(acme):
        assert audit.verify(acme).intact


def test_a_number_that_is_none_is_refused_where_it_is_told(acme: Organization) -> None:
    with pytest.raises(ValueError, match="nan"), tenancy.acting_for(acme):
        audit.record("thing.done", changes={"it": float("nan")})


def test_eight_concurrent_writers_leave_no_gap(acme: Organization) -> None:
    writers, acts = 8, 25
    together = Barrier(writers)

    def write(number: int) -> None:
        together.wait()
        for act in range(acts):
            with tenancy.acting_for(acme):
                audit.record("thing.done", label=f"{number}/{act}")
        connection.close()

    threads = [Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    events = trail(acme)
    assert [event.sequence for event in events] == list(range(1, writers * acts + 1))
    assert len({event.object_label for event in events}) == writers * acts
    with tenancy.acting_for(acme):
        assert audit.verify(acme).intact


def test_writers_for_several_organizations_do_not_lock_each_other(
    acme: Organization, borealis: Organization
) -> None:
    failures: list[Exception] = []

    def write(first: Organization, second: Organization) -> None:
        try:
            for _ in range(20):
                with tenancy.acting_for(first):
                    audit.record("thing.done")
                    with tenancy.acting_for(second):
                        audit.record("thing.done")
        except Exception as error:  # noqa: BLE001 - told to the test's own thread
            failures.append(error)
        finally:
            connection.close()

    pairs = ((acme, borealis), (borealis, acme))
    threads = [Thread(target=write, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(trail(acme)) == len(trail(borealis)) == 40


def test_many_events_of_one_transaction_are_written_at_once(
    acme: Organization, django_assert_max_num_queries: object
) -> None:
    with django_assert_max_num_queries(20), tenancy.acting_for(acme):  # type: ignore[operator]
        for number in range(5_000):
            audit.record("thing.done", label=str(number))

    with tenancy.acting_for(acme):
        assert audit.verify(acme).entries == 5_000


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts_auditevent SET reason = 'another'",
        "UPDATE accounts_auditevent SET sequence = sequence + 1",
        "DELETE FROM accounts_auditevent",
        "DELETE FROM accounts_audithead",
        "UPDATE accounts_audithead SET sequence = 0",
        "UPDATE accounts_audithead SET digest = 'another'",
    ],
)
def test_the_trail_is_append_only(acme: Organization, statement: str) -> None:
    with tenancy.acting_for(acme):
        audit.record("thing.done")

    with (
        pytest.raises(ProgrammingError, match="append-only"),
        tenancy.acting_for(acme),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


@pytest.mark.parametrize(
    ("table", "trigger"),
    [
        ("accounts_auditevent", "audit_no_truncate"),
        ("accounts_audithead", "audit_head_no_truncate"),
    ],
)
def test_the_trail_cannot_be_emptied(table: str, trigger: str) -> None:
    """The tests' own set-up switches these two triggers off; here they are on."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {trigger}")
        try:
            with pytest.raises(ProgrammingError, match="append-only: TRUNCATE"):
                cursor.execute(f"TRUNCATE {table}")
        finally:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")


def test_nothing_is_added_to_a_trail_whose_head_is_forged(acme: Organization) -> None:
    with tenancy.acting_for(acme):
        audit.record("thing.done")
        audit.record("thing.done")
    forge_head(acme, sequence=1)

    with pytest.raises(AuditError, match="head of the trail"), tenancy.acting_for(acme):
        audit.record("thing.done")


def forge_head(organization: Organization, *, sequence: int) -> None:
    """Do to the head what only the owner of the tables can."""
    with tenancy.acting_for(organization), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_audithead DISABLE TRIGGER USER")
        AuditHead.objects.update(sequence=sequence)
        cursor.execute("ALTER TABLE accounts_audithead ENABLE TRIGGER USER")
        cursor.execute(
            "ALTER TABLE accounts_audithead DISABLE TRIGGER audit_head_no_truncate"
        )
