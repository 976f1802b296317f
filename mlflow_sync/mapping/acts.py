"""The acts on an organization's vocabulary: add a word, take one back."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from accounts import audit, tenancy
from accounts.permissions import require
from accounts.roles import Permission
from inventory.records import FIELDS, Kind
from mlflow_sync.exceptions import SyncAlreadyActive
from mlflow_sync.mapping.own import MAPPABLE, extended, own_entries, words_of
from mlflow_sync.mapping.preview import Effect, preview
from mlflow_sync.models import SyncRun, TrackingServer, VocabularyEntry
from mlflow_sync.models.vocabulary import LONGEST_TOLD
from mlflow_sync.normalize.text import fold
from mlflow_sync.queueing import request_sync

_TAKES_ANY_WORD = (Kind.TEXT, Kind.LIST)


def checked(entry: VocabularyEntry) -> VocabularyEntry:
    """Bring an entry into its form. Raises ValidationError naming what cannot be."""
    entry.told, entry.word = entry.told.strip(), entry.word.strip()
    entry.folded = fold(entry.told)
    faults: dict[str, str] = {}
    if entry.kind not in VocabularyEntry.Kind.values:
        faults["kind"] = f"“{entry.kind}” is neither key nor word."
    if entry.field not in FIELDS:
        faults["field"] = f"The record has no field “{entry.field}”."
    elif entry.field not in MAPPABLE:
        faults["field"] = (
            f"{FIELDS[entry.field].label} is read off the registry: no key states it."
        )
    if not entry.folded:
        faults["told"] = "Say which key, or which value, is meant."
    elif len(entry.told) > LONGEST_TOLD:
        faults["told"] = f"MLflow has none of more than {LONGEST_TOLD} characters."
    elif "*" in entry.told and entry.kind == VocabularyEntry.Kind.KEY:
        faults["told"] = "Name one key: patterns are not taken."
    if not faults:
        faults = _faults_of_word(entry)
    if faults:
        raise ValidationError(faults)
    return entry


def _faults_of_word(entry: VocabularyEntry) -> dict[str, str]:
    if entry.kind == VocabularyEntry.Kind.KEY:
        return {"word": "A key has no meaning of its own."} if entry.word else {}
    if not entry.word:
        return {"word": "Say what the word means."}
    field, words = FIELDS[entry.field], words_of(entry.field)
    if fold(entry.word) in words:
        entry.word = words[fold(entry.word)]
    elif field.choices or field.kind not in _TAKES_ANY_WORD:
        told = ", ".join(words.values()) or "no words at all"
        return {"word": f"“{entry.word}” is none of {field.label}: {told}."}
    return {}


def preview_entry(entry: VocabularyEntry) -> Effect:
    """Return what an entry would change. Raises ValidationError as `add_entry` does."""
    entry = checked(entry)
    entries = own_entries()
    told = (entry.kind, entry.field, entry.told, entry.word)
    return preview(
        entry.field, before=extended(entries), after=extended((*entries, told))
    )


def add_entry(entry: VocabularyEntry) -> VocabularyEntry:
    """Take a word into the vocabulary, and read the registries anew with it.

    Raises ValidationError where it makes no sense, or is there already.
    """
    require(Permission.EDIT_GOVERNANCE)
    entry = checked(entry)
    if VocabularyEntry.objects.filter(
        kind=entry.kind, field=entry.field, folded=entry.folded
    ).exists():
        raise ValidationError(
            {"told": f"“{entry.told}” is in the vocabulary of this field already."}
        )
    entry.made_by = tenancy.current_actor()
    entry.save()
    audit.record("vocabulary.added", entry, changes=_told(entry))
    _read_anew()
    return entry


def remove_entry(entry: VocabularyEntry) -> None:
    """Take a word out of the vocabulary, and read the registries anew without it."""
    require(Permission.EDIT_GOVERNANCE)
    audit.record("vocabulary.removed", entry, changes=_told(entry))
    entry.delete()
    _read_anew()


def _told(entry: VocabularyEntry) -> dict[str, str]:
    return {
        "kind": entry.kind,
        "field": entry.field,
        "told": entry.told,
        "word": entry.word,
    }


def _read_anew() -> None:
    """Ask for a sync of every server, if the actor may; else the next one does it.

    One that is running began with other words: the one after it reads all runs again.
    """
    acting = tenancy.current()
    if acting is None or not acting.may(Permission.SYNC):
        return
    for server in TrackingServer.objects.filter(is_enabled=True, removed_at=None):
        try:
            request_sync(server, trigger=SyncRun.Trigger.MANUAL)
        except SyncAlreadyActive:
            continue
