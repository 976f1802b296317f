"""What lists of models and of versions are narrowed by."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from accounts.filters import ChoiceFilter
from inventory.coverage import known
from inventory.models import (
    ModelVersion,
    RegisteredModel,
    RegisteredModelQuerySet,
    Source,
)
from inventory.records import CANONICAL_FIELDS, FIELDS, Stage

OWNERS_OFFERED = 200
NOBODY = "(nobody)"


def having(rows: QuerySet[Any], condition: Q) -> QuerySet[Any]:
    """Narrow versions by a condition, and models to those with such a present version."""
    if rows.model is ModelVersion:
        return rows.filter(condition)
    versions = ModelVersion.objects.present().filter(registered_model=OuterRef("pk"))
    return rows.filter(Exists(versions.filter(condition)))


class PresenceFilter(ChoiceFilter):
    title = "presence"
    parameter_name = "presence"
    default = "present"
    choices_offered = (("present", "Present"), ("absent", "No longer told"))

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(absent_since__isnull=choice == "present")


class ScopeFilter(ChoiceFilter):
    """What is read of a server, and what is only listed."""

    title = "scope"
    parameter_name = "scope"
    default = "in"
    choices_offered = (("in", "In scope"), ("out", "Out of scope"))

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        models = cast(RegisteredModelQuerySet, rows)
        return models.in_scope() if choice == "in" else models.out_of_scope()


class StageFilter(ChoiceFilter):
    title = "stage"
    parameter_name = "stage"
    choices_offered = tuple((stage.value, stage.value) for stage in Stage)

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return having(rows, Q(lifecycle_stage=choice))


class OwnerFilter(ChoiceFilter):
    """Costs one query; of many owners the search finds those that are not offered."""

    title = "owner"
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        owners = (
            ModelVersion.objects.present()
            .exclude(owner="")
            .order_by("owner")
            .values_list("owner", flat=True)
            .distinct()[:OWNERS_OFFERED]
        )
        return [(NOBODY, "Nobody"), *((owner, owner) for owner in owners)]

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return having(rows, Q(owner="" if choice == NOBODY else choice))


class SourceFilter(ChoiceFilter):
    """Costs one query."""

    title = "source"
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            (str(pk), name) for pk, name in Source.objects.values_list("pk", "name")
        ]

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(source_id=choice)


class CompletenessFilter(ChoiceFilter):
    """How many of the record's fields are known; and what could not be read at all."""

    title = "completeness"
    parameter_name = "completeness"
    choices_offered = (
        ("whole", "All fields known"),
        ("most", "Three quarters or more"),
        ("half", "Half to three quarters"),
        ("few", "Less than half"),
        ("unread", "A section could not be read"),
    )

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        if choice == "unread":
            return unread(rows)
        whole = len(CANONICAL_FIELDS)
        least, most = {
            "whole": (whole, whole),
            "most": (whole * 3 // 4, whole - 1),
            "half": (whole // 2, whole * 3 // 4 - 1),
            "few": (0, whole // 2 - 1),
        }[choice]
        return having(rows, Q(known_fields__range=(least, most)))


class LackingFilter(ChoiceFilter):
    """Versions of which one field is unknown, to which the coverage leads."""

    title = "lacking"
    parameter_name = "lacking"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the chosen field alone: the coverage is the place to choose another."""
        field = FIELDS.get(request.GET.get(self.parameter_name, ""))
        return [(field.name, field.label)] if field else []

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.exclude(known(choice))


def unread(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Narrow to records of which a section could not be read."""
    return having(rows, ~Q(incomplete={}))


class ModelFilter(ChoiceFilter):
    """The versions of one model, to which its page leads; offered nowhere else."""

    title = "model"
    parameter_name = "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(self.parameter_name, "")
        if not chosen.isdecimal():
            return []
        named = RegisteredModel.objects.filter(pk=chosen).values_list("pk", "name")
        return [(str(pk), name) for pk, name in named]

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(registered_model_id=choice)
