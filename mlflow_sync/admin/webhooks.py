"""The part of a server's page that is about its webhook, and the acts on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST

from accounts.pages import HistoryPage
from mlflow_sync.models import TrackingServer, WebhookEndpoint
from mlflow_sync.webhooks import commands, endpoints

DELIVERIES_SHOWN = 10


class WebhookPages(HistoryPage[TrackingServer]):
    """Webhooks are enabled, given another secret and disabled by `endpoints`."""

    def get_urls(self) -> list[URLPattern]:
        wrap, name = self.admin_site.admin_view, "mlflow_sync_trackingserver"
        return [
            path(f"<int:pk>/webhook/{act}/", wrap(view), name=f"{name}_webhook_{act}")
            for act, view in (
                ("enable", self.enable_webhook_view),
                ("renew", self.renew_webhook_view),
                ("disable", self.disable_webhook_view),
            )
        ] + super().get_urls()

    def for_act(self, request: HttpRequest, pk: int) -> TrackingServer:
        """Return the server of an act; whether it is open to the role the act says."""
        raise NotImplementedError

    @method_decorator(require_POST)
    def enable_webhook_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        server = self.for_act(request, pk)
        return self._show_once(request, server, endpoints.enable, commands.creating)

    @method_decorator(require_POST)
    def renew_webhook_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        server = self.for_act(request, pk)
        return self._show_once(
            request, server, endpoints.renew_secret, commands.changing
        )

    @method_decorator(require_POST)
    def disable_webhook_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        server = self.for_act(request, pk)
        try:
            endpoints.disable(server)
        except ValidationError as error:
            messages.warning(request, " ".join(error.messages))
        else:
            messages.success(request, f"The webhook of {server} was disabled.")
        return redirect(server)

    def _show_once(
        self,
        request: HttpRequest,
        server: TrackingServer,
        act: Callable[[TrackingServer], WebhookEndpoint],
        told: Callable[..., commands.Commands],
    ) -> HttpResponse:
        """Show the secret in the answer itself: no session or cookie ever holds it."""
        try:
            endpoint = act(server)
        except ValidationError as error:  # a form that was sent twice
            messages.warning(request, " ".join(error.messages))
            return redirect(server)
        url = request.build_absolute_uri(endpoint.path())
        context = self.page_context(
            request,
            server,
            server=server,
            endpoint=endpoint,
            url=url,
            is_new=act is endpoints.enable,
            commands=told(server, url=url, secret=endpoint.told_once),
            crumbs=[*self.crumbs(server), ("Webhook", "")],
        )
        return TemplateResponse(request, "mlflow_sync/webhook_secret.html", context)

    def about_webhook(
        self, request: HttpRequest, server: TrackingServer
    ) -> dict[str, Any]:
        """Costs two queries: the endpoint, and the latest deliveries."""
        rows = WebhookEndpoint.objects.select_related("organization")
        endpoint = rows.filter(server=server).first()
        deliveries = server.webhook_deliveries.select_related("handled_by")
        return {
            "endpoint": endpoint,
            "webhook_url": request.build_absolute_uri(endpoint.path())
            if endpoint
            else "",
            "deliveries": list(deliveries[:DELIVERIES_SHOWN]),
        }
