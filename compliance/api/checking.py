"""The verdict on one version, for a pipeline that calls instead of running a command."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.permissions import MemberPermission
from compliance.api.fields import GATES, SEVERITIES
from compliance.api.gaps import RemedySerializer
from compliance.check_formats import plain
from compliance.check_version import check_version, versions_called
from compliance.checking import Answer
from compliance.models import VERDICTS, Evaluation

NAMELESS = "Say which: this parameter is required."
ANSWERS = [(answer.value, answer.value.replace("_", " ")) for answer in Answer]


class CheckedRuleSerializer(serializers.Serializer[Any]):
    """What a rule said, and whether its gap is open or waived."""

    rule_id = serializers.CharField()
    title = serializers.CharField()
    severity = serializers.ChoiceField(choices=SEVERITIES)
    gate = serializers.ChoiceField(choices=GATES)
    verdict = serializers.ChoiceField(choices=VERDICTS)
    detail = serializers.CharField()
    gap = serializers.ChoiceField(
        choices=[("open", "open"), ("waived", "waived")], allow_null=True
    )
    waived = serializers.CharField(help_text="By whom, until when and why.")
    remedy = RemedySerializer()
    controls = serializers.ListField(child=serializers.CharField())


class CheckSerializer(serializers.Serializer[Any]):
    """May the version go to production? With every rule that was asked."""

    model = serializers.CharField()
    version = serializers.IntegerField()
    model_version = serializers.IntegerField(help_text="Its id in the inventory.")
    organization = serializers.SlugField()
    server = serializers.CharField()
    lifecycle_stage = serializers.CharField()
    verdict = serializers.ChoiceField(choices=ANSWERS)
    sentence = serializers.CharField()
    judged_at = serializers.DateTimeField(
        allow_null=True, help_text="When a result last changed."
    )
    rules = CheckedRuleSerializer(many=True)


class Wanted(serializers.Serializer[Any]):
    """The parameters. All that is wrong is named at once."""

    model = serializers.CharField(error_messages={"required": NAMELESS})
    version = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, error_messages={"required": NAMELESS}
    )
    server = serializers.CharField(required=False, default="")


class CheckVersionViewSet(GenericViewSet[Any]):
    """Whether one version may go to production, as a pipeline asks it."""

    queryset = Evaluation.objects.none()  # an answer, not rows
    serializer_class = CheckSerializer
    permission_classes = (MemberPermission,)
    metadata_class = None
    pagination_class = None
    query_parameters: ClassVar = ("model", "version", "server")

    @extend_schema(
        parameters=[
            OpenApiParameter("model", str, required=True),
            OpenApiParameter("version", int, required=True),
            OpenApiParameter(
                "server", str, description="Where several have a model of this name."
            ),
        ],
        responses=forced_singular_serializer(CheckSerializer),  # type: ignore[no-untyped-call]  # untyped
    )
    def list(self, request: Request) -> Response:
        """Answer for one version; it is judged first if it has changed."""
        self.filter_queryset(self.get_queryset())  # refuses unknown parameters
        wanted = Wanted(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        found = versions_called(**wanted.validated_data)
        if not found:
            raise Http404
        if len(found) > 1:
            servers = ", ".join(version.source.name for version in found)
            raise ValidationError({"server": f"Say which one: {servers}."})
        return Response(CheckSerializer(plain(check_version(found[0]))).data)
