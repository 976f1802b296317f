"""The pages that show together what inventory, sync and judgement know apart."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from accounts import tenancy
from accounts.roles import Permission
from compliance.admin import JudgedModelAdmin, JudgedVersionAdmin
from inventory.admin import Act, UnregisteredModelAdmin
from inventory.models import ModelVersion, RegisteredModel, UnregisteredModel
from inventory.records import Field, Section
from mlflow_sync.as_of import as_of, last_reads
from mlflow_sync.exceptions import SyncAlreadyActive
from mlflow_sync.files import runs as file_runs
from mlflow_sync.mapping.own import MAPPABLE
from mlflow_sync.models import SyncRun, TrackingServer


@admin.register(RegisteredModel)
class ModelPages(JudgedModelAdmin):
    """The list tells who has no models yet how to get some."""

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist: Any = super().get_changelist_instance(request)
        if not changelist.result_count:
            changelist.empty_state = nothing_in_scope() or how_to_begin()
        return changelist


@admin.register(ModelVersion)
class VersionPages(JudgedVersionAdmin):
    """Each value is as of the sync that read it."""

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist: Any = super().get_changelist_instance(request)
        if not changelist.result_count:
            changelist.empty_state = how_to_begin()
        return changelist

    permissions: ClassVar[dict[str, Permission]] = {
        **JudgedVersionAdmin.permissions,
        "verify": Permission.SYNC,
    }

    def get_urls(self) -> list[URLPattern]:
        name = "inventory_modelversion_verify_files"
        view = self.admin_site.admin_view(self.verify_view)
        return [path("<int:pk>/verify-files/", view, name=name), *super().get_urls()]

    def mapping_address(self, field: Field) -> str:
        acting = tenancy.current()
        if (
            field.name not in MAPPABLE
            or acting is None
            or not acting.may(Permission.EDIT_GOVERNANCE)
        ):
            return ""
        page = reverse("admin:mlflow_sync_vocabularyentry_add")
        return f"{page}?{urlencode({'field': field.name})}"

    def acts(self, version: ModelVersion) -> list[Act]:
        if not self._may("verify") or file_runs.why_not(version):
            return []
        return [
            Act(
                label="Verify files now",
                address=reverse(
                    "admin:inventory_modelversion_verify_files", args=[version.pk]
                ),
                question=f"Read all files of {version}?",
                explanation="They are read in the background for their digests, up to "
                "the server's limit, and compared with those that are known.",
            )
        ]

    @method_decorator(require_POST)
    def verify_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        version = self.visible(request, str(pk))
        if version is None:
            raise Http404
        try:
            run = file_runs.verify_files(version, trigger=SyncRun.Trigger.MANUAL)
        except ValidationError as refused:
            messages.warning(request, " ".join(refused.messages))
        except SyncAlreadyActive as active:
            messages.warning(request, str(active))
        else:
            return redirect(run)
        return redirect(version)

    def as_of(self, version: ModelVersion) -> Mapping[Section, datetime | None]:
        """Costs one query."""
        return as_of(version, last_reads())


@admin.register(UnregisteredModel)
class UnregisteredPages(UnregisteredModelAdmin):
    """The list tells whether anybody looks for what could be on it."""

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist: Any = super().get_changelist_instance(request)
        if not changelist.result_count:
            changelist.empty_state = nobody_looks()
        return changelist


def nobody_looks() -> dict[str, str] | None:
    """Say that unregistered models are looked for on demand. Costs a query."""
    servers = TrackingServer.objects.filter(removed_at=None)
    if servers.filter(find_unregistered=True).exists():
        return None
    return {
        "icon": "help_center",
        "title": "They are not looked for",
        "text": "Models that runs logged and nobody registered are looked for where the "
        "settings of a tracking server say so: List unregistered models.",
        "address": reverse("admin:mlflow_sync_trackingserver_changelist"),
        "action": "See the tracking servers",
    }


def nothing_in_scope() -> dict[str, str] | None:
    """Say that there are models, and none that is read. Costs a query."""
    if not RegisteredModel.objects.present().out_of_scope().exists():
        return None
    return {
        "icon": "filter_alt",
        "title": "No model in scope",
        "text": "The models that were found are out of the scope of their tracking "
        "servers; each says why.",
        "address": "?scope=out",
        "action": "See what is out of scope",
    }


def how_to_begin() -> dict[str, str]:
    """Say what is missing before there are models to see. Costs a query or two."""
    acting = tenancy.current()
    server = TrackingServer.objects.filter(removed_at=None).first()
    if server is not None:
        return {
            "icon": "sync",
            "title": "No models yet",
            "text": "A tracking server is connected, and no sync has found a model on it.",
            "address": server.get_absolute_url(),
            "action": "See the tracking server",
        }
    if acting is None or not acting.may(Permission.MANAGE_SERVERS):
        return {
            "icon": "dns",
            "title": "No tracking server yet",
            "text": "Models are read from MLflow. An administrator can add a tracking "
            "server; then they appear here.",
        }
    return {
        "icon": "dns",
        "title": "No tracking server yet",
        "text": "Models are read from MLflow, which VerifyWise never writes to. Add the "
        "address of your tracking server; a user who may only read is enough.",
        "address": reverse("admin:mlflow_sync_trackingserver_add"),
        "action": "Add a tracking server",
    }
