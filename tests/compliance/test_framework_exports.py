"""A framework report as JSON, XLSX and CSV, built of values."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from io import BytesIO, StringIO
from typing import Any
from zipfile import ZipFile

import pytest
from openpyxl import load_workbook

from compliance.frameworks.counting import State
from compliance.frameworks.exports import workbook
from compliance.frameworks.exports.cells import CUT, LONGEST, cell
from compliance.frameworks.exports.export import Export
from compliance.frameworks.exports.formats import FORMATS
from compliance.frameworks.lines import Subject, Value, VersionLine
from compliance.frameworks.report import Scope
from tests.compliance.report_values import (
    DOES,
    LATER,
    MOMENT,
    PLANNED,
    a_control,
    a_gap,
    a_line,
    a_report,
    a_rule,
    a_version,
    an_export,
    whole,
    without_fields,
)

EVIL = '=HYPERLINK("http://evil.example","x")'
SEEN = a_line()
UNSEEN = a_line(
    without_fields(
        number="9.1", rules=(), capabilities=(PLANNED, DOES), outside="It is elsewhere."
    ),
    evidence={},
    states={},
)
WAIVED = a_gap(state=State.WAIVED, waiver="Waived until May.", rule_id="VW-INV-003")
VERSIONS = [
    a_version(2, {"owner": Value(value=None)}, gaps=[WAIVED, a_gap()]),
    a_version(1, {"owner": Value(value=EVIL, told_by="@model tag")}),
]
OF_SOURCE = a_gap(Subject(source="Production MLflow"))


def told(format_key: str, **more: Any) -> Export:
    return an_export(
        format_key, [SEEN, UNSEEN], VERSIONS, source_gaps=(OF_SOURCE,), **more
    )


def sheets(export: Export) -> dict[str, list[tuple[Any, ...]]]:
    book = load_workbook(BytesIO(whole(export)))
    return {sheet.title: list(sheet.values) for sheet in book}


def tables(export: Export) -> dict[str, list[list[str]]]:
    with ZipFile(BytesIO(whole(export))) as archive:
        texts = {name: archive.read(name) for name in archive.namelist()}
    assert all(text.startswith(b"\xef\xbb\xbf") for text in texts.values())
    return {
        name: list(csv.reader(StringIO(text.decode("utf-8-sig"), newline="")))
        for name, text in texts.items()
    }


# What does not depend on when a file is made


def parts(export: Export) -> dict[str, bytes]:
    with ZipFile(BytesIO(whole(export))) as archive:
        assert {each.date_time[0] for each in archive.infolist()} == {1980}
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("format_key", FORMATS)
def test_a_file_tells_when_it_was_made_in_its_header_only(format_key: str) -> None:
    first = told(format_key)
    again = replace(
        first, generated_at=LATER + timedelta(days=40), generated_by="Audrey"
    )

    assert whole(first) == whole(first)
    assert whole(first) != whole(again)
    if format_key in ("json", "oscal"):
        assert headless(format_key, first) == headless(format_key, again)
        return
    about = {"xlsx": "xl/worksheets/sheet1.xml", "csv": "about.csv"}[format_key]
    one, other = parts(first), parts(again)
    assert {name for name in one if one[name] != other[name]} == {about}
    rows = {"xlsx": lambda it: sheets(it)["About"], "csv": lambda it: tables(it)[about]}
    assert rows[format_key](first)[:-2] == rows[format_key](again)[:-2]


def headless(format_key: str, export: Export) -> str:
    """Return the file as text, without what belongs to its making."""
    whole_of = json.loads(whole(export))
    if format_key == "json":
        del whole_of["generated"]
    else:
        results = whole_of["assessment-results"]
        del results["uuid"], results["metadata"]["last-modified"]
        del results["metadata"]["props"]
    return json.dumps(whole_of)


@pytest.mark.parametrize("format_key", FORMATS)
def test_no_file_speaks_of_compliance_or_of_a_score(format_key: str) -> None:
    if format_key in ("xlsx", "csv"):
        text = b"".join(parts(told(format_key)).values()).decode()
    else:
        text = whole(told(format_key)).decode()
    assert "evidence for" in text.lower()
    assert "compliant" not in text.lower()
    assert "percent" not in text.lower()


def test_a_file_is_called_by_the_day_of_its_report() -> None:
    names = [told(each).file_name for each in FORMATS]
    assert names == [
        "acme-EUAIA-2026-03-31.xlsx",
        "acme-EUAIA-2026-03-31.csv.zip",
        "acme-EUAIA-2026-03-31.json",
        "acme-EUAIA-2026-03-31.oscal.json",
    ]


# JSON


def test_json_tells_each_figure_with_what_it_is_out_of() -> None:
    file = json.loads(whole(told("json")))

    assert file["generated"] == {"at": "2026-04-02T09:30:00Z", "by": "olga@example.org"}
    assert (file["as_of"], file["policy"]) == ("2026-03-31T12:00:00Z", 4)
    assert file["version_count"] == 3
    assert file["control_map"] == {"revision": 1, "digest": "ab" * 32}
    seen, unseen = file["controls"]
    assert seen["evidence"] == {
        **{"direct": 3, "partial": 0, "context": 0, "none": 0},
        "of": 3,
    }
    assert (seen["states"]["met"], seen["states"]["of"]) == (3, 3)
    (field,) = seen["fields"]
    assert (field["name"], field["strength"]) == ("owner", "direct")
    assert (field["known"], field["of"]) == (3, 3)
    assert [rule["states"]["of"] for rule in seen["rules"]] == [3, 3]
    assert (unseen["evidence"], unseen["states"]) == (None, None)
    assert unseen["outside"] == "It is elsewhere."
    assert [each["is_planned"] for each in unseen["capabilities"]] == [True, False]


def test_json_has_every_version_and_every_gap() -> None:
    file = json.loads(whole(told("json")))

    bare, named = file["versions"]
    assert (bare["version"], bare["values"], bare["unknown"]) == (2, {}, ["owner"])
    assert named["values"] == {"owner": {"value": EVIL, "told_by": "@model tag"}}
    assert named["states"] == {"VW-INV-001": "met", "VW-INV-003": "met"}
    assert [(gap["model"], gap["rule"], gap["state"]) for gap in file["gaps"]] == [
        (None, "VW-INV-001", "open"),
        ("credit-scoring", "VW-INV-001", "open"),
        ("credit-scoring", "VW-INV-003", "waived"),
    ]


def test_json_of_nothing_is_json() -> None:
    file = json.loads(whole(an_export("json", [], count=0)))
    assert (file["controls"], file["versions"], file["gaps"]) == ([], [], [])


# Tables


def test_a_workbook_has_a_sheet_a_table() -> None:
    book = load_workbook(BytesIO(whole(told("xlsx"))))
    assert book.sheetnames == [
        *("About", "Controls", "Evidence", "Rules"),
        *("Gaps", "Versions"),
    ]
    assert {sheet.freeze_panes for sheet in book} == {"A2"}
    assert book["Controls"].column_dimensions["C"].width == 60
    assert book["Controls"]["A1"].font.bold


def test_numbers_are_numbers_and_what_is_not_known_is_empty() -> None:
    found = sheets(told("xlsx"))
    head, seen, unseen = (dict(enumerate(row)) for row in found["Controls"])
    place = {title: number for number, title in head.items()}
    of = place["Direct evidence"]
    assert (seen[of], unseen[of]) == (3, None)
    assert (seen[place["No gap"]], unseen[place["No gap"]]) == (3, None)
    assert unseen[place["VerifyWise will do"]] == "Model cards"
    assert found["Evidence"][1][2:] == ("owner", "Owner", "Direct", 3, 3)
    assert found["Gaps"][1][:3] == (None, None, "Production MLflow")
    assert found["Gaps"][2][:2] == ("credit-scoring", 1)
    assert found["Gaps"][2][10] == "2026-02-01T00:00:00Z"
    assert found["Versions"][1][:4] == (
        *("credit-scoring", 2),
        *("Production MLflow", "Production"),
    )


def test_a_rule_that_judges_nothing_has_no_figures() -> None:
    idle = a_line(rules=(a_rule(states={State.MET: 0}), a_rule(states={State.MET: 2})))
    first, second = sheets(an_export("xlsx", [idle]))["Rules"][1:]
    assert first[5:] == (0, None, None, None, None, None)
    assert second[5:] == (2, 0, 0, 0, 2, 0)


@pytest.mark.parametrize(
    "text", [EVIL, "+1+1", "-1+1", "@SUM(A1)", " =1", "#REF!", "\t=1", "＝1"]
)
def test_a_text_is_never_executed(text: str) -> None:
    version = a_version(1, {"owner": Value(value=text)})
    export = an_export("xlsx", versions=[version])
    sheet = load_workbook(BytesIO(whole(export)))["Versions"]
    (owner,) = [each for each in sheet[2] if each.value == text]
    assert owner.data_type == "s"
    assert bool(owner.quotePrefix) == (text != "#REF!")
    assert b"<f>" not in parts(export)["xl/worksheets/sheet6.xml"]

    row = tables(an_export("csv", versions=[version]))["versions.csv"][1]
    assert row[9] == (text if text == "#REF!" else f"'{text}")


def test_no_sign_and_no_length_breaks_a_workbook() -> None:
    values = {"owner": Value(value="a\x00b\x1bc\ufffe", told_by="😀" * LONGEST)}
    (_, row) = sheets(an_export("xlsx", versions=[a_version(1, values)]))["Versions"]
    assert row[9] == "a\ufffdb\ufffdc\ufffd"
    assert row[10].endswith(CUT)
    assert len(row[10].encode("utf-16-le")) // 2 <= LONGEST


def test_a_full_sheet_goes_on_in_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "LONGEST_SHEET", 3)
    versions = [a_version(number) for number in range(5, 0, -1)]
    found = sheets(an_export("xlsx", versions=versions))
    numbers = [row[1] for name in found if "Versions" in name for row in found[name]]
    assert numbers == ["Version", 5, 4, "Version", 3, 2, "Version", 1]


def test_the_tables_of_a_zip_file_are_those_of_the_workbook() -> None:
    book, files = sheets(told("xlsx")), tables(told("csv"))
    assert [f"{name.lower()}.csv" for name in book] == sorted(
        files, key=lambda name: list(files).index(name) if name != "versions.csv" else 9
    )
    for name, rows in book.items():
        told_ = [["" if value is None else str(value) for value in row] for row in rows]
        unguarded = [
            [value.removeprefix("'") for value in row]
            for row in files[f"{name.lower()}.csv"]
        ]
        assert unguarded == told_


@pytest.mark.parametrize(
    ("value", "told_as"),
    [
        (None, None),
        ("", None),
        ([], None),
        ({}, None),
        (True, "true"),
        (False, "false"),
        (0, 0),
        (0.25, 0.25),
        (2**60, str(2**60)),
        (float("inf"), "inf"),
        (["gdpr", "eu_ai_act"], "gdpr, eu_ai_act"),
        ({"b": 1, "a": [2]}, '{"a": [2], "b": 1}'),
        ([{"path": "x"}], '[{"path": "x"}]'),
    ],
)
def test_a_value_becomes_a_cell(value: Any, told_as: Any) -> None:
    assert (cell(value), type(cell(value))) == (told_as, type(told_as))


def test_versions_are_read_once_and_as_they_are_written() -> None:
    asked: list[str] = []

    def versions() -> Iterable[VersionLine]:
        asked.append("asked")
        return iter(VERSIONS)

    for format_key in FORMATS:
        whole(replace(told(format_key), versions=versions))
    assert asked == ["asked"] * len(FORMATS)


def test_a_scope_is_told_in_words_and_makes_other_ids() -> None:
    narrow = replace(
        told("json"),
        report=a_report(
            [a_line(a_control())], scope=Scope(in_production=True, at=MOMENT)
        ),
    )
    file = json.loads(whole(narrow))
    assert file["scope"] == {
        "words": "versions in production",
        "in_production": True,
        "declared": False,
    }
    assert narrow.object_id("result") != told("json").object_id("result")
    assert narrow.subject_id("tool") == told("json").subject_id("tool")
