"""The page on which people attest: a field, its value, the reason; of one or of many."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import AdminSite
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from unfold.widgets import (
    INPUT_CLASSES,
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.console import M, TenantAdmin
from accounts.pages import RecordPage
from accounts.roles import Permission
from inventory import attestations as acts
from inventory.evidence import keep_file
from inventory.fields import ATTESTABLE, Field, Group, Kind
from inventory.models import Attestation, ModelVersion, RegisteredModel
from inventory.record_page import Shown, shown

SHOWN = 20  # versions whose present values the page tells
CHOOSE = "Choose models or versions on their lists, and there “Attest a field…”."
YES_NO = (("", "–"), ("true", "Yes"), ("false", "No"))
# Where the act and the form call something by different names.
_NAMES = {"file": "evidence"}


def value_field(field: Field) -> forms.Field:
    """Return what a person gives the value of a field with."""
    match field.kind:
        case Kind.CHOICE:
            choices = (("", "–"), *((word, word) for word in field.choices))
            return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget)
        case Kind.BOOLEAN:
            return forms.TypedChoiceField(
                choices=YES_NO,
                coerce=lambda word: word == "true",
                widget=UnfoldAdminSelectWidget,
            )
        case Kind.NUMBER:
            return forms.FloatField(widget=UnfoldAdminTextInputWidget)
        case Kind.LIST:
            return _Words(
                widget=UnfoldAdminTextInputWidget, help_text="Separated by commas."
            )
        case Kind.DOCUMENT:
            return forms.JSONField(
                widget=UnfoldAdminTextareaWidget(attrs={"rows": 5}),
                help_text="A JSON object.",
            )
    return forms.CharField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}), help_text=field.caution
    )


class _Words(forms.CharField):
    def to_python(self, value: Any) -> Any:
        told = super().to_python(value) or ""
        words = (word.strip() for word in told.split(","))
        return [word for word in words if word]


class ReasonForm(forms.Form):
    reason = forms.CharField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Why it is so, and how you know. It is kept on the audit trail.",
    )


class AttestForm(ReasonForm):
    """The value's widget fits its field; what the act objects to is shown there."""

    expires_on = forms.DateField(
        required=False,
        label="Expires on",
        help_text="The first day on which it holds no longer. Empty: it does not expire.",
        widget=forms.DateInput(
            format="%Y-%m-%d", attrs={"type": "date", "class": " ".join(INPUT_CLASSES)}
        ),
    )
    evidence = forms.FileField(
        required=False,
        label="Evidence file",
        help_text="What proves it, up to 20 MB. It is kept, and never opened here.",
        widget=UnfoldAdminFileFieldWidget,
    )
    field_order = ("value", "reason", "expires_on", "evidence")

    def __init__(self, field: Field, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["value"] = value_field(field)
        self.fields["value"].label = field.label
        self.order_fields(self.field_order)

    def blame(self, refused: ValidationError) -> None:
        """Show what the act objects to, where it is about."""
        by_field = hasattr(refused, "error_dict")
        told = refused.message_dict if by_field else {"": refused.messages}
        for name, sentences in told.items():
            field = _NAMES.get(name, name)
            place = field if field in self.fields else NON_FIELD_ERRORS
            self.add_error(place, cast(Any, sentences))


@dataclass(frozen=True, slots=True)
class Subjects:
    """The versions and models that somebody chose."""

    versions: Sequence[ModelVersion]
    models: Sequence[RegisteredModel]

    @classmethod
    def of(cls, versions: Collection[int], models: Collection[int]) -> Subjects:
        """Cost: two queries at most."""
        return cls(
            versions=list(
                ModelVersion.objects.filter(pk__in=versions)
                .select_related("registered_model")
                .only("version_number", "registered_model__name", "source_id")
                .order_by("registered_model__name", "-version_number")
            )
            if versions
            else [],
            models=list(RegisteredModel.objects.filter(pk__in=models))
            if models
            else [],
        )

    def __bool__(self) -> bool:
        return bool(self.versions or self.models)

    def __str__(self) -> str:
        if len(self.versions) + len(self.models) == 1:
            return (
                f"all versions of {self.models[0]}"
                if self.models
                else str(self.versions[0])
            )
        parts = []
        if self.versions:
            parts.append(f"{len(self.versions):,} versions")
        if self.models:
            parts.append(f"all versions of {len(self.models):,} models")
        return " and ".join(parts)

    @property
    def address(self) -> str:
        """Return where somebody is led who attested."""
        if len(self.versions) == 1 and not self.models:
            return f"{self.versions[0].get_absolute_url()}#record"
        if len(self.models) == 1 and not self.versions:
            return self.models[0].get_absolute_url()
        return reverse("admin:inventory_attestation_changelist")

    def present(self) -> list[ModelVersion]:
        """Return the first of the versions that are meant. Costs one query."""
        return list(
            ModelVersion.objects.present()
            .filter(
                Q(pk__in=[version.pk for version in self.versions])
                | Q(registered_model__in=self.models)
            )
            .select_related("registered_model")
            .order_by("registered_model__name", "-version_number")[: SHOWN + 1]
        )


def told(versions: Sequence[ModelVersion], field: Field) -> Iterator[tuple[Any, Shown]]:
    return ((version, shown(version, field)) for version in versions)


class AttestingPages(RecordPage[Attestation]):
    """Where people attest, from a page of one or from a list of many."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.attest_view)
        name = "inventory_attestation_attest"
        return [path("attest/", view, name=name), *super().get_urls()]

    def attest_view(self, request: HttpRequest) -> HttpResponse:
        asked = request.POST if request.method == "POST" else request.GET
        subjects = Subjects.of(
            _ids(asked.get("versions", "")), _ids(asked.get("models", ""))
        )
        field = ATTESTABLE.get(asked.get("field", ""))
        if "attest" in request.POST and field is not None:
            return self._attest(request, subjects, field)
        return self.attest_page(request, subjects, field)

    def attest_page(
        self,
        request: HttpRequest,
        subjects: Subjects,
        field: Field | None = None,
        form: AttestForm | None = None,
    ) -> HttpResponse:
        """Ask for the field, then for its value. Costs a query: the present values."""
        if not self._may("attest"):
            raise PermissionDenied(
                f"“{Permission.ATTEST.label}” is not open to your role."
            )
        if not subjects:
            messages.warning(request, CHOOSE)
            return redirect(reverse("admin:inventory_modelversion_changelist"))
        versions = subjects.present() if field else []
        context = {
            **self.list_context(request, "Attest"),
            "subjects": subjects,
            "version_ids": _joined(subjects.versions),
            "model_ids": _joined(subjects.models),
            "groups": _groups(),
            "field": field,
            "form": form or (AttestForm(field) if field else None),
            "values": list(told(versions[:SHOWN], field)) if field else [],
            "are_more": len(versions) > SHOWN,
        }
        return TemplateResponse(request, "inventory/attest.html", context)

    def _attest(
        self, request: HttpRequest, subjects: Subjects, field: Field
    ) -> HttpResponse:
        form = AttestForm(field, request.POST, request.FILES)
        if form.is_valid():
            try:
                done = _act(form, subjects, field)
            except ValidationError as refused:
                form.blame(refused)
            else:
                messages.success(
                    request, f"Attested: {field.label} of {subjects}. {done.told}"
                )
                return redirect(subjects.address)
        return self.attest_page(request, subjects, field, form)


def attest_address(field: str, *, versions: Iterable[int]) -> str:
    """Return where a field of versions is attested."""
    query = urlencode({"field": field, "versions": ",".join(map(str, versions))})
    return f"{reverse('admin:inventory_attestation_attest')}?{query}"


def attest_page(
    site: AdminSite,
    request: HttpRequest,
    *,
    versions: Collection[int] = (),
    models: Collection[int] = (),
) -> HttpResponse:
    """Ask for the field that is to be attested of what was chosen on a list."""
    pages = cast(AttestingPages, site.get_model_admin(Attestation))
    return pages.attest_page(request, Subjects.of(versions, models))


class AttestsSelected(TenantAdmin[M]):
    """A list of which people attest: a field, of all rows that are selected."""

    actions = ("attest_selected",)
    permissions: ClassVar[dict[str, Permission]] = {
        "view": Permission.VIEW,
        "attest": Permission.ATTEST,
    }
    attested: ClassVar[str]  # what the rows are to `attest_page`: versions or models

    def has_attest_permission(self, request: HttpRequest) -> bool:
        return self._may("attest")

    @admin.action(description="Attest a field…", permissions=["attest"])
    def attest_selected(
        self, request: HttpRequest, queryset: QuerySet[M]
    ) -> HttpResponse:
        chosen = list(queryset.order_by().values_list("pk", flat=True))
        return attest_page(self.admin_site, request, **{self.attested: chosen})


def _act(form: AttestForm, subjects: Subjects, field: Field) -> acts.Done:
    """Attest what the form says; the file is kept only together with it."""
    given, kept = form.cleaned_data, None
    try:
        with transaction.atomic():
            kept = keep_file(given["evidence"]) if given["evidence"] else None
            return acts.attest(
                field=field.name,
                value=given["value"],
                reason=given["reason"],
                expires_on=given["expires_on"],
                versions=subjects.versions,
                models=subjects.models,
                evidence_file=kept,
            )
    except ValidationError:
        if kept is not None:
            kept.file.delete(save=False)
        raise


def _ids(words: str) -> list[int]:
    return [int(word) for word in words.split(",") if word.isdecimal()]


def _joined(rows: Sequence[ModelVersion] | Sequence[RegisteredModel]) -> str:
    return ",".join(str(row.pk) for row in rows)


def _groups() -> list[tuple[str, list[Field]]]:
    """Return the fields to choose from, as a record groups them."""
    return [
        (group.label, fields)
        for group in Group
        if (fields := [item for item in ATTESTABLE.values() if item.group is group])
    ]
