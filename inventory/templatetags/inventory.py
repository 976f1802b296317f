"""Pieces of the inventory's pages: `{% load inventory %}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import template
from django.utils.safestring import SafeString

from accounts import markup
from inventory import markup as parts

register = template.Library()

register.filter("stage", parts.stage)
register.filter("presence", parts.presence)
register.filter("unread", parts.unread)
register.filter("short", parts.short)
register.filter("completeness", parts.completeness)

_STATES = {
    "hashed": ("hashed", "good", "The digest is of the bytes that MLflow served."),
    "too_large": ("too large", "weak", "Larger than what a sync reads."),
    "unavailable": ("unavailable", "high", "MLflow did not serve it."),
    "not_asked": ("listed", "", "Listed, and not downloaded."),
}


@register.filter
def file_state(state: str) -> SafeString:
    """Say what is known of the content of a file."""
    words, tone, title = _STATES.get(state, (state, "", ""))
    return markup.chip(words, tone, title=title)


@register.filter
def environment(told: Mapping[str, Any]) -> dict[str, Any]:
    """Name the parts of a runtime environment as people do."""
    return {
        name.replace("_", " ").capitalize(): "\n".join(value)
        if isinstance(value, list)
        else value
        for name, value in told.items()
    }


@register.filter
def signature(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs, outputs and parameters, each as names and types."""
    return {name.capitalize(): _columns(value) for name, value in told.items() if value}


def _columns(value: Any) -> Any:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return value
    return {
        str(column.get("name") or position): _type(column)
        for position, column in enumerate(value)
        if isinstance(column, Mapping)
    }


def _type(column: Mapping[str, Any]) -> str:
    tensor = column.get("tensor-spec")
    if isinstance(tensor, Mapping):
        return f"tensor of {tensor.get('dtype', '?')} {tensor.get('shape', '')}"
    optional = "" if column.get("required", True) else ", optional"
    return f"{column.get('type', '?')}{optional}"
