"""Whether a value that somebody gives is one that its field can hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from inventory.fields import BOUNDS, Field, Kind

LONGEST = 5000  # characters: what MLflow keeps of a tag


def typed(field: Field, value: Any) -> Any:
    """Return the value as a record holds it. Raises ValueError with a sentence."""
    cleaned = _CLEAN[field.kind](field, value)
    if field.choices and cleaned not in field.choices:
        raise ValueError(
            f"{_named(field)} cannot be {_quoted(value)}: "
            f"it is one of {', '.join(field.choices)}."
        )
    return cleaned


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str) or not (text := value.strip()):
        raise _wrong(field, value, "a text that is not empty")
    if "\x00" in text or len(text) > LONGEST:
        raise _wrong(field, value, f"at most {LONGEST:,} characters, none of them NUL")
    return text


def _list(field: Field, value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not value:
        raise _wrong(field, value, "a list of texts that is not empty")
    return list(dict.fromkeys(_text(field, each) for each in value))


def _number(field: Field, value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise _wrong(field, value, "a number")
    least, most = BOUNDS.get(field.name, (-math.inf, math.inf))
    if not least <= value <= most:
        upto = f" and at most {most:g}" if math.isfinite(most) else ""
        raise _wrong(field, value, f"at least {least:g}{upto}")
    number: float = value
    return number


def _boolean(field: Field, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(field, value, "true or false")
    return value


def _document(field: Field, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise _wrong(field, value, "a JSON object that is not empty")
    return value


def _never(field: Field, value: Any) -> Any:
    raise ValueError(f"{_named(field)} is observed, and nobody states it.")


_CLEAN: Mapping[Kind, Callable[[Field, Any], Any]] = {
    Kind.TEXT: _text,
    Kind.CHOICE: _text,
    Kind.LIST: _list,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.DOCUMENT: _document,
    Kind.TIME: _never,
}


def _wrong(field: Field, value: Any, expected: str) -> ValueError:
    return ValueError(f"{_named(field)} cannot be {_quoted(value)}: it is {expected}.")


def _named(field: Field) -> str:
    return f"{field.label} ({field.name})"


def _quoted(value: Any) -> str:
    told = str(value)
    return f"“{told[:60]}…”" if len(told) > 60 else f"“{told}”"  # noqa: PLR2004
