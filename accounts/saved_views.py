"""Saved views: lists as somebody narrowed them, and the acts of saving them.

A list says once which filters it knows; what a view holds beside them is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from django.core.exceptions import ValidationError
from django.urls import reverse

from accounts import audit, tenancy
from accounts.exceptions import NotAllowed
from accounts.models import SavedView, User
from accounts.permissions import require
from accounts.roles import Permission

MOST_VIEWS = 50  # of one person, of one list
LONGEST_QUERY = 500  # characters
NOT_YOURS = "Only {} can change this view: it is theirs."


@dataclass(frozen=True, slots=True)
class List:
    """A list whose views can be saved.

    `name` is the word that views are kept under; `filters` maps the parameters that it
    knows to their choices, None where any value is one; `place` is the name of its
    address.
    """

    name: str
    label: str
    place: str
    filters: Mapping[str, frozenset[str] | None]

    def address(self, query: str = "") -> str:
        return reverse(self.place) + (f"?{query}" if query else "")

    def known(self, query: str) -> str:
        """Return what the list knows of a query, in one order; the rest is left out."""
        return self._ordered(
            [pair for pair in parse_qsl(query) if not self._fault(*pair)]
        )

    def checked(self, query: str) -> str:
        """Return a query in one order. Raises ValidationError naming what is unknown."""
        pairs = parse_qsl(query.removeprefix("?"), keep_blank_values=True)
        faults = [fault for pair in pairs if (fault := self._fault(*pair))]
        told = self._ordered(pairs)
        if not faults and not told:
            faults.append("There is no filter in it: choose one first.")
        if len(told) > LONGEST_QUERY:
            faults.append(f"It has more than {LONGEST_QUERY} characters.")
        if faults:
            raise ValidationError({"query": faults})
        return told

    def _fault(self, name: str, value: str) -> str:
        if name not in self.filters:
            known = ", ".join(sorted(self.filters))
            return f"The list has no filter “{name}”, only {known}."
        choices = self.filters[name]
        if not value or "\x00" in value or (choices and value not in choices):
            return f"The filter “{name}” has no choice “{value}”."
        return ""

    @staticmethod
    def _ordered(pairs: list[tuple[str, str]]) -> str:
        return urlencode(sorted(dict(pairs).items()))


_lists: dict[str, List] = {}


def offer(known: List) -> None:
    """Let views of a list be saved, under its name."""
    _lists[known.name] = known


def lists() -> Mapping[str, List]:
    return _lists


def views_of(list_name: str) -> list[SavedView]:
    """Return the views of a list that who acts can see, by name. Costs one query."""
    rows = SavedView.objects.filter(list_name=list_name).select_related("user")
    return list(rows.visible_to(tenancy.current_actor()).order_by("name", "pk"))


def save_view(
    *, list_name: str, name: str, query: str, is_shared: bool = False
) -> SavedView:
    """Save a view for oneself, or for all members. Raises ValidationError by field."""
    require(Permission.VIEW)
    if is_shared:
        require(Permission.SHARE_VIEWS)
    user = tenancy.current_actor()
    if user is None:
        raise NotAllowed("A view is saved by a person.")
    faults: dict[str, list[str]] = {}
    if (known := _lists.get(list_name)) is None:
        there = ", ".join(sorted(_lists))
        faults["list_name"] = [
            f"Of “{list_name}” no view can be saved, only of {there}."
        ]
    else:
        try:
            query = known.checked(query)
        except ValidationError as error:
            faults |= error.message_dict
    view = SavedView(
        list_name=list_name,
        name=name.strip(),
        query=query,
        is_shared=is_shared,
        user=user,
    )
    faults |= _faults_of_name(view)
    if SavedView.objects.filter(user=user, list_name=list_name).count() >= MOST_VIEWS:
        faults.setdefault("name", []).append(
            f"You have {MOST_VIEWS} views of this list: delete one first."
        )
    if faults:
        raise ValidationError(faults)
    view.save()
    audit.record(
        "view.saved",
        view,
        changes={"list": list_name, "query": query, "is_shared": is_shared},
    )
    return view


def change_view(view: SavedView, *, name: str, is_shared: bool) -> SavedView:
    """Give a view another name, share it, or keep it to its owner from now on.

    Raises ValidationError naming the field, NotAllowed where it is somebody else's.
    """
    _require_hold(view)
    if is_shared != view.is_shared or (is_shared and view.user != _actor()):
        require(Permission.SHARE_VIEWS)
    before = {"name": view.name, "is_shared": view.is_shared}
    view.name, view.is_shared = name.strip(), is_shared
    if faults := _faults_of_name(view):
        raise ValidationError(faults)
    view.save(update_fields=["name", "is_shared"])
    audit.record(
        "view.changed",
        view,
        changes={
            field: {"from": before[field], "to": getattr(view, field)}
            for field in before
            if before[field] != getattr(view, field)
        },
    )
    return view


def delete_view(view: SavedView) -> None:
    """Delete one's own view, or one that is shared where one may share."""
    _require_hold(view)
    audit.record(
        "view.deleted", view, changes={"list": view.list_name, "query": view.query}
    )
    view.delete()


def holds(view: SavedView) -> bool:
    """Tell whether who acts may change a view, or delete it."""
    acting = tenancy.current() or tenancy.Acting()
    return view.user == acting.actor or (
        view.is_shared and acting.may(Permission.SHARE_VIEWS)
    )


def _require_hold(view: SavedView) -> None:
    require(Permission.VIEW)
    if not holds(view):
        raise NotAllowed(NOT_YOURS.format(view.user))


def _actor() -> User | None:
    return tenancy.current_actor()


def _faults_of_name(view: SavedView) -> dict[str, list[str]]:
    longest = SavedView._meta.get_field("name").max_length or 0
    if not view.name or len(view.name) > longest or "\x00" in view.name:
        return {"name": [f"A view has a name, of {longest} characters at most."]}
    namesakes = SavedView.objects.filter(
        user=view.user, list_name=view.list_name, name=view.name
    ).exclude(pk=view.pk)
    if namesakes.exists():
        return {"name": [f"There is a view named “{view.name}” already."]}
    return {}
