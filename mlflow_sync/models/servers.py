"""Tracking servers, and their credentials in a table apart."""

from __future__ import annotations

import hashlib
import hmac
import json
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse
from django.utils.timezone import now

from accounts.walls import (
    OneToOneInOrganization,
    SameOrganization,
    TenantHistory,
    TenantModel,
)
from inventory.models import Source
from mlflow_sync.exceptions import BadPattern, UndecryptableSecret
from mlflow_sync.fields import SecretTextField
from mlflow_sync.scope import Scope, read_patterns, read_tags

WORKSPACE_LENGTH = 200
SCOPE_FIELDS = ("include_names", "exclude_names", "required_tags")


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
        help_text="As MLflow clients use it, with a path if a proxy adds one.",
    )
    auth_method = models.CharField(
        "authentication",
        max_length=5,
        choices=AuthMethod,
        default=AuthMethod.NONE,
    )
    workspace = models.CharField(
        max_length=WORKSPACE_LENGTH,
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
    reread_within = models.PositiveSmallIntegerField(
        "re-read runs within",
        default=24,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="Syncs. Runs of versions in production, staging or under an alias, "
        "and of new ones, are read by every sync; the others in turn.",
    )
    concurrency = models.PositiveSmallIntegerField(
        "connections",
        default=4,
        validators=[MinValueValidator(1), MaxValueValidator(16)],
        help_text="Requests under way at once.",
    )
    request_budget = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Requests a minute, of all that is read of this server. Empty: as "
        "many as it answers.",
    )
    vanish_percent = models.PositiveSmallIntegerField(
        "doubt absence above",
        default=20,
        validators=[MaxValueValidator(100)],
        help_text="Percent. A sync in which more than so much disappeared at once "
        "marks nothing absent, and asks.",
    )
    vanish_always = models.PositiveIntegerField(
        "never doubt up to",
        default=10,
        help_text="Versions, or models, that may disappear at once, be they all.",
    )
    hash_files = models.BooleanField(
        "hash files of production versions",
        default=True,
        help_text="Stream larger files once, to keep their SHA-256, and again to see "
        "whether they still are what they were.",
    )
    hash_limit = models.PositiveIntegerField(
        "largest file to hash",
        default=2048,
        validators=[MinValueValidator(1), MaxValueValidator(1_048_576)],
        help_text="MiB. Larger ones are listed as too large.",
    )
    rehash_days = models.PositiveSmallIntegerField(
        "verify hashes every",
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text="Days.",
    )

    include_names = models.TextField(
        "models to read",
        blank=True,
        help_text="Patterns of names, one a line, such as credit-*. Empty: all models.",
    )
    exclude_names = models.TextField(
        "models to leave out",
        blank=True,
        help_text="Patterns of names, one a line. They win over what is to be read.",
    )
    required_tags = models.TextField(
        blank=True,
        help_text="One a line, as key or key=pattern: of the models named above, only "
        "those that carry at least one of these tags are read.",
    )
    find_unregistered = models.BooleanField(
        "list unregistered models",
        default=False,
        help_text="Look for models that runs logged and nobody registered.",
    )

    # How calm we have to be: syncs that failed in a row, and the pause they led to.
    failures_in_row = models.PositiveSmallIntegerField(default=0, editable=False)
    paused_until = models.DateTimeField(null=True, blank=True, editable=False)

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

    @property
    def is_paused(self) -> bool:
        """Tell whether it failed so often that nothing asks it by itself for a while."""
        return self.paused_until is not None and self.paused_until > now()

    @property
    def is_encrypted(self) -> bool:
        return self.url.startswith("https:")

    @property
    def is_local(self) -> bool:
        """Tell whether the connection does not leave the machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    @property
    def has_identity(self) -> bool:
        """Tell whether we say who we are, be it in a header of the customer's own.

        Costs a query where no method of authentication is set. Credentials that no key
        opens are credentials.
        """
        if self.auth_method != TrackingServer.AuthMethod.NONE:
            return True
        try:
            secret = TrackingServerSecret.objects.filter(server=self).first()
        except UndecryptableSecret:
            return True
        return secret is not None and bool(secret.header_values())

    @property
    def scope(self) -> Scope:
        """Return which models are read. Raises BadPattern where a line is no pattern."""
        return Scope(
            include=read_patterns(self.include_names),
            exclude=read_patterns(self.exclude_names),
            tags=read_tags(self.required_tags),
        )

    def clean(self) -> None:
        super().clean()
        self._clean_url()
        self._clean_scope()

    def _clean_scope(self) -> None:
        faults = {}
        for name in SCOPE_FIELDS:
            read = read_tags if name == "required_tags" else read_patterns
            try:
                setattr(self, name, "\n".join(read(getattr(self, name))))
            except BadPattern as fault:
                faults[name] = str(fault)
        if faults:
            raise ValidationError(faults)

    def _clean_url(self) -> None:
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


class KeyCanary(models.Model):
    """One encrypted word, by which a start with the wrong key is noticed at once."""

    WORD = "canary"

    word = SecretTextField()

    def __str__(self) -> str:
        return "key canary"
