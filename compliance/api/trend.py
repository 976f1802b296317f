"""The trend of gaps over REST: day by day, by severity, with the policies published."""

from __future__ import annotations

from typing import Any

from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rest import TenantViewSet
from compliance.catalogue import Severity
from compliance.models import Gap
from compliance.trend import LENGTHS, trend


class TrendQuerySerializer(serializers.Serializer[Any]):
    days = serializers.ChoiceField(
        choices=LENGTHS, default=90, help_text="How far back, today included."
    )
    kind = serializers.ChoiceField(choices=Gap.Kind.choices, default=Gap.Kind.RULE)


class CountsSerializer(serializers.Serializer[Any]):
    """How many gaps, by the severity that they have today."""

    critical = serializers.IntegerField()
    high = serializers.IntegerField()
    medium = serializers.IntegerField()
    low = serializers.IntegerField()

    def to_representation(self, counts: Any) -> dict[str, int]:
        return {level.name.lower(): counts[level] for level in Severity}


class DaySerializer(serializers.Serializer[Any]):
    """A day, in UTC: what stood at its end, and what happened on it."""

    day = serializers.DateField()
    open = CountsSerializer(help_text="At the end of the day, without waived ones.")
    waived = serializers.IntegerField(help_text="At the end of the day.")
    opened = CountsSerializer(
        help_text="Opened or reopened, also where a waiver covered them at once."
    )
    closed = CountsSerializer()


class PublishedSerializer(serializers.Serializer[Any]):
    """A policy that was published."""

    number = serializers.IntegerField()
    title = serializers.CharField()
    day = serializers.DateField()


class TrendSerializer(serializers.Serializer[Any]):
    """The days, the earliest first, and the policies that were published on them."""

    days = DaySerializer(many=True)
    policies = PublishedSerializer(many=True)


class Trends(TenantViewSet[Gap]):
    """What the gaps have beside their list: how they became so many."""

    @extend_schema(
        parameters=[TrendQuerySerializer],
        responses=forced_singular_serializer(TrendSerializer),  # type: ignore[no-untyped-call]
        filters=False,
    )
    @action(detail=False, pagination_class=None)
    def trend(self, request: Request) -> Response:
        """Open, opened and closed gaps by severity, day by day. Costs two queries."""
        known = TrendQuerySerializer().fields
        if strangers := [name for name in request.query_params if name not in known]:
            there = ", ".join(sorted(known))
            told = f"There is no such parameter here. There are: {there}."
            raise serializers.ValidationError(dict.fromkeys(strangers, told))
        wanted = TrendQuerySerializer(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        found = trend(int(asked["days"]), kind=Gap.Kind(asked["kind"]))
        return Response(TrendSerializer(found).data)
