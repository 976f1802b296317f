"""Text and times as MLflow tells them, made fit for PostgreSQL and for people."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache, wraps
from typing import Any, TypeVar

Answer = TypeVar("Answer")

REPLACEMENT = "\ufffd"
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_SEPARATORS = str.maketrans("-. :/", "_____")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MILLISECOND = 253_402_300_799_999  # of the year 9999
_DEEPEST = 50
_LONGEST_KEY = 250  # characters: MLflow's own limit

_AUTHORITY = re.compile(r"^([A-Za-z][\w+.:-]*://)([^/?#]*)@")
# A port that is no number: what precedes the last "@" is a password with a slash in it.
_ODD_PASSWORD = re.compile(
    r"^([A-Za-z][\w+.:-]*://)[^/?#@:\[]*:[^/?#@]*[^/?#@\d].*@", re.DOTALL
)
_SIGNED = re.compile(
    r"[?&#](?:x-(?:amz|goog)-(?:signature|credential|security-token)|sig|signature"
    r"|awsaccesskeyid|googleaccessid|access[_-]?key\w*|secret\w*|password|passwd|pwd"
    r"|(?:\w+[_-])?token|api[_-]?key|code)=",
    re.IGNORECASE,
)
# Where the part before the "@" names a container or bucket and is no credential.
_CONTAINER_SCHEMES = tuple(
    f"{scheme}://" for scheme in ("abfs", "abfss", "wasb", "wasbs", "r2", "b2", "oci")
)


def cached_by_key(function: Callable[[str], Answer]) -> Callable[[str], Answer]:
    """Remember what a function says of keys and short words, which come again and again.

    Longer texts are values that come once: they would only fill the memory.
    """
    cached = lru_cache(maxsize=4096)(function)

    @wraps(function)
    def answer(text: str) -> Answer:
        return cached(text) if len(text) <= _LONGEST_KEY else function(text)

    return answer


@cached_by_key
def fold(text: str) -> str:
    """Return a key, or a word of a vocabulary, in the form in which they are compared."""
    return text.casefold().translate(_SEPARATORS)


def clean_text(text: str | None) -> str:
    """Return text with what PostgreSQL cannot store (NUL, lone surrogates) replaced."""
    if not text:
        return ""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub(REPLACEMENT, text)


def clean_mapping(values: Mapping[str, str]) -> dict[str, str]:
    return {clean_text(key): clean_text(value) for key, value in values.items()}


def clean_document(value: Any, *, depth: int = _DEEPEST) -> Any:
    """Return a JSON value fit for a JSONB column; what is nested too deep becomes None.

    Values of other types than JSON's, NaN and the infinities become None as well.
    """
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth and isinstance(value, Mapping):
        return {
            clean_text(str(key)): clean_document(item, depth=depth - 1)
            for key, item in value.items()
        }
    if depth and isinstance(value, list | tuple):
        return [clean_document(item, depth=depth - 1) for item in value]
    return None


def clean_uri(uri: str | None) -> str:
    """Return a URI of any backend without user, password and signed query string.

    The container of abfss, wasbs, r2, b2 and oci URIs is kept, as are query strings that
    sign nothing; what is no URI (a path, `models:/m-1`) comes back as told.
    """
    uri = clean_text(uri).strip()
    if "@" in uri:
        uri = _without_user(uri)
    if _SIGNED.search(uri):
        uri = re.split(r"[?#]", uri, maxsplit=1)[0]
    return uri


def _without_user(uri: str) -> str:
    if not (authority := _AUTHORITY.match(uri)):
        odd = _ODD_PASSWORD.match(uri)
        return odd[1] + uri[odd.end() :] if odd else uri
    scheme, user = authority.groups()
    if scheme.lower() in _CONTAINER_SCHEMES:
        container = user.split(":", 1)[0]
        return f"{scheme}{container}@{uri[authority.end() :]}"
    return scheme + uri[authority.end() :]


def utc(milliseconds: int | None) -> datetime | None:
    """Return milliseconds since the Unix epoch as an aware datetime.

    None for what is missing, which MLflow tells as null or as 0, and for what no
    calendar holds.
    """
    if not milliseconds or not 0 < milliseconds <= _LAST_MILLISECOND:
        return None
    return _EPOCH + timedelta(milliseconds=milliseconds)
