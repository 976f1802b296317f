"""The table of what the demo shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from compliance.catalogue import catalogue
from inventory.records import RISK_FIELDS
from verifywise.demo import decisions
from verifywise.demo.cases import CASES, ORGANIZATIONS, table
from verifywise.demo.decisions import DECISIONS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "demo.md"

# What no version of the demo can show, and why.
NOT_PLANTED = {
    "VW-APR-001": "answers unknown until approvals are set up",
    "VW-OPS-001": "a sync that fails in part is no state to start a demo in",
    "VW-OPS-002": "is about a tracking server",
}


def test_the_docs_show_the_table():
    assert DOCS.read_text(encoding="utf-8").endswith(table())


def test_the_docs_show_what_its_people_decide():
    assert decisions.table() in DOCS.read_text(encoding="utf-8")


def test_who_decides_and_on_what_is_there():
    for organization in ORGANIZATIONS:
        people = {person.email for person in organization.people}
        cases = {(case.model.name, case.number): case for case in organization.cases()}
        models = {name for name, _ in cases}
        told = DECISIONS[organization.slug]
        assert {each.by for each in told.attested} <= people
        for each in told.attested:
            assert each.version is None or (each.model, each.version) in cases
            assert each.model in models
        for waived in told.waived:
            assert {waived.asked_by, waived.approved_by} - {""} <= people
            assert waived.rule_id in cases[waived.model, waived.version].version.gaps


def test_every_rule_that_is_on_at_first_is_broken_somewhere():
    planted = {rule for case in CASES for rule in case.version.gaps}

    starter = set(catalogue().packs["starter"].rules)
    assert starter - planted == set(NOT_PLANTED)


@pytest.mark.parametrize("organization", ORGANIZATIONS, ids=lambda item: item.slug)
def test_every_organization_has_a_faultless_production_version(organization):
    assert any(
        case.version.stage == "Production" and not case.version.gaps
        for case in organization.cases()
    )


def test_empty_fields_are_of_the_risk_group_and_told_once():
    for case in CASES:
        empty = case.version.empty
        assert len(set(empty)) == len(empty)
        assert set(empty) <= set(RISK_FIELDS)


def test_the_addresses_that_tags_name_belong_to_people():
    for organization in ORGANIZATIONS:
        people = {person.email for person in organization.people}
        told = {
            value
            for case in organization.cases()
            for tags in (case.model.tags, case.version.tags)
            for value in tags.values()
            if isinstance(value, str) and "@" in value and " " not in value
        }
        assert {address for address in told if address.endswith(".example")} <= people


def test_what_starts_the_programs_loads_neither_django_nor_mlflow():
    code = (
        "import sys, verifywise.demo.serve; "
        "sys.exit(bool({'django', 'mlflow', 'sklearn'} & set(sys.modules)))"
    )

    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
