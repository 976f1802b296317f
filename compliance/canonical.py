"""Canonical JSON: keys sorted, no spaces, ASCII only; one text for one meaning. Pure.

`json.dumps(…, sort_keys=True)` says the same. Of the results of one version, some seventy
small objects of plain values, it takes twice as long as the rules that made them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import Any

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def text(value: Any) -> str:
    write = _WRITERS.get(type(value), _encode)
    return write(value)


@lru_cache(maxsize=4096)  # the names of facts and rules, and some of metrics
def key(name: str) -> str:
    """Return a name as it stands before its value in an object."""
    return encode_basestring_ascii(name) + ":"


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _number(value: float) -> str:
    return repr(value) if isfinite(value) else _encode(value)


def _time(value: date | datetime) -> str:
    return f'"{value.isoformat()}"'


def _duration(value: timedelta) -> str:
    return f'"{value}"'


def _array(value: list[Any] | tuple[Any, ...]) -> str:
    return "[" + ",".join(map(text, value)) + "]"


def _object(value: dict[Any, Any]) -> str:
    if set(map(type, value)) != {str}:
        return _encode(value)
    return an_object([key(name) + text(value[name]) for name in sorted(value)])


_WRITERS: Mapping[type, Callable[[Any], str]] = {
    str: encode_basestring_ascii,
    bool: _boolean,
    int: repr,
    float: _number,
    date: _time,
    datetime: _time,
    timedelta: _duration,
    list: _array,
    tuple: _array,
    dict: _object,
}


class Written(str):
    """A value that is JSON already."""

    __slots__ = ()


def an_object(members: Iterable[str]) -> Written:
    """Return the text of an object of these members, which come by name: `"a":1`."""
    return Written("{" + ",".join(members) + "}")


class Texts(Mapping[str, Any]):
    """Values by name that are kept as texts, each read where somebody looks at it.

    `whole` are all of them as one object, where that is known.
    """

    __slots__ = ("_texts", "_whole")

    def __init__(self, texts: Mapping[str, str], whole: Written | None = None) -> None:
        self._texts = texts
        self._whole = whole

    def but(self, texts: Mapping[str, str]) -> Texts:
        """Return these values, but for those that are told here."""
        return Texts({**self._texts, **texts}) if texts else self

    def text(self, name: str) -> str:
        return self._texts[name]

    def __getitem__(self, name: str) -> Any:
        return json.loads(self._texts[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __str__(self) -> str:
        """Return all of them as one object, written once."""
        if self._whole is None:
            texts = self._texts
            self._whole = an_object([key(each) + texts[each] for each in sorted(texts)])
        return self._whole
