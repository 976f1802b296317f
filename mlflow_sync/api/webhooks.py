"""The webhook of a tracking server over REST."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import F, OuterRef, Subquery
from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rest import ReadOnlyTenantViewSet
from accounts.roles import Permission
from mlflow_sync.models import TrackingServer, WebhookDelivery, WebhookEndpoint
from mlflow_sync.webhooks import endpoints


class WebhookSerializer(serializers.ModelSerializer[WebhookEndpoint]):
    """Where a server tells of changes."""

    url = serializers.SerializerMethodField(help_text="What MLflow is to send to.")
    secret_made_at = serializers.DateTimeField(source="secret_at")
    last_delivery_at = serializers.DateTimeField(
        allow_null=True, help_text="Of the last 30 days."
    )

    class Meta:
        model = WebhookEndpoint
        fields: tuple[str, ...] = (
            "url",
            "enabled_at",
            "secret_made_at",
            "last_delivery_at",
            "refused_at",
        )
        read_only_fields: tuple[str, ...] = fields

    def get_url(self, endpoint: WebhookEndpoint) -> str:
        url: str = self.context["request"].build_absolute_uri(endpoint.path())
        return url


class NewSecretSerializer(WebhookSerializer):
    secret = serializers.CharField(
        source="told_once", read_only=True, help_text="It is not told again."
    )

    class Meta(WebhookSerializer.Meta):
        fields = (*WebhookSerializer.Meta.fields, "secret")
        read_only_fields = fields


class DeliverySerializer(serializers.ModelSerializer[WebhookDelivery]):
    """One thing that MLflow told of."""

    handled_by = serializers.IntegerField(
        source="handled_by_id",
        allow_null=True,
        help_text="The sync run that read, or is to read, the model.",
    )

    class Meta:
        model = WebhookDelivery
        fields = (
            "id",
            "delivery_id",
            "event",
            "model_name",
            "outcome",
            "handled_by",
            "received_at",
        )
        read_only_fields = fields


class WebhookActions(ReadOnlyTenantViewSet[TrackingServer]):
    """What can be done with the webhook of a server."""

    query_parameters: ClassVar = ()
    webhook_permissions: ClassVar = {
        "renew_webhook": Permission.MANAGE_SERVERS,
        "disable_webhook": Permission.MANAGE_SERVERS,
    }

    @extend_schema(
        responses={
            200: WebhookSerializer,
            404: OpenApiResponse(description="The webhook is not enabled."),
        }
    )
    @action(detail=True)
    def webhook(self, request: Request, pk: str) -> Response:
        """Where the server tells of changes, if its webhook is enabled."""
        endpoint = self._endpoint(self.get_object())
        return Response(self._told(WebhookSerializer, endpoint))

    @extend_schema(request=None, responses={201: NewSecretSerializer})
    @webhook.mapping.post
    def renew_webhook(self, request: Request, pk: str) -> Response:
        """Enable the webhook or, where it is, give it another secret; told once.

        The secret before is good for another day.
        """
        server = self.get_object()
        is_enabled = WebhookEndpoint.objects.filter(server=server).exists()
        act = endpoints.renew_secret if is_enabled else endpoints.enable
        secret = act(server).told_once
        endpoint = self._endpoint(server)
        endpoint.told_once = secret
        told = self._told(NewSecretSerializer, endpoint)
        return Response(told, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    @webhook.mapping.delete
    def disable_webhook(self, request: Request, pk: str) -> Response:
        """Forget the address and the secret at once."""
        server = self.get_object()
        self._endpoint(server)
        endpoints.disable(server)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses=DeliverySerializer(many=True), filters=False)
    @action(
        detail=True,
        url_path="webhook/deliveries",
        query_parameters=("page", "page_size"),
    )
    def webhook_deliveries(self, request: Request, pk: str) -> Response:
        """What the server told in the last 30 days, the newest first."""
        rows: Any = self.get_object().webhook_deliveries.all()
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(DeliverySerializer(page, many=True).data)

    def _endpoint(self, server: TrackingServer) -> WebhookEndpoint:
        latest = WebhookDelivery.objects.filter(server=OuterRef("server"))
        endpoint = (
            WebhookEndpoint.objects.select_related("organization")
            .annotate(
                secret_at=F("secret__made_at"),
                last_delivery_at=Subquery(latest.values("received_at")[:1]),
            )
            .filter(server=server)
            .first()
        )
        if endpoint is None:
            raise Http404
        return endpoint

    def _told(
        self, kind: type[WebhookSerializer], endpoint: WebhookEndpoint
    ) -> dict[str, Any]:
        told: dict[str, Any] = kind(
            endpoint, context=self.get_serializer_context()
        ).data
        return told
