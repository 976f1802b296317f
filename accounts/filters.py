"""List filters that admin classes of several apps share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

ALL = "all"


class ChoiceFilter(admin.SimpleListFilter):
    """One of a few choices, or all. `default` is what a list shows before one chooses.

    What is offered but all is said by `choices_offered`, or by `lookups`.
    """

    choices_offered: ClassVar[tuple[tuple[str, str], ...]] = ()
    default: ClassVar[str] = ALL

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(self.choices_offered)

    def has_output(self) -> bool:
        """Offer no choice where there is none."""
        return len(self.lookup_choices) > 1 or bool(self.value())

    @property
    def chosen(self) -> str:
        return self.value() or self.default

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the choice; what is no choice, as in an old link, is all."""
        known = {str(choice) for choice, _ in self.lookup_choices}
        return self.narrow(queryset, self.chosen) if self.chosen in known else queryset

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        raise NotImplementedError

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        name = str(self.parameter_name)
        for choice, words in ((ALL, "All"), *self.lookup_choices):
            query = (
                changelist.get_query_string(remove=[name])
                if choice == self.default
                else changelist.get_query_string({name: choice})
            )
            yield {
                "selected": str(choice) == self.chosen,
                "query_string": query,
                "display": words,
                "is_default": choice == self.default,
            }
