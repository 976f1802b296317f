"""Pieces of the inventory's pages: `{% load inventory %}`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django import template
from django.utils.safestring import SafeString

from accounts import markup
from inventory import markup as parts
from inventory.manifest import State
from inventory.record_page import Shown

register = template.Library()

register.filter("stage", parts.stage)
register.filter("presence", parts.presence)
register.filter("scope", parts.scope)
register.filter("state", parts.state)
register.filter("unread", parts.unread)
register.filter("short", parts.short)
register.filter("person", parts.person)
register.filter("completeness", parts.completeness)
register.filter("between", parts.between)
register.filter("observed", parts.observed)
register.filter("drawn", parts.drawn)
register.filter("attestation_state", parts.attestation_state)

_STATES = {
    State.HASHED: ("hashed", "good", "The digest is of the bytes that MLflow served."),
    State.TOO_LARGE: ("too large", "weak", "Larger than what is read."),
    State.UNAVAILABLE: ("unavailable", "high", "MLflow did not serve it."),
    State.NOT_ASKED: ("listed", "", "Listed, and not downloaded."),
}


@register.filter
def file_state(state: str) -> SafeString:
    """Say what is known of the content of a file."""
    if state not in set(State):
        return markup.chip(state)
    words, tone, title = _STATES[State(state)]
    return markup.chip(words, tone, title=title)


@register.filter
def told_moment(told: str | None) -> SafeString:
    """Return a moment that a document holds, as pages say it."""
    return markup.moment(datetime.fromisoformat(told) if told else None)


_COUNTED = {
    "metrics": ("metric", "metrics"),
    "hyperparameters": ("parameter", "parameters"),
    "evaluation_tags": ("tag", "tags"),
    "artifact_manifest": ("file", "files"),
    "evidence_files": ("file", "files"),
}


@register.filter
def counted(shown: Shown) -> str:
    """Say how much a document of the record holds."""
    if shown.field.name == "runtime_environment":
        python = shown.value.get("python")
        return f"Python {python}" if python else "Described"
    one, many = _COUNTED[shown.field.name]
    count = len(shown.value)
    return f"{count} {one if count == 1 else many}"


@register.filter
def dataset_source(told: str) -> str:
    """Return the address that MLflow wraps into JSON, or what was told as it is."""
    try:
        wrapped = json.loads(told)
    except ValueError:
        return told
    if not isinstance(wrapped, dict):
        return told
    return next(
        (str(wrapped[key]) for key in ("uri", "url", "path") if wrapped.get(key)), told
    )


_LABELS = {
    "conda_dependencies": "Conda",
    "build_dependencies": "To build",
    "mlflow_version": "MLflow",
    "model_size_bytes": "Size",
    "model_uuid": "UUID",
    "model_id": "Logged model",
}
# The lines of the files, and what they mean: a table of its own.
_PACKAGES = "packages"
_LINES = ("dependencies", "conda_dependencies", "build_dependencies")


@register.filter
def environment(told: Mapping[str, Any]) -> dict[str, Any]:
    """Name the parts of a runtime environment as people do, its packages apart."""
    apart = (_PACKAGES, *_LINES) if _PACKAGES in told else ()
    return {
        _label(name): "\n".join(map(str, value)) if isinstance(value, list) else value
        for name, value in told.items()
        if name not in apart
    }


@register.filter
def mlmodel(told: Mapping[str, Any]) -> dict[str, Any]:
    """Name what MLmodel tells as people do; which formats are unsafe is told apart."""
    return {
        _label(name): _fact(name, value)
        for name, value in told.items()
        if name != "unsafe"
    }


def _label(name: str) -> str:
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def _fact(name: str, value: Any) -> Any:
    if name == "model_size_bytes" and isinstance(value, int):
        return markup.size(value)
    if name == "logged_at":
        return _moment(value)
    if name == "flavors":
        return {
            flavor: ", ".join(filter(None, map(facts.get, _OF_FLAVORS))) or "–"
            for flavor, facts in value.items()
        }
    return value


_OF_FLAVORS = ("version", "serialization", "loader")


def _moment(told: str) -> datetime | str:
    try:
        return datetime.fromisoformat(told)
    except ValueError:
        return told


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
