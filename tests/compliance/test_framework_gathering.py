"""A file of what is stored: as of a moment it is the same ever after."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

import compliance.rules  # noqa: F401 - registers the rules
from accounts.models import Organization
from compliance.evaluation import evaluate_organization
from compliance.frameworks.control_map import control_map
from compliance.frameworks.exports.formats import FORMATS
from compliance.frameworks.exports.gathering import export_of
from compliance.frameworks.report import Scope
from tests.compliance.oscal_schema import OSCAL
from tests.compliance.test_framework_exports import headless, parts

AI_ACT = control_map().frameworks["EUAIA"]


def files(scope: Scope) -> dict[str, Any]:
    """Return the file of each format, without what belongs to its making."""
    exports = {
        each: export_of(AI_ACT, scope, each, generated_by="Olga") for each in FORMATS
    }
    without = {"xlsx": "xl/worksheets/sheet1.xml", "csv": "about.csv"}
    return {
        key: {
            name: data for name, data in parts(export).items() if name != without[key]
        }
        if key in without
        else headless(key, export)
        for key, export in exports.items()
    }


def test_a_file_as_of_a_moment_is_the_one_that_was_taken_then(
    acme: Organization, make_version: Any, in_acme: Any
) -> None:
    first, second = make_version(1), make_version(2, lifecycle_stage="Staging")
    evaluate_organization(acme)
    moment = now()
    then = files(Scope(at=moment))
    report = json.loads(then["json"])
    assert report["version_count"] == 2
    assert [version["version"] for version in report["versions"]] == [2, 1]
    assert {gap["version"] for gap in report["gaps"]} == {1, 2}
    assert report["versions"][1]["values"]["owner"]["value"] == "max@example.org"
    production = json.loads(files(Scope(at=moment, in_production=True))["json"])
    assert production["version_count"] == len(production["versions"]) == 1

    second.owner, second.changed_at = "", now()
    second.save()
    first.governance, first.changed_at = {"intended_use": "Loans"}, now()
    first.save()
    make_version(3)
    evaluate_organization(acme)

    assert json.loads(files(Scope())["json"])["version_count"] == 3
    assert files(Scope(at=moment)) == then


def test_a_file_of_now_is_pinned_to_a_moment(
    acme: Organization, make_version: Any, in_acme: Any
) -> None:
    version = make_version()
    evaluate_organization(acme)
    export = export_of(AI_ACT, Scope(), "json", generated_by="Olga")
    assert export.report.moment == export.generated_at
    assert export.file_name == f"acme-EUAIA-{export.generated_at.date()}.json"
    assert now() - export.generated_at < timedelta(minutes=5)

    version.owner, version.changed_at = "", now()
    version.save()
    evaluate_organization(acme)

    told = json.loads(b"".join(export.chunks()))
    assert told["versions"][0]["values"]["owner"]["value"] == "max@example.org"


def test_gathering_costs_the_same_however_many_versions(
    acme: Organization, make_version: Any, in_acme: Any
) -> None:
    for number in (1, 2, 3):
        make_version(number)
    evaluate_organization(acme)
    for format_key in FORMATS:
        with CaptureQueriesContext(connection) as gathered:
            export = export_of(AI_ACT, Scope(), format_key, generated_by="Olga")
        with CaptureQueriesContext(connection) as written:
            file = b"".join(export.chunks())
        assert (len(gathered), len(written)) == (5, 7)
    OSCAL.validate(json.loads(file))
