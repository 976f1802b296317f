"""Secrets and personal data in tags and parameters are not stored.

A value that holds a secret is replaced as a whole; credentials in a URL, and personal
data, are cut out of the text around them. Place, key and kind stay visible, the value
never. Numeric parameters are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from inventory.records import Redaction
from mlflow_sync.normalize.redaction_patterns import (
    ANY_HINT,
    CUT_HINT,
    CUTS,
    OPAQUE,
    PLACEHOLDER,
    SECRET_HINT,
    SECRET_KEY,
    SECRETS,
    Cut,
    names_person,
)
from mlflow_sync.normalize.text import cached_by_key, fold

PARAMETER = "parameter"
_NOTE = "[redacted: "


def redact_mapping(
    place: str, values: Mapping[str, str], *, people_keys: Collection[str] = ()
) -> tuple[dict[str, str], tuple[Redaction, ...]]:
    """Return the values fit to be stored, and what was taken out of them.

    `place` is told to people (“run tag”); under PARAMETER numbers are left alone.
    E-mail addresses stay under `people_keys` (folded), under keys that name a person
    in charge, and under MLflow's own keys.
    """
    clean = dict(values)
    text = "\n".join(clean.values())
    if not ANY_HINT.search(text) and not any(map(_key_kind, clean)):
        return clean, ()
    redactions: list[Redaction] = []
    for key, value in values.items():
        if place == PARAMETER and _is_number(value):
            continue
        if kind := _secret(key, value):
            clean[key] = f"{_NOTE}{kind}]"
            redactions.append(Redaction(place, key, kind, is_secret=True))
        elif CUT_HINT.search(value):
            is_person = fold(key) in people_keys or names_person(key)
            for cut in CUTS:
                if cut.spares_people and is_person:
                    continue
                text = _without(cut, key, clean[key])
                if text != clean[key]:
                    clean[key] = text
                    redactions.append(Redaction(place, key, cut.kind, cut.is_secret))
    return clean, tuple(redactions)


def is_redacted(value: str) -> bool:
    """Tell whether nothing is left of a value but our note on it."""
    return value.startswith(_NOTE) and value.endswith("]")


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _secret(key: str, value: str) -> str | None:
    """Return the kind of secret that a value holds or that its key says it holds."""
    kind = _key_kind(key)
    is_opaque = kind == "password" or (kind and OPAQUE.fullmatch(value))
    if is_opaque and not PLACEHOLDER.fullmatch(value):
        return kind
    if not SECRET_HINT.search(value):
        return None
    return next((kind for kind, regex in SECRETS if regex.search(value)), None)


@cached_by_key
def _key_kind(key: str) -> str:
    """Return what a key says that it holds: "password", "secret", or nothing."""
    match = SECRET_KEY.search(fold(key))
    return "" if match is None else "password" if match["password"] else "secret"


def _without(cut: Cut, key: str, text: str) -> str:
    instead = cut.instead or f"{_NOTE}{cut.kind}]"

    def replacement(match: re.Match[str]) -> str:
        return instead if cut.accept(key, match) else match[0]

    return cut.regex.sub(replacement, text)
