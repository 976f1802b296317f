"""A gap as somebody's work: whose it is, until when, and what was said about it."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.timezone import now

from accounts import tenancy
from accounts.models import Membership, User
from accounts.walls import SameOrganization, TenantModel

LONGEST_COMMENT = 10_000  # characters
NEAR = timedelta(days=7)


class Work(models.Model):
    """What people decide about doing a gap's work; a judgement never writes it.

    It stays when the gap closes, and is there again when it reopens. The day is in UTC.
    """

    owner = models.ForeignKey(
        User,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="owned_gaps",
        db_index=False,  # most gaps are nobody's: Gap indexes the others
    )
    due_on = models.DateField("due", null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def is_overdue(self) -> bool:
        is_over = self.due_on is not None and self.due_on < now().date()
        return is_over and not self.is_closed  # type: ignore[attr-defined]  # of Gap


WORK = tuple(column.name for column in Work._meta.local_fields)


def owned_by(whom: str) -> Q:
    """Return what the gaps of “me”, of “nobody”, or of a user's id are.

    Those of somebody who has left are nobody's.
    """
    if whom == "me":
        return Q(owner=tenancy.current_actor())
    if whom == "nobody":
        members = Membership.objects.active().filter(user=OuterRef("owner"))
        return Q(owner=None) | Q(~Exists(members))
    return Q(owner=int(whom))


def due(when: str) -> Q:
    """Return what gaps are that are “overdue”, due within the “week”, or have no day."""
    today = now().date()
    told = {
        "overdue": ~Q(status="closed") & Q(due_on__lt=today),
        "week": Q(due_on__range=(today, today + NEAR)),
        "none": Q(due_on=None),
    }
    return told[when]


class GapComment(TenantModel):
    """What somebody said about a gap. Comments are added, never changed or removed."""

    gap = models.ForeignKey("compliance.Gap", models.CASCADE, related_name="comments")
    author = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField("time", default=now)
    text = models.TextField(max_length=LONGEST_COMMENT)

    class Meta(TenantModel.Meta):
        ordering = ("at", "id")
        constraints = (
            *TenantModel.Meta.constraints,
            SameOrganization(field="gap", name="same_compliance_comment_gap"),
            models.CheckConstraint(condition=~Q(text=""), name="comment_says_it"),
        )

    def __str__(self) -> str:
        return f"comment on {self.gap}"
