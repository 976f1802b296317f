"""Saved views in the console: above the list they are of, and the page to manage them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from accounts import markup, saved_views, tenancy
from accounts.console import ActForm, M, RecordedByAct, TenantAdmin
from accounts.filters import ALL
from accounts.models import SavedView
from accounts.pages import Page
from accounts.roles import Permission

# Search and order of a list are kept along.
MORE = ("q", "o")


@dataclass(frozen=True, slots=True)
class Offered:
    """A view as a link above its list."""

    name: str
    address: str
    is_current: bool
    title: str = ""


class OffersViews(Page[M]):
    """A list with views: those that are built in, one's own, and shared ones.

    `neighbours` are pages beside the list, by words and the name of their address.
    """

    list_name: ClassVar[str]
    built_in_views: ClassVar[tuple[tuple[str, str], ...]] = ()
    neighbours: ClassVar[tuple[tuple[str, str], ...]] = ()
    list_before_template = "accounts/views.html"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        label = str(self.opts.verbose_name_plural)
        saved_views.offer(
            saved_views.List(
                name=self.list_name,
                label=label[:1].upper() + label[1:],
                place=self._name("changelist"),
                filters={
                    **{
                        each.parameter_name: _choices(each)
                        for each in cast("Any", self.list_filter)
                    },
                    **dict.fromkeys(MORE),
                },
            )
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.save_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_save_view"
        return [path("save-view/", view, name=name), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Costs one query beside the list's: the views that were saved."""
        acting = tenancy.current()
        known = saved_views.lists()[self.list_name]
        here = known.known(request.GET.urlencode())
        more = {
            "views": self._views(known, here),
            "query_to_save": here,
            "save_address": self._name("save_view"),
            "may_share": bool(acting and acting.may(Permission.SHARE_VIEWS)),
            "list_neighbours": self.neighbours,
        }
        return super().changelist_view(request, more | (extra_context or {}))

    def _views(self, known: saved_views.List, here: str) -> list[Offered]:
        built_in = [
            Offered(name, known.address(query), here == known.known(query))
            for name, query in self.built_in_views
        ]
        saved = [
            Offered(
                view.name,
                known.address(view.query),
                here == view.query,
                f"Shared by {view.user}" if view.is_shared else "Your own",
            )
            for view in saved_views.views_of(self.list_name)
        ]
        return [*built_in, *saved]

    @method_decorator(require_POST)
    def save_view(self, request: HttpRequest) -> HttpResponse:
        """Save what the form says, and lead back to the list as it was."""
        told, known = request.POST, saved_views.lists()[self.list_name]
        query = told.get("query", "")
        try:
            view = saved_views.save_view(
                list_name=self.list_name,
                name=told.get("name", ""),
                query=query,
                is_shared="is_shared" in told,
            )
        except ValidationError as refused:
            messages.error(request, " ".join(refused.messages))
        else:
            messages.success(request, f"The view “{view}” was saved.")
        return redirect(known.address(known.known(query)))


def _choices(offered: Any) -> frozenset[str] | None:
    choices = {str(choice) for choice, _ in offered.choices_offered}
    return frozenset({*choices, ALL}) if choices else None


class ViewForm(ActForm[SavedView]):
    class Meta:
        model = SavedView
        fields = ("name", "is_shared")

    def act(self) -> SavedView:
        view = SavedView.objects.get(pk=self.instance.pk)
        return saved_views.change_view(view, **self.cleaned_data)


@admin.register(SavedView)
class SavedViewAdmin(RecordedByAct, TenantAdmin[SavedView]):
    """One's own views, and those that are shared."""

    permissions: ClassVar = {
        "view": Permission.VIEW,
        "change": Permission.VIEW,
        "delete": Permission.VIEW,
    }
    form = ViewForm
    list_display = ("name", "shown_list", "shown_filters", "is_shared", "user")
    list_select_related = ("user",)
    search_fields = ("name",)
    fields = ("name", "is_shared")
    ordering = ("list_name", "name")
    actions = None  # one by one: each is an act

    def get_queryset(self, request: HttpRequest) -> QuerySet[SavedView]:
        rows = SavedView.objects.filter(pk__in=super().get_queryset(request))
        return rows.visible_to(tenancy.current_actor())

    def has_change_permission(
        self, request: HttpRequest, obj: SavedView | None = None
    ) -> bool:
        return self._may("change") and (obj is None or saved_views.holds(obj))

    def has_delete_permission(
        self, request: HttpRequest, obj: SavedView | None = None
    ) -> bool:
        return self._may("delete") and (obj is None or saved_views.holds(obj))

    @admin.display(description="list", ordering="list_name")
    def shown_list(self, view: SavedView) -> SafeString:
        known = saved_views.lists()[view.list_name]
        return markup.link(known.address(view.query), known.label)

    @admin.display(description="filters")
    def shown_filters(self, view: SavedView) -> str:
        return view.query.replace("&", ", ").replace("=", ": ")

    def delete_model(self, request: HttpRequest, obj: SavedView) -> None:
        saved_views.delete_view(obj)
