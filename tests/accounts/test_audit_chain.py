"""Whatever is done to a trail behind the program's back is found, and named."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts import audit, tenancy
from accounts.audit import Verification
from accounts.models import AuditEvent, AuditHead, Organization, User
from accounts.roles import Role
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW = (
    "an old key of forty characters, or about",
    "a new key of forty characters, or about",
)


@pytest.fixture(autouse=True)
def keys(settings: Any) -> None:
    settings.AUDIT_KEYS = [OLD]


def record(organization: Organization, count: int = 1) -> None:
    with tenancy.acting_for(organization):
        for number in range(count):
            audit.record("thing.done", changes={"number": number}, reason="Ümläut")


def verify(organization: Organization) -> Verification:
    with tenancy.acting_for(organization):
        return audit.verify(organization)


@contextmanager
def without_triggers(organization: Organization) -> Iterator[Any]:
    """Yield a cursor that may do what only the owner of the tables can."""
    tables = ("accounts_auditevent", "accounts_audithead")
    with tenancy.acting_for(organization), connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # or ALTER TABLE has to wait
        yield cursor
        for table, truncate in zip(
            tables, ("audit_no_truncate", "audit_head_no_truncate"), strict=True
        ):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {truncate}")


def test_a_trail_without_entries_is_intact(acme: Organization) -> None:
    assert verify(acme).intact
    assert verify(acme).entries == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "2001-01-01T00:00:00Z"),
        ("actor_id", None),
        ("actor_name", "Mallory"),
        ("actor_role", "editor"),
        ("origin", "API"),
        ("request_id", "another"),
        ("action", "thing.undone"),
        ("object_type", "another"),
        ("object_id", "another"),
        ("object_label", "another"),
        ("changes", '{"number": 7}'),
        ("reason", "another"),
        ("format", 2),
        ("previous_digest", "1" * 64),
        ("digest", "1" * 64),
        ("key_id", "another"),
        ("signature", "1" * 64),
        ("sequence", 9),
        ("organization_id", "borealis"),
    ],
)
def test_a_change_of_any_column_is_found(
    acme: Organization, borealis: Organization, alice: User, column: str, value: Any
) -> None:
    with tenancy.acting_for(acme, actor=alice, role=Role.ADMINISTRATOR):
        for number in range(5):
            audit.record("thing.done", changes={"number": number})
    if value == "borealis":
        value = borealis.pk
    with without_triggers(acme) as cursor:
        if column == "organization_id":
            cursor.execute(
                "ALTER TABLE accounts_auditevent NO FORCE ROW LEVEL SECURITY"
            )
        change = f"UPDATE accounts_auditevent SET {column} = %s WHERE sequence = 3"  # noqa: S608
        cursor.execute(change, [value])
        if column == "organization_id":
            cursor.execute("ALTER TABLE accounts_auditevent FORCE ROW LEVEL SECURITY")

    found = verify(acme)

    moved = column in ("sequence", "organization_id")
    assert found.broken.startswith("Entry 4" if moved else "Entry 3"), found.broken
    assert found.entries == 2


def test_every_column_is_tried_above() -> None:
    tried = {
        case[0]
        for mark in test_a_change_of_any_column_is_found.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
        for case in mark.args[1]
    }

    columns = {field.column for field in AuditEvent._meta.fields}
    assert columns - tried == {"id"}  # which is no content: entries go by sequence


@pytest.mark.parametrize(
    ("gone", "sentence"),
    [
        (3, "Entry 4 (thing.done): entry 3 is missing before it."),
        (5, "Entry 5 is missing: the signed head of the trail names 5 as the last."),
    ],
)
def test_a_deleted_entry_is_found(acme: Organization, gone: int, sentence: str) -> None:
    record(acme, 5)
    with without_triggers(acme):
        AuditEvent.objects.filter(sequence=gone).delete()

    assert verify(acme).broken == sentence


def test_a_head_set_back_to_hide_deleted_entries_is_found(acme: Organization) -> None:
    record(acme, 5)
    with without_triggers(acme):
        AuditEvent.objects.filter(sequence=5).delete()
        last = AuditEvent.objects.get(sequence=4)
        AuditHead.objects.update(
            sequence=4, digest=last.digest, signature=last.signature
        )

    assert verify(acme).broken == (
        "The head of the trail is not signed by the key it names."
    )


def test_a_removed_head_is_found(acme: Organization) -> None:
    record(acme, 2)
    with without_triggers(acme):
        AuditHead.objects.all().delete()

    assert verify(acme).broken == (
        "Entry 1 (thing.done): it lies beyond the signed head of the trail."
    )


def rewrite(organization: Organization, key_id: str) -> None:
    """Change the second entry and chain all anew, as one who has no key can."""
    with without_triggers(organization):
        previous = ""
        for event in AuditEvent.objects.order_by("sequence"):
            if event.sequence == 2:
                event.reason = "another"
            if event.sequence >= 2:
                event.previous_digest, event.key_id = previous, key_id
                event.digest = audit.chain.digest_of(event)
                event.save()
            previous = event.digest


def test_a_trail_rewritten_without_the_key_is_found(acme: Organization) -> None:
    record(acme, 4)
    rewrite(acme, audit.chain.key_id_of(OLD))

    assert verify(acme).broken == (
        "Entry 2 (thing.done): its signature is not of the key it names."
    )


def test_a_trail_rewritten_under_a_key_that_never_was_is_found(
    acme: Organization,
) -> None:
    record(acme, 4)
    rewrite(acme, "unknown")

    assert verify(acme).broken == (
        "Entry 4 (thing.done): it is not the entry that the signed head of the trail "
        "names."
    )


def test_old_entries_stay_verifiable_after_a_rotation(
    acme: Organization, settings: Any
) -> None:
    record(acme, 2)
    settings.AUDIT_KEYS = [NEW, OLD]
    record(acme, 2)

    found = verify(acme)

    assert (found.intact, found.entries, found.unverifiable) == (True, 4, 0)


def test_entries_under_a_dropped_key_are_counted_and_said(
    acme: Organization, settings: Any
) -> None:
    record(acme, 2)
    settings.AUDIT_KEYS = [NEW, OLD]
    record(acme)
    settings.AUDIT_KEYS = [NEW]

    found = verify(acme)

    assert (found.intact, found.entries, found.unverifiable) == (True, 3, 2)
    assert found.sentence() == (
        "Acme Bank: 3 entries, intact. 2 are signed with keys that AUDIT_KEYS does not "
        "hold any more: their signatures were not checked, but the head above them was."
    )


def test_a_trail_wholly_under_a_dropped_key_goes_on_and_says_so(
    acme: Organization, settings: Any
) -> None:
    record(acme, 2)
    settings.AUDIT_KEYS = [NEW]

    assert verify(acme).sentence().endswith("and neither was that of the head.")
    record(acme)
    assert verify(acme).sentence().endswith("but the head above them was.")


def test_anybody_can_recompute_the_chain_from_what_the_documentation_says(
    acme: Organization, alice: User, tmp_path: Path
) -> None:
    """The program in docs/audit.md needs Python only, and the entries from the API."""
    record(acme, 3)
    documentation = Path(__file__).resolve().parents[2] / "docs" / "audit.md"
    program = documentation.read_text().split("```python\n")[1].split("```")[0]
    entries = exported(acme, alice)
    (tmp_path / "verify.py").write_text(program)
    (tmp_path / "trail.json").write_text(json.dumps(entries))

    done = subprocess.run(
        [sys.executable, "-I", tmp_path / "verify.py", tmp_path / "trail.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{len(entries)} entries, intact.\n"

    entries[1]["reason"] = "another"
    (tmp_path / "trail.json").write_text(json.dumps(entries))
    broken = subprocess.run(
        [sys.executable, "-I", tmp_path / "verify.py", tmp_path / "trail.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert broken.returncode == 1
    assert broken.stderr == "Entry 2 is broken.\n"


def exported(organization: Organization, reader: User) -> list[dict[str, Any]]:
    """Return the entries as the API tells them, oldest first."""
    answer = signed_in(reader).get("/api/audit-events/?page_size=500")
    found: list[dict[str, Any]] = answer.json()["results"][::-1]
    assert found[-1]["organization"] == organization.pk
    return found


def test_a_signature_is_an_hmac_of_the_digest(acme: Organization) -> None:
    record(acme)
    with tenancy.acting_for(acme):
        event = AuditEvent.objects.get()

    expected = hmac.new(OLD.encode(), event.digest.encode(), hashlib.sha256)
    assert event.signature == expected.hexdigest()


def told(*arguments: str) -> str:
    out = StringIO()
    call_command("verify_audit", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_tells_a_line_for_each_organization(
    acme: Organization, borealis: Organization
) -> None:
    record(acme, 2)

    lines = told().splitlines()

    assert [line.split(":")[0] for line in lines] == ["Acme Bank", "Borealis Health"]
    assert lines[0].startswith("Acme Bank: 2 entries, intact. Head 2 ")
    assert told("--organization", "acme").splitlines() == lines[:1]


def test_the_command_fails_and_names_the_first_broken_entry(
    acme: Organization, borealis: Organization, capsys: Any
) -> None:
    record(acme, 3)
    record(borealis)
    with without_triggers(acme):
        AuditEvent.objects.filter(sequence=2).update(reason="another")
    out = StringIO()

    with pytest.raises(CommandError) as error:
        call_command("verify_audit", stdout=out)

    assert error.value.returncode == 1
    assert "Entry 2 (thing.done): its content does not match" in out.getvalue()
    assert "Borealis Health: 1 entries, intact." in out.getvalue()


def test_the_command_knows_no_other_organization() -> None:
    with pytest.raises(CommandError, match="There is no organization nowhere"):
        told("--organization", "nowhere")
