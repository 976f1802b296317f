"""The list of registered models, and the page of one with its versions."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import (
    Case,
    Count,
    F,
    IntegerField,
    OuterRef,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import JSONObject
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import now

from accounts import markup
from accounts.pages import HistoryPage, RecordPage
from inventory import markup as parts
from inventory import spans
from inventory.admin import filters, search
from inventory.admin.attesting import AttestsSelected
from inventory.histories import alias_history, serving
from inventory.models import Attestation, ModelVersion, RegisteredModel
from inventory.people import members_named
from inventory.records import Stage

VERSIONS_SHOWN = 100
SPANS_SHOWN = 50
CHAMPION = "champion"


class RegisteredModelAdmin(
    AttestsSelected[RegisteredModel],
    HistoryPage[RegisteredModel],
    RecordPage[RegisteredModel],
):
    """Models and their versions. `compliance.admin` adds what is judged of them."""

    record_template = "inventory/model.html"
    list_display: tuple[str, ...] = (
        "shown_name",
        "shown_versions",
        "shown_production",
        "shown_owner",
        "shown_completeness",
        "shown_source",
        "shown_change",
    )
    list_filter: ClassVar[Any] = (
        filters.StageFilter,
        filters.OwnerFilter,
        filters.SourceFilter,
        filters.CompletenessFilter,
        filters.PresenceFilter,
        filters.ScopeFilter,
    )
    search_fields = ("name",)
    search_help_text = "Name, owner or tag, as in risk_category=high"
    ordering = ("name", "pk")
    attested = "models"  # and so all their versions

    def get_queryset(self, request: HttpRequest) -> QuerySet[RegisteredModel]:
        return with_versions(super().get_queryset(request).select_related("source"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search.search_models(queryset, search_term), False

    def list_crumb(self) -> tuple[str, str]:
        return "Models", super().list_crumb()[1]

    @admin.display(description="model", ordering="name")
    def shown_name(self, model: RegisteredModel) -> SafeString:
        return format_html(
            '<span class="vw-name" title="{0}">{0}</span>{1}{2}',
            model.name,
            parts.scope(model),
            parts.presence(model),
        )

    @admin.display(description="versions", ordering="versions_count")
    def shown_versions(self, model: Any) -> SafeString:
        return markup.number(model.versions_count or 0)

    @admin.display(description="in production", ordering="production__number")
    def shown_production(self, model: Any) -> SafeString:
        if not model.production:
            return markup.NOTHING
        address = version_address(model.production["id"])
        return markup.link(address, f"version {model.production['number']}")

    @admin.display(description="owner", ordering="leading__owner")
    def shown_owner(self, model: Any) -> SafeString:
        return parts.short(model.leading["owner"]) if model.leading else markup.NOTHING

    @admin.display(description="record", ordering="leading__known_fields")
    def shown_completeness(self, model: Any) -> SafeString:
        if not model.leading:
            return markup.NOTHING
        return parts.completeness(model.leading["known_fields"])

    @admin.display(description="source", ordering="source__name")
    def shown_source(self, model: RegisteredModel) -> SafeString:
        return parts.source(model.source)

    @admin.display(description="last change", ordering="changed_at")
    def shown_change(self, model: RegisteredModel) -> SafeString:
        return markup.moment(model.changed_at)

    def record_context(
        self, request: HttpRequest, row: RegisteredModel
    ) -> dict[str, Any]:
        """Costs five queries: versions, who served, aliases, attestations, owners.

        `?alias=` chooses one.
        """
        versions = self.versions_of(row)
        shown = list(versions[: VERSIONS_SHOWN + 1])
        served = serving(row)
        tenures = alias_history(row)
        aliases = sorted({tenure.alias for tenure in tenures})
        chosen = [request.GET.get("alias"), CHAMPION, *aliases]
        alias = next((name for name in chosen if name in aliases), CHAMPION)
        held = [tenure for tenure in tenures if tenure.alias == alias]
        for version in shown:
            version.registered_model = row
        owners = members_named({version.owner for version in shown})
        return {
            "owners": {name: member.user for name, member in owners.items()},
            "served": spans.of_serving(served[:SPANS_SHOWN], now=now()),
            "aliases": aliases,
            "alias": alias,
            "held": spans.of_alias(held[:SPANS_SHOWN], now=now()),
            "more_served": len(served) > SPANS_SHOWN,
            "more_held": len(held) > SPANS_SHOWN,
            "model": row,
            "attestations": Attestation.objects.in_force()
            .filter(registered_model=row)
            .select_related("attested_by")
            .order_by("field"),
            "may_attest": self.has_attest_permission(request),
            "versions": shown[:VERSIONS_SHOWN],
            "are_more": len(shown) > VERSIONS_SHOWN,
            "all_versions": reverse("admin:inventory_modelversion_changelist")
            + f"?model={row.pk}&presence=all",
        }

    def versions_of(self, row: RegisteredModel) -> QuerySet[ModelVersion]:
        """Return the versions as the model's page lists them, the newest first."""
        return (
            ModelVersion.objects.filter(registered_model=row)
            .defer(*HEAVY)
            .order_by(F("absent_since").asc(nulls_first=True), "-version_number")
        )


# Documents of a version that no list shows.
HEAVY = (
    "metrics",
    "hyperparameters",
    "evaluation_tags",
    "runtime_environment",
    "artifact_manifest",
    "evidence_files",
    "governance",
    "dataset_inputs",
    "signature",
    "mlmodel",
    "provenance",
    "others",
    "ingested",
    "tags",
)


def with_versions(models: QuerySet[RegisteredModel]) -> QuerySet[RegisteredModel]:
    """Annotate models with what lists show of their versions.

    `versions_count` counts the present ones, `production` is the latest in production,
    `leading` that one or else the latest of all: its id, number, owner and known
    fields. Subqueries, so that a page costs what its rows cost.
    """
    versions = ModelVersion.objects.filter(registered_model=OuterRef("pk"))
    told = JSONObject(
        id="pk", number="version_number", owner="owner", known_fields="known_fields"
    )
    rank = Case(
        When(absent_since__isnull=False, then=Value(2)),
        When(lifecycle_stage=Stage.PRODUCTION, then=Value(0)),
        default=Value(1),
    )
    present = versions.filter(absent_since=None)
    return models.annotate(
        versions_count=Subquery(
            present.order_by()
            .values("registered_model")
            .annotate(count=Count("pk"))
            .values("count"),
            output_field=IntegerField(),
        ),
        production=Subquery(
            present.filter(lifecycle_stage=Stage.PRODUCTION)
            .order_by("-version_number")
            .values(told=told)[:1]
        ),
        leading=Subquery(
            versions.order_by(rank, "-version_number").values(told=told)[:1]
        ),
    )


def version_address(pk: int) -> str:
    return reverse("admin:inventory_modelversion_change", args=[pk])
