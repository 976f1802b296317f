"""Unregistered models over REST."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django_filters import CharFilter, ChoiceFilter, MultipleChoiceFilter
from django_filters.rest_framework import FilterSet
from rest_framework import serializers

from accounts.rest import ReadOnlyTenantViewSet
from inventory.api.filters import IdFilter
from inventory.api.models import SourceReference
from inventory.models import UnregisteredModel, UnregisteredModelQuerySet

State = UnregisteredModel.State


class UnregisteredModelSerializer(serializers.ModelSerializer[UnregisteredModel]):
    """A model that a run logged and no version of the registry is made from."""

    source = SourceReference()  # type: ignore[assignment]  # not Field.source
    address = serializers.CharField(
        source="external_id",
        help_text="What registers it: `models:/m-…`, or `runs:/<run>/<path>`.",
    )
    experiment_name = serializers.CharField(
        allow_null=True, help_text="Null where the experiment is not known any more."
    )
    state = serializers.ChoiceField(choices=State.choices)

    class Meta:
        model = UnregisteredModel
        fields = (
            "id",
            "source",
            "address",
            "kind",
            "name",
            "model_type",
            "status",
            "state",
            "run_id",
            "experiment_id",
            "experiment_name",
            "created_at",
            "first_seen_at",
            "changed_at",
            "registered_at",
            "absent_since",
        )
        read_only_fields = fields


class UnregisteredModelFilter(FilterSet):
    """Lists show what is unregistered now, unless asked for what became of others."""

    state = ChoiceFilter(
        choices=(*State.choices, ("all", "all")),
        method="filter_state",
        label="What became of it; “unregistered” by default.",
    )
    source = IdFilter("source")
    kind = MultipleChoiceFilter(choices=UnregisteredModel.Kind.choices, distinct=False)
    run_id = CharFilter("run_id")
    experiment_id = CharFilter("experiment_id")

    def filter_queryset(self, queryset: Any) -> UnregisteredModelQuerySet:
        found = cast(UnregisteredModelQuerySet, super().filter_queryset(queryset))
        if self.form.cleaned_data["state"]:
            return found
        return self.filter_state(found, "state", State.UNREGISTERED)

    def filter_state(
        self, queryset: UnregisteredModelQuerySet, name: str, value: str
    ) -> UnregisteredModelQuerySet:
        return queryset if value == "all" else queryset.in_state(value)


class UnregisteredModelViewSet(ReadOnlyTenantViewSet[UnregisteredModel]):
    """Models that runs logged and nobody registered, where they are looked for."""

    queryset = UnregisteredModel.objects.select_related("source").with_experiments()
    serializer_class = UnregisteredModelSerializer
    filterset_class = UnregisteredModelFilter
    search_fields = ("name", "external_id", "model_type")
    ordering_fields: ClassVar = {
        "name": "name",
        "created_at": "created_at",
        "first_seen_at": "first_seen_at",
        "changed_at": "changed_at",
    }
    ordering = ("-created_at",)
