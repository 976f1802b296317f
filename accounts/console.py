"""The base of every admin class: roles decide, the trail remembers."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar, cast

from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from accounts import audit, tenancy
from accounts.roles import Permission

M = TypeVar("M", bound=Model)


class TenantAdmin(ModelAdmin, Generic[M]):
    """Shows the rows of the organization that is being acted for.

    `permissions` names what each of view, add, change and delete needs; what it does
    not name nobody may do here. What is saved through a plain form is recorded by
    `log_addition`, `log_change` and `log_deletions`, in place of Django's own log.
    """

    permissions: ClassVar[dict[str, Permission]] = {"view": Permission.VIEW}
    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    list_filter_submit = False
    compressed_fields = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[M]:
        rows = super().get_queryset(request)
        return cast(
            QuerySet[M], rows.filter(organization_id=tenancy.current_organization_id())
        )

    def _may(self, what: str) -> bool:
        acting = tenancy.current()
        needed = self.permissions.get(what)
        if acting is None or acting.organization_id is None or needed is None:
            return False
        return acting.may(needed)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may("view")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may("view")

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return self._may("add")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may("change")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may("delete")

    def construct_change_message(
        self,
        request: HttpRequest,
        form: ModelForm[Any],
        formsets: Any,
        add: bool = False,
    ) -> dict[str, Any]:
        """Return field -> {"from", "to"}, which the trail keeps."""
        return {
            name: {
                "from": None if add else form.initial.get(name),
                "to": form.cleaned_data.get(name),
            }
            for name in form.changed_data
        }

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> None:
        audit.record(f"{self.opts.model_name}.added", obj, changes=message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> None:
        if message:
            audit.record(f"{self.opts.model_name}.changed", obj, changes=message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            audit.record(f"{self.opts.model_name}.deleted", row)


class RecordedByAct:
    """For admin classes whose saving is an act that records itself."""

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """Leave it to the act."""

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """Leave it to the act."""

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Leave it to the act."""
