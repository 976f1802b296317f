"""Tracking servers over REST. What changes something is an act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from cryptography.fernet import InvalidToken
from django.db.models import Max, OuterRef, Q, Subquery, TextField
from django.db.models.functions import Cast, JSONObject
from django_filters import MultipleChoiceFilter
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
    extend_schema_serializer,
)
from encrypted_model_fields.fields import decrypt_str
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts.roles import Permission
from inventory.api.documents import FileCountsSerializer
from inventory.api.filters import FlagFilter
from mlflow_sync.api.runs import SyncRunSerializer, SyncRunViewSet
from mlflow_sync.api.webhooks import WebhookActions
from mlflow_sync.files.runs import file_counts
from mlflow_sync.models import SCOPE_FIELDS, SyncRun, TrackingServer
from mlflow_sync.queueing import request_sync
from mlflow_sync.servers import (
    SECRET_FIELDS,
    Credentials,
    remove_server,
    save_server,
    test_server,
)


class SyncRunReference(serializers.Serializer[Any]):
    """A sync run, as its server names it."""

    id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=SyncRun.Status.choices)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A server that wants a password",
            request_only=True,
            value={
                "name": "Production MLflow",
                "url": "https://mlflow.example.com",
                "auth_method": "basic",
                "username": "verifywise",
                "password": "…",
            },
        )
    ]
)
class TrackingServerSerializer(serializers.ModelSerializer[TrackingServer]):
    """An MLflow server. Its credentials go in and never come out.

    A credential that is left out stays as it is, an empty one is forgotten; another
    URL forgets all that do not come along with it.
    """

    name = serializers.CharField(source="source.name", max_length=100)
    username = serializers.CharField(write_only=True, required=False, allow_blank=True)
    password = serializers.CharField(
        write_only=True, required=False, allow_blank=True, trim_whitespace=False
    )
    token = serializers.CharField(
        write_only=True, required=False, allow_blank=True, trim_whitespace=False
    )
    headers = serializers.DictField(
        child=serializers.CharField(trim_whitespace=False),
        write_only=True,
        required=False,
        help_text="Sent with every request: name → value. Kept secret like a password.",
    )
    credentials_set = serializers.SerializerMethodField(
        help_text="Which credentials are stored; null where no key opens them."
    )
    last_sync = SyncRunReference(read_only=True, allow_null=True)
    last_synced_at = serializers.DateTimeField(
        read_only=True,
        allow_null=True,
        help_text="When the last sync ended that read the registry.",
    )

    files = FileCountsSerializer(
        read_only=True,
        allow_null=True,
        help_text="Of versions in production; null: there is none.",
    )

    class Meta:
        model = TrackingServer
        fields = (
            "id",
            "source",
            "name",
            "url",
            "auth_method",
            "workspace",
            "verify_tls",
            "ca_bundle",
            "connect_timeout",
            "read_timeout",
            "read_artifacts",
            "is_enabled",
            "reread_within",
            "concurrency",
            "request_budget",
            "vanish_percent",
            "vanish_always",
            "hash_files",
            "hash_limit",
            "rehash_days",
            *SCOPE_FIELDS,
            "find_unregistered",
            *SECRET_FIELDS,
            "credentials_set",
            "mlflow_version",
            "last_tested_at",
            "last_test_passed",
            "last_test_message",
            "failures_in_row",
            "paused_until",
            "last_sync",
            "last_synced_at",
            "files",
        )
        read_only_fields = (
            "source",
            "mlflow_version",
            "last_tested_at",
            "last_test_passed",
            "last_test_message",
            "failures_in_row",
            "paused_until",
        )

    def to_internal_value(self, data: Any) -> Any:
        """Refuse strangers: a mistyped “pasword” would be an open server."""
        if isinstance(data, Mapping) and (
            strangers := data.keys() - self.fields.keys()
        ):
            raise ValidationError(
                dict.fromkeys(sorted(strangers), "There is no such field.")
            )
        return super().to_internal_value(data)

    def create(self, validated_data: dict[str, Any]) -> TrackingServer:
        return self.update(TrackingServer(), validated_data)

    def update(
        self, instance: TrackingServer, validated_data: dict[str, Any]
    ) -> TrackingServer:
        name = validated_data.pop("source", {}).get("name")
        given = {
            secret: validated_data.pop(secret)
            for secret in SECRET_FIELDS
            if secret in validated_data
        }
        for field, value in validated_data.items():
            setattr(instance, field, value)
        return save_server(instance, name=name, credentials=Credentials(**given))

    @extend_schema_field(
        serializers.ListField(
            child=serializers.ChoiceField(choices=SECRET_FIELDS), allow_null=True
        )
    )
    def get_credentials_set(self, server: TrackingServer) -> list[str] | None:
        try:
            return [
                name
                for name in SECRET_FIELDS
                if _says_something(getattr(server, f"stored_{name}"))
            ]
        except InvalidToken:
            return None


def _says_something(stored: str | None) -> bool:
    """Tell whether a column of secrets holds one; an empty text is encrypted as well."""
    return stored is not None and decrypt_str(stored) not in ("", "{}")


class TestResultSerializer(serializers.Serializer[Any]):
    """What a connection test found. A test that fails is an answer, not an error."""

    passed = serializers.BooleanField()
    message = serializers.CharField()
    mlflow_version = serializers.CharField()
    username = serializers.CharField(help_text="As whom MLflow knows us.")
    kind = serializers.CharField(help_text="Of the failure, such as “unauthorized”.")


class SyncRequestSerializer(serializers.Serializer[Any]):
    is_full = serializers.BooleanField(
        default=False,
        help_text="Read every run, and list the artifacts of unchanged versions again.",
    )
    with_artifacts = serializers.BooleanField(default=True)


class TrackingServerFilter(FilterSet):
    auth_method = MultipleChoiceFilter(
        choices=TrackingServer.AuthMethod.choices, distinct=False
    )
    is_enabled = FlagFilter("is_enabled")
    last_test_passed = FlagFilter("last_test_passed")


class TrackingServerViewSet(
    mixins.CreateModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    WebhookActions,
):
    """The MLflow servers that models are read from."""

    queryset = (
        TrackingServer.objects.filter(removed_at=None)
        .select_related("source")
        .annotate(
            # As they are stored: a row that no key opens spoils no list.
            **{
                f"stored_{name}": Cast(f"secret__{name}", TextField())
                for name in SECRET_FIELDS
            },
            last_sync=Subquery(
                SyncRun.objects.of_registry()
                .filter(server=OuterRef("pk"))
                .values(told=JSONObject(id="pk", status="status"))[:1]
            ),
            files=file_counts(),
            last_synced_at=Max(
                "sync_runs__finished_at",
                filter=Q(
                    sync_runs__status__in=SyncRun.READ,
                    sync_runs__reach=SyncRun.Reach.REGISTRY,
                ),
            ),
        )
    )
    serializer_class = TrackingServerSerializer
    http_method_names = ("get", "head", "options", "post", "patch", "delete")
    permissions: ClassVar = {
        "create": Permission.MANAGE_SERVERS,
        "partial_update": Permission.MANAGE_SERVERS,
        "destroy": Permission.MANAGE_SERVERS,
        "test": Permission.SYNC,
        "sync": Permission.SYNC,
        **WebhookActions.webhook_permissions,
    }
    filterset_class = TrackingServerFilter
    search_fields = ("source__name", "url")
    ordering_fields: ClassVar = {
        "name": "source__name",
        "last_synced_at": "last_synced_at",
        "last_tested_at": "last_tested_at",
    }
    ordering = ("name",)

    def perform_create(self, serializer: BaseSerializer[TrackingServer]) -> None:
        serializer.instance = self.get_queryset().get(pk=serializer.save().pk)

    perform_update = perform_create

    def get_success_headers(self, data: Any) -> dict[str, str]:
        return {"Location": self.request.build_absolute_uri(f"{data['id']}/")}

    def perform_destroy(self, instance: TrackingServer) -> None:
        """Its models stay: what was known of them is evidence."""
        remove_server(instance)

    @extend_schema(request=None, responses=TestResultSerializer)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Ask the server who it is; takes as long as the server does."""
        return Response(TestResultSerializer(test_server(self.get_object())).data)

    @extend_schema(
        request=SyncRequestSerializer,
        responses={
            202: OpenApiResponse(
                SyncRunSerializer,
                description="Queued; the sync run tells its progress.",
            ),
            409: OpenApiResponse(description="One is queued or running already."),
        },
    )
    @action(detail=True, methods=["post"])
    def sync(self, request: Request, pk: str) -> Response:
        """Queue a sync."""
        wanted = SyncRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        run = request_sync(
            self.get_object(), trigger=SyncRun.Trigger.API, **wanted.validated_data
        )
        told = SyncRunSerializer(SyncRunViewSet.queryset.get(pk=run.pk))
        return Response(
            told.data,
            status=status.HTTP_202_ACCEPTED,
            headers={
                "Location": request.build_absolute_uri(f"/api/sync-runs/{run.pk}/")
            },
        )
