"""The pages of coverage: which fields can be seen at all, and of one, of which models."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from accounts.pages import Page
from inventory.admin.attesting import attest_address
from inventory.coverage import (
    Scope,
    by_group,
    coverage,
    models_lacking,
    told_values,
    versions_lacking,
)
from inventory.fields import ATTESTABLE
from inventory.models import ModelVersion, Source
from inventory.records import FIELDS, Field, Stage

MODELS_PER_PAGE = 50
ATTESTED_AT_ONCE = 200  # versions, as many as an address can name
VERSIONS = "admin:inventory_modelversion_changelist"
COVERAGE = "admin:inventory_modelversion_coverage"


class CoveragePages(Page[ModelVersion]):
    """What the versions' admin class shows of coverage, beside the versions."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path(
                "coverage/",
                view(self.coverage_view),
                name="inventory_modelversion_coverage",
            ),
            path(
                "coverage/<slug:name>/",
                view(self.field_view),
                name="inventory_modelversion_field_coverage",
            ),
            *super().get_urls(),
        ]

    def coverage_view(self, request: HttpRequest) -> HttpResponse:
        """Show every field with its counts. Costs three queries."""
        scope = self._scope(request)
        found = coverage(scope)
        return self._page(
            request,
            "inventory/coverage.html",
            scope,
            crumbs=[("Coverage", "")],
            groups=[
                (group.label, items)
                for group, items in by_group(found).items()
                if items
            ],
            versions=found[0].versions,
            models=found[0].models,
        )

    def field_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Show one field's values, and the models that lack it. Costs five queries."""
        field = FIELDS.get(name)
        if field is None:
            raise Http404
        scope = self._scope(request)
        models = Paginator(models_lacking(field, scope), MODELS_PER_PAGE)
        may_attest = self._may("attest") and name in ATTESTABLE
        lacking = versions_lacking(field, scope)[:ATTESTED_AT_ONCE]
        bare = list(lacking) if may_attest else []
        return self._page(
            request,
            "inventory/coverage_field.html",
            scope,
            title=field.label,
            crumbs=[("Coverage", self._address(COVERAGE, scope)), (field.label, "")],
            field=field,
            values=told_values(field, scope),
            page=models.get_page(request.GET.get("p")),
            bare_count=len(bare),
            attest_address=attest_address(name, versions=bare) if bare else "",
            mapping_address=self.mapping_address(field),
            lacking=reverse(VERSIONS)
            + "?"
            + urlencode({"lacking": name} | self._narrowed(scope)),
        )

    def mapping_address(self, field: Field) -> str:
        """Return where a key is mapped to a field, "" where that cannot be done.

        Sources know of keys, and the apps above know of sources.
        """
        return ""

    def _page(
        self, request: HttpRequest, template: str, scope: Scope, **more: Any
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.list_context(request, "Coverage"),
            "stages": [stage.value for stage in Stage],
            "stage": scope.lifecycle_stage,
            "sources": list(Source.objects.values_list("pk", "name")),
            "source": scope.source_id,
            "narrowed": urlencode(self._narrowed(scope)),
        }
        return TemplateResponse(request, template, context | more)

    @staticmethod
    def _scope(request: HttpRequest) -> Scope:
        """Read what a member narrowed to; what is no choice, as in an old link, is all."""
        stage, source = request.GET.get("stage", ""), request.GET.get("source", "")
        return Scope(
            lifecycle_stage=stage if stage in {item.value for item in Stage} else "",
            source_id=int(source) if source.isdecimal() else None,
        )

    @staticmethod
    def _narrowed(scope: Scope) -> dict[str, str]:
        told = {
            "stage": scope.lifecycle_stage,
            "source": "" if scope.source_id is None else str(scope.source_id),
        }
        return {name: value for name, value in told.items() if value}

    def _address(self, page: str, scope: Scope) -> str:
        query = urlencode(self._narrowed(scope))
        return reverse(page) + (f"?{query}" if query else "")
