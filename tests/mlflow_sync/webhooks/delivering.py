"""Deliveries of webhooks, signed as MLflow signs them."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from accounts import tenancy
from accounts.models import Organization
from mlflow_sync.models import TrackingServer, WebhookDelivery
from mlflow_sync.webhooks import endpoints
from mlflow_sync.webhooks.signatures import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
    sign,
)


@dataclass
class Sender:
    """MLflow, as far as the endpoint of one server can tell."""

    path: str
    secret: str
    client: Client = field(default_factory=Client)

    def tell(self, event: str, name: str = "credit", **changes: Any) -> Any:
        """Send an event about a model."""
        entity, action = event.split(".")
        envelope = {
            "entity": entity,
            "action": action,
            "timestamp": "2026-01-01T00:00:00+00:00",
            "data": {"name": name, "tags": {}, "description": None},
        }
        body = json.dumps(envelope | changes.pop("envelope", {})).encode()
        return self.send(body, **changes)

    def send(
        self,
        body: bytes,
        *,
        delivery_id: str = "",
        at: float | None = None,
        signature: str = "",
        content_type: str = "application/json",
        path: str = "",
        without: str = "",
        **headers: str,
    ) -> Any:
        """Send a body; what is not told is as MLflow would send it."""
        told = delivery_id or str(uuid.uuid4())
        sent_at = str(int(time.time() if at is None else at))
        signed = {
            ID_HEADER: told,
            TIME_HEADER: sent_at,
            SIGNATURE_HEADER: signature or sign(self.secret, told, sent_at, body),
        } | headers
        signed.pop(without, None)
        return self.client.post(path or self.path, body, content_type, headers=signed)


def sender_of(organization: Organization, server: TrackingServer) -> Sender:
    """Enable the webhook of a server and return who may send to it."""
    with tenancy.acting_for(organization):
        endpoint = endpoints.enable(server)
        return Sender(endpoint.path(), endpoint.told_once)


def deliveries(organization: Organization) -> list[WebhookDelivery]:
    """Return all deliveries, the oldest first."""
    with tenancy.acting_for(organization):
        return list(WebhookDelivery.objects.order_by("pk"))
