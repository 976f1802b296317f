"""Pages to read: what admin classes of several apps share beyond lists and forms."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.views import ChangeList

from accounts import history
from accounts.console import M, TenantAdmin

CHANGES_PER_PAGE = 25

Crumb = tuple[str, str]  # words, address


class ListRows(ChangeList):
    """The rows of a list, fetched as their admin class says."""

    def apply_select_related(self, qs: QuerySet[Any]) -> QuerySet[Any]:
        admin = cast("Page[Any]", self.model_admin)
        return admin.for_list(super().apply_select_related(qs))


class Page(TenantAdmin[M]):
    """Knows the way to its rows, and what a page about one needs."""

    def for_list(self, rows: QuerySet[M]) -> QuerySet[M]:
        """Fetch with rows what a list shows, and not what it does not."""
        return rows

    def for_page(self, rows: QuerySet[M]) -> QuerySet[M]:
        """Fetch with a row what its page shows."""
        return rows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ListRows

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> M | None:
        if not object_id.isdecimal():
            return None
        return self.for_page(self.get_queryset(request)).filter(pk=object_id).first()

    def address(self, row: M) -> str:
        return reverse(self._name("change"), args=[row.pk])

    def crumbs(self, row: M) -> list[Crumb]:
        """Return the way to a row, from the list on."""
        return [self.list_crumb(), (str(row), self.address(row))]

    def list_crumb(self) -> Crumb:
        words = str(self.opts.verbose_name_plural)
        return words[:1].upper() + words[1:], reverse(self._name("changelist"))

    def list_context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        """Return what every page below the list needs that is about no row."""
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "crumbs": [self.list_crumb(), (title, "")],
        }

    def page_context(self, request: HttpRequest, row: M, **more: Any) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": str(row),
            "crumbs": self.crumbs(row),
            **more,
        }

    def visible(self, request: HttpRequest, object_id: str) -> M | None:
        """Return the row of an address, None where there is none for this member."""
        row: M | None = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row

    def not_there(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to the overview with a word on why, as Django's admin does."""
        answer: HttpResponse = self._get_obj_does_not_exist_redirect(  # type: ignore[attr-defined]
            request, self.opts, object_id
        )
        return answer

    def _name(self, page: str) -> str:
        return f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}"


class RecordPage(Page[M]):
    """Rows that nobody edits here: their page is `record_template`, not a form."""

    record_template: ClassVar[str]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = self.visible(request, object_id)
        if row is None:
            return self.not_there(request, object_id)
        context = self.page_context(request, row, **self.record_context(request, row))
        return TemplateResponse(
            request, self.record_template, context | (extra_context or {})
        )

    def record_context(self, request: HttpRequest, row: M) -> dict[str, Any]:
        """Return what the page shows of the row."""
        raise NotImplementedError


class HistoryPage(Page[M]):
    """Rows whose changes can be read field by field."""

    def words(self, change: history.FieldChange) -> history.FieldChange:
        """Put a change into better words than the model's."""
        return change

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show what changed, newest first. Costs two queries beside the row's own."""
        row = self.visible(request, object_id)
        if row is None:
            raise Http404
        rows = row.history.select_related("history_user").order_by("-history_id")  # type: ignore[attr-defined]
        page = Paginator(rows, CHANGES_PER_PAGE).get_page(request.GET.get("p"))
        first = (page.number - 1) * CHANGES_PER_PAGE
        compared = list(rows[first : first + CHANGES_PER_PAGE + 1])
        found = history.changes(compared, words=self.words)
        context = self.page_context(
            request,
            row,
            title=f"Changes of {row}",
            changes=found[:CHANGES_PER_PAGE],
            page=page,
            crumbs=[*self.crumbs(row), ("Changes", "")],
        )
        return TemplateResponse(
            request, "console/history.html", context | (extra_context or {})
        )
