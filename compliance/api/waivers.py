"""Waivers over REST: asked for, decided on, renewed; never changed, never deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.utils.timezone import now
from django_filters import CharFilter, ChoiceFilter
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
)
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import PersonSerializer
from accounts.rest import ReadOnlyTenantViewSet
from accounts.roles import Permission
from compliance import waivers
from compliance.markup import title
from compliance.models import Gap, Waiver
from inventory.api.filters import FlagFilter, IdFilter
from inventory.models import RegisteredModel

LATE = OpenApiResponse(description="It is in no state for this: the sentence says why.")


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A waiver in force",
            response_only=True,
            value={
                "id": 3,
                "kind": "waiver",
                "scope": "gap",
                "gap": 7,
                "registered_model": None,
                "rule_id": "VW-INV-001",
                "title": "Every model has an owner",
                "subject": "VW-INV-001 on credit-scoring version 3",
                "reason": "The team is being moved; the new owner starts in March.",
                "ends_on": "2027-03-31",
                "renews": None,
                "status": "approved",
                "requested_by": {"id": 4, "email": "max@example.org", "name": "Max"},
                "requested_at": "2026-11-20T08:00:00Z",
                "decided_by": {"id": 2, "email": "olga@example.org", "name": "Olga"},
                "decided_at": "2026-11-20T09:30:00Z",
                "decision": "Fine until then.",
                "ended_by": None,
                "ended_at": None,
                "ending": "",
            },
        )
    ]
)
class WaiverSerializer(serializers.ModelSerializer[Waiver]):
    """A rule that is not to count for a while, for a reason."""

    title = serializers.SerializerMethodField(help_text="Of the rule.")
    subject = serializers.CharField(help_text="What it is for, in words.")
    status = serializers.ChoiceField(
        choices=Waiver.Status.choices,
        source="current_status",
        help_text="As of today: one whose last day is over is expired.",
    )
    requested_by = PersonSerializer()
    decided_by = PersonSerializer(allow_null=True)
    ended_by = PersonSerializer(allow_null=True)

    class Meta:
        model = Waiver
        fields = (
            "id",
            "kind",
            "scope",
            "gap",
            "registered_model",
            "rule_id",
            "title",
            "subject",
            "reason",
            "ends_on",
            "renews",
            "status",
            "requested_by",
            "requested_at",
            "decided_by",
            "decided_at",
            "decision",
            "ended_by",
            "ended_at",
            "ending",
        )
        read_only_fields = fields

    def get_title(self, waiver: Waiver) -> str:
        return title(waiver.rule_id)


class NewWaiverSerializer(serializers.Serializer[Any]):
    """What a waiver is asked for: one gap, or a rule on a model or on all models."""

    kind = serializers.ChoiceField(choices=Waiver.Kind.choices, default="waiver")
    scope = serializers.ChoiceField(choices=Waiver.Scope.choices)
    gap = serializers.PrimaryKeyRelatedField(
        queryset=Gap.objects.none(), required=False, help_text="Of the scope `gap`."
    )
    registered_model = serializers.PrimaryKeyRelatedField(
        queryset=RegisteredModel.objects.none(),
        required=False,
        help_text="Of the scope `model`.",
    )
    rule_id = serializers.CharField(
        required=False, help_text="Of the scopes `model` and `organization`."
    )
    reason = serializers.CharField(allow_blank=True)
    ends_on = serializers.DateField(
        required=False,
        allow_null=True,
        default=None,
        help_text="The last day, in UTC; “not applicable” needs none.",
    )

    OF_SCOPE: ClassVar = {
        "gap": ("gap",),
        "model": ("registered_model", "rule_id"),
        "organization": ("rule_id",),
    }

    def get_fields(self) -> dict[str, Any]:
        """Look gaps and models up as late as they are wanted: tenants differ."""
        fields = super().get_fields()
        fields["gap"].queryset = Gap.objects.select_related(  # type: ignore[attr-defined]  # a related field
            "version__registered_model", "source"
        )
        fields["registered_model"].queryset = RegisteredModel.objects.all()  # type: ignore[attr-defined]  # as above
        return fields

    def validate(self, told: dict[str, Any]) -> dict[str, Any]:
        scope = told["scope"]
        wanted = self.OF_SCOPE[scope]
        faults = {
            name: f"The scope “{scope}” needs it."
            for name in wanted
            if name not in told
        }
        for name in ("gap", "registered_model", "rule_id"):
            if name in told and name not in wanted:
                faults[name] = f"It does not go with the scope “{scope}”."
        if faults:
            raise serializers.ValidationError(faults)
        return told


class WaiverReasonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(allow_blank=True)


class RenewalSerializer(WaiverReasonSerializer):
    ends_on = serializers.DateField(required=False, allow_null=True, default=None)


class WaiverFilter(FilterSet):
    status = ChoiceFilter(
        choices=Waiver.Status.choices, method="filter_status", label="As of today."
    )
    kind = ChoiceFilter(choices=Waiver.Kind.choices)
    scope = ChoiceFilter(choices=Waiver.Scope.choices)
    rule_id = CharFilter("rule_id")
    gap = IdFilter("gap")
    registered_model = IdFilter("registered_model")
    requested_by = IdFilter("requested_by")
    is_expiring = FlagFilter(
        "ends_on",
        method="filter_expiring",
        label="In force, and over in thirty days at most.",
    )

    def filter_status(
        self, queryset: QuerySet[Waiver], name: str, value: str
    ) -> QuerySet[Waiver]:
        over = Q(status=Waiver.Status.APPROVED, ends_on__lt=now().date())
        if value == Waiver.Status.EXPIRED:
            return queryset.filter(Q(status=value) | over)
        return queryset.filter(~over, status=value)

    def filter_expiring(
        self, queryset: QuerySet[Waiver], name: str, value: bool
    ) -> QuerySet[Waiver]:
        expiring = Waiver.objects.expiring().values("pk")
        return (
            queryset.filter(pk__in=expiring)
            if value
            else queryset.exclude(pk__in=expiring)
        )


class WaiverViewSet(ReadOnlyTenantViewSet[Waiver]):
    """What is not to count for a while: asked for by one person, decided on by another."""

    queryset = Waiver.objects.select_related(
        "gap__version__registered_model",
        "gap__source",
        "registered_model",
        "requested_by",
        "decided_by",
        "ended_by",
    )
    serializer_class = WaiverSerializer
    filterset_class = WaiverFilter
    permissions: ClassVar = {
        "create": Permission.ASK_WAIVER,
        "approve": Permission.APPROVE_WAIVER,
        "refuse": Permission.APPROVE_WAIVER,
        "withdraw": Permission.ASK_WAIVER,
        "renew": Permission.ASK_WAIVER,
        "revoke": Permission.APPROVE_WAIVER,
    }
    search_fields = ("rule_id", "reason", "registered_model__name")
    ordering_fields: ClassVar = {
        "requested_at": "requested_at",
        "ends_on": "ends_on",
        "rule_id": "rule_id",
    }
    ordering = ("-requested_at",)

    @extend_schema(request=NewWaiverSerializer, responses={201: WaiverSerializer})
    def create(self, request: Request) -> Response:
        wanted = NewWaiverSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        told = wanted.validated_data
        terms = waivers.Terms(
            kind=Waiver.Kind(told["kind"]),
            reason=told["reason"],
            ends_on=told["ends_on"],
        )
        if told["scope"] == Waiver.Scope.GAP:
            waiver = waivers.ask_for_gaps([told["gap"]], terms)[0]
        else:
            waiver = waivers.ask_for_rule(
                told["rule_id"], terms, registered_model=told.get("registered_model")
            )
        return self._told(waiver, status.HTTP_201_CREATED)

    @extend_schema(
        request=WaiverReasonSerializer, responses={200: WaiverSerializer, 409: LATE}
    )
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """Put it in force; not by who asked for it."""
        return self._act(request, waivers.approve)

    @extend_schema(
        request=WaiverReasonSerializer, responses={200: WaiverSerializer, 409: LATE}
    )
    @action(detail=True, methods=["post"])
    def refuse(self, request: Request, pk: str) -> Response:
        """Decide against it; not by who asked for it."""
        return self._act(request, waivers.refuse)

    @extend_schema(
        request=WaiverReasonSerializer, responses={200: WaiverSerializer, 409: LATE}
    )
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """Take back what one asked for oneself."""
        return self._act(request, waivers.withdraw)

    @extend_schema(
        request=RenewalSerializer, responses={201: WaiverSerializer, 409: LATE}
    )
    @action(detail=True, methods=["post"])
    def renew(self, request: Request, pk: str) -> Response:
        """Ask for the same for longer: the answer is a waiver of its own."""
        wanted = RenewalSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        renewal = waivers.renew(self.get_object(), **wanted.validated_data)
        return self._told(renewal, status.HTTP_201_CREATED)

    @extend_schema(
        request=WaiverReasonSerializer, responses={200: WaiverSerializer, 409: LATE}
    )
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """End what is in force before its last day; its gaps are open again."""
        return self._act(request, waivers.revoke)

    def _act(self, request: Request, act: Callable[..., Waiver]) -> Response:
        wanted = WaiverReasonSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        waiver = act(self.get_object(), reason=wanted.validated_data["reason"])
        return self._told(waiver, status.HTTP_200_OK)

    def _told(self, waiver: Waiver, code: int) -> Response:
        return Response(self.get_serializer(waiver).data, status=code)
