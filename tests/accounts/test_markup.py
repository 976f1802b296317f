"""Times, numbers and values as pages tell them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from accounts import markup
from accounts.history import differences

SCRIPT = "<script>x</script>"


@pytest.mark.parametrize(
    ("ago", "told"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=61), "1 minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(hours=1, seconds=1), "1 hour ago"),
        (timedelta(hours=47), "1 day ago"),
        (timedelta(days=29, hours=1), "29 days ago"),
        (timedelta(days=31), "1 month ago"),
        (timedelta(days=800), "2 years ago"),
        (timedelta(hours=-2, seconds=-5), "in 2 hours"),
    ],
)
def test_a_moment_is_told_in_its_largest_unit(ago: timedelta, told: str) -> None:
    assert markup.distance(now() - ago) == told


def test_a_moment_has_its_exact_time_in_utc_on_hover() -> None:
    at = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

    assert 'title="4 Mar 2026, 05:06:07 UTC"' in markup.moment(at)
    assert 'datetime="2026-03-04T05:06:07+00:00"' in markup.moment(at)
    assert markup.moment(None) == markup.NOTHING


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0, ">0<"),
        (1234567, ">1,234,567<"),
        (4200000.0, ">4,200,000<"),
        (0.91234567, 'title="0.91234567">0.912346<'),
        (-12345.678, ">-12,345.7<"),
        (1e308, ">1e+308<"),
        (17 * 10**300, ">1.70000e+301<"),
        (10**400, ">1.00000e+400<"),
        (float("inf"), ">inf<"),
    ],
)
def test_numbers_are_short_and_whole_on_hover(number: float, told: str) -> None:
    assert told in markup.number(number)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.6, "1 min 0 s"), (204, "3 min 24 s"), (7500, "2 h 5 min")],
)  # fmt: skip
def test_durations(seconds: float, told: str) -> None:
    assert markup.duration(seconds) == told


@pytest.mark.parametrize(
    ("count", "told"),
    [(None, "–"), ("", "–"), (999, "999 B"), (1300, "1.3 kB"), (2.5e9, "2.5 GB"), (7e12, "7.0 TB")],
)  # fmt: skip
def test_sizes(count: Any, told: str) -> None:
    assert markup.size(count) == told


@pytest.mark.parametrize("nothing", [None, "", [], (), {}])
def test_what_says_nothing_is_a_dash(nothing: object) -> None:
    assert markup.value(nothing) == markup.NOTHING


@pytest.mark.parametrize("told", [0, False, 0.0])
def test_zero_and_false_say_something(told: object) -> None:
    assert markup.value(told) != markup.NOTHING


def test_documents_become_tables_and_lists_chips() -> None:
    told = markup.value({"b": {"c": 1}, "a": ["x", "y"]})

    assert told.index(">a<") < told.index(">b<")
    assert told.count("<table") == 2
    assert '<span class="vw-chip">x</span>' in told
    assert "<div>" in markup.value([{"a": 1}, 2])


def test_of_a_document_a_wide_table_shows_its_size_to_unfold() -> None:
    told = markup.brief({"auc": 0.9, "f1": 0.8})
    assert "<summary>2 entries</summary>" in told
    assert str(markup.value({"auc": 0.9, "f1": 0.8})) in told
    assert "<summary>1 entry</summary>" in markup.brief([{"path": "a"}])
    for plain in ("words", 7, ["gdpr", "hipaa"], {}, None):
        assert markup.brief(plain) == markup.value(plain)


def test_long_texts_are_folded() -> None:
    assert "<details" not in markup.value("short")
    folded = markup.value("long " * 100)
    assert "<details" in folded
    assert "500 characters" in folded


@pytest.mark.parametrize(
    "told",
    [SCRIPT, SCRIPT * 99, [SCRIPT], [{SCRIPT: SCRIPT}], {SCRIPT: {SCRIPT: [1, SCRIPT]}}],
)  # fmt: skip
def test_everything_is_escaped(told: object) -> None:
    assert "<script" not in markup.value(told)
    assert "<script" not in markup.chip(told, title=SCRIPT)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("a", "a", []),
        ("a", "b", [("", "a", "b")]),
        (None, {"a": 1}, [("", None, {"a": 1})]),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, [("b", 2, 3)]),
        ({"a": 1}, {}, [("a", 1, None)]),
        (
            [{"path": "p", "size": 1}],
            [{"path": "p", "size": 2}, {"path": "q", "size": 3}],
            [("p", {"size": 1}, {"size": 2}), ("q", None, {"size": 3})],
        ),
        (["a"], ["a", "b"], [("", ["a"], ["a", "b"])]),
    ],
)
def test_differences_are_told_key_by_key(old: Any, new: Any, told: Any) -> None:
    assert list(differences(old, new)) == told


def test_signs_that_are_not_to_be_seen_are_shown_as_their_numbers() -> None:
    assert markup.visible("Müller 🙂.md") == "Müller 🙂.md"
    assert markup.visible("<b>") == "&lt;b&gt;"
    assert markup.visible("a\u202e<\n") == (
        'a<span class="vw-sign">U+202E</span>&lt;<span class="vw-sign">U+000A</span>'
    )
