"""Gaps and rules over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization, User
from compliance.catalogue import Severity
from compliance.engine import rulebook
from compliance.evaluation import evaluate_organization
from compliance.models import Gap
from inventory.models import ModelVersion, Source
from tests.callers import Caller, calling
from tests.compliance.conftest import TODAY, TOMORROW, change
from tests.rows import a_gap, a_model, a_version, days


@pytest.fixture
def alices(alice: User) -> Caller:
    return calling(alice)


# Who sees what


@pytest.mark.parametrize("path", ["gaps/", "rules/", "rules/VW-INV-001/"])
def test_charlie_without_membership_sees_nothing(path: str, charlie: User) -> None:
    assert calling(charlie).get(path)[0] == 403


def test_bob_of_another_organization_sees_no_gap_of_acme(
    bob: User, version: ModelVersion
) -> None:
    gap = a_gap(version)

    assert calling(bob).results("gaps/") == []
    assert calling(bob).get(f"gaps/{gap.pk}/")[0] == 404


def test_nobody_writes_gaps_or_rules(alices: Caller, version: ModelVersion) -> None:
    gap = a_gap(version)

    for path in (f"gaps/{gap.pk}/", "rules/VW-INV-001/"):
        assert alices.patch(path, {"status": "closed"})[0] == 405
        assert alices.delete(path)[0] == 405
    assert alices.post("gaps/")[0] == 405


# Gaps


def test_a_gap_comes_with_the_call_that_closes_it(
    acme: Organization, alices: Caller, make_version: Callable[..., ModelVersion]
) -> None:
    version = make_version(3, owner="")
    evaluate_organization(acme, at=TODAY)

    (gap,) = alices.results("gaps/", rule_id="VW-INV-001")

    entry = rulebook["VW-INV-001"].entry
    assert (gap["title"], gap["gate"]) == (entry.title, entry.gate)
    assert gap["severity"] == entry.severity.name.lower()
    assert (gap["kind"], gap["status"]) == ("rule", "open")
    assert gap["model_version"] == {
        "id": version.pk,
        "registered_model": version.registered_model_id,
        "model_name": "credit-scoring",
        "version_number": 3,
        "lifecycle_stage": "Production",
        "owner": "",
    }
    assert gap["source"]["name"] == "Production MLflow"
    assert gap["remedy"]["code"].startswith(
        'client.set_model_version_tag("credit-scoring", "3", "owner", '
    )
    assert gap["remedy"]["attestable_fields"] == ["owner"]
    assert gap["controls"]
    assert "changes" not in gap


def test_one_gap_tells_what_the_rule_saw_and_what_became_of_it(
    acme: Organization, alices: Caller, version: ModelVersion
) -> None:
    change(version, at=TODAY, owner="")
    evaluate_organization(acme, at=TODAY)
    change(version, at=TOMORROW, owner="max@example.org")
    evaluate_organization(acme, at=TOMORROW)
    found = Gap.objects.get(rule_id="VW-INV-001")

    status, gap = alices.get(f"gaps/{found.pk}/")

    assert status == 200
    assert (gap["status"], gap["closed_at"]) == ("closed", "2026-01-11T00:00:00Z")
    assert gap["result"]["verdict"] == "pass"
    assert gap["result"]["inputs"]["owner"] == "max@example.org"
    assert gap["result"]["since"] == "2026-01-11T00:00:00Z"
    assert [(each["event"], each["after"]) for each in gap["changes"]] == [
        ("closed", "pass")
    ]


def test_the_gap_of_a_source_names_the_source(alices: Caller, source: Source) -> None:
    gap = a_gap(source=source, rule_id="VW-OPS-001")

    _, told = alices.get(f"gaps/{gap.pk}/")

    assert told["model_version"] is None
    assert told["source"]["id"] == source.pk
    assert told["remedy"]["text"]
    assert told["remedy"]["code"] == ""
    assert told["remedy"]["attestable_fields"] == []
    assert told["result"] is None


def test_the_gap_of_a_rule_that_is_gone_is_still_told(
    alices: Caller, version: ModelVersion
) -> None:
    gap = a_gap(version, rule_id="ACME-001")

    _, told = alices.get(f"gaps/{gap.pk}/")

    assert told["title"] == "ACME-001"
    assert told["remedy"] is None
    assert told["gate"] == "block"
    assert told["controls"] == []


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, ["D", "A", "B", "C"]),
        ({"ordering": "opened_at"}, ["A", "B", "C", "D"]),
        ({"ordering": "severity,-opened_at"}, ["C", "B", "A", "D"]),
        ({"ordering": "-closed_at"}, ["B", "A", "C", "D"]),
        ({"status": "open"}, ["D", "A", "C"]),
        ({"severity": "critical"}, ["D"]),
        ({"severity": ["low", "critical"]}, ["D", "C"]),
        ({"kind": "missing_field"}, ["C"]),
        ({"rule_id": "A"}, ["A"]),
        ({"model_name": "credit-scoring"}, ["A", "B"]),
        ({"lifecycle_stage": "Production"}, ["A", "B"]),
        ({"model_owner": "MAX@example.org"}, ["A", "B"]),
        ({"search": "churn"}, ["C"]),
        ({"presence": "absent"}, ["E"]),
        ({"presence": "all", "search": "fraud"}, ["E"]),
        ({"cannot_be_checked": "true"}, ["A"]),
        ({"cannot_be_checked": "false"}, ["D", "B", "C"]),
        ({"opened_since": "2026-01-04T00:00:00Z"}, ["D", "C"]),
    ],
)
def test_gaps_are_filtered_searched_and_ordered(
    alices: Caller,
    source: Source,
    version: ModelVersion,
    parameters: dict[str, Any],
    found: list[str],
) -> None:
    churn = a_model(source, "churn")
    gone = a_version(a_model(source, "fraud"), absent_since=days(9))
    told = {"detail": "It is missing."}
    a_gap(version, rule_id="A", opened_at=days(1), unknown_since=days(5), **told)
    a_gap(
        version,
        rule_id="B",
        opened_at=days(2),
        status="closed",
        closed_at=days(3),
        **told,
    )
    a_gap(
        a_version(churn),
        rule_id="C",
        severity=Severity.LOW,
        kind="missing_field",
        opened_at=days(3),
        **told,
    )
    a_gap(
        source=source,
        rule_id="D",
        severity=Severity.CRITICAL,
        opened_at=days(4),
        **told,
    )
    a_gap(gone, rule_id="E", opened_at=days(5), **told)

    gaps = alices.results("gaps/", **parameters)

    assert [gap["rule_id"] for gap in gaps] == found


def test_gaps_are_found_by_version_model_and_source(
    alices: Caller, source: Source, version: ModelVersion
) -> None:
    other = a_version(a_model(Source.objects.create(name="Staging MLflow"), "churn"))
    a_gap(version, rule_id="A")
    a_gap(other, rule_id="B")
    a_gap(source=source, rule_id="C")

    def ids(**parameters: int) -> list[str]:
        return [gap["rule_id"] for gap in alices.results("gaps/", **parameters)]

    assert ids(model_version=version.pk) == ["A"]
    assert ids(registered_model=other.registered_model_id) == ["B"]
    assert ids(source=source.pk) == ["A", "C"]
    assert ids(source=other.source_id) == ["B"]


def test_a_list_of_sixty_costs_no_more_than_one_of_three(
    acme: Organization, alices: Caller, make_version: Callable[..., ModelVersion]
) -> None:
    for number in range(1, 4):
        a_gap(make_version(number))
    few = alices.queries("gaps/", page_size=100)
    for number in range(4, 61):
        a_gap(make_version(number))

    assert alices.queries("gaps/", page_size=100) == few
    assert len(alices.results("gaps/", page_size=100)) == 60


# Rules


def test_the_rules_are_those_of_the_rulebook_in_its_order(alices: Caller) -> None:
    rules = alices.results("rules/", page_size=200)

    assert [rule["id"] for rule in rules] == [rule.id for rule in rulebook]


def test_a_rule_says_what_it_demands_and_what_it_reads(alices: Caller) -> None:
    status, rule = alices.get("rules/VW-PRIV-001/")

    assert status == 200
    entry = rulebook["VW-PRIV-001"].entry
    assert rule["title"] == entry.title
    assert rule["severity"] == "critical"
    assert rule["is_switched_on"] is True
    assert "privacy_assessment_status" in rule["reads"]
    assert rule["packs"] == list(entry.packs)


def test_a_rule_tells_the_thresholds_it_applies(alices: Caller) -> None:
    _, rule = alices.get("rules/VW-FAIR-002/")

    assert rule["thresholds"]["demographic_parity_max"] == 0.1


def test_a_rule_that_does_not_exist_is_not_found(alices: Caller) -> None:
    assert alices.get("rules/VW-NONE-999/")[0] == 404


def test_rules_know_no_filter(alices: Caller) -> None:
    assert "no such parameter" in alices.fault("rules/", severity="high")["severity"]
