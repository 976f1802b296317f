"""Policies: what an organization judges by, published in numbered versions that stay.

Written by `compliance.policies` only.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Max, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import User
from accounts.walls import SameOrganization, TenantModel
from compliance.exceptions import PolicyError
from compliance.policy import Content, kept, read

TITLE_LENGTH = 200


class PolicyQuerySet(models.QuerySet["Policy"]):
    def published(self) -> PolicyQuerySet:
        return self.exclude(number=None)

    def drafts(self) -> PolicyQuerySet:
        return self.filter(number=None)

    def newest_number(self) -> Coalesce:
        """Return, for a query, the number of the policy in force: 0 before the first."""
        newest = (
            Policy.objects.published()
            .order_by()
            .values("organization")
            .annotate(newest=Max("number"))
        )
        return Coalesce(
            Subquery(newest.values("newest")),
            Value(0),
            output_field=models.IntegerField(),
        )


class Policy(TenantModel):
    """A draft, or a published version of the organization's policy.

    The latest published one is in force. Before the first, the project's defaults
    are: they are version 0, which needs no row. A trigger refuses to change or remove
    a published row.
    """

    number = models.PositiveIntegerField(
        null=True, blank=True, editable=False, help_text="Given on publication."
    )
    title = models.CharField(
        max_length=TITLE_LENGTH, blank=True, help_text="What it is about, in a line."
    )
    content = models.JSONField(help_text="`Content.to_json()`.")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the content.")
    changes = models.JSONField(
        default=list, help_text="What it changes about the one before, in sentences."
    )
    revision = models.PositiveIntegerField(
        default=1, help_text="Counts the savings of the draft: who saves says the last."
    )

    drafted_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    drafted_at = models.DateTimeField(default=now)
    changed_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    changed_at = models.DateTimeField(default=now)
    published_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+"
    )
    published_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True, help_text="Why it was published.")

    objects = PolicyQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        verbose_name_plural = "policies"
        ordering = (models.F("number").desc(nulls_first=True), "-pk")
        constraints = (
            *TenantModel.Meta.constraints,
            models.UniqueConstraint(
                fields=["organization", "number"], name="policy_number_is_unique"
            ),
            models.UniqueConstraint(
                fields=["organization"],
                condition=Q(number=None),
                name="one_draft_per_organization",
            ),
            models.CheckConstraint(
                condition=Q(number=None, published_at=None)
                | Q(number__gte=1, published_at__isnull=False),
                name="policy_numbered_iff_published",
            ),
        )

    def __str__(self) -> str:
        return "Draft" if self.number is None else f"Policy {self.number}"

    def get_absolute_url(self) -> str:
        return reverse("admin:compliance_policy_change", args=[self.pk])

    @property
    def is_draft(self) -> bool:
        return self.number is None

    @property
    def said(self) -> Content:
        """What it says, but for what the program no longer knows (`forgotten`)."""
        return kept(self.content)

    @property
    def forgotten(self) -> list[str]:
        """Sentences about what it says and the program no longer knows."""
        try:
            read(self.content)
        except PolicyError as error:
            return list(error.faults.values())
        return []


class PolicyEditor(TenantModel):
    """Who had a hand in a draft: where four eyes are on, another person publishes it."""

    policy = models.ForeignKey(Policy, models.CASCADE, related_name="editors")
    user = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta(TenantModel.Meta):
        constraints = (
            *TenantModel.Meta.constraints,
            SameOrganization(field="policy", name="same_compliance_editor_policy"),
            models.UniqueConstraint(
                fields=["organization", "policy", "user"], name="one_editor_per_person"
            ),
        )

    def __str__(self) -> str:
        return f"{self.user} on {self.policy}"
