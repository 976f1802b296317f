"""The record of every sync, and of what it could not read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import User
from accounts.walls import SameOrganization, TenantModel
from inventory.models import NAME_LENGTH, ModelVersion
from mlflow_sync.models.servers import WORKSPACE_LENGTH, TrackingServer

# A worker tells every few seconds that it lives; silence for so long means that it died.
LEASE = timedelta(seconds=90)
# A sync whose job was lost waits for no worker, and would let no other one begin.
LONGEST_WAIT = timedelta(days=1)


class SyncRunQuerySet(models.QuerySet["SyncRun"]):
    def active(self) -> SyncRunQuerySet:
        return self.filter(status__in=SyncRun.ACTIVE)

    def finished(self) -> SyncRunQuerySet:
        return self.exclude(status__in=SyncRun.ACTIVE)

    def of_registry(self) -> SyncRunQuerySet:
        """Those that read rows of the registry, and not only files."""
        return self.exclude(reach=SyncRun.Reach.FILES)

    def of_files(self) -> SyncRunQuerySet:
        return self.filter(reach=SyncRun.Reach.FILES)

    def whole(self) -> SyncRunQuerySet:
        """Those that read a registry to its end."""
        return self.filter(status__in=SyncRun.READ, reach=SyncRun.Reach.REGISTRY)


class SyncRun(TenantModel):
    """One reading of a tracking server: the ingestion event auditors ask for."""

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", "Schedule"
        MANUAL = "manual", "Sync now"
        API = "api", "API"
        COMMAND = "command", "Command line"
        WEBHOOK = "webhook", "Webhook"

    class Reach(models.TextChoices):
        """What of the server a run reads."""

        REGISTRY = "registry", "The whole registry"
        MODELS = "models", "Named models"
        FILES = "files", "Files, for their digests"

    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        PARTIAL = "partial", "Partial"
        FAILED = "failed", "Failed"
        SKIPPED = "skipped", "Skipped"
        CANCELLED = "cancelled", "Cancelled"

    GAVE_WAY = "gave_way"  # as error_kind: a run of files made room for a sync
    ACTIVE = (Status.QUEUED, Status.RUNNING)
    READ = (Status.SUCCEEDED, Status.PARTIAL)  # to the registry's end
    COUNTS = (
        "models",
        "out_of_scope",
        "versions",
        "created",
        "updated",
        "unchanged",
        "incomplete",
        "absent",
        "unregistered",
        "files",
        "changed_files",
        "unavailable_files",
        "requests",
        "bytes",
    )

    server = models.ForeignKey(TrackingServer, models.CASCADE, related_name="sync_runs")
    trigger = models.CharField(max_length=10, choices=Trigger)
    requested_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+"
    )
    reach = models.CharField(max_length=10, choices=Reach, default=Reach.REGISTRY)
    targets = models.JSONField(
        default=list, help_text="Names of models, where only these are read."
    )
    version = models.ForeignKey(
        ModelVersion,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Whose files are read, where somebody asked for those alone.",
    )
    is_full = models.BooleanField(default=False)
    with_artifacts = models.BooleanField(default=True)
    accepted_absence = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="So many versions or models may be gone: a person confirmed it.",
    )

    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    phase = models.CharField(max_length=60, blank=True)
    source_uri = models.CharField(max_length=500, blank=True)
    workspace = models.CharField(max_length=WORKSPACE_LENGTH, blank=True)
    identity = models.CharField(max_length=200, blank=True)
    credential_fingerprint = models.CharField(max_length=16, blank=True)
    mlflow_version = models.CharField(max_length=40, blank=True)

    counts = models.JSONField(default=dict, help_text="One number per name of COUNTS.")
    expected_versions = models.PositiveIntegerField(
        null=True, blank=True, help_text="Versions of the last sync, for an estimate."
    )
    turn = models.PositiveIntegerField(
        default=0,
        help_text="Of the runs that are not read by every sync, whose turn it was.",
    )
    read_with = models.CharField(
        max_length=64,
        blank=True,
        help_text="Fingerprint of the code and the words that made the records.",
    )
    place = models.JSONField(
        default=dict, help_text="Where the next slice of a long sync goes on."
    )
    error = models.TextField(blank=True)
    error_kind = models.CharField(max_length=40, blank=True)
    vanished = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Versions or models that were gone at once, too many to believe.",
    )

    attempts = models.PositiveSmallIntegerField(default=0)
    queued_at = models.DateTimeField(default=now)
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    seconds = models.FloatField(default=0, help_text="Work, without time in the queue.")
    evaluated_at = models.DateTimeField(null=True, blank=True)

    objects = SyncRunQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        ordering = ("-queued_at", "-id")
        constraints = (
            *TenantModel.Meta.constraints,
            SameOrganization(field="server", name="same_mlflow_run_server"),
            SameOrganization(field="version", name="same_mlflow_run_version"),
            models.UniqueConstraint(
                fields=["organization", "server"],
                condition=Q(status__in=("queued", "running")),
                name="one_active_sync_per_server",
            ),
            models.CheckConstraint(
                condition=Q(status__in=("queued", "running"))
                ^ Q(finished_at__isnull=False),
                name="sync_finished_at_iff_over",
            ),
        )
        indexes = (
            models.Index(
                fields=["organization", "server", "-queued_at"], name="sync_by_server"
            ),
        )

    def __str__(self) -> str:
        return f"sync {self.pk} of {self.server}"

    def get_absolute_url(self) -> str:
        return reverse("admin:mlflow_sync_syncrun_change", args=[self.pk])

    @property
    def is_active(self) -> bool:
        return self.status in self.ACTIVE

    @property
    def has_read(self) -> bool:
        """Tell whether the registry was read to its end."""
        return self.status in self.READ

    @property
    def is_doubted(self) -> bool:
        """Tell whether it found more gone than may be believed without a person."""
        return self.status == self.Status.FAILED and self.vanished is not None

    @property
    def is_abandoned(self) -> bool:
        """Tell whether its worker has been silent for longer than the lease."""
        return (
            self.status == self.Status.RUNNING
            and self.heartbeat_at is not None
            and self.heartbeat_at < now() - LEASE
        )

    @property
    def is_forgotten(self) -> bool:
        """Tell whether it has waited so long that its job cannot be on the queue."""
        return (
            self.status == self.Status.QUEUED
            and (self.heartbeat_at or self.queued_at) < now() - LONGEST_WAIT
        )

    def count(self, name: str) -> int:
        return int(self.counts.get(name, 0))

    def summary(self) -> dict[str, Any]:
        """Return the contract of `manage.py sync --json` and of the API, flat."""
        return {
            "server": self.server.source.name,
            "status": self.status,
            **{name: self.count(name) for name in self.COUNTS},
            "seconds": round(self.seconds, 2),
            "error": self.error,
        }


class SyncFailure(TenantModel):
    """A section of a version that a sync could not read; retried next time."""

    sync_run = models.ForeignKey(SyncRun, models.CASCADE, related_name="failures")
    model_name = models.CharField(max_length=NAME_LENGTH)
    version_number = models.PositiveIntegerField(null=True, blank=True)
    section = models.CharField(max_length=20)
    reason = models.TextField()

    class Meta(TenantModel.Meta):
        ordering = ("id",)
        constraints = (
            *TenantModel.Meta.constraints,
            SameOrganization(field="sync_run", name="same_mlflow_failure_run"),
        )

    def __str__(self) -> str:
        version = f" version {self.version_number}" if self.version_number else ""
        name = f"{self.model_name}{version}, " if self.model_name else ""
        return f"{name}{self.section}: {self.reason}"
