"""The list of models that nobody registered, and the page of one."""

from __future__ import annotations

import json
from typing import Any, ClassVar, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import markup
from accounts.filters import ChoiceFilter
from accounts.pages import RecordPage
from inventory import markup as parts
from inventory.admin.filters import SourceFilter
from inventory.models import UnregisteredModel, UnregisteredModelQuerySet

State = UnregisteredModel.State


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    default = State.UNREGISTERED.value
    choices_offered = tuple((state.value, str(state.label)) for state in State)

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return cast(UnregisteredModelQuerySet, rows).in_state(choice)


class KindFilter(ChoiceFilter):
    title = "kind"
    parameter_name = "kind"
    choices_offered = tuple(
        (kind.value, str(kind.label)) for kind in UnregisteredModel.Kind
    )

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(kind=choice)


class UnregisteredModelAdmin(RecordPage[UnregisteredModel]):
    """What runs logged and nobody registered; it is registered in MLflow."""

    record_template = "inventory/unregistered.html"
    list_display = (
        "shown_name",
        "shown_type",
        "shown_experiment",
        "shown_run",
        "shown_status",
        "shown_source",
        "shown_creation",
        "shown_first",
    )
    list_filter: ClassVar[Any] = (SourceFilter, KindFilter, StateFilter)
    list_select_related = ("source",)
    search_fields = ("name", "external_id", "model_type")
    search_help_text = "Name, type, run or address"
    ordering = ("-created_at", "pk")

    def for_list(self, rows: Any) -> QuerySet[UnregisteredModel]:
        found: QuerySet[UnregisteredModel] = rows.with_experiments()
        return found

    def for_page(self, rows: Any) -> QuerySet[UnregisteredModel]:
        found: QuerySet[UnregisteredModel] = rows.with_experiments()
        return found.select_related("source")

    @admin.display(description="model", ordering="name")
    def shown_name(self, model: UnregisteredModel) -> SafeString:
        return format_html(
            '<span class="vw-name" title="{0}">{0}</span>{1}'
            '<span class="vw-at">{2}</span>',
            model.name,
            parts.state(model),
            model.external_id,
        )

    @admin.display(description="type", ordering="model_type")
    def shown_type(self, model: UnregisteredModel) -> SafeString:
        return parts.short(model.model_type)

    @admin.display(description="experiment", ordering="experiment_id")
    def shown_experiment(self, model: UnregisteredModel) -> SafeString:
        return parts.short(model.experiment_name or model.experiment_id)

    @admin.display(description="run", ordering="run_id")
    def shown_run(self, model: UnregisteredModel) -> SafeString:
        return parts.short(model.run_id)

    @admin.display(description="status", ordering="status")
    def shown_status(self, model: UnregisteredModel) -> SafeString:
        return markup.value(model.status)

    @admin.display(description="source", ordering="source__name")
    def shown_source(self, model: UnregisteredModel) -> SafeString:
        return parts.source(model.source)

    @admin.display(description="created", ordering="created_at")
    def shown_creation(self, model: UnregisteredModel) -> SafeString:
        return markup.moment(model.created_at)

    @admin.display(description="first seen", ordering="first_seen_at")
    def shown_first(self, model: UnregisteredModel) -> SafeString:
        return markup.moment(model.first_seen_at)

    def list_crumb(self) -> tuple[str, str]:
        return "Unregistered models", super().list_crumb()[1]

    def record_context(
        self, request: HttpRequest, row: UnregisteredModel
    ) -> dict[str, Any]:
        return {"model": row, "call": registering(row)}


def registering(model: UnregisteredModel) -> str:
    """Return the call that registers it, to be copied."""
    address = json.dumps(model.external_id, ensure_ascii=False)
    return f'mlflow.register_model({address}, "<name>")'
