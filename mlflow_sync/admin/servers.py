"""The list of tracking servers, the page of one, and the acts on it."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_POST

from accounts import markup
from accounts.console import RecordedByAct
from accounts.roles import Permission
from mlflow_sync import markup as parts
from mlflow_sync import queueing, scoping
from mlflow_sync import servers as acts
from mlflow_sync.admin.filters import TestFilter, UseFilter
from mlflow_sync.admin.forms import SYNC_SETTINGS, ServerForm
from mlflow_sync.admin.rows import last_run, with_runs
from mlflow_sync.admin.scope import FIELDSET, about_scope, shown_counts
from mlflow_sync.admin.webhooks import WebhookPages
from mlflow_sync.exceptions import SyncAlreadyActive
from mlflow_sync.files.runs import file_counts
from mlflow_sync.models import SCOPE_FIELDS, SyncRun, TrackingServer

RUNS_SHOWN = 8
NEVER = mark_safe('<span class="vw-subtle">never</span>')
# Of a form's buttons, those that lead elsewhere than to the server's page.
PLAIN: dict[str, Any] = {
    "show_save_and_add_another": False,
    "show_save_and_continue": False,
    "show_delete": False,
    "show_history": False,
    "has_add_permission": False,
}


@admin.register(TrackingServer)
class TrackingServerAdmin(RecordedByAct, WebhookPages):
    """Servers are saved, tested, synced and removed by the acts of `mlflow_sync.servers`."""

    permissions: ClassVar[dict[str, Permission]] = {
        "view": Permission.VIEW,
        "add": Permission.MANAGE_SERVERS,
        "change": Permission.MANAGE_SERVERS,
        "delete": Permission.MANAGE_SERVERS,
        "sync": Permission.SYNC,
        "confirm": Permission.EDIT_GOVERNANCE,
    }
    form = ServerForm
    change_form_show_cancel_button = True
    fieldsets = (
        (None, {"fields": ("name", "url", "is_enabled", "read_artifacts")}),
        (
            "Authentication",
            {
                "fields": (
                    "auth_method",
                    "username",
                    "password",
                    "token",
                    "headers",
                    "forget_credentials",
                ),
                "description": "What is given here is stored encrypted, and never "
                "shown again. A user who may only read is enough: VerifyWise never "
                "writes to MLflow.",
            },
        ),
        FIELDSET,
        (
            "Connection",
            {
                "fields": (
                    "workspace",
                    "verify_tls",
                    "ca_bundle",
                    "connect_timeout",
                    "read_timeout",
                )
            },
        ),
        ("Reading", {"fields": SYNC_SETTINGS}),
    )
    conditional_fields: ClassVar[dict[str, str]] = {
        "username": "auth_method == 'basic'",
        "password": "auth_method == 'basic'",
        "token": "auth_method == 'token'",
        "ca_bundle": "verify_tls == true",
        "hash_limit": "hash_files == true",
        "rehash_days": "hash_files == true",
    }
    list_display = (
        "shown_name",
        "shown_status",
        "shown_sync",
        "shown_models",
        "shown_mlflow",
        "shown_schedule",
    )
    list_filter: ClassVar[Any] = (TestFilter, UseFilter)
    list_select_related = ("source",)
    search_fields = ("source__name", "url")
    search_help_text = "Name or URL"
    ordering = ("source__name", "pk")
    actions = ("sync_selected",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[TrackingServer]:
        return with_runs(super().get_queryset(request).select_related("source"))

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Leave out of a new server's form what there is nothing to forget for."""
        if obj is not None:
            return self.fieldsets
        return [
            (
                title,
                options
                | {
                    "fields": tuple(
                        name
                        for name in options["fields"]
                        if name != "forget_credentials"
                    )
                },
            )
            for title, options in self.fieldsets
        ]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Leave out Django's deleting of rows: a removed server stays, as evidence."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def has_sync_permission(self, request: HttpRequest) -> bool:
        return self._may("sync")

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        acts = ("shown_acts",) if self.has_sync_permission(request) else ()
        return (*self.list_display, *acts)

    def list_crumb(self) -> tuple[str, str]:
        return "Tracking servers", super().list_crumb()[1]

    # Columns

    @admin.display(description="server", ordering="source__name")
    def shown_name(self, server: TrackingServer) -> SafeString:
        return format_html(
            '<span class="vw-name">{}</span><span class="vw-at">{}</span>',
            server.source.name,
            server.url,
        )

    @admin.display(description="connection", ordering="last_test_passed")
    def shown_status(self, server: TrackingServer) -> SafeString:
        tested = markup.moment(server.last_tested_at) if server.last_tested_at else ""
        return format_html(
            '<span class="vw-chips">{} <span class="vw-subtle">{}</span></span>',
            parts.server_status(server),
            tested,
        )

    @admin.display(description="last sync", ordering="last_run__queued_at")
    def shown_sync(self, server: Any) -> SafeString:
        if server.last_run is None:
            return NEVER
        run = last_run(server)
        return format_html(
            '<span class="vw-chips">{} {}</span>',
            parts.run_status(run.status, error=run.error),
            markup.link(run.get_absolute_url(), markup.moment(run.queued_at)),
        )

    @admin.display(description="models", ordering="models_count")
    def shown_models(self, server: Any) -> SafeString:
        return shown_counts(server)

    @admin.display(description="MLflow", ordering="mlflow_version")
    def shown_mlflow(self, server: TrackingServer) -> SafeString:
        return markup.value(server.mlflow_version)

    @admin.display(description="schedule", ordering="is_enabled")
    def shown_schedule(self, server: TrackingServer) -> str:
        return "by itself" if server.is_enabled else "only when asked"

    @admin.display(description="")
    def shown_acts(self, server: TrackingServer) -> SafeString:
        """The buttons belong to the form around the list, and send it elsewhere."""
        if server.removed_at:
            return SafeString("")
        return format_html(
            '<button type="submit" class="vw-button vw-small" formaction="{}" '
            'data-ask="Sync {} now?" data-ask-go="Sync now" data-ask-text="{}" '
            'data-busy="Starting …">Sync now</button>',
            reverse("admin:mlflow_sync_trackingserver_sync", args=[server.pk]),
            server,
            "The registry is read in the background; nothing is written to MLflow.",
        )

    # Acts

    def save_model(
        self, request: HttpRequest, obj: Model, form: Form, change: bool
    ) -> None:
        """The act has saved it; say what a scope that was changed will mean."""
        if not set(SCOPE_FIELDS).isdisjoint(form.changed_data):
            messages.info(request, scoping.preview(cast(TrackingServer, obj)))

    def get_urls(self) -> list[URLPattern]:
        wrap, name = self.admin_site.admin_view, "mlflow_sync_trackingserver"
        return [
            path("<int:pk>/sync/", wrap(self.sync_view), name=f"{name}_sync"),
            path("<int:pk>/test/", wrap(self.test_view), name=f"{name}_test"),
            *super().get_urls(),
        ]

    @method_decorator(require_POST)
    def sync_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        server = self.for_act(request, pk)
        try:
            run = queueing.request_sync(server, trigger=SyncRun.Trigger.MANUAL)
        except SyncAlreadyActive as active:
            messages.warning(request, str(active))
            run = SyncRun.objects.active().get(server=server)
        return redirect(run)

    @method_decorator(require_POST)
    def test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        server = self.for_act(request, pk)
        result = acts.test_server(server)
        if result.passed:
            messages.success(request, "The connection was tested.")
        else:
            messages.error(request, "The connection test failed.")
        return redirect(server)

    @admin.action(description="Sync now", permissions=["sync"])
    def sync_selected(
        self, request: HttpRequest, queryset: QuerySet[TrackingServer]
    ) -> None:
        started = []
        for server in queryset.filter(removed_at=None):
            try:
                queueing.request_sync(server, trigger=SyncRun.Trigger.MANUAL)
            except SyncAlreadyActive as active:
                messages.warning(request, str(active))
            else:
                started.append(str(server))
        if started:
            messages.success(request, f"Started to sync {', '.join(started)}.")

    def for_act(self, request: HttpRequest, pk: int) -> TrackingServer:
        """Return the server of an act; whether it is open to the role the act says."""
        server: TrackingServer | None = self.get_object(request, str(pk))
        if server is None or server.removed_at:
            raise Http404
        return server

    # Pages

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show how the server is; with `?settings` its form, to those who may change it."""
        server = self.visible(request, object_id)
        if server is None:
            return self.not_there(request, object_id)
        if request.method == "POST" or "settings" in request.GET:
            crumbs = {"crumbs": [*self.crumbs(server), ("Settings", "")]}
            return super().change_view(
                request, object_id, form_url, PLAIN | crumbs | (extra_context or {})
            )
        context = self.page_context(request, server, **self._about(request, server))
        return TemplateResponse(request, "mlflow_sync/server.html", context)

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        crumbs = {"crumbs": [self.list_crumb(), ("New server", "")]}
        return super().add_view(
            request, form_url, PLAIN | crumbs | (extra_context or {})
        )

    def response_add(
        self, request: HttpRequest, obj: TrackingServer, post_url_continue: Any = None
    ) -> HttpResponse:
        messages.success(
            request, f"{obj} was added. Test the connection, then sync it."
        )
        return redirect(obj)

    def response_change(
        self, request: HttpRequest, obj: TrackingServer
    ) -> HttpResponse:
        messages.success(request, f"{obj} was saved.")
        return redirect(obj)

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Ask, then stop reading the server; its models and its runs stay."""
        server = self.get_object(request, unquote(object_id))
        if not self.has_delete_permission(request, server):
            raise PermissionDenied
        if server is None or server.removed_at:
            return self.not_there(request, object_id)
        if request.method == "POST":
            acts.remove_server(server)
            messages.success(request, f"{server} was removed; its models stay.")
            return redirect("admin:mlflow_sync_trackingserver_changelist")
        context = self.page_context(
            request,
            server,
            server=server,
            crumbs=[*self.crumbs(server), ("Remove", "")],
        )
        return TemplateResponse(request, "mlflow_sync/server_remove.html", context)

    def _about(self, request: HttpRequest, server: Any) -> dict[str, Any]:
        """Costs two queries, runs and counts of files, beside those of the webhook."""
        runs = list(SyncRun.objects.filter(server=server)[:RUNS_SHOWN])
        for run in runs:
            run.server = server
        may_sync = self.has_sync_permission(request) and not server.removed_at
        return {
            **self.about_webhook(request, server),
            "server": server,
            "files": TrackingServer.objects.filter(pk=server.pk).values_list(
                file_counts(), flat=True
            )[0],
            "runs": runs,
            "doubted": next((run for run in runs[:1] if run.is_doubted), None),
            "crumbs": self.crumbs(server),
            "may_confirm": self._may("confirm") and may_sync,  # which follows
            "may_sync": may_sync,
            "may_change": self.has_change_permission(request),
            "all_runs": reverse("admin:mlflow_sync_syncrun_changelist")
            + f"?server={server.pk}",
            **about_scope(server),
        }
