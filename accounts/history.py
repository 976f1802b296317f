"""What changed in a row, field by field, from the rows that django-simple-history keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_BOOKKEEPING = frozenset({"organization", "fingerprint", "changed_at", "known_fields"})
# Of what a list names: when somebody last looked at it, which is no change of it.
LOOKED_AT = frozenset({"verified_at", "asked_at"})
_EVENTS = {"+": "First seen", "~": "Changed", "-": "Removed"}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One value that became another; `key` is the place inside a document, or empty."""

    column: str
    label: str
    key: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to a row at once. `who` is empty where a sync did it."""

    event: str
    at: datetime
    who: str
    reason: str
    fields: tuple[FieldChange, ...]


def changes(
    rows: Sequence[Any], *, words: Callable[[FieldChange], FieldChange]
) -> list[Change]:
    """Return the changes between history rows, given newest first.

    The last row is what the one before it is compared with; it is a change itself only
    if it is the row's first. `words` may put a change into better words than the
    model's. Costs no query if `history_user` was selected along.
    """
    found = []
    for index, row in enumerate(rows):
        before = rows[index + 1] if index + 1 < len(rows) else None
        if before is None and row.history_type != "+":
            continue
        found.append(
            Change(
                event=_EVENTS[row.history_type],
                at=row.history_date,
                who=str(row.history_user or ""),
                reason=row.history_change_reason or "",
                fields=()
                if before is None
                else tuple(map(words, _compare(before, row))),
            )
        )
    return found


def _compare(before: Any, after: Any) -> Iterator[FieldChange]:
    for field in after.tracked_fields:
        if field.name in _BOOKKEEPING:
            continue
        label = str(field.verbose_name)
        label = label[:1].upper() + label[1:]
        old, new = getattr(before, field.attname), getattr(after, field.attname)
        for key, was, became in differences(old, new):
            yield FieldChange(field.name, label, key, was, became)


def differences(old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield (key, old, new) for each difference; in mappings key by key.

    Lists of mappings that name themselves by a path or a name are compared by it.

    >>> list(differences({"a": 1, "b": 2}, {"b": 3}))
    [('a', 1, None), ('b', 2, 3)]
    """
    old, new = _keyed(old), _keyed(new)
    if old == new:
        return
    if not (isinstance(old, dict) and isinstance(new, dict)):
        yield "", old, new
        return
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield str(key), old.get(key), new.get(key)


def _keyed(value: Any) -> Any:
    if not (isinstance(value, list) and value and isinstance(value[0], dict)):
        return value or None if isinstance(value, list) else value
    name = next((name for name in ("path", "name") if name in value[0]), "")
    if not name or not all(isinstance(item, dict) for item in value):
        return value
    return {
        str(item.get(name)): {
            key: told for key, told in item.items() if key not in {name} | LOOKED_AT
        }
        for item in value
    }
