"""The engine: registration is strict, evaluation is forgiving."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

import compliance.rules  # noqa: F401 - registers the rules
from compliance.catalogue import Kind, Severity, catalogue, parameters
from compliance.engine import (
    PASS,
    Outcome,
    Rule,
    Rulebook,
    Verdict,
    evaluate,
    fail,
    missing,
    rulebook,
)
from compliance.exceptions import CatalogueError
from compliance.facts import ModelFacts, SourceFacts
from inventory.records import FIELDS, Redaction, Section, Stage
from tests.compliance.faultless import FAULTLESS, UNTAGGED
from tests.compliance.rule_cases import CASES

VERSION_RULES = tuple(rule for rule in rulebook if rule.entry.kind.judges_versions)


def passes(facts: ModelFacts) -> Outcome:
    return PASS


def crashes(facts: ModelFacts) -> Outcome:
    raise ZeroDivisionError("division by zero")


# Registration


def test_two_rules_of_one_id_stop_the_start():
    book = Rulebook()
    book.rule("VW-INV-001", reads=("owner",))(passes)
    with pytest.raises(
        CatalogueError, match=r"There are two rules VW-INV-001: .*passes"
    ):
        book.rule("VW-INV-001", reads=("owner",))(crashes)


@pytest.mark.parametrize(
    ("rule_id", "reads", "thresholds", "message"),
    [
        ("VW-INV-999", (), (), "The catalogue does not know the rule VW-INV-999."),
        (
            "VW-INV-001",
            ("ownr",),
            (),
            "The rule VW-INV-001 reads facts that do not exist: ownr.",
        ),
        (
            "VW-OPS-002",
            ("owner",),
            (),
            "The rule VW-OPS-002 reads facts that do not exist: owner.",
        ),
        (
            "VW-INV-001",
            ("owner",),
            ("parity",),
            "The rule VW-INV-001 asks for parameters that do not exist: parity.",
        ),
    ],
)
def test_a_rule_that_does_not_fit_the_catalogue_stops_the_start(
    rule_id, reads, thresholds, message
):
    with pytest.raises(CatalogueError) as refusal:
        Rulebook().rule(rule_id, reads=reads, thresholds=thresholds)(passes)
    assert str(refusal.value) == message


def test_everything_but_the_judgement_comes_from_the_catalogue():
    rule = rulebook["VW-PRIV-001"]
    assert rule.entry is catalogue().rules["VW-PRIV-001"]
    assert rule.entry.severity is Severity.CRITICAL
    assert rule.entry.severity.label == "Critical"


# What is on


def test_the_starter_pack_has_code_and_brings_what_is_always_on():
    on = {rule.id for rule in rulebook.switched_on(("starter",))}
    assert on >= set(catalogue().packs["starter"].rules)
    assert {rule_id for rule_id in on if not rule_id.startswith("VW-FIELD-")} == {
        *catalogue().packs["starter"].rules,
        "VW-PRIV-005",
    }


def test_redactions_and_missing_fields_are_judged_whatever_the_packs():
    on = rulebook.switched_on(())
    assert {rule.id for rule in on if rule.entry.kind is Kind.GAP} == {
        "VW-SEC-003",
        "VW-PRIV-005",
    }
    assert sum(rule.entry.kind is Kind.MISSING_FIELD for rule in on) == 6


def test_rules_come_in_the_order_of_the_catalogue():
    ids = [rule.id for rule in rulebook if rule.id in catalogue().rules]
    assert ids == [rule_id for rule_id in catalogue().rules if rulebook.get(rule_id)]


def test_only_rules_that_read_the_clock_depend_on_time():
    assert [rule.id for rule in rulebook if rule.is_time_dependent] == [
        "VW-INV-007",
        "VW-PRIV-003",
        "VW-APR-011",
        "VW-APR-012",
        "VW-OPS-002",
    ]


# Evaluation


def test_a_crashing_rule_spoils_only_itself(caplog):
    book = Rulebook()
    book.rule("VW-INV-001", reads=("owner",))(crashes)
    book.rule("VW-INV-003", reads=("business_purpose",))(passes)

    crashed, passed = evaluate(FAULTLESS, book, parameters())

    assert crashed.verdict is Verdict.ERROR
    assert crashed.outcome.detail == "ZeroDivisionError: division by zero"
    assert crashed.facts == {"owner": "olga@example.org"}
    assert passed.verdict is Verdict.PASS
    assert "Rule VW-INV-001 crashed" in caplog.text


def test_a_result_shows_the_facts_and_what_the_rule_saw_besides():
    facts = replace(FAULTLESS, fairness_metrics={"demographic_parity_diff_sex": -0.14})
    (result,) = evaluate(
        facts, [rulebook["VW-FAIR-002"]], parameters({"demographic_parity_max": 0.12})
    )
    assert result.facts == {
        "data_sensitivity": "personal",
        "annex_iii_category": "5b",
        "affected_groups": ("applicants",),
        "profiles_natural_persons": True,
        "decision_automation": "solely_automated",
    }
    assert json.loads(result.to_json()) == {
        "verdict": "fail",
        "detail": "demographic_parity_diff_sex is 0.14; it has to be below 0.12.",
        "inputs": {"demographic_parity_diff_sex": 0.14},
    }


def test_every_result_can_be_stored():
    now = datetime(2026, 1, 10, tzinfo=UTC)
    source = SourceFacts(
        source_id=1,
        name="Production MLflow",
        now=now,
        added_at=now,
        last_synced_at=now,
        sync_interval=timedelta(hours=1),
    )
    results = [
        *evaluate(FAULTLESS, VERSION_RULES, parameters()),
        *evaluate(UNTAGGED, VERSION_RULES, parameters()),
        *evaluate(source, [rulebook["VW-OPS-002"]], parameters()),
    ]
    for result in results:
        stored = result.to_json()
        canonical = json.dumps(
            json.loads(stored), sort_keys=True, separators=(",", ":")
        )
        assert stored == canonical


def test_a_missing_value_is_unknown_while_the_run_is_unread():
    unread = replace(UNTAGGED, incomplete={Section.RUN: "403 Forbidden."})
    assert missing(UNTAGGED, "No owner is recorded.") == fail("No owner is recorded.")
    assert missing(unread, "No owner is recorded.") == Outcome(
        Verdict.UNKNOWN,
        "No owner is recorded. The run could not be read: 403 Forbidden.",
    )


# Declarations


class Watched(ModelFacts):
    """Facts that note which of them are read."""

    seen: set[str] = set()

    def __getattribute__(self, name: str) -> object:
        if name in ModelFacts.__dataclass_fields__:
            Watched.seen.add(name)
        return super().__getattribute__(name)


VALUES: dict[str, tuple[object, ...]] = {
    "lifecycle_stage": tuple(Stage),
    "data_sensitivity": ("", "public", "personal", "top secret"),
    "regulatory_scope": ((), ("none",), ("gdpr",), ("eu_ai_act",)),
    "incomplete": ({}, {Section.RUN: "403."}, {Section.ARTIFACTS: "500."}),
    "redactions": ((), (Redaction("run tag", "token", "JWT", is_secret=True),)),
    "metrics": ({}, {"auc": 0.9}, {"auc": 0.9, "baseline_auc": 0.8}),
    "fairness_metrics": (None, {"demographic_parity_difference": 0.2}, {"eod": 0.1}),
    "dataset_inputs": ((), FAULTLESS.dataset_inputs),
    "artifact_manifest": ((), FAULTLESS.artifact_manifest),
    "runtime_environment": ({}, FAULTLESS.runtime_environment, {"image": "sha256:9f"}),
}


def variants(number: int) -> Iterator[Watched]:
    """Yield every fault of the faultless model, then facts at random, by a fixed seed."""
    whole = {item.name: getattr(FAULTLESS, item.name) for item in fields(ModelFacts)}
    for fault, _ in CASES:
        yield Watched(**whole | fault)
    dice = random.Random(7)
    names = [item.name for item in fields(ModelFacts)]
    for _ in range(number):
        chosen = {
            name: dice.choice(
                VALUES.get(name, (getattr(FAULTLESS, name), getattr(UNTAGGED, name)))
            )
            for name in names
        }
        yield Watched(**chosen)


@pytest.fixture(scope="module")
def some_facts() -> list[Watched]:
    return list(variants(400))


@pytest.mark.parametrize("rule", VERSION_RULES, ids=lambda rule: rule.id)
def test_a_rule_reads_the_facts_that_it_declares_and_no_other(rule, some_facts):
    Watched.seen = set()
    thresholds = {name: parameters()[name] for name in rule.thresholds}
    for facts in some_facts:
        rule.check(facts, **thresholds)
    assert Watched.seen == set(rule.reads)


def test_a_plug_in_brings_an_entry_of_its_own():
    entry = replace(catalogue().rules["VW-INV-001"], id="ACME-001", packs=("starter",))
    book = Rulebook()
    book.add(Rule(entry=entry, check=passes, reads=("owner",)))
    assert [rule.id for rule in book.switched_on(("starter",))] == ["ACME-001"]
    assert evaluate(UNTAGGED, book, parameters())[0].verdict is Verdict.PASS


def test_facts_have_every_field_of_the_record():
    assert set(FIELDS) <= set(ModelFacts.__dataclass_fields__)
