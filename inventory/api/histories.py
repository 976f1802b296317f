"""Who served when, and what an alias meant, over REST: intervals with honest bounds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers

from inventory.models import LifecycleEvent
from inventory.records import Stage
from inventory.serving import Between, Certainty, Interval

STAGES = [(stage.value, stage.value) for stage in Stage]

AT = OpenApiParameter(
    "at",
    {"type": "string", "format": "date-time"},
    description="Only what served, or may have served, at this moment. `certainty` says "
    "which: `certain` is what the syncs around it saw, `possible` what began or ended "
    "between two of them.",
)
ALIAS = OpenApiParameter("alias", str, description="Only this alias.")


class MomentParameter(serializers.Serializer[Any]):
    """A moment that has been."""

    at = serializers.DateTimeField(required=False)

    def validate_at(self, at: datetime) -> datetime:
        if at > now():
            raise serializers.ValidationError("This moment has not come yet.")
        return at


class BetweenSerializer(serializers.Serializer[Between]):
    """Two moments between which something happened; MLflow tells no exact one."""

    observed_after = serializers.DateTimeField(
        source="after",
        allow_null=True,
        help_text="When the last sync began that still saw it as it was; null: unknown.",
    )
    observed_before = serializers.DateTimeField(
        source="before", help_text="The sync that saw it moved."
    )


class LifecycleEventSerializer(serializers.ModelSerializer[LifecycleEvent]):
    """A move to another stage, at some moment between two syncs."""

    from_stage = serializers.ChoiceField(
        choices=STAGES, allow_blank=True, help_text="Empty: it was not told before."
    )
    to_stage = serializers.ChoiceField(
        choices=STAGES, allow_blank=True, help_text="Empty: it is no longer told."
    )

    class Meta:
        model = LifecycleEvent
        fields = (
            "from_stage",
            "to_stage",
            "told_by",
            "observed_after",
            "observed_before",
        )
        read_only_fields = fields


class SpanSerializer(serializers.Serializer[Any]):
    """A version, from when until when."""

    model_version = serializers.IntegerField(
        source="version", allow_null=True, help_text="Its id in `modelInventory`."
    )
    version_number = serializers.IntegerField(source="number")
    since = BetweenSerializer()
    until = BetweenSerializer(allow_null=True, help_text="Null: it still is.")


_MARCH = {
    "model_version": 12,
    "version_number": 3,
    "since": {
        "observed_after": "2026-03-02T09:00:04Z",
        "observed_before": "2026-03-02T10:00:07Z",
    },
    "until": {
        "observed_after": "2026-04-14T15:00:03Z",
        "observed_before": "2026-04-14T16:00:09Z",
    },
}


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "What served on 31 March",
            response_only=True,
            value={
                **_MARCH,
                "told_by": "alias champion",
                "followed_by": "Archived",
                "certainty": "certain",
            },
        )
    ]
)
class IntervalSerializer(SpanSerializer):
    """A version was in production. The context's `certainty` judges it at a moment."""

    told_by = serializers.CharField(help_text="What said so when it began.")
    followed_by = serializers.ChoiceField(
        choices=STAGES,
        allow_blank=True,
        allow_null=True,
        help_text="The next stage; empty: it was no longer told; null: it still serves.",
    )
    certainty = serializers.SerializerMethodField(
        help_text="How sure it is that it served `at` the moment; null: none was named."
    )

    @extend_schema_field(
        serializers.ChoiceField(
            choices=[(each.value, each.value) for each in Certainty], allow_null=True
        )
    )
    def get_certainty(self, interval: Interval) -> Certainty | None:
        judge = self.context.get("certainty")
        return judge(interval) if judge else None


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A champion of six weeks",
            response_only=True,
            value={**_MARCH, "alias": "champion", "followed_by": 4},
        )
    ]
)
class TenureSerializer(SpanSerializer):
    """An alias pointed to a version."""

    alias = serializers.CharField()
    followed_by = serializers.IntegerField(
        allow_null=True,
        help_text="The next version; null: it was removed, or still is there.",
    )
