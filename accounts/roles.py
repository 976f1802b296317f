"""Who may do what: one table, read by the console, the API and the jobs alike.

`docs/roles.md` is made from it (`table`), and a test keeps it fresh.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import TextChoices


class Role(TextChoices):
    ADMINISTRATOR = "administrator", "Administrator"
    COMPLIANCE_OFFICER = "compliance_officer", "Compliance officer"
    SENIOR_ENGINEER = "senior_engineer", "Senior engineer"
    ML_ENGINEER = "ml_engineer", "ML engineer"
    EDITOR = "editor", "Editor"
    AUDITOR = "auditor", "Auditor"


class Permission(TextChoices):
    VIEW = "view", "View the inventory, gaps and sync runs"
    SYNC = "sync", "Start a sync"
    MANAGE_SERVERS = "manage_servers", "Manage tracking servers"
    EDIT_GOVERNANCE = "edit_governance", "Edit governance fields"
    ATTEST = "attest", "Attest a value"
    ASK_WAIVER = "ask_waiver", "Ask for a waiver"
    WORK_ON_GAPS = "work_on_gaps", "Assign a gap, set its due date, comment on it"
    APPROVE_WAIVER = "approve_waiver", "Approve a waiver"
    DRAFT_POLICY = "draft_policy", "Draft a policy"
    PUBLISH_POLICY = "publish_policy", "Publish a policy"
    DECIDE = "decide", "Decide on an approval request"
    MANAGE_MEMBERS = "manage_members", "Manage members"
    READ_TRAIL = "read_trail", "Read the audit trail"
    EXPORT = "export", "Export"
    SHARE_VIEWS = "share_views", "Share a saved view of a list"


_EVERYONE = frozenset(Role)

MAY: Mapping[Permission, frozenset[Role]] = {
    Permission.VIEW: _EVERYONE,
    Permission.SYNC: _EVERYONE - {Role.AUDITOR, Role.EDITOR},
    Permission.MANAGE_SERVERS: frozenset({Role.ADMINISTRATOR}),
    Permission.EDIT_GOVERNANCE: frozenset(
        {Role.ADMINISTRATOR, Role.COMPLIANCE_OFFICER, Role.EDITOR}
    ),
    Permission.ATTEST: _EVERYONE - {Role.AUDITOR},
    Permission.ASK_WAIVER: _EVERYONE - {Role.AUDITOR},
    Permission.WORK_ON_GAPS: _EVERYONE - {Role.AUDITOR},
    Permission.APPROVE_WAIVER: frozenset({Role.COMPLIANCE_OFFICER}),
    Permission.DRAFT_POLICY: frozenset({Role.ADMINISTRATOR, Role.COMPLIANCE_OFFICER}),
    Permission.PUBLISH_POLICY: frozenset({Role.ADMINISTRATOR, Role.COMPLIANCE_OFFICER}),
    Permission.DECIDE: frozenset(
        {Role.COMPLIANCE_OFFICER, Role.SENIOR_ENGINEER, Role.ML_ENGINEER}
    ),
    Permission.MANAGE_MEMBERS: frozenset({Role.ADMINISTRATOR}),
    Permission.READ_TRAIL: frozenset(
        {Role.ADMINISTRATOR, Role.COMPLIANCE_OFFICER, Role.AUDITOR}
    ),
    Permission.SHARE_VIEWS: frozenset({Role.ADMINISTRATOR, Role.COMPLIANCE_OFFICER}),
    Permission.EXPORT: frozenset(
        {
            Role.ADMINISTRATOR,
            Role.COMPLIANCE_OFFICER,
            Role.SENIOR_ENGINEER,
            Role.AUDITOR,
        }
    ),
}


def may(role: Role | None, permission: Permission) -> bool:
    """Tell whether a role holds a permission; no role holds none."""
    return role in MAY[permission]


def table() -> str:
    """Return the table as Markdown, one row a permission, one column a role."""
    head = "| | " + " | ".join(str(role.label) for role in Role) + " |"
    rule = "| --- |" + " :-: |" * len(Role)
    rows = (
        f"| {permission.label} | "
        + " | ".join("yes" if may(role, permission) else "–" for role in Role)
        + " |"
        for permission in Permission
    )
    return "\n".join((head, rule, *rows)) + "\n"
