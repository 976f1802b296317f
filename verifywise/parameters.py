"""What may follow the ? of an API list: known parameters only, and orders that hold still.

A parameter that nothing reads would be an answer to another question than was asked;
hence 400, with the name of the parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db.models import F, Model, QuerySet
from django.db.models.expressions import OrderBy
from django_filters import MultipleChoiceFilter
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend, OrderingFilter, SearchFilter
from rest_framework.request import Request
from rest_framework.views import APIView

M = TypeVar("M", bound=Model)
R = TypeVar("R")  # what a row of the queryset is
PAGE_PARAMETERS = ("page_query_param", "page_size_query_param", "cursor_query_param")


class KnownParameters(BaseFilterBackend):
    """Refuses parameters that are unknown, empty, or given twice for one value.

    A view's `query_parameters` names those it reads itself. Details take no other.
    """

    def filter_queryset(
        self, request: Request, queryset: QuerySet[M, R], view: APIView
    ) -> QuerySet[M, R]:
        known = known_parameters(view)
        if faults := {
            name: fault
            for name, values in request.query_params.lists()
            if (fault := _fault(name, values, known))
        }:
            raise ValidationError(faults)
        return queryset


def known_parameters(view: Any) -> Mapping[str, bool]:
    """Map each parameter that the view reads to whether it may be given repeatedly."""
    known = dict.fromkeys(getattr(view, "query_parameters", ()), False)
    if view.detail:
        return known
    for attribute in PAGE_PARAMETERS:
        if name := getattr(view.paginator, attribute, None):
            known[name] = False
    if getattr(view, "search_fields", ()):
        known[Search.search_param] = False
    if getattr(view, "ordering_fields", ()):
        known[Ordering.ordering_param] = False
    filterset = DjangoFilterBackend().get_filterset_class(view, view.queryset)
    if filterset:
        known |= {
            name: isinstance(found, MultipleChoiceFilter)
            for name, found in filterset.base_filters.items()
        }
    return known


def _fault(name: str, values: list[str], known: Mapping[str, bool]) -> str:
    if name not in known:
        there = f"There are: {', '.join(sorted(known))}." if known else "There is none."
        return f"There is no such parameter here. {there}"
    if len(values) > 1 and not known[name]:
        return "This parameter is given more than once."
    if not all(value.strip() for value in values):
        return "This parameter has no value."
    if any("\x00" in value for value in values):
        return "A NUL character is not allowed."
    return ""


class Filters(DjangoFilterBackend):
    """Filters lists only: what they leave out by default can be found by its id."""

    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        if view.detail:
            return queryset
        return super().filter_queryset(request, queryset, view)


class Ordering(OrderingFilter):
    """Orders by public names, unknown values last, ties by id: pages never overlap.

    A view's `ordering_fields` are names, or map names to paths of its model; `ordering`
    is what applies unless the request says otherwise.
    """

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: Any
    ) -> QuerySet[Any]:
        paths = _paths(view)
        told = request.query_params.get(self.ordering_param)
        names = told.split(",") if told else getattr(view, "ordering", ())
        if not names or not paths or view.detail:
            return queryset
        names = [name.strip() for name in names]
        if strangers := [name for name in names if name.removeprefix("-") not in paths]:
            raise ValidationError(
                {
                    self.ordering_param: f"Cannot order by “{strangers[0]}”, only by "
                    f"{', '.join(paths)}, each also with - before it."
                }
            )
        return queryset.order_by(*(_by(name, paths) for name in names), "pk")

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        paths = _paths(view)
        if not paths:
            return []
        names = [sign + name for name in paths for sign in ("", "-")]
        usual = ", ".join(getattr(view, "ordering", ()))
        return [
            {
                "name": self.ordering_param,
                "in": "query",
                "description": "One or several, separated by commas."
                + (f" By default: {usual}." if usual else ""),
                "schema": {"type": "array", "items": {"type": "string", "enum": names}},
                "explode": False,
                "style": "form",
            }
        ]


def _paths(view: Any) -> dict[str, str]:
    fields = getattr(view, "ordering_fields", ())
    return dict(fields) if isinstance(fields, Mapping) else {f: f for f in fields}


def _by(name: str, paths: Mapping[str, str]) -> OrderBy:
    column = F(paths[name.removeprefix("-")])
    if name.startswith("-"):
        return column.desc(nulls_last=True)
    return column.asc(nulls_last=True)


class Search(SearchFilter):
    """Every word has to be found in one of the view's `search_fields`."""

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        if not getattr(view, "search_fields", ()):
            return []
        return super().get_schema_operation_parameters(view)
