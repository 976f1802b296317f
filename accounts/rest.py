"""The base of every viewset: it shows the organization's rows, and roles decide.

class GapViewSet(ReadOnlyTenantViewSet[Gap]):
    queryset = Gap.objects.select_related("version__registered_model")
    serializer_class = GapSerializer
    permissions = {"waive": Permission.ASK_WAIVER}

    @action(detail=True, methods=["post"])
    def waive(self, request: Request, pk: str) -> Response: ...
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from rest_framework import exceptions, mixins, viewsets
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error

from accounts import tenancy
from accounts.permissions import MemberPermission
from accounts.roles import Permission

M = TypeVar("M", bound=Model)


class TenantViewSet(viewsets.GenericViewSet[M]):
    """Rows of the organization that is being acted for; mixins add what can be done.

    `permissions` maps an action to what it needs. Reading needs VIEW where nothing
    else is named; an unnamed action that changes something is refused. Writing goes
    through acts, whose ValidationError and NotAllowed become problem details here.
    """

    permission_classes = (MemberPermission,)
    permissions: ClassVar[Mapping[str, Permission]] = {}
    metadata_class = None  # OPTIONS would try each permission, and answer nothing new

    def get_queryset(self) -> QuerySet[M]:
        rows = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):  # the schema has no organization
            return rows.none()
        return rows.filter(organization_id=tenancy.current_organization_id())

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, ValidationError):
            exc = exceptions.ValidationError(as_serializer_error(exc))
        return super().handle_exception(exc)


class ReadOnlyTenantViewSet(
    mixins.RetrieveModelMixin, mixins.ListModelMixin, TenantViewSet[M]
):
    """A list and its entries, nothing to change; acts may be added as actions."""
