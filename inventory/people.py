"""Which members the names are that models are told with, and the acts that say so.

A name is a member's by e-mail address, or else by the organization's own map; case and
spaces do not matter. Only active members are meant: who leaves is named by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import (
    Case,
    Count,
    F,
    Func,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import JSONObject, Lower, Trim

from accounts import audit, tenancy
from accounts.models import Membership, User
from accounts.permissions import require
from accounts.roles import Permission, Role
from inventory.models import LONGEST_NAME, ModelVersion, PersonName, folded

MAPPED_AT_ONCE = 200
NAMING = ("owner", "compliance_approver")  # the fields that tell of people

_followers: list[Callable[[Sequence[int]], str]] = []


@dataclass(frozen=True, slots=True)
class Done:
    """What an act did; `told` says in a sentence what followed, if anything did."""

    entries: Sequence[PersonName]
    told: str


@dataclass(slots=True)
class SeenName:
    """A name that models are told with: of how many versions, and as what."""

    name: str
    owned: int = 0  # versions whose owner is told so
    approved: int = 0  # versions whose compliance approver is told so
    models: set[int] = field(default_factory=set)


def when_names_change(act: Callable[[Sequence[int]], str]) -> None:
    """Register who is told, in the act's transaction, whose approver is another now.

    It is given ids of versions; the answer is a sentence for whoever acted.
    """
    if act not in _followers:
        _followers.append(act)


def members_named(names: Iterable[str]) -> dict[str, Membership]:
    """Return name -> member, of the names that are a member's. Costs one query.

    Members come with their users; no name costs none.
    """
    wanted = {name: folded(name) for name in names if name.strip()}
    if not wanted:
        return {}
    sought = set(wanted.values())
    by_address: dict[str, Membership] = {}
    by_map: dict[str, Membership] = {}
    for member in _named().filter(Q(user__email__in=sought) | Q(named__in=sought)):
        by_address[folded(member.user.email)] = member
        if member.named:
            by_map[member.named] = member
    known = by_map | by_address
    return {name: known[key] for name, key in wanted.items() if key in known}


def person_named(column: str) -> Subquery:
    """Return whose the name in a column is, as a part of the query that reads its rows.

    It tells name and email; None of a name that is nobody's.
    """
    spaces = (Value(r"\s+"), Value(" "), Value("g"))
    told = Lower(Trim(Func(OuterRef(column), *spaces, function="regexp_replace")))
    by_map = Case(When(user__email=told, then=Value(0)), default=Value(1))
    return Subquery(
        Membership.objects.active()
        .filter(Q(user__email=told) | Q(user__person_names__folded=told))
        .annotate(by_map=by_map)
        .order_by("by_map")
        .values(told=JSONObject(name="user__name", email="user__email"))[:1]
    )


def names_of(role: Role) -> frozenset[str]:
    """Return all names, folded, that are those of active members of a role. One query."""
    by_address: dict[str, str] = {}
    by_map: dict[str, str] = {}
    for email, named, theirs in _named().values_list("user__email", "named", "role"):
        by_address[folded(email)] = theirs
        if named:
            by_map[named] = theirs
    known = by_map | by_address
    return frozenset(name for name, theirs in known.items() if theirs == role)


def unresolved_names() -> list[SeenName]:
    """Return the names really seen on present versions that are nobody's, most first.

    What is longer than a name is left out. Costs three queries.
    """
    found: dict[str, SeenName] = {}
    for column in NAMING:
        rows = (
            ModelVersion.objects.present()
            .exclude(**{column: ""})
            .order_by(column)
            .values_list(column, "registered_model")
            .annotate(Count("pk"))
        )
        for name, model, versions in rows.iterator():
            if not name.strip() or len(folded(name)) > LONGEST_NAME:
                continue
            seen = found.setdefault(folded(name), SeenName(" ".join(name.split())))
            seen.models.add(model)
            if column == "owner":
                seen.owned += versions
            else:
                seen.approved += versions
    known = members_named(found)
    return sorted(
        (seen for key, seen in found.items() if key not in known),
        key=lambda seen: (-seen.owned - seen.approved, seen.name),
    )


def map_names(told: Mapping[str, User | None]) -> Done:
    """Say who bears these names: for all of them, or for none.

    Raises ValidationError naming what cannot be: of a name that is mapped already, of a
    person who is no active member. Costs some six queries, and what judging costs.
    """
    require(Permission.EDIT_GOVERNANCE)
    wanted = {" ".join(name.split()): person for name, person in told.items()}
    if faults := _faults(wanted):
        raise ValidationError(faults)
    actor = tenancy.current_actor()
    entries = [
        PersonName(name=name, folded=folded(name), person=person, made_by=actor)
        for name, person in wanted.items()
        if person is not None
    ]
    try:
        with transaction.atomic():
            PersonName.objects.bulk_create(entries)
    except IntegrityError:
        raise ValidationError(
            {"name": "Somebody else has just mapped one of these names."}
        ) from None
    for entry in entries:
        audit.record("person_name.mapped", entry, changes=_changes(entry))
    return Done(entries, _tell({entry.folded for entry in entries}))


def unmap_name(entry: PersonName) -> Done:
    """Take back who bears a name. Costs a few queries, and what judging costs."""
    require(Permission.EDIT_GOVERNANCE)
    audit.record("person_name.unmapped", entry, changes=_changes(entry))
    name = entry.folded
    entry.delete()
    return Done([], _tell({name}))


def _faults(wanted: Mapping[str, User | None]) -> dict[str, list[str]]:
    """Return what is wrong, by field: of the names, of the persons."""
    names = {folded(name) for name in wanted if "\x00" not in name}
    members = set(Membership.objects.active().values_list("user", flat=True))
    mapped = PersonName.objects.filter(folded__in=names).select_related("person")
    taken = {entry.folded: f"{entry} already." for entry in mapped}
    for member in Membership.objects.active().filter(user__email__in=names):
        taken[folded(member.user.email)] = (
            f"“{member.user.email}” is the address of a member: it needs no entry."
        )
    of_names = [taken[key] for key in sorted(names) if key in taken]
    if not wanted:
        of_names.append("Say which names are mapped.")
    if len({folded(name) for name in wanted}) < len(wanted):
        of_names.append("The same name is told twice.")
    if len(names) > MAPPED_AT_ONCE:
        of_names.append(f"Map {MAPPED_AT_ONCE} names at most at once.")
    for name in wanted:
        if not name:
            of_names.append("A name is empty.")
        elif max(len(name), len(folded(name))) > LONGEST_NAME or "\x00" in name:
            of_names.append(
                f"“{name[:40]}…” is no name: it may have {LONGEST_NAME} characters."
            )
    of_persons = [
        f"“{name}”: say which member it is."
        if person is None
        else f"“{name}”: {person} is not an active member."
        for name, person in wanted.items()
        if person is None or person.pk not in members
    ]
    told = {"name": of_names, "person": of_persons}
    return {name: faults for name, faults in told.items() if faults}


def _named() -> Any:
    """Return the active members, once for each name of theirs; without one as well."""
    return Membership.objects.active().annotate(named=F("user__person_names__folded"))


def _tell(names: Collection[str]) -> str:
    """Let those versions be judged again whose approver one of these names is."""
    column = "compliance_approver"
    rows = ModelVersion.objects.exclude(**{column: ""})
    told = rows.order_by().values_list(column, flat=True).distinct()
    texts = [text for text in told if folded(text) in names]
    if not texts:
        return ""
    ids = list(rows.filter(**{f"{column}__in": texts}).values_list("pk", flat=True))
    return " ".join(filter(None, (act(ids) for act in _followers)))


def _changes(entry: PersonName) -> dict[str, str]:
    return {"name": entry.name, "person": entry.person.email}
