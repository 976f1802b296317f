"""How versions and sources stand before the frameworks, now and at any past moment.

Written by `compliance.frameworks.standings` only.
"""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import F, Q

from accounts.walls import SameOrganization, TenantModel
from compliance.models.evaluations import one_subject
from inventory.models import ModelVersion, Source

FRAMEWORK_LENGTH = 40


class StandingQuerySet(models.QuerySet["Standing"]):
    def current(self) -> StandingQuerySet:
        return self.filter(until=None)

    def at(self, moment: datetime | None) -> StandingQuerySet:
        """Return how everything stood at a moment; None is now."""
        if moment is None:
            return self.current()
        return self.filter(
            Q(until=None) | Q(until__gt=moment),
            since__lte=moment,
        )


class Standing(TenantModel):
    """How one version or one source stood, from `since` on, before `until`.

    A row is closed and followed by another whenever what is known of its subject, or
    how a rule stands with it, becomes other. One that is no longer told has no current
    row.
    """

    # Without index and key of their own: the constraints below have both.
    version = models.ForeignKey(
        ModelVersion,
        models.CASCADE,
        null=True,
        related_name="standings",
        db_index=False,
        db_constraint=False,
    )
    source = models.ForeignKey(
        Source,
        models.CASCADE,
        null=True,
        related_name="standings",
        db_index=False,
        db_constraint=False,
    )
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, help_text="Null: it stands so now.")

    is_production = models.BooleanField(default=False)
    regulatory_scope = models.JSONField(default=list)
    known = models.JSONField(default=list, help_text="Names of the known fields.")
    states = models.JSONField(default=dict, help_text="rule -> `counting.State`")
    gaps = models.JSONField(
        default=dict, help_text="rule -> what is told of its open or waived gap"
    )

    # Of the evaluation that it was kept of, by which it is found when that moved on.
    fingerprint = models.CharField(max_length=64)
    judged = models.DateTimeField(null=True)

    objects = StandingQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        ordering = ("id",)
        constraints = (
            *TenantModel.Meta.constraints,
            SameOrganization(field="version", name="same_compliance_standing_version"),
            SameOrganization(field="source", name="same_compliance_standing_source"),
            one_subject("standing_of_version_or_source"),
            models.UniqueConstraint(
                fields=["organization", "version"],
                condition=Q(until=None, version__isnull=False),
                name="one_current_standing_per_version",
            ),
            models.UniqueConstraint(
                fields=["organization", "source"],
                condition=Q(until=None, source__isnull=False),
                name="one_current_standing_per_source",
            ),
            models.CheckConstraint(
                condition=Q(until=None) | Q(until__gte=F("since")),
                name="standing_ends_after_it_begins",
            ),
        )
        indexes = (
            models.Index(fields=["organization", "version"], name="standing_version"),
            models.Index(fields=["organization", "source"], name="standing_source"),
            models.Index(fields=["organization", "until"], name="standing_until"),
            models.Index(fields=["organization", "since"], name="standing_since"),
        )

    def __str__(self) -> str:
        return f"standing of {self.version or self.source}"


class FrameworkTally(TenantModel):
    """How many versions of a segment stand how before a framework, counted as they move.

    `counts` are `counting.Counts`. They were counted by the control map of `digest`:
    where it is another one now, they are counted anew.
    """

    framework = models.CharField(max_length=FRAMEWORK_LENGTH)
    is_production = models.BooleanField()
    is_declared = models.BooleanField()
    digest = models.CharField(max_length=64)
    counts = models.JSONField(default=dict)

    class Meta(TenantModel.Meta):
        verbose_name_plural = "framework tallies"
        constraints = (
            *TenantModel.Meta.constraints,
            models.UniqueConstraint(
                fields=["organization", "framework", "is_production", "is_declared"],
                name="one_tally_per_segment",
            ),
        )

    def __str__(self) -> str:
        return f"tally of {self.framework}"


class Framework(FrameworkTally):
    """What the console calls a framework: its pages, which are data, not rows."""

    class Meta:
        proxy = True
