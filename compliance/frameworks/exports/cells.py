"""Values as cells of a table: clean text, real numbers, and nothing that is executed."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from compliance.check_formats import NOT_IN_XML

Cell = str | int | float | None

LONGEST = 32_767  # characters in a cell of a workbook, in units of UTF-16
CUT = " … (cut)"
EXACT = 2**53  # whole numbers up to it are exact in a spreadsheet program
_STARTS_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cell(value: Any) -> Cell:
    """Return a value, as JSON has it, for a cell; None is an empty one."""
    if value in (None, "", [], {}):
        return None
    match value:
        case bool():
            return str(value).lower()
        case int():
            return value if abs(value) <= EXACT else str(value)
        case float():
            return value if isfinite(value) else str(value)
        case str():
            return clean(value)
        case list() if not any(isinstance(each, list | dict) for each in value):
            return clean(", ".join(map(str, value)))
    return clean(json.dumps(value, ensure_ascii=False, sort_keys=True))


def clean(text: str) -> str:
    """Replace the signs that no XML file may hold, for all tables alike."""
    return NOT_IN_XML.sub("\ufffd", text)


def is_formula(text: str) -> bool:
    """Tell whether a spreadsheet program could take the text for a formula."""
    return text.lstrip().startswith(_STARTS_FORMULA) or text.startswith(("\t", "\r"))


def cut(text: str) -> str:
    """Shorten a text that is too long for a cell of a workbook, and say so."""
    if len(text) <= LONGEST // 2:
        return text
    units = text.encode("utf-16-le")
    if len(units) // 2 <= LONGEST:
        return text
    return units[: 2 * (LONGEST - len(CUT))].decode("utf-16-le", "ignore") + CUT
