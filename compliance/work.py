"""The acts on gaps as work: assign, set the due date, comment; of one gap or of many.

Each checks the permission, makes the change and notes an audit entry a gap in one go:
of all the gaps, or of none. No judgement waits in between: they take turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.timezone import now

from accounts import audit, tenancy
from accounts.models import Membership, User
from accounts.permissions import require
from accounts.roles import Permission, Role, may
from compliance.gaps import lock_gaps
from compliance.models import LONGEST_COMMENT, Gap, GapComment
from inventory.models.attestations import DOCUMENTS
from inventory.people import members_named

MOST_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an act did: the gaps that are otherwise now.

    `left` counts the gaps that were left as they were, by what their model's owner is
    called: nobody told an owner where that is empty.
    """

    changed: Sequence[Gap]
    left: Mapping[str, int] = field(default_factory=dict)

    @property
    def left_in_words(self) -> str:
        """Say which gaps were left, and why; empty where none was."""
        if not self.left:
            return ""
        told = [
            f"{count} of “{name}”, who is no member that could close them"
            if name
            else f"{count} whose model has no owner"
            for name, count in sorted(self.left.items())
        ]
        return f"Left as they are: {'; '.join(told)}."


def assign(gaps: Sequence[Gap], *, owner: User | None) -> Done:
    """Give gaps to a member who may work on them, or to nobody.

    Raises ValidationError naming the field. Costs four queries, however many gaps.
    """
    require(Permission.WORK_ON_GAPS)
    rows, faults = _live(gaps)
    if owner is not None and owner.pk not in _workers([owner]):
        faults["owner"] = [f"{owner} is not an active member who may work on gaps."]
    _refuse(faults)
    return Done(changed=_assign(dict.fromkeys(rows, owner)))


def assign_to_model_owners(gaps: Sequence[Gap]) -> Done:
    """Give each gap to the member whose name is told as the owner of its version.

    Where that is nobody's name, or of somebody who may not work on gaps, the gap is left
    as it is. Raises ValidationError naming the field. Costs five queries, and one for
    each member who is given some.
    """
    require(Permission.WORK_ON_GAPS)
    rows, faults = _live(gaps)
    _refuse(faults)
    owners = model_owners(rows)
    left = Counter(_told_owner(row) for row in rows if row.pk not in owners)
    given = {row: owners[row.pk] for row in rows if row.pk in owners}
    return Done(changed=_assign(given), left=left)


def model_owners(gaps: Sequence[Gap]) -> dict[int, User]:
    """Return, by the ids of gaps, the members whom their versions' owners name.

    Only those who may work on gaps. Costs one query; versions have to come along.
    """
    named = members_named({_told_owner(gap) for gap in gaps})
    workers = {
        name: member.user
        for name, member in named.items()
        if may(Role(member.role), Permission.WORK_ON_GAPS)
    }
    found = ((gap.pk, workers.get(_told_owner(gap))) for gap in gaps)
    return {pk: user for pk, user in found if user is not None}


def set_due(gaps: Sequence[Gap], *, due_on: date | None) -> Done:
    """Say until when gaps are to be closed, or with None that no day is set.

    Raises ValidationError naming the field. Costs three queries, however many gaps.
    """
    require(Permission.WORK_ON_GAPS)
    rows, faults = _live(gaps)
    today = now().date()
    if due_on is not None and due_on < today:
        faults["due_on"] = [f"{due_on} has passed: today is {today}, in UTC."]
    _refuse(faults)
    changed = [row for row in rows if row.due_on != due_on]
    for row in changed:
        _record("gap.due_set", row, due_on=(row.due_on, due_on))
        row.due_on = due_on
    Gap.objects.filter(pk__in=[row.pk for row in changed]).update(due_on=due_on)
    return Done(changed=changed)


def comment(gaps: Sequence[Gap], *, text: str) -> list[GapComment]:
    """Say something about gaps, closed ones too.

    Raises ValidationError naming the field. Costs two queries, however many gaps.
    """
    require(Permission.WORK_ON_GAPS)
    rows, faults = _found(gaps)
    text = text.strip()
    if not text:
        faults["text"] = ["Say something: a comment is not empty."]
    elif len(text) > LONGEST_COMMENT or "\x00" in text:
        faults["text"] = [f"A comment has {LONGEST_COMMENT:,} characters at most."]
    _refuse(faults)
    author = tenancy.current_actor()
    comments = [GapComment(gap=row, author=author, text=text) for row in rows]
    GapComment.objects.bulk_create(comments)
    for row in rows:
        audit.record("gap.commented", row, changes={"comment": text})
    return comments


def workers() -> Sequence[Membership]:
    """Return the members to whom gaps can be assigned, by name. Costs one query."""
    members = Membership.objects.who_may(Permission.WORK_ON_GAPS)
    return list(members.order_by("user__name", "user__email"))


def _workers(users: Sequence[User]) -> set[int]:
    members = Membership.objects.who_may(Permission.WORK_ON_GAPS)
    return set(members.filter(user__in=users).values_list("user", flat=True))


def _assign(owners: Mapping[Gap, User | None]) -> list[Gap]:
    changed = [row for row, owner in owners.items() if row.owner != owner]
    given: dict[User | None, list[int]] = {}
    for row in changed:
        owner = owners[row]
        _record("gap.assigned", row, owner=(row.owner, owner))
        row.owner = owner
        given.setdefault(owner, []).append(row.pk)
    for owner, ids in given.items():
        Gap.objects.filter(pk__in=ids).update(owner=owner)
    return changed


def _live(gaps: Sequence[Gap]) -> tuple[list[Gap], dict[str, list[str]]]:
    """As `_found`, once nobody else judges or assigns; a closed gap is a fault."""
    lock_gaps()
    rows, faults = _found(gaps)
    for row in rows:
        if row.is_closed:
            told = f"{row} is closed: there is nothing to do."
            faults.setdefault("gaps", []).append(told)
    return rows, faults


def _found(gaps: Sequence[Gap]) -> tuple[list[Gap], dict[str, list[str]]]:
    """Return the gaps as they are now, with what names them, and what is wrong."""
    if not gaps:
        return [], {"gaps": ["Choose a gap."]}
    if len(gaps) > MOST_AT_ONCE:
        return [], {"gaps": [f"Choose {MOST_AT_ONCE} gaps at most."]}
    rows = Gap.objects.filter(pk__in=[gap.pk for gap in gaps])
    rows = rows.select_related("version__registered_model", "source", "owner")
    return list(rows.defer(*(f"version__{name}" for name in DOCUMENTS))), {}


def _refuse(faults: Mapping[str, list[str]]) -> None:
    if faults:
        raise ValidationError(dict(faults))


def _told_owner(gap: Gap) -> str:
    return gap.version.owner.strip() if gap.version else ""


def _record(action: str, gap: Gap, **changed: tuple[Any, Any]) -> None:
    """Note what a field was before, and what it is now; people by their addresses."""
    told = {
        name: {"from": _said(before), "to": _said(after)}
        for name, (before, after) in changed.items()
    }
    audit.record(action, gap, changes=told)


def _said(value: Any) -> Any:
    return value.email if isinstance(value, User) else value
