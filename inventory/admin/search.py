"""Finding models and versions by name, owner or tag."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.db.models.lookups import IContains
from django.utils.text import smart_split, unescape_string_literal

from inventory.models import ModelVersion, RegisteredModel


def search_models(
    rows: QuerySet[RegisteredModel], text: str
) -> QuerySet[RegisteredModel]:
    """Return the models in which every word is found, or in one of their versions."""
    versions = ModelVersion.objects.present().filter(registered_model=OuterRef("pk"))
    for word in words(text):
        rows = rows.filter(
            Q(name__icontains=word)
            | tagged(word)
            | Exists(versions.filter(Q(owner__icontains=word) | tagged(word)))
        )
    return rows


def search_versions(rows: QuerySet[ModelVersion], text: str) -> QuerySet[ModelVersion]:
    """Return the versions in which every word is found, or in their model."""
    for word in words(text):
        rows = rows.filter(
            Q(registered_model__name__icontains=word)
            | Q(owner__icontains=word)
            | tagged(word)
            | tagged(word, "registered_model__tags")
        )
    return rows


def tagged(word: str, tags: str = "tags") -> Q:
    """Match a tag: `key=value` one whose value holds it, else any key or value."""
    key, equals, value = word.partition("=")
    if equals:
        return Q(IContains(KeyTextTransform(key, tags), value))
    return Q(IContains(Cast(tags, TextField()), word))


def words(text: str) -> list[str]:
    """Split what was typed; quotes keep words together.

    >>> words('credit "Nina Meier" domain=finance')
    ['credit', 'Nina Meier', 'domain=finance']
    """
    return [
        unescape_string_literal(word)
        if word[0] in "'\"" and word[0] == word[-1] and len(word) > 1
        else word
        for word in smart_split(text)
    ]
