"""The official schema of OSCAL assessment results, as a validator that is not lenient.

Its patterns are those of ECMAScript: `\\p{L}` crashes Python's `re`, `$` would allow a
newline, `.` other line separators. Letters and digits are read as those of ASCII, which
is stricter than the schema. Formats that `jsonschema` skips without further packages,
`date-time` and the kinds of `uri`, are checked here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

FILE = Path(__file__).parents[1] / "data" / "oscal-1.2.3-assessment-results.json"
SCHEMA = json.loads(FILE.read_text())
FORMATS = FormatChecker(formats=("email",))

_IN_URI = r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})"


@FORMATS.checks("date-time", raises=ValueError)
def is_moment(value: object) -> bool:
    return not isinstance(value, str) or bool(datetime.fromisoformat(value).tzinfo)


@FORMATS.checks("uri")
def is_uri(value: object) -> bool:
    pattern = rf"[A-Za-z][A-Za-z0-9+.\-]*:{_IN_URI}+"
    return not isinstance(value, str) or bool(re.fullmatch(pattern, value))


@FORMATS.checks("uri-reference")
def is_uri_reference(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(f"{_IN_URI}*", value))


def in_python(pattern: str) -> str:
    """Return a pattern that Python takes, and that matches nothing more."""
    pattern = pattern.replace(r"\p{L}", "[A-Za-z]").replace(r"\p{N}", "[0-9]")
    pattern = re.sub(r"(?<!\\)\.(?=[*+])", "[^\n\r\u2028\u2029]", pattern)
    return re.sub(r"\$$", r"\\Z", pattern)


def pattern(
    validator: Any, pattern: str, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not re.search(in_python(pattern), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


OSCAL = extend(Draft7Validator, {"pattern": pattern})(SCHEMA, format_checker=FORMATS)


def told_in_schema(key: str) -> set[str]:
    """Return all that the schema says under a key: its patterns, or its formats."""

    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get(key), str):
                yield node[key]
            for each in node.values():
                yield from walk(each)
        elif isinstance(node, list):
            for each in node:
                yield from walk(each)

    return set(walk(SCHEMA))


def is_valid_as(value: Any, datatype: str) -> bool:
    """Tell whether a value is one of the schema's data types."""
    # Without the schema's `$schema`, at which `evolve` would leave our patterns out.
    told = OSCAL.evolve(schema={"$ref": f"#/definitions/{datatype}"})
    return bool(told.is_valid(value))
