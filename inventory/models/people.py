"""Which member a name is that models are told with."""

from __future__ import annotations

from django.db import models
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import User
from accounts.walls import TenantModel

LONGEST_NAME = 200  # of what is told; longer texts are no names


def folded(name: str) -> str:
    """Return a name as names are compared: whatever its case and its spaces."""
    return " ".join(name.split()).lower()


class PersonName(TenantModel):
    """A name that owners or approvers are told by, and the person who bears it.

    It resolves as long as the person is an active member; a member's e-mail address
    needs no entry. Entries are added and removed, never changed.
    """

    name = models.CharField(
        max_length=LONGEST_NAME, help_text="As it is told; its case does not matter."
    )
    person = models.ForeignKey(User, models.PROTECT, related_name="person_names")

    folded = models.CharField(max_length=LONGEST_NAME, editable=False)
    made_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    made_at = models.DateTimeField(default=now)

    class Meta(TenantModel.Meta):
        verbose_name = "mapped name"
        verbose_name_plural = "mapped names"
        ordering = ("folded", "id")
        constraints = (
            *TenantModel.Meta.constraints,
            models.UniqueConstraint(
                fields=["organization", "folded"], name="one_person_per_name"
            ),
        )

    def __str__(self) -> str:
        return f"“{self.name}” is {self.person}"

    def get_absolute_url(self) -> str:
        return reverse("admin:inventory_personname_change", args=[self.pk])
