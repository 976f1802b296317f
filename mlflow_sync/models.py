"""Tracking servers, their credentials, and the record of every sync."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import User
from accounts.walls import (
    OneToOneInOrganization,
    SameOrganization,
    TenantHistory,
    TenantModel,
)
from inventory.models import NAME_LENGTH, Source
from mlflow_sync.fields import SecretTextField

# A worker tells every few seconds that it lives; silence for so long means that it died.
LEASE = timedelta(seconds=90)
# A sync whose job was lost waits for no worker, and would let no other one begin.
LONGEST_WAIT = timedelta(days=1)


class TrackingServer(TenantModel):
    """An MLflow server that models are read from. Its credentials are in a table apart."""

    class AuthMethod(models.TextChoices):
        NONE = "none", "None"
        BASIC = "basic", "User name and password"
        TOKEN = "token", "Bearer token"

    source = OneToOneInOrganization(
        Source, models.CASCADE, related_name="tracking_server"
    )
    # Not a URLField: it refuses names of one word, as servers in a cluster have.
    url = models.CharField(
        "URL",
        max_length=500,
        help_text="As you open it in the browser, with a path if it has one.",
    )
    auth_method = models.CharField(
        "authentication",
        max_length=5,
        choices=AuthMethod,
        default=AuthMethod.NONE,
    )
    workspace = models.CharField(
        max_length=200,
        blank=True,
        help_text="Only for MLflow servers with workspaces switched on.",
    )
    verify_tls = models.BooleanField("verify TLS certificate", default=True)
    ca_bundle = models.TextField(
        "CA bundle",
        blank=True,
        help_text="Certificates (PEM) of your own authority, if the server uses one.",
    )
    connect_timeout = models.PositiveSmallIntegerField(
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(120)],
        help_text="Seconds.",
    )
    read_timeout = models.PositiveSmallIntegerField(
        default=60,
        validators=[MinValueValidator(1), MaxValueValidator(600)],
        help_text="Seconds without a byte.",
    )
    read_artifacts = models.BooleanField(
        default=True,
        help_text="List artifacts and read environment files of new versions.",
    )
    is_enabled = models.BooleanField(
        "scheduled", default=True, help_text="Sync by itself, every hour by default."
    )

    removed_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_tested_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_test_passed = models.BooleanField(null=True, editable=False)
    last_test_message = models.TextField(blank=True, editable=False)
    mlflow_version = models.CharField(max_length=40, blank=True, editable=False)

    history = TenantHistory()

    class Meta(TenantModel.Meta):
        ordering = ("source__name",)
        constraints = (
            *TenantModel.Meta.constraints,
            SameOrganization(field="source", name="same_mlflow_server_source"),
            models.UniqueConstraint(
                fields=["organization", "source"], name="one_server_per_source"
            ),
        )

    def __str__(self) -> str:
        return self.source.name

    def get_absolute_url(self) -> str:
        return reverse("admin:mlflow_sync_trackingserver_change", args=[self.pk])

    def clean(self) -> None:
        super().clean()
        self.url = self.url.strip().rstrip("/")
        try:
            parts = urlsplit(self.url)
        except ValueError:
            raise ValidationError({"url": "This is not a URL."}) from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValidationError(
                {"url": "Give the URL with http:// or https:// and the server's name."}
            )
        if parts.username or parts.password:
            raise ValidationError(
                {
                    "url": "Leave user name and password out of the URL: they have fields."
                }
            )
        if parts.query or parts.fragment:
            raise ValidationError({"url": "Leave out what follows ? or # in the URL."})


class TrackingServerSecret(TenantModel):
    """The credentials of a server, encrypted; write-only for people and API alike.

    A table of its own, so that a row no key can open spoils no list of servers.
    """

    server = OneToOneInOrganization(
        TrackingServer, models.CASCADE, related_name="secret"
    )
    username = SecretTextField(blank=True, default="")
    password = SecretTextField(blank=True, default="")
    token = SecretTextField(blank=True, default="")
    headers = SecretTextField(blank=True, default="", help_text="JSON: name -> value")

    class Meta(TenantModel.Meta):
        constraints = (
            *TenantModel.Meta.constraints,
            SameOrganization(field="server", name="same_mlflow_secret_server"),
            models.UniqueConstraint(
                fields=["organization", "server"], name="one_secret_per_server"
            ),
        )

    def __str__(self) -> str:
        return f"credentials of {self.server}"

    def header_values(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.headers) if self.headers else {}
        return found

    def fingerprint(self) -> str:
        """Name the credential without telling it, so that runs can say which they used.

        Keyed with the installation's secret: without it, guesses cannot be checked.
        """
        told = json.dumps(
            [self.username, self.password, self.token, self.header_values()],
            sort_keys=True,
        )
        return hmac.new(
            settings.SECRET_KEY.encode(), told.encode(), hashlib.sha256
        ).hexdigest()[:16]


class SyncRunQuerySet(models.QuerySet["SyncRun"]):
    def active(self) -> SyncRunQuerySet:
        return self.filter(status__in=SyncRun.ACTIVE)

    def finished(self) -> SyncRunQuerySet:
        return self.exclude(status__in=SyncRun.ACTIVE)


class SyncRun(TenantModel):
    """One reading of a tracking server: the ingestion event auditors ask for."""

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", "Schedule"
        MANUAL = "manual", "Sync now"
        API = "api", "API"
        COMMAND = "command", "Command line"

    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        PARTIAL = "partial", "Partial"
        FAILED = "failed", "Failed"
        SKIPPED = "skipped", "Skipped"

    ACTIVE = (Status.QUEUED, Status.RUNNING)
    READ = (Status.SUCCEEDED, Status.PARTIAL)  # to the registry's end
    COUNTS = (
        "models",
        "versions",
        "created",
        "updated",
        "unchanged",
        "incomplete",
        "absent",
        "requests",
        "bytes",
    )

    server = models.ForeignKey(TrackingServer, models.CASCADE, related_name="sync_runs")
    trigger = models.CharField(max_length=10, choices=Trigger)
    requested_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+"
    )
    is_full = models.BooleanField(default=False)
    with_artifacts = models.BooleanField(default=True)

    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    phase = models.CharField(max_length=60, blank=True)
    source_uri = models.CharField(max_length=500, blank=True)
    identity = models.CharField(max_length=200, blank=True)
    credential_fingerprint = models.CharField(max_length=16, blank=True)
    mlflow_version = models.CharField(max_length=40, blank=True)

    counts = models.JSONField(default=dict, help_text="One number per name of COUNTS.")
    expected_versions = models.PositiveIntegerField(
        null=True, blank=True, help_text="Versions of the last sync, for an estimate."
    )
    place = models.JSONField(
        default=dict, help_text="Where the next slice of a long sync goes on."
    )
    error = models.TextField(blank=True)
    error_kind = models.CharField(max_length=40, blank=True)

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


class KeyCanary(models.Model):
    """One encrypted word, by which a start with the wrong key is noticed at once."""

    WORD = "canary"

    word = SecretTextField()

    def __str__(self) -> str:
        return "key canary"
