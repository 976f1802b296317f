"""What changed in a model version, field by field, from its row history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.history import differences
from accounts.models import User
from inventory.models import ModelVersion
from inventory.records import CANONICAL_FIELDS, GOVERNANCE_FIELDS, is_known

ACTIONS = {"+": "created", "~": "updated", "-": "deleted"}
_COLUMNS = (
    *(name for name in CANONICAL_FIELDS if name != "model_name"),
    # Besides the fields of the record: what its source told, and whether it still does.
    "version_description", "native_stage", "aliases", "tags", "registration_status",
    "run_found", "dataset_inputs", "signature", "flavors", "mlmodel", "artifact_root",
    "provenance", "others", "ingested", "incomplete", "absent_since",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """A field took another value; None is unknown. A sync acts without a person."""

    field: str
    key: str  # the place inside a document, or empty
    action: str  # created, updated, deleted
    old: Any
    new: Any
    changed_by: User | None
    changed_at: datetime


def field_changes(version: ModelVersion) -> list[FieldChange]:
    """Return all changes of a version, the newest first, with its first values last.

    Costs one query, which reads every former state of the row.
    """
    changes: list[list[FieldChange]] = []
    before: dict[str, Any] = {}
    rows = version.history.select_related("history_user").order_by("history_id")
    for row in rows.iterator(chunk_size=100):
        after = _values(row)
        changes.append(
            [
                FieldChange(
                    field=name,
                    key=key,
                    action=ACTIONS[row.history_type],
                    old=old,
                    new=new,
                    changed_by=row.history_user,
                    changed_at=row.history_date,
                )
                for name, value in after.items()
                for key, old, new in differences(before.get(name), value)
            ]
        )
        before = after
    return [change for revision in reversed(changes) for change in revision]


def _values(row: Any) -> dict[str, Any]:
    """Return what a history row says, by the names of the record's fields."""
    columns = {name: getattr(row, name) for name in _COLUMNS}
    told = columns | {name: row.governance.get(name) for name in GOVERNANCE_FIELDS}
    return {name: value if is_known(value) else None for name, value in told.items()}
