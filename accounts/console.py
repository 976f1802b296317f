"""The base of every admin class: roles decide, the trail remembers."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

from django.contrib.admin.utils import unquote
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import ForeignKey, Model, QuerySet
from django.forms import Form, ModelChoiceField, ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.admin import ModelAdmin

from accounts import audit, tenancy
from accounts.models import User
from accounts.roles import Permission

M = TypeVar("M", bound=Model)


class TenantAdmin(ModelAdmin[M]):
    """Shows the rows of the organization that is being acted for.

    `permissions` names what each of view, add, change and delete needs; what it does
    not name nobody may do here. What is saved through a plain form is recorded by
    `log_addition`, `log_change` and `log_deletions`, in place of Django's own log (whose
    entries they would return: hence Any, and nobody looks at it).
    """

    permissions: ClassVar[dict[str, Permission]] = {"view": Permission.VIEW}
    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    list_filter_submit = False
    compressed_fields = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[M]:
        rows = super().get_queryset(request)
        return rows.filter(organization_id=tenancy.current_organization_id())

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        """Offer members where a user is to be chosen: users are of no organization."""
        if db_field.related_model is User:
            kwargs.setdefault(
                "queryset",
                User.objects.filter(
                    memberships__organization_id=tenancy.current_organization_id()
                ),
            )
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

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

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Point to the audit trail, which has what happened to rows without history."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        about = {"object_type": row._meta.label_lower, "object_id": row.pk}
        trail = reverse("admin:accounts_auditevent_changelist")
        return redirect(f"{trail}?{urlencode(about)}")

    def construct_change_message(
        self, request: HttpRequest, form: Form, formsets: Any, add: bool = False
    ) -> Any:
        """Return field -> {"from", "to"}, which the trail keeps."""
        return {
            name: {
                "from": None if add else form.initial.get(name),
                "to": form.cleaned_data.get(name),
            }
            for name in form.changed_data
        }

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        audit.record(f"{self.opts.model_name}.added", obj, changes=message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        if message:
            audit.record(f"{self.opts.model_name}.changed", obj, changes=message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for row in queryset:
            audit.record(f"{self.opts.model_name}.deleted", row)


class ActForm(ModelForm[M]):
    """A form that is saved by an act; what the act objects to is shown at its field.

    The act is the last step of the form's validation, so its admin class mixes in
    RecordedByAct, and has no inlines.
    """

    def act(self) -> M:
        """Do what the form asks for; return the row. May raise ValidationError."""
        raise NotImplementedError

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc] # Django has it, its stubs do not
        if self.errors:
            return
        try:
            with transaction.atomic():
                self.instance = self.act()
        except ValidationError as error:
            told = error.message_dict if hasattr(error, "error_dict") else {"": error}
            for name, messages in told.items():
                field = name if name in self.fields else NON_FIELD_ERRORS
                self.add_error(field, messages)


class RecordedByAct:
    """For admin classes whose saving is an act that writes and records itself."""

    def save_model(
        self, request: HttpRequest, obj: Model, form: Form, change: bool
    ) -> None:
        """Leave it to the act."""

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Leave it to the act."""

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Leave it to the act."""

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Leave it to the act."""
