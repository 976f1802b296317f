"""What is written by hand is what `json.dumps` would write."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.canonical import Texts, text
from inventory.records import Stage

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
VALUES = st.recursive(
    PLAIN,
    lambda each: (
        st.lists(each, max_size=3)
        | st.dictionaries(st.text(max_size=9), each, max_size=3)
        | st.dictionaries(st.integers(), each, max_size=2)
    ),
    max_leaves=4,
)


def dumps(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@given(VALUES)
def test_any_value_is_written_as_json_writes_it(value: Any) -> None:
    assert text(value) == dumps(value)


@given(st.dictionaries(st.text(max_size=9), PLAIN, max_size=4))
def test_texts_are_those_of_an_object(values: dict[str, Any]) -> None:
    texts = Texts({name: text(value) for name, value in values.items()})
    assert str(texts) == dumps(values)
    assert dumps(dict(texts)) == dumps(values)  # as dumps, for NaN equals nothing
    assert str(texts.but({"a": "1"})) == dumps({**values, "a": 1})


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (("a", "b"), '["a","b"]'),
        (Stage.PRODUCTION, '"Production"'),
        (date(2026, 1, 9), '"2026-01-09"'),
        (datetime(2026, 1, 9, 8, tzinfo=UTC), '"2026-01-09T08:00:00+00:00"'),
        (timedelta(hours=1), '"1:00:00"'),
    ],
)
def test_facts_that_json_does_not_know_are_told_as_text(value: Any, told: str) -> None:
    assert text(value) == told
