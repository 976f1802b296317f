"""What happened to a gap: judgements, what people did about it, and what they said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import CharField, F, QuerySet, Value
from django.db.models.functions import Cast, Coalesce, JSONObject, NullIf

from accounts.models import AuditEvent
from compliance.models import Gap, GapComment, ResultChange

ACTIONS = ("gap.assigned", "gap.due_set")


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that happened: a judgement, which is a change, or an act of a person."""

    at: datetime
    change: ResultChange | None = None
    who: str = ""
    words: str = ""  # what they did
    comment: str = ""  # what they said


def happenings(gap: Gap) -> list[Happening]:
    """Return what happened to a gap since it was opened, the latest first. One query."""
    changes = _told(
        ResultChange.objects.filter(gap=gap),
        "change",
        event="event",
        before="before",
        after="after",
        detail="detail",
        policy="policy",
    )
    comments = _told(
        GapComment.objects.filter(gap=gap).annotate(
            who=Coalesce(NullIf("author__name", Value("")), "author__email")
        ),
        "comment",
        who="who",
        text="text",
    )
    acts = _told(
        AuditEvent.objects.filter(
            object_type=gap._meta.label_lower,
            object_id=str(gap.pk),
            action__in=ACTIONS,
        ),
        "act",
        who="actor_name",
        changes="changes",
    )
    rows = changes.union(comments, acts, all=True).order_by("-at", "-kind", "-pk")
    return [_happening(at, kind, told) for at, kind, _, told in rows]


def _told(rows: QuerySet[Any], kind: str, **columns: str) -> QuerySet[Any, Any]:
    """Return when, which kind, its id and the columns as a document."""
    names = {name: F(column) for name, column in columns.items()}
    found: QuerySet[Any, Any] = (
        rows.order_by()
        .annotate(kind=Cast(Value(kind), CharField()), told=JSONObject(**names))
        .values_list("at", "kind", "pk", "told")
    )
    return found


def _happening(at: datetime, kind: str, told: Mapping[str, Any]) -> Happening:
    match kind:
        case "change":
            return Happening(at=at, change=ResultChange(at=at, **told))
        case "comment":
            return Happening(
                at=at, who=told["who"] or "VerifyWise", comment=told["text"]
            )
    return Happening(at=at, who=told["who"], words=_words(told["changes"]))


def _words(changes: Mapping[str, Mapping[str, str | None]]) -> str:
    """Say what an act changed."""
    if owner := changes.get("owner"):
        to, was = owner["to"], owner["from"]
        formerly = f", formerly {was}’s" if was else ""
        return f"assigned it to {to}{formerly}" if to else f"took it from {was}"
    to = changes["due_on"]["to"]
    if to is None:
        return "took its due date away"
    return f"set its due date to {date.fromisoformat(to):%-d %B %Y}"
