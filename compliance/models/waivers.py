"""What the organization lives with, for a reason and until a day, and who decided it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import User
from accounts.walls import SameOrganization, TenantModel
from compliance.models.gaps import RULE_ID_LENGTH, Gap
from inventory.models import RegisteredModel

SOON = timedelta(days=30)


class WaiverQuerySet(models.QuerySet["Waiver"]):
    """The days are counted in UTC; a waiver holds until the end of its last one."""

    def requested(self) -> Self:
        return self.filter(status=Waiver.Status.REQUESTED)

    def in_force(self, today: date | None = None) -> Self:
        """Return what counts today, whether or not the job has ended what is over."""
        today = today or now().date()
        return self.filter(
            Q(ends_on=None) | Q(ends_on__gte=today), status=Waiver.Status.APPROVED
        )

    def expiring(self, today: date | None = None) -> Self:
        today = today or now().date()
        return self.in_force(today).filter(ends_on__lte=today + SOON)

    def overdue(self, today: date | None = None) -> Self:
        """Return what is over by its date and not ended yet, requests included."""
        return self.filter(
            status__in=(Waiver.Status.REQUESTED, Waiver.Status.APPROVED),
            ends_on__lt=today or now().date(),
        )

    def ended(self, today: date | None = None) -> Self:
        live = (Waiver.Status.REQUESTED, Waiver.Status.APPROVED)
        today = today or now().date()
        return self.filter(
            ~Q(status__in=live) | Q(status=Waiver.Status.APPROVED, ends_on__lt=today)
        )


class Waiver(TenantModel):
    """A rule that is not to count for a while: for one gap, a model, or everywhere.

    Asked for by one person and decided on by another, never deleted. What it covers
    stays a failure of its rule, and is counted as waived. The last day is in UTC.
    """

    class Kind(models.TextChoices):
        WAIVER = "waiver", "Waiver"
        NOT_APPLICABLE = "not_applicable", "Not applicable"

    class Scope(models.TextChoices):
        GAP = "gap", "One gap"
        MODEL = "model", "The rule on a model"
        ORGANIZATION = "organization", "The rule on all models"

    class Status(models.TextChoices):
        REQUESTED = "requested", "Requested"
        APPROVED = "approved", "Approved"
        REFUSED = "refused", "Refused"
        WITHDRAWN = "withdrawn", "Withdrawn"
        REVOKED = "revoked", "Revoked"
        EXPIRED = "expired", "Expired"

    kind = models.CharField(max_length=14, choices=Kind, default=Kind.WAIVER)
    scope = models.CharField(max_length=12, choices=Scope)
    gap = models.ForeignKey(
        Gap, models.CASCADE, null=True, blank=True, related_name="waivers"
    )
    registered_model = models.ForeignKey(
        RegisteredModel, models.CASCADE, null=True, blank=True, related_name="waivers"
    )
    rule_id = models.CharField("rule", max_length=RULE_ID_LENGTH)
    reason = models.TextField()
    ends_on = models.DateField("last day", null=True, blank=True)
    renews = models.ForeignKey(
        "self", models.RESTRICT, null=True, blank=True, related_name="renewals"
    )

    status = models.CharField(
        max_length=9, choices=Status, default=Status.REQUESTED, editable=False
    )
    requested_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField(default=now)
    decided_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    decision = models.TextField("why it was decided so", blank=True)
    ended_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    ended_at = models.DateTimeField(null=True)
    ending = models.TextField("why it ended", blank=True)

    objects = WaiverQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        ordering = ("-requested_at", "-id")
        constraints = (
            *TenantModel.Meta.constraints,
            SameOrganization(field="gap", name="same_compliance_waiver_gap"),
            SameOrganization(
                field="registered_model", name="same_compliance_waiver_model"
            ),
            SameOrganization(field="renews", name="same_compliance_waiver_renews"),
            models.CheckConstraint(
                condition=Q(scope="gap", gap__isnull=False, registered_model=None)
                | Q(scope="model", gap=None, registered_model__isnull=False)
                | Q(scope="organization", gap=None, registered_model=None),
                name="waiver_has_one_scope",
            ),
            models.CheckConstraint(
                condition=Q(kind="not_applicable") | Q(ends_on__isnull=False),
                name="waiver_has_a_last_day",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="waiver_has_a_reason"),
            models.CheckConstraint(
                condition=Q(decided_by=None) | ~Q(decided_by=F("requested_by")),
                name="waiver_decided_by_another_person",
            ),
            models.CheckConstraint(
                condition=Q(status="requested", decided_by=None, ended_at=None)
                | Q(
                    status__in=("approved", "refused"),
                    decided_by__isnull=False,
                    decided_at__isnull=False,
                    ended_at=None,
                )
                | Q(status="withdrawn", decided_by=None, ended_at__isnull=False)
                | Q(
                    status="revoked",
                    decided_by__isnull=False,
                    ended_by__isnull=False,
                    ended_at__isnull=False,
                )
                | Q(status="expired", ended_by=None, ended_at__isnull=False),
                name="waiver_steps_fit_its_status",
            ),
            models.UniqueConstraint(
                fields=["organization", "rule_id", "gap", "registered_model"],
                condition=Q(status="requested"),
                nulls_distinct=False,
                name="one_request_per_waived_thing",
            ),
        )
        indexes = (
            # What an evaluation reads, once a chunk.
            models.Index(
                fields=["organization", "rule_id"],
                condition=Q(status="approved"),
                name="waiver_approved",
            ),
        )

    def __str__(self) -> str:
        word = "Waiver" if self.kind == self.Kind.WAIVER else "“Not applicable”"
        return f"{word} for {self.subject}"

    def get_absolute_url(self) -> str:
        return reverse("admin:compliance_waiver_change", args=[self.pk])

    @property
    def subject(self) -> str:
        """Say what it is for. Costs queries unless gap and model were selected along."""
        if self.gap is not None:
            return str(self.gap)
        if self.registered_model is not None:
            return f"{self.rule_id} on {self.registered_model}"
        return f"{self.rule_id} on all models"

    @property
    def sentence(self) -> str:
        """Say who waived it, until when and why. Costs a query without `decided_by`."""
        word = "Waived" if self.kind == self.Kind.WAIVER else "Not applicable"
        until = f" until {self.ends_on:%-d %B %Y}" if self.ends_on else ""
        return f"{word}{until}, approved by {self.decided_by}: {self.reason}"

    @property
    def is_over(self) -> bool:
        return self.ends_on is not None and self.ends_on < now().date()

    @property
    def is_requested(self) -> bool:
        return self.status == self.Status.REQUESTED

    @property
    def is_in_force(self) -> bool:
        return self.status == self.Status.APPROVED and not self.is_over

    @property
    def is_expiring(self) -> bool:
        if self.ends_on is None or not self.is_in_force:
            return False
        return self.ends_on <= now().date() + SOON

    @property
    def current_status(self) -> Waiver.Status:
        """The status as of today, even where the job that ends waivers is late."""
        status = Waiver.Status(self.status)
        if status is Waiver.Status.APPROVED and self.is_over:
            return Waiver.Status.EXPIRED
        return status
