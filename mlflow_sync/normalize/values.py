"""What a told text means for a field: words, lists, yes and no, amounts, shares.

A reading returns None where the text says nothing that the field can hold; the caller
keeps the text as it was told.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inventory.records import Kind
from mlflow_sync.normalize.text import clean_document, fold

TRUE_WORDS = frozenset({"true", "yes", "1", "y", "t", "on"})
FALSE_WORDS = frozenset({"false", "no", "0", "n", "f", "off"})

# str(None), which MLflow's client stores where a program passed None. It declares
# nothing, and “none” in lower case may.
PYTHON_NONE = "None"

_PASSED = frozenset({"passed", "pass", "true", "yes", "ok", "success", "all_passed"})
_SHARE = re.compile(r"(\d+)\s*(?:/|of)\s*(\d+)")
_LONGEST_NUMBER = 64  # characters; more is prose, or an attack on the patterns
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*(%|percent)?", re.IGNORECASE)
_AMOUNT = re.compile(
    r"(?:usd|us\$|\$)?\s*"
    r"(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e\+?\d{1,3})?)\s*"
    r"(k|thousand|m|mm|mn|mio|million|millions|b|bn|billion|billions)?\s*"
    r"(?:usd|us\$|\$|dollars)?\s*"
    r"(?:/\s*(?:year|yr|y|a)|per\s+(?:year|annum)|p\.?\s*a\.?|annually|yearly|a\s+year)?",
    re.IGNORECASE,
)
_POWERS = {"k": 1e3, "t": 1e3, "m": 1e6, "b": 1e9}
_WHOLE = 100


def boolean(told: str) -> bool | None:
    word = fold(told)
    return True if word in TRUE_WORDS else False if word in FALSE_WORDS else None


def number(told: str, *, key: str = "") -> float | None:
    try:
        value = float(told)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def amount(told: str, *, key: str = "") -> float | None:
    """Read an amount in US dollars a year: `1.2M`, `$1,200,000`, `1200000 USD`.

    Another currency, a range and a point that parts thousands are not read.
    """
    if not (match := _AMOUNT.fullmatch(told.strip())):
        return None
    digits, power = match.groups()
    value = float(digits.replace(",", ""))
    value *= _POWERS[power[0].lower()] if power else 1
    return value if math.isfinite(value) else None


def percent(told: str, *, key: str) -> float | None:
    """Read a percentage from 0 to 100.

    A bare 0.5 may be a half or half a percent: it is read only where the key says
    percent.
    """
    match = _PERCENT.fullmatch(told.strip())
    if not match or not (match[2] or "percent" in fold(key)):
        return None
    value = float(match[1])
    return value if value <= _WHOLE else None


def share(told: str, *, key: str) -> float | None:
    """Read a share from 0 to 1: `1.0`, `98%`, `120/120`, `passed`.

    A failure says no share, and neither does a bare count.
    """
    told = told.strip()
    if fold(told) in _PASSED:
        return 1.0
    if match := _SHARE.fullmatch(told):
        passed, total = int(match[1]), int(match[2])
        return passed / total if total > 0 and passed <= total else None
    if match := _PERCENT.fullmatch(told):
        value = float(match[1])
        if match[2] or (value > 1 and "rate" in fold(key)):
            value /= _WHOLE
        return value if value <= 1 else None
    return None


PARSERS: Mapping[str, Callable[..., float | None]] = {
    "number": number,
    "amount": amount,
    "percent": percent,
    "share": share,
}


def document(told: str) -> dict[str, Any] | None:
    """Read a JSON object."""
    if not told.startswith("{"):
        return None
    try:
        value = json.loads(told)
    except (ValueError, RecursionError):
        return None
    return clean_document(value) or None


@dataclass(frozen=True, slots=True)
class Reading:
    """How the texts told for one field are read."""

    kind: Kind
    words: Mapping[str, str]  # folded -> the word of our vocabulary
    silent: frozenset[str]  # folded words that say nothing, such as "pending"
    split: re.Pattern[str]
    parse: Callable[..., float | None]

    def read(self, told: str, *, key: str) -> Any | None:
        """Return the value of a non-empty text, None where it says nothing."""
        word = fold(told)
        if told == PYTHON_NONE or word in self.silent:
            return None
        match self.kind:
            case Kind.LIST:
                return self._list(told, word)
            case Kind.BOOLEAN:
                return boolean(self.words.get(word, told))
            case Kind.NUMBER if len(told) > _LONGEST_NUMBER:
                return None
            case Kind.NUMBER:
                return self.parse(self.words.get(word, told), key=key)
            case Kind.DOCUMENT:
                return document(told)
        return self.words.get(word, told)

    def _list(self, told: str, word: str) -> tuple[str, ...] | None:
        """Split a list, also one that Python or JSON wrote, each part in our words."""
        if word in self.words:
            return (self.words[word],)
        if boolean(told) is not None:
            return None
        parts = (
            part.strip(" \t\r\n'\"") for part in self.split.split(told.strip("[](){} "))
        )
        values = (self.words.get(fold(part), part) for part in parts if part)
        return tuple(dict.fromkeys(values)) or None
