"""The list of model versions, and the page of one: the record and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, cast

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import markup
from accounts.history import FieldChange
from accounts.models import User
from accounts.pages import Crumb, HistoryPage, RecordPage
from inventory import markup as parts
from inventory import record_page
from inventory.admin import filters, search
from inventory.admin.attesting import AttestsSelected
from inventory.admin.coverage import CoveragePages
from inventory.admin.models import HEAVY, RegisteredModelAdmin
from inventory.histories import timeline
from inventory.manifest import changed_files
from inventory.models import Experiment, ModelVersion, RegisteredModel
from inventory.people import person_named
from inventory.records import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A button of a page: where it sends a form, and what is asked before."""

    label: str
    address: str
    question: str
    explanation: str


class ModelVersionAdmin(
    CoveragePages,
    AttestsSelected[ModelVersion],
    HistoryPage[ModelVersion],
    RecordPage[ModelVersion],
):
    """Versions and their records. `compliance.admin` adds what is judged of them."""

    record_template = "inventory/version.html"
    list_display: tuple[str, ...] = (
        "shown_version",
        "shown_stage",
        "shown_owner",
        "shown_sensitivity",
        "shown_completeness",
        "shown_source",
        "shown_change",
    )
    list_filter: ClassVar[Any] = (
        filters.ModelFilter,
        filters.StageFilter,
        filters.OwnerFilter,
        filters.SourceFilter,
        filters.CompletenessFilter,
        filters.LackingFilter,
        filters.PresenceFilter,
    )
    list_select_related = ("registered_model", "source")
    search_fields = ("registered_model__name",)
    search_help_text = "Model, owner or tag, as in risk_category=high"
    ordering = ("registered_model__name", "-version_number", "pk")
    attested = "versions"

    def for_list(self, rows: QuerySet[ModelVersion]) -> QuerySet[ModelVersion]:
        return rows.defer(*HEAVY)

    def for_page(self, rows: QuerySet[ModelVersion]) -> QuerySet[ModelVersion]:
        experiment = Experiment.objects.filter(
            source=OuterRef("source"), experiment_id=OuterRef("experiment_id")
        )
        return rows.select_related("registered_model", "source", "run").annotate(
            experiment_tags=Subquery(experiment.values("tags")[:1]),
            person=person_named("owner"),
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search.search_versions(queryset, search_term), False

    @admin.display(description="version", ordering="registered_model__name")
    def shown_version(self, version: ModelVersion) -> SafeString:
        return format_html(
            '<span class="vw-name" title="{0}">{0}</span>'
            '<span class="vw-at">version {1}</span>{2}{3}',
            version.model_name,
            version.version_number,
            parts.presence(version),
            parts.unread(version.incomplete),
        )

    @admin.display(description="stage", ordering="lifecycle_stage")
    def shown_stage(self, version: ModelVersion) -> SafeString:
        return parts.stage(version)

    @admin.display(description="owner", ordering="owner")
    def shown_owner(self, version: ModelVersion) -> SafeString:
        return parts.short(version.owner)

    @admin.display(description="data", ordering="data_sensitivity")
    def shown_sensitivity(self, version: ModelVersion) -> SafeString:
        return parts.short(version.data_sensitivity)

    @admin.display(description="record", ordering="known_fields")
    def shown_completeness(self, version: ModelVersion) -> SafeString:
        return parts.completeness(version.known_fields)

    @admin.display(description="source", ordering="source__name")
    def shown_source(self, version: ModelVersion) -> SafeString:
        return parts.source(version.source)

    @admin.display(description="last change", ordering="changed_at")
    def shown_change(self, version: ModelVersion) -> SafeString:
        return markup.moment(version.changed_at)

    def list_crumb(self) -> Crumb:
        return "Versions", super().list_crumb()[1]

    def crumbs(self, row: ModelVersion) -> list[Crumb]:
        """Lead through the model: nobody looks for a version without it."""
        models = self.admin_site.get_model_admin(RegisteredModel)
        return [
            *cast(RegisteredModelAdmin, models).crumbs(row.registered_model),
            (f"Version {row.version_number}", self.address(row)),
        ]

    def record_context(self, request: HttpRequest, row: ModelVersion) -> dict[str, Any]:
        """Costs two queries: how its stage moved, and its aliases."""
        known, total = row.completeness
        return {
            "version": row,
            "owner": User(**told) if (told := row.person) else None,  # type: ignore[attr-defined]  # annotated
            "known": known,
            "total": total,
            "groups": record_page.groups(row),
            "may_attest": self.has_attest_permission(request),
            "metrics": record_page.metrics(row),
            "as_of": self.as_of(row),
            "changed_files": changed_files(row.artifact_manifest),
            "acts": self.acts(row),
            "timeline": timeline(row),
            "tags": _tags(row),
            "redactions": _redactions(row),
        }

    def words(self, change: FieldChange) -> FieldChange:
        return record_page.words(change)

    def acts(self, version: ModelVersion) -> list[Act]:
        """Return what can be asked for here; the inventory itself only shows."""
        return []

    def as_of(self, version: ModelVersion) -> Mapping[Section, datetime | None]:
        """Return as of when each section is; the inventory itself does not know."""
        return {}


def _tags(version: Any) -> list[tuple[str, Mapping[str, str]]]:
    """Return the raw tags of a version and of all that stands behind it."""
    return [
        ("Version", version.tags),
        ("Registered model", version.registered_model.tags),
        ("Run", version.run.tags if version.run else {}),
        ("Experiment", version.experiment_tags or {}),
    ]


def _redactions(version: ModelVersion) -> list[dict[str, Any]]:
    return [
        *version.redactions,
        *version.registered_model.redactions,
        *(version.run.redactions if version.run else ()),
    ]
