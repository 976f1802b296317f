"""Which models are in scope, why the others are not, and what is no pattern."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from mlflow_sync.exceptions import BadPattern
from mlflow_sync.scope import (
    MOST,
    NOT_INCLUDED,
    NOT_TAGGED,
    Scope,
    normalize_within,
    read_patterns,
    read_tags,
)
from tests.mlflow_sync.builders import MODEL, VOCABULARY, model_record


def reason(
    name: str,
    tags: Mapping[str, str] | None = None,
    *,
    include: str = "",
    exclude: str = "",
    required: str = "",
) -> str:
    scope = Scope(
        include=read_patterns(include),
        exclude=read_patterns(exclude),
        tags=read_tags(required),
    )
    return scope.reason(replace(MODEL, name=name, tags=tags or {}))


def excluded(pattern: str) -> str:
    return f"Its name matches the exclude pattern “{pattern}”."


def test_without_a_pattern_everything_is_in_scope() -> None:
    assert Scope().is_everything
    assert reason("anything") == ""


@pytest.mark.parametrize(
    ("name", "pattern", "matches"),
    [
        ("credit-scoring", "credit-*", True),
        ("credit-", "credit-*", True),
        ("my-credit-scoring", "credit-*", False),
        ("Credit-scoring", "credit-*", False),
        ("credit-1", "credit-?", True),
        ("credit-12", "credit-?", False),
        ("credit-2", "credit-[12]", True),
        ("credit-3", "credit-[!12]", True),
        ("credit-1", "credit-[!12]", False),
        ("a[b", "a[[]b", True),
        ("a]b", "a[]]b", True),
        ("a.b", "a.b", True),
        ("axb", "a.b", False),
        ("prod.eu.scoring", "prod.*", True),
        ("line\nbreak", "line*break", True),
        ("Größe ✓", "Größe*", True),
        ("with space", "with space", True),
    ],
)
def test_a_pattern_matches_whole_names_as_in_a_shell(
    name: str, pattern: str, matches: bool
) -> None:
    assert (reason(name, include=pattern) == "") is matches
    assert (reason(name, exclude=pattern) == excluded(pattern)) is matches


def test_one_include_pattern_of_several_suffices() -> None:
    include = "credit-*\nfraud-*"

    assert reason("fraud-cards", include=include) == ""
    assert reason("churn", include=include) == NOT_INCLUDED


def test_what_is_excluded_is_named_with_its_pattern_and_wins() -> None:
    told = reason(
        "credit-sandbox",
        {"risk": "high"},
        include="credit-*",
        exclude="other-*\n*-sandbox",
        required="risk",
    )

    assert told == excluded("*-sandbox")


@pytest.mark.parametrize(
    ("tags", "required", "is_tagged"),
    [
        ({"team": "lending"}, "team", True),
        ({"team": ""}, "team", True),
        ({"Team": "lending"}, "team", False),
        ({}, "team", False),
        ({"team": "lending"}, "team=lending", True),
        ({"team": "lending-eu"}, "team=lending*", True),
        ({"team": "sales"}, "team=lending*", False),
        ({"team": ""}, "team=", True),
        ({"team": "lending"}, "team=", False),
        ({"formula": "a=b"}, "formula=a=b", True),
        ({"risk": "high"}, "team=lending\nrisk", True),
        ({"a.b": "1"}, " a.b = 1 ", True),
    ],
)
def test_one_required_tag_suffices(
    tags: dict[str, str], required: str, is_tagged: bool
) -> None:
    expected = "" if is_tagged else NOT_TAGGED

    assert reason("credit", tags, required=required) == expected
    assert reason("credit", tags, required=required, include="credit") == expected


def test_names_are_matched_as_they_are_stored() -> None:
    assert reason("nul\x00", include="nul\ufffd") == ""


def test_empty_lines_and_blanks_around_a_pattern_are_nothing() -> None:
    assert read_patterns("\n  a* \r\n\n b\n") == ("a*", "b")
    assert read_patterns(" \n\t") == ()


@pytest.mark.parametrize("pattern", ["[", "a[b", "a[]b", "[!]", "a[b]c[", "[a]]", "]"])
def test_a_bracket_without_its_fellow_is_refused_with_its_line(pattern: str) -> None:
    with pytest.raises(BadPattern) as refusal:
        read_patterns(f"good-*\n\n{pattern}")

    told = str(refusal.value)
    assert told.startswith(f"Line 3: “{pattern}” ")
    assert "bracket" in told


def test_too_long_and_too_many_patterns_are_refused() -> None:
    with pytest.raises(BadPattern, match=r"Line 2 has 601 characters; at most 600"):
        read_patterns("a\n" + "b" * 601)
    with pytest.raises(BadPattern, match=r"These are 201 lines; at most 200"):
        read_patterns("\n".join(["a*"] * (MOST + 1)))
    assert len(read_patterns("\n".join(["a*"] * MOST))) == MOST


@pytest.mark.parametrize("line", ["=", "=value", " = value"])
def test_a_required_tag_has_a_key(line: str) -> None:
    with pytest.raises(BadPattern, match=r"^Line 1: .* names no tag"):
        read_tags(line)


def test_many_stars_cost_no_time() -> None:
    pattern = "*a" * 30 + "b"

    assert reason("a" * 600, include=pattern) == NOT_INCLUDED


def test_of_a_model_out_of_scope_only_name_times_and_reason_are_told() -> None:
    snapshot = replace(MODEL, tags={"secret": "plan"})
    scope = Scope(exclude=("credit-*",))

    record = normalize_within(snapshot, scope=scope, vocabulary=VOCABULARY)

    whole = model_record(snapshot)
    assert record.out_of_scope == excluded("credit-*")
    assert (record.name, record.created_at) == (whole.name, whole.created_at)
    assert record.last_updated_at == whole.last_updated_at
    assert record.description == ""
    assert record.tags == record.aliases == record.latest_versions == {}


def test_a_model_in_scope_is_told_as_if_there_were_no_scope() -> None:
    scope = Scope(include=("credit-*",))

    told = normalize_within(MODEL, scope=scope, vocabulary=VOCABULARY)

    assert told == model_record(MODEL)


def test_the_fingerprint_out_of_scope_is_of_what_is_told_and_why() -> None:
    def fingerprint(pattern: str, **changes: object) -> str:
        return normalize_within(
            replace(MODEL, fingerprint="another", **changes),  # type: ignore[arg-type]  # by name
            scope=Scope(exclude=(pattern,)),
            vocabulary=VOCABULARY,
        ).fingerprint

    there = fingerprint("credit-*")
    assert fingerprint("credit-*", tags={"a": "b"}, description="x") == there
    assert fingerprint("*-scoring") != there
    assert fingerprint("credit-*", last_updated_timestamp=5) != there
    assert model_record(MODEL).fingerprint != there
