from __future__ import annotations

from pathlib import Path

import pytest

from accounts.roles import Permission, Role, may, table

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "roles.md"

# Stated here independently of accounts.roles, so that a change of it is noticed.
COLUMNS = (
    Role.ADMINISTRATOR,
    Role.COMPLIANCE_OFFICER,
    Role.SENIOR_ENGINEER,
    Role.ML_ENGINEER,
    Role.EDITOR,
    Role.AUDITOR,
)
EXPECTED = """
                 admin  officer  senior  ml  editor  auditor
view             yes    yes      yes     yes yes     yes
sync             yes    yes      yes     yes -       -
manage_servers   yes    -        -       -   -       -
edit_governance  yes    yes      -       -   yes     -
attest           yes    yes      yes     yes yes     -
ask_waiver       yes    yes      yes     yes yes     -
work_on_gaps     yes    yes      yes     yes yes     -
approve_waiver   -      yes      -       -   -       -
draft_policy     yes    yes      -       -   -       -
publish_policy   yes    yes      -       -   -       -
decide           -      yes      yes     yes -       -
manage_members   yes    -        -       -   -       -
read_trail       yes    yes      -       -   -       yes
export           yes    yes      yes     -   -       yes
share_views      yes    yes      -       -   -       -
"""
CELLS = [
    (permission, role, cell == "yes")
    for permission, *cells in (line.split() for line in EXPECTED.split("\n")[2:-1])
    for role, cell in zip(COLUMNS, cells, strict=True)
]


@pytest.mark.parametrize(("permission", "role", "allowed"), CELLS)
def test_the_role_may_or_may_not(permission: str, role: Role, allowed: bool) -> None:
    assert may(role, Permission(permission)) is allowed


def test_every_cell_is_stated() -> None:
    stated = {(permission, role) for permission, role, _ in CELLS}

    assert stated == {(permission, role) for permission in Permission for role in Role}


@pytest.mark.parametrize("permission", list(Permission))
def test_no_role_may_nothing(permission: Permission) -> None:
    assert not may(None, permission)


def test_an_auditor_changes_nothing() -> None:
    allowed = {permission for permission in Permission if may(Role.AUDITOR, permission)}

    assert allowed == {Permission.VIEW, Permission.READ_TRAIL, Permission.EXPORT}


def test_the_documentation_shows_the_table_as_it_is() -> None:
    assert table() in DOCUMENTATION.read_text(), (
        "docs/roles.md is out of date: put accounts.roles.table() into it."
    )
