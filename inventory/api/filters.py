"""Filters that lists of several apps have: strict, where django-filter would look away."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.db.models import Model, QuerySet
from django_filters import ChoiceFilter, Filter, TypedChoiceFilter
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import extend_schema_field


class IdFilter(Filter):
    """The id of another resource: a whole number, or 400."""

    field_class = forms.IntegerField

    def __init__(self, field_name: str, **options: Any) -> None:
        super().__init__(field_name, min_value=1, **options)


@extend_schema_field({"type": "boolean"})
class FlagFilter(TypedChoiceFilter):
    """`true` or `false`; anything else is 400, where BooleanFilter would not filter."""

    def __init__(self, field_name: str, lookup_expr: str = "exact", **options: Any):
        options["choices"] = (("true", "true"), ("false", "false"))
        options["coerce"] = lambda told: told == "true"
        super().__init__(field_name, lookup_expr, **options)


class PresenceFilter(FilterSet):
    """Lists show what its source still tells, unless asked for what is absent."""

    absent_since: ClassVar[str] = "absent_since"  # the path to it

    presence = ChoiceFilter(
        choices=(("present", "present"), ("absent", "absent"), ("all", "all")),
        label="Whether the source still tells it; “present” by default.",
        method="filter_presence",
    )

    def filter_queryset(self, queryset: QuerySet[Model]) -> QuerySet[Model]:
        found: QuerySet[Model] = super().filter_queryset(queryset)
        if self.form.cleaned_data["presence"]:
            return found
        return self.filter_presence(found, "presence", "present")

    def filter_presence(
        self, queryset: QuerySet[Model], name: str, value: str
    ) -> QuerySet[Model]:
        if value == "all":
            return queryset
        return queryset.filter(**{f"{self.absent_since}__isnull": value == "present"})
