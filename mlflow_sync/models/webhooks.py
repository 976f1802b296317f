"""Where an MLflow server tells of changes, and what it told."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.timezone import now

from accounts.walls import OneToOneInOrganization, SameOrganization, TenantModel
from inventory.models import NAME_LENGTH
from mlflow_sync.fields import SecretTextField
from mlflow_sync.models.runs import SyncRun
from mlflow_sync.models.servers import TrackingServer
from mlflow_sync.webhooks.signatures import ID_LENGTH

# What was signed with the secret before is believed for so long: it takes MLflow a
# minute to use another, and people longer to give it one.
GRACE = timedelta(days=1)


def new_key() -> str:
    return secrets.token_urlsafe(24)


def new_secret() -> str:
    return f"vwhs_{secrets.token_urlsafe(32)}"


class WebhookEndpoint(TenantModel):
    """The address at which one server tells of changes; there is one while it is enabled.

    The key makes the address hard to guess. It is no secret: what is sent there is
    believed for its signature alone.
    """

    server = OneToOneInOrganization(
        TrackingServer, models.CASCADE, related_name="webhook"
    )
    key = models.CharField(max_length=32, default=new_key, editable=False)

    enabled_at = models.DateTimeField(default=now, editable=False)
    # When the trail was last told of deliveries that were not signed with the secret.
    refused_at = models.DateTimeField(null=True, blank=True, editable=False)

    told_once = ""  # the secret, not persisted: whoever made it sees it once

    class Meta(TenantModel.Meta):
        constraints = (
            *TenantModel.Meta.constraints,
            SameOrganization(field="server", name="same_mlflow_webhook_server"),
            models.UniqueConstraint(
                fields=["organization", "server"], name="one_webhook_per_server"
            ),
            models.UniqueConstraint(
                fields=["organization", "key"], name="webhook_key_is_unique"
            ),
        )

    def __str__(self) -> str:
        return f"webhook of {self.server}"

    def path(self) -> str:
        """Return the path of the address; it carries the organization's slug."""
        return f"{reverse('mlflow-webhook', args=[self.organization.slug, self.key])}/"


class WebhookSecret(TenantModel):
    """What MLflow signs deliveries with, encrypted; told once, when it is made.

    A table of its own, so that a row no key can open spoils no page of the server.
    """

    endpoint = OneToOneInOrganization(
        WebhookEndpoint, models.CASCADE, related_name="secret"
    )
    current = SecretTextField()
    previous = SecretTextField(blank=True, default="")
    previous_until = models.DateTimeField(null=True, blank=True)
    made_at = models.DateTimeField(default=now)

    class Meta(TenantModel.Meta):
        constraints = (
            *TenantModel.Meta.constraints,
            SameOrganization(field="endpoint", name="same_mlflow_webhook_secret"),
            models.UniqueConstraint(
                fields=["organization", "endpoint"], name="one_secret_per_webhook"
            ),
        )

    def __str__(self) -> str:
        return f"secret of the {self.endpoint}"

    def valid(self) -> tuple[str, ...]:
        """Return the secrets that a signature may be made with now."""
        if self.previous_until and self.previous_until > now():
            return self.current, self.previous
        return (self.current,)


class WebhookDeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    def waiting(self) -> WebhookDeliveryQuerySet:
        """Those whose model is still to be read: they were given to no run yet."""
        return self.filter(
            outcome=WebhookDelivery.Outcome.ACCEPTED, handled_by__isnull=True
        )


class WebhookDelivery(TenantModel):
    """One thing that MLflow told of, signed by its secret. Told twice, it is kept once."""

    class Outcome(models.TextChoices):
        ACCEPTED = "accepted", "Accepted"
        UNKNOWN_EVENT = "unknown_event", "Unknown event"
        UNKNOWN_MODEL = "unknown_model", "Unknown model"
        OTHER_WORKSPACE = "other_workspace", "Another workspace"

    server = models.ForeignKey(
        TrackingServer, models.CASCADE, related_name="webhook_deliveries"
    )
    delivery_id = models.CharField(max_length=ID_LENGTH)
    event = models.CharField(max_length=110, help_text="Such as model_version.created.")
    model_name = models.CharField(max_length=NAME_LENGTH, blank=True)
    outcome = models.CharField(max_length=20, choices=Outcome, default=Outcome.ACCEPTED)
    handled_by = models.ForeignKey(
        SyncRun,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="webhook_deliveries",
        help_text="The sync that read, or is to read, the model.",
    )
    received_at = models.DateTimeField(default=now)

    objects = WebhookDeliveryQuerySet.as_manager()

    class Meta(TenantModel.Meta):
        verbose_name_plural = "webhook deliveries"
        ordering = ("-received_at", "-id")
        constraints = (
            *TenantModel.Meta.constraints,
            SameOrganization(field="server", name="same_mlflow_delivery_server"),
            SameOrganization(field="handled_by", name="same_mlflow_delivery_run"),
            models.UniqueConstraint(
                fields=["organization", "server", "delivery_id"],
                name="delivery_is_taken_once",
            ),
        )
        indexes = (
            models.Index(
                fields=["organization", "server", "-received_at"],
                name="delivery_by_server",
            ),
            models.Index(
                fields=["organization", "server"],
                condition=Q(outcome="accepted", handled_by__isnull=True),
                name="delivery_waiting",  # asked for at the end of every sync
            ),
        )

    def __str__(self) -> str:
        return f"{self.event} {self.delivery_id}"
