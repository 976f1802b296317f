"""The list of sync runs, and the page of one, whose numbers rise while it works."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import now
from django.views.decorators.http import require_POST

from accounts import markup
from accounts.filters import ChoiceFilter
from accounts.pages import RecordPage
from accounts.roles import Permission
from mlflow_sync import markup as parts
from mlflow_sync import queueing
from mlflow_sync.exceptions import SyncAlreadyActive
from mlflow_sync.models import SyncRun, TrackingServer

FAILURES_SHOWN = 200
# After so long in the queue a person wonders; after so long nobody judges any more.
PATIENCE = timedelta(seconds=15)
JUDGEMENT = timedelta(minutes=10)


class StatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status"
    choices_offered = tuple(
        (status.value, str(status.label)) for status in SyncRun.Status
    )

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(status=choice)


class TriggerFilter(ChoiceFilter):
    title = "started by"
    parameter_name = "trigger"
    choices_offered = tuple(
        (trigger.value, str(trigger.label)) for trigger in SyncRun.Trigger
    )

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(trigger=choice)


class ReachFilter(ChoiceFilter):
    title = "kind"
    parameter_name = "reach"
    choices_offered = tuple((reach.value, str(reach.label)) for reach in SyncRun.Reach)

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(reach=choice)


class ServerFilter(ChoiceFilter):
    """Costs one query."""

    title = "server"
    parameter_name = "server"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        servers = TrackingServer.objects.values_list("pk", "source__name")
        return [(str(pk), name) for pk, name in servers]

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(server_id=choice)


@admin.register(SyncRun)
class SyncRunAdmin(RecordPage[SyncRun]):
    """Sync runs are the record of every reading; nobody edits them."""

    permissions: ClassVar[dict[str, Permission]] = {
        "view": Permission.VIEW,
        "sync": Permission.SYNC,
        "confirm": Permission.EDIT_GOVERNANCE,
    }
    record_template = "mlflow_sync/run.html"
    list_display = (
        "shown_run",
        "shown_status",
        "shown_server",
        "shown_trigger",
        "shown_seconds",
        "shown_read",
        "shown_changed",
        "shown_trouble",
        "shown_requests",
    )
    list_filter: ClassVar[Any] = (
        ServerFilter,
        StatusFilter,
        TriggerFilter,
        ReachFilter,
    )
    list_select_related = ("server__source", "requested_by")
    ordering = ("-queued_at", "-pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SyncRun]:
        rows = super().get_queryset(request)
        return rows.select_related(
            "server__source", "requested_by", "version__registered_model"
        )

    @admin.display(description="run", ordering="queued_at")
    def shown_run(self, run: SyncRun) -> SafeString:
        return format_html(
            '<span class="vw-name">{}</span><span class="vw-at">run {}{}</span>',
            markup.moment(run.queued_at),
            run.pk,
            ", files" if run.reach == SyncRun.Reach.FILES else "",
        )

    @admin.display(description="status", ordering="status")
    def shown_status(self, run: SyncRun) -> SafeString:
        return parts.run_status(run.status, error=run.error)

    @admin.display(description="server", ordering="server__source__name")
    def shown_server(self, run: SyncRun) -> str:
        return str(run.server)

    @admin.display(description="started by", ordering="trigger")
    def shown_trigger(self, run: SyncRun) -> str:
        return str(run.requested_by or run.get_trigger_display())

    @admin.display(description="work", ordering="seconds")
    def shown_seconds(self, run: SyncRun) -> SafeString:
        return format_html(
            '<span class="vw-number">{}</span>', markup.duration(run.seconds)
        )

    @admin.display(description="versions read")
    def shown_read(self, run: SyncRun) -> SafeString:
        return markup.number(run.count("versions"))

    @admin.display(description="new, changed")
    def shown_changed(self, run: SyncRun) -> SafeString:
        return _pair(run.count("created"), run.count("updated"))

    @admin.display(description="incomplete, gone")
    def shown_trouble(self, run: SyncRun) -> SafeString:
        incomplete, absent = run.count("incomplete"), run.count("absent")
        if not (incomplete or absent):
            return markup.NOTHING
        return _pair(incomplete, absent)

    @admin.display(description="requests")
    def shown_requests(self, run: SyncRun) -> SafeString:
        return markup.number(run.count("requests"))

    def get_urls(self) -> list[URLPattern]:
        wrap, name = self.admin_site.admin_view, "mlflow_sync_syncrun"
        return [
            path(
                "<int:pk>/progress/", wrap(self.progress_view), name=f"{name}_progress"
            ),
            path("<int:pk>/cancel/", wrap(self.cancel_view), name=f"{name}_cancel"),
            path("<int:pk>/confirm/", wrap(self.confirm_view), name=f"{name}_confirm"),
            *super().get_urls(),
        ]

    @method_decorator(require_POST)
    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        run = self._for_act(request, pk)
        try:
            queueing.cancel_sync(run)
        except ValidationError as refused:
            messages.warning(request, " ".join(refused.messages))
        else:
            messages.success(request, "The sync was cancelled; what it stored stays.")
        return redirect(run)

    @method_decorator(require_POST)
    def confirm_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Believe that what a sync found gone was deleted, and sync again."""
        run = self._for_act(request, pk)
        try:
            return redirect(
                queueing.confirm_absence(run, trigger=SyncRun.Trigger.MANUAL)
            )
        except ValidationError as refused:
            messages.warning(request, " ".join(refused.messages))
        except SyncAlreadyActive as active:
            messages.warning(request, str(active))
        return redirect(run)

    def _for_act(self, request: HttpRequest, pk: int) -> SyncRun:
        """Return the run of an act; whether it is open to the role the act says."""
        run = self.visible(request, str(pk))
        if run is None:
            raise Http404
        return run

    def progress_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Return the moving part of a run's page. Costs one query beside the session's."""
        run = self.visible(request, str(pk))
        if run is None:
            raise Http404
        return render(request, "mlflow_sync/progress.html", _progress(run))

    def record_context(self, request: HttpRequest, row: SyncRun) -> dict[str, Any]:
        """Costs one query: the failures. One that a webhook started costs another."""
        failures = list(row.failures.all()[: FAILURES_SHOWN + 1])
        is_of_webhook = row.trigger == SyncRun.Trigger.WEBHOOK
        return {
            **_progress(row),
            "may_cancel": row.is_active and self._may("sync"),
            "may_confirm": row.is_doubted
            and self._may("confirm")
            and self._may("sync"),  # which follows
            "deliveries": row.webhook_deliveries.count() if is_of_webhook else None,
            "failures": failures[:FAILURES_SHOWN],
            "are_more_failures": len(failures) > FAILURES_SHOWN,
        }


def _pair(first: int, second: int) -> SafeString:
    told = f"{first:,} / {second:,}"
    return format_html('<span class="vw-number">{}</span>', told)


def _progress(run: SyncRun) -> dict[str, Any]:
    waited = now() - run.queued_at
    return {
        "run": run,
        "progress": parts.progress(run),
        "is_watched": run.is_active or _is_being_judged(run),
        "is_judged_now": _is_being_judged(run),
        "waits_long": run.status == SyncRun.Status.QUEUED and waited > PATIENCE,
    }


def _is_being_judged(run: SyncRun) -> bool:
    """Tell whether what the sync read is still to be judged, as follows each sync."""
    if run.finished_at is None or run.evaluated_at is not None:
        return False
    return run.has_read and now() - run.finished_at < JUDGEMENT
