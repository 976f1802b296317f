"""Tracking servers, their credentials and webhooks, and the record of every sync."""

from __future__ import annotations

from mlflow_sync.models.runs import (
    LEASE,
    LONGEST_WAIT,
    SyncFailure,
    SyncRun,
    SyncRunQuerySet,
)
from mlflow_sync.models.servers import (
    SCOPE_FIELDS,
    KeyCanary,
    TrackingServer,
    TrackingServerSecret,
)
from mlflow_sync.models.vocabulary import VocabularyEntry
from mlflow_sync.models.webhooks import (
    GRACE,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookSecret,
)

__all__ = (
    "GRACE",
    "LEASE",
    "LONGEST_WAIT",
    "SCOPE_FIELDS",
    "KeyCanary",
    "SyncFailure",
    "SyncRun",
    "SyncRunQuerySet",
    "TrackingServer",
    "TrackingServerSecret",
    "VocabularyEntry",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookSecret",
)
