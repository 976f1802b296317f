"""The vocabulary of the organization that is being acted for."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from typing import Any

from inventory.records import FIELDS, GOVERNANCE_FIELDS
from mlflow_sync.models import VocabularyEntry
from mlflow_sync.normalize.text import fold
from mlflow_sync.normalize.vocabulary import (
    Vocabulary,
    default_vocabulary,
    table,
    vocabulary_from,
)

Kind = VocabularyEntry.Kind
Entry = tuple[str, str, str, str]  # kind, field, told, word

# What is worked out of several sources, and not stated by a key alone.
_WORKED_OUT = ("deployment_status", "fairness_metrics", "input_schema")
MAPPABLE = tuple(
    name
    for name in FIELDS
    if (name in GOVERNANCE_FIELDS or name in table()["fields"])
    and name not in _WORKED_OUT
)
# Where the project distrusts a key, the organization vouches for it.
_DISTRUST = ("weak", "keys_if_known", "weak_on_runs", "not_on_runs", "only_in_company")


def own_vocabulary() -> Vocabulary:
    """Return the project's words, and the organization's before them. Costs one query."""
    return extended(own_entries())


def own_entries() -> tuple[Entry, ...]:
    return tuple(
        VocabularyEntry.objects.order_by("pk").values_list(
            "kind", "field", "told", "word"
        )
    )


@lru_cache(maxsize=64)
def extended(entries: tuple[Entry, ...]) -> Vocabulary:
    """Return the project's vocabulary with these entries. Costs some milliseconds once."""
    if not entries:
        return default_vocabulary()
    data: dict[str, Any] = deepcopy(dict(table()))
    fields: dict[str, dict[str, Any]] = data["fields"]
    for kind, name, told, word in entries:
        options = fields.setdefault(name, {})
        if kind == Kind.KEY:
            _vouch(options, told)
        else:
            options["words"] = {**options.get("words", {}), told: word}
            options["silent"] = [
                silent
                for silent in options.get("silent", ())
                if fold(silent) != fold(told)
            ]
    return vocabulary_from(data)


def _vouch(options: dict[str, Any], key: str) -> None:
    """Let a key state a field, whatever the project thinks of it."""
    for option in _DISTRUST:
        if option in options:
            options[option] = [
                listed for listed in options[option] if fold(listed) != fold(key)
            ]
    for option in ("keys", "params"):
        options[option] = [key, *options.get(option, ())]


def words_of(field: str) -> Mapping[str, str]:
    """Return the words that a field may be told in, as they are kept."""
    options = table()["fields"].get(field, {})
    words = [*FIELDS[field].choices, *options.get("vocabulary", ())]
    words += options.get("words", {}).values()
    return {fold(word): word for word in words}
