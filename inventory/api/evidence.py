"""Evidence files over REST: kept, listed, downloaded; never changed, never deleted."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import PersonSerializer
from accounts.rest import ReadOnlyTenantViewSet
from accounts.roles import Permission
from inventory.evidence import keep_file
from inventory.models import EvidenceFile


class KeptFileSerializer(serializers.ModelSerializer[EvidenceFile]):
    """A file that somebody brought, by its name, size and digest."""

    uploaded_by = PersonSerializer(allow_null=True)

    class Meta:
        model = EvidenceFile
        fields = (
            "id",
            "name",
            "content_type",
            "size",
            "sha256",
            "uploaded_by",
            "uploaded_at",
        )
        read_only_fields = fields


class UploadSerializer(serializers.Serializer[Any]):
    file = serializers.FileField(allow_empty_file=True)


class EvidenceFileViewSet(ReadOnlyTenantViewSet[EvidenceFile]):
    """The files that were brought as evidence. An attestation names one by its id."""

    queryset = EvidenceFile.objects.select_related("uploaded_by")
    serializer_class = KeptFileSerializer
    parser_classes = (MultiPartParser,)
    permissions: ClassVar = {"create": Permission.ATTEST}
    filterset_fields = ("sha256",)
    search_fields = ("name",)
    ordering_fields = ("name", "size", "uploaded_at")
    ordering = ("-uploaded_at",)

    @extend_schema(
        request={"multipart/form-data": UploadSerializer},
        responses={201: KeptFileSerializer},
    )
    def create(self, request: Request) -> Response:
        wanted = UploadSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        kept = keep_file(wanted.validated_data["file"])
        return Response(self.get_serializer(kept).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        responses={
            (200, "application/octet-stream"): OpenApiResponse(
                OpenApiTypes.BINARY, description="The file as it was brought."
            )
        }
    )
    @action(detail=True)
    def download(self, request: Request, pk: str) -> FileResponse:
        """Send the file to be saved: a browser never shows what somebody brought."""
        kept = self.get_object()
        try:
            content = kept.file.open("rb")
        except FileNotFoundError:
            raise NotFound(f"“{kept}” is not in the store of files any more.") from None
        return FileResponse(
            content,
            as_attachment=True,
            filename=kept.name,
            content_type="application/octet-stream",
        )
