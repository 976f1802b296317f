"""What people attest of models and versions, and the files that prove it."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any, Self

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import User
from accounts.walls import SameOrganization, TenantModel
from inventory.fields import ATTESTABLE, Field
from inventory.models.registry import ModelVersion, RegisteredModel

ATTESTED = "attested"  # the source that provenance names

# Large columns of a version, which its name does not need.
DOCUMENTS = tuple(
    column.name
    for column in ModelVersion._meta.concrete_fields
    if isinstance(column, models.JSONField)
)


def place_of(file: EvidenceFile, filename: str) -> str:
    """Return where a file is stored: under no name that somebody chose."""
    return f"evidence/{file.organization_id}/{uuid.uuid4().hex}"


class EvidenceFile(TenantModel):
    """A file that somebody brought to prove what they say. It is never opened here."""

    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=100)
    size = models.PositiveIntegerField(help_text="In bytes.")
    sha256 = models.CharField("SHA-256", max_length=64)
    file = models.FileField(upload_to=place_of, max_length=300)
    uploaded_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+"
    )
    uploaded_at = models.DateTimeField(default=now, editable=False)

    class Meta(TenantModel.Meta):
        ordering = ("-uploaded_at", "-id")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return where it is downloaded."""
        return reverse("evidence-files-download", args=[self.pk])


class AttestationQuerySet(models.QuerySet["Attestation"]):
    def live(self) -> Self:
        """Return those that nobody ended, and whose day the daily job did not see yet."""
        return self.filter(ended_at=None)

    def in_force(self) -> Self:
        return self.live().filter(Q(expires_on=None) | Q(expires_on__gt=today()))

    def with_subjects(self) -> Self:
        """Select along what names an attestation, and who acted on it."""
        return self.select_related(
            "registered_model",
            "version__registered_model",
            "attested_by",
            "kept_by",
            "ended_by",
            "evidence_file__uploaded_by",
        ).defer(*(f"version__{name}" for name in DOCUMENTS))

    def in_state(self, state: str) -> Self:
        if state == Attestation.State.IN_FORCE:
            return self.in_force()
        if state == Attestation.State.EXPIRED:
            overdue = Q(ended_at=None, expires_on__lte=today())
            return self.filter(Q(ending=state) | overdue)
        return self.filter(ending=state)


class Attestation(TenantModel):
    """What somebody says that a field of the record is, with a reason.

    It counts instead of what the source tells, whatever that is. Of a model it holds
    for all its versions, present and future; one of a version wins over it. An
    attestation is ended or replaced, never changed and never deleted.
    """

    class State(models.TextChoices):
        IN_FORCE = "in_force", "In force"
        EXPIRED = "expired", "Expired"
        WITHDRAWN = "withdrawn", "Withdrawn"
        REPLACED = "replaced", "Replaced"

    registered_model = models.ForeignKey(
        RegisteredModel,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="attestations",
    )
    version = models.ForeignKey(
        ModelVersion,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="attestations",
    )
    field = models.CharField(max_length=60)
    value = models.JSONField()
    reason = models.TextField()
    evidence_file = models.ForeignKey(
        EvidenceFile, models.PROTECT, null=True, blank=True, related_name="+"
    )
    expires_on = models.DateField(
        null=True, blank=True, help_text="The first day on which it holds no longer."
    )
    attested_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+"
    )
    attested_at = models.DateTimeField(default=now, editable=False)

    contradicted_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when the source tells another value than was seen.",
    )
    kept_at = models.DateTimeField(null=True, blank=True)
    kept_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+"
    )
    kept_reason = models.TextField(blank=True)

    ending = models.CharField(max_length=10, choices=State, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+"
    )
    end_reason = models.TextField(blank=True)

    objects = AttestationQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        ordering = ("-attested_at", "-id")
        constraints = (
            *TenantModel.Meta.constraints,
            SameOrganization(
                field="registered_model", name="same_inventory_attestation_model"
            ),
            SameOrganization(
                field="version", name="same_inventory_attestation_version"
            ),
            SameOrganization(
                field="evidence_file", name="same_inventory_attestation_evidence"
            ),
            models.CheckConstraint(
                condition=Q(registered_model=None) ^ Q(version=None),
                name="attestation_has_one_subject",
            ),
            models.CheckConstraint(
                condition=~Q(reason=""), name="attestation_has_a_reason"
            ),
            models.CheckConstraint(
                condition=Q(ending="", ended_at=None)
                | ~Q(ending="") & Q(ended_at__isnull=False),
                name="attestation_ended_iff_ending",
            ),
            models.UniqueConstraint(
                fields=["organization", "version", "field"],
                condition=Q(ended_at=None, version__isnull=False),
                name="one_live_attestation_of_version",
            ),
            models.UniqueConstraint(
                fields=["organization", "registered_model", "field"],
                condition=Q(ended_at=None, registered_model__isnull=False),
                name="one_live_attestation_of_model",
            ),
        )

    def __str__(self) -> str:
        return f"{self.label} of {self.subject}"

    def get_absolute_url(self) -> str:
        return reverse("admin:inventory_attestation_change", args=[self.pk])

    @property
    def subject(self) -> RegisteredModel | ModelVersion:
        """Cost: a query or two, unless model and version were selected along."""
        subject = self.version or self.registered_model
        assert subject is not None  # noqa: S101 - by the constraint
        return subject

    @property
    def described(self) -> Field | None:
        """Return the field; None of one that is no longer attested."""
        return ATTESTABLE.get(self.field)

    @property
    def label(self) -> str:
        return self.described.label if self.described else self.field

    @property
    def is_live(self) -> bool:
        return self.ended_at is None

    @property
    def state(self) -> State:
        if self.ending:
            return self.State(self.ending)
        is_over = self.expires_on is not None and self.expires_on <= today()
        return self.State.EXPIRED if is_over else self.State.IN_FORCE

    def told(self) -> dict[str, Any]:
        """Return what the provenance of a record says of an attested value."""
        who = (
            f"by {self.attested_by.name or self.attested_by} "
            if self.attested_by
            else ""
        )
        return {
            "source": ATTESTED,
            "key": f"{who}on {self.attested_at:%-d %B %Y}",
            "attestation": self.pk,
        }


def today() -> date:
    """Return the day that it is in UTC, by which attestations expire."""
    return now().date()
