"""Texts and properties as OSCAL wants them."""

from __future__ import annotations

import re

from compliance.check_formats import NOT_IN_XML
from compliance.frameworks.exports.export import NAMESPACE

Prop = dict[str, str]

_MARKUP = re.compile(r"([\\`*_\[\]<>~^|#])")


def line(text: object) -> str:
    """Return a text on one line, without space around it: OSCAL's `string`."""
    clean = NOT_IN_XML.sub("\ufffd", str(text)).replace("\ufeff", " ")
    return " ".join(clean.split()) or "(nothing)"


def markup(text: object) -> str:
    """Return a text that others wrote for a place where OSCAL reads markup."""
    return _MARKUP.sub(r"\\\1", line(text))


def props(**told: object) -> list[Prop]:
    """Return properties in our namespace: `gaps_left_out=3` is `gaps-left-out`.

    What is None is left out.
    """
    return [
        {"name": name.replace("_", "-"), "ns": NAMESPACE, "value": line(value)}
        for name, value in told.items()
        if value is not None
    ]


def counts(told: dict[str, int], of: str) -> str:
    """Return counts in words: “2 direct, 0 partial, 1 none, of 3 versions”."""
    return (
        f"{', '.join(f'{number:,} {what}' for what, number in told.items())}, of {of}"
    )
