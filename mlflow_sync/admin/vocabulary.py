"""The organization's own words: the list of them, and the page that adds one.

Keys are chosen from those really seen, with their counts, and the effect is shown
before anything is saved.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.console import RecordedByAct
from accounts.filters import ChoiceFilter
from accounts.pages import Page
from accounts.roles import Permission
from inventory.records import FIELDS
from mlflow_sync.mapping.acts import add_entry, preview_entry, remove_entry
from mlflow_sync.mapping.own import MAPPABLE, own_vocabulary, words_of
from mlflow_sync.mapping.preview import Effect
from mlflow_sync.mapping.seen import seen_keys
from mlflow_sync.models import VocabularyEntry

KEYS_SHOWN = 200
SAVED = (
    "Saved. The registries are read anew with it; what it changes shows when they are."
)


class KindFilter(ChoiceFilter):
    title = "kind"
    parameter_name = "kind"
    choices_offered = tuple(VocabularyEntry.Kind.choices)

    def narrow(self, rows: Any, choice: str) -> Any:
        return rows.filter(kind=choice)


@admin.register(VocabularyEntry)
class VocabularyEntryAdmin(RecordedByAct, Page[VocabularyEntry]):
    """Entries are added and removed, never changed."""

    permissions: ClassVar = {
        "view": Permission.VIEW,
        "add": Permission.EDIT_GOVERNANCE,
        "delete": Permission.EDIT_GOVERNANCE,
    }
    list_display = ("shown_entry", "shown_field", "made_by", "made_at")
    list_filter: ClassVar[Any] = (KindFilter,)
    list_select_related = ("made_by",)
    search_fields = ("told", "field", "word")
    fields = ("kind", "told", "field", "word", "made_by", "made_at")
    ordering = ("field", "kind", "told")
    actions = None  # one by one: each is an act

    @admin.display(description="word", ordering="told")
    def shown_entry(self, entry: VocabularyEntry) -> SafeString:
        meaning = f"means {entry.word}" if entry.word else "states the field"
        return format_html(
            '<span class="vw-mono">{}</span><span class="vw-at">{}</span>',
            entry.told,
            meaning,
        )

    @admin.display(description="field", ordering="field")
    def shown_field(self, entry: VocabularyEntry) -> str:
        field = FIELDS.get(entry.field)
        return field.label if field else entry.field

    def delete_model(self, request: HttpRequest, obj: VocabularyEntry) -> None:
        remove_entry(obj)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Choose a key or a value, see what it would change, and save it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        entry = _entry(request.POST if request.method == "POST" else request.GET)
        effect: Effect | None = None
        faults: dict[str, list[str]] = {}
        if request.method == "POST":
            try:
                if "save" in request.POST:
                    add_entry(entry)
                    messages.success(request, SAVED)
                    return redirect(self._name("changelist"))
                effect = preview_entry(entry)
            except ValidationError as error:
                faults = error.message_dict
        return TemplateResponse(
            request, "mlflow_sync/vocabulary.html", self._context(
                request, entry, effect, faults
            ),
        )  # fmt: skip

    def _context(
        self,
        request: HttpRequest,
        entry: VocabularyEntry,
        effect: Effect | None,
        faults: dict[str, list[str]],
    ) -> dict[str, Any]:
        """Costs two queries: the organization's words, and the keys that were seen."""
        keys = seen_keys(own_vocabulary())
        return {
            **self.list_context(request, "Map a key or a value"),
            "entry": entry,
            "effect": effect,
            "faults": faults,
            "fields": [FIELDS[name] for name in MAPPABLE],
            "words": list(words_of(entry.field).values())
            if entry.field in MAPPABLE
            else [],
            "keys": [
                (seen, [FIELDS[name].label for name in seen.fields])
                for seen in keys[:KEYS_SHOWN]
            ],
            "more": max(len(keys) - KEYS_SHOWN, 0),
            "address": reverse(self._name("add")),
        }


def _entry(told: Any) -> VocabularyEntry:
    return VocabularyEntry(
        kind=told.get("kind") or VocabularyEntry.Kind.KEY,
        field=told.get("field", ""),
        told=told.get("told", ""),
        word=told.get("word", ""),
    )
