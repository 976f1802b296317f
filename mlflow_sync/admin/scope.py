"""What of a server is in scope, in its form and on its page."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import markup
from inventory.models import UnregisteredModel
from mlflow_sync.models import SCOPE_FIELDS, TrackingServer

FIELDSET: tuple[str, Any] = (
    "Scope",
    {
        "fields": (*SCOPE_FIELDS, "find_unregistered"),
        "description": "A model that is out of scope is listed with the reason, and its "
        "versions are not read; what was read of them before stays. Changes count from "
        "the next sync on.",
    },
)


def about_scope(server: TrackingServer) -> dict[str, Any]:
    """Return what a server's page says of its scope, and where the models are.

    Costs a query where unregistered models are looked for.
    """
    found = UnregisteredModel.objects.listed().filter(source=server.source_id)
    of_server = f"?source={server.source_id}"
    models = reverse("admin:inventory_registeredmodel_changelist") + of_server
    unregistered = reverse("admin:inventory_unregisteredmodel_changelist")
    return {
        "scope": str(server.scope),
        "models_address": models,
        "unregistered_count": found.count() if server.find_unregistered else None,
        "unregistered_address": unregistered + of_server,
    }


def shown_counts(server: Any) -> SafeString:
    """Return how many models a server has, as `with_runs` counted them."""
    total = markup.number(server.models_count or 0)
    if not server.outside_count:
        return total
    outside = f"{server.outside_count:,} out of scope"
    return format_html('{}<span class="vw-at">{}</span>', total, outside)
