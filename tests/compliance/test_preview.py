"""Judging under a policy, and the preview: what it says is what publishing does."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import compliance.evaluation
import compliance.preview
from accounts.tenancy import acting_for
from compliance.catalogue import Gate, Severity, catalogue, is_always_on
from compliance.engine import rulebook
from compliance.evaluation import (
    chunks,
    evaluate_organization,
    evaluate_sources,
)
from compliance.facts import SourceFacts
from compliance.gaps import kept_rule_set, reconcile
from compliance.judgement import Judgement, Measure
from compliance.models import Evaluation, Gap, Policy, ResultChange
from compliance.policies import InForce
from compliance.policy import DEFAULTS, Content, read
from compliance.preview import preview
from compliance.standing import standing
from inventory.models import ModelVersion, RegisteredModel
from inventory.records import Stage
from tests.compliance.conftest import LAST_WEEK, TODAY, TOMORROW, YESTERDAY, change
from tests.rows import a_policy
from verifywise import pipeline

PRIVACY = "VW-PRIV-001"
OFF = {"switched_on": False}


@pytest.fixture
def inventory(make_version):
    """Versions of every kind, judged under the defaults."""
    make_version(1)
    make_version(2, owner="", lifecycle_stage=Stage.STAGING.value)
    make_version(3, data_sensitivity="", lifecycle_stage=Stage.NONE.value)
    make_version(4, governance={"fairness_metrics": {"dpd": 0.07}})
    make_version(5, governance={"fairness_metrics": {"dpd": 0.3}})
    make_version(6, incomplete={"run": "403 Forbidden."})
    make_version(7, privacy_assessment_status="completed", risk_category="high")


# Judging under a policy


def test_a_gap_is_as_grave_as_the_policy_has_it(acme, version):
    evaluate_organization(acme, at=LAST_WEEK)
    a_policy(1, rules={PRIVACY: {"severity": "medium", "gate": "info"}})

    report = evaluate_organization(acme, at=YESTERDAY)

    gap = Gap.objects.get(rule_id=PRIVACY)
    assert (gap.severity, gap.gate) == (Severity.MEDIUM, Gate.INFO)
    assert (report.changed, report.refreshed, report.closed) == (1, 1, 0)
    assert version.evaluation.medium == 2
    (changed,) = ResultChange.objects.all()
    assert (changed.event, changed.policy) == ("refreshed", 1)


def test_the_gate_of_the_policy_decides_what_stands_in_the_way(acme, version):
    soft = {
        rule.id: {"gate": "warn"} for rule in DEFAULTS.rules_on() if rule.id != PRIVACY
    }
    a_policy(1, rules={**soft, PRIVACY: {"gate": "review"}})
    evaluate_organization(acme, at=TODAY)

    class Shown:
        def __init__(self, gap: Gap) -> None:
            self.severity, self.gate = gap.severity, Gate(gap.gate)

    told = standing(
        [Shown(gap) for gap in Gap.objects.filter(version=version)],
        is_judged=True,
        is_production=False,
    )
    assert told.sentence == "A person has to decide before production: 1 critical gap."


def test_a_threshold_of_the_policy_applies_and_is_stored(acme, make_version):
    version = make_version(governance={"fairness_metrics": {"dpd": 0.07}})
    evaluate_organization(acme, at=LAST_WEEK)
    a_policy(1, parameters={"demographic_parity_max": 0.05})

    assert evaluate_organization(acme, at=TODAY).opened == 1

    evaluation = Evaluation.objects.get(version=version)
    assert evaluation.result("VW-FAIR-002")["thresholds"] == {
        "demographic_parity_max": 0.05
    }
    assert evaluation.policy == 1


def test_an_undecided_gap_is_graded_as_well(acme, version):
    evaluate_organization(acme, at=LAST_WEEK)
    change(version, at=YESTERDAY, incomplete={"run": "403 Forbidden."})
    evaluate_organization(acme, at=YESTERDAY)
    a_policy(1, rules={PRIVACY: {"severity": "low"}})

    evaluate_organization(acme, at=TODAY)

    gap = Gap.objects.get(rule_id=PRIVACY)
    assert (gap.severity, gap.unknown_since) == (Severity.LOW, YESTERDAY)
    assert gap.is_open


def test_under_another_number_every_version_is_due_once(acme, inventory):
    evaluate_organization(acme, at=LAST_WEEK)
    a_policy(1, parameters={"demographic_parity_max": 0.05})

    assert evaluate_organization(acme, only_due=True, at=TODAY).evaluated == 7
    assert evaluate_organization(acme, only_due=True, at=TODAY).evaluated == 0
    assert set(Evaluation.objects.values_list("policy", flat=True)) == {1}


def test_where_no_result_differs_the_number_alone_is_written_at_once(acme, inventory):
    evaluate_organization(acme, at=LAST_WEEK)
    a_policy(1, parameters={"review_sla_hours": 48})

    with CaptureQueriesContext(connection) as queries:
        report = evaluate_organization(acme, only_due=True, at=TODAY)

    assert (report.evaluated, report.changed) == (7, 0)
    written = [
        query["sql"]
        for query in queries
        if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))
    ]
    assert len(written) == 1
    assert written[0].startswith('UPDATE "compliance_evaluation" SET "policy" = 1')
    assert set(Evaluation.objects.values_list("policy", "changed_at")) == {
        (1, LAST_WEEK)
    }


def test_an_evaluation_that_was_stopped_goes_on_where_it_was(
    acme, inventory, monkeypatch
):
    evaluate_organization(acme, at=LAST_WEEK)
    monkeypatch.setattr(compliance.evaluation, "CHUNK", 2)
    a_policy(1, rules={PRIVACY: OFF})
    walk = chunks(acme, only_due=True, at=TODAY)
    next(walk)
    walk.close()
    assert Evaluation.objects.filter(policy=1).count() == 2

    assert not pipeline.judge_due(acme, patience=0)
    assert Evaluation.objects.filter(policy=1).count() == 4
    assert pipeline.judge_due(acme)
    assert Evaluation.objects.filter(policy=1).count() == 7
    assert not Gap.objects.open().filter(rule_id=PRIVACY).exists()


def test_a_policy_published_meanwhile_applies_from_the_next_chunk_on(
    acme, inventory, monkeypatch
):
    monkeypatch.setattr(compliance.evaluation, "CHUNK", 2)
    walk = chunks(acme, at=TODAY)
    next(walk)
    a_policy(1, rules={PRIVACY: OFF})
    for _ in walk:
        pass
    numbers = Evaluation.objects.order_by("version_id").values_list("policy", flat=True)
    assert list(numbers) == [0, 0, 1, 1, 1, 1, 1]


def test_an_evaluation_under_an_earlier_policy_yields(acme, version):
    a_policy(1, rules={PRIVACY: OFF})
    evaluate_organization(acme, at=TODAY)
    early = Measure.of_versions(InForce(0, DEFAULTS))
    late = Judgement.of(version.pk, [], early, judged=LAST_WEEK)
    rule_set = kept_rule_set(early)
    done = reconcile([late], subject="version", at=TOMORROW, rule_set=rule_set)
    assert done.evaluations == []
    assert Evaluation.objects.get(version=version).policy == 1


def test_sources_are_judged_under_the_policy_too(acme, source):
    stale = a_stale(source)
    evaluate_sources(acme, [stale], at=TODAY)
    a_policy(1, rules={"VW-OPS-002": {"severity": "critical"}})
    assert evaluate_sources(acme, [stale], at=TODAY).refreshed == 1
    assert Gap.objects.get().severity == Severity.CRITICAL
    a_policy(
        2, rules={"VW-OPS-002": {"severity": "critical"}}, packs=["starter", "part11"]
    )
    assert evaluate_sources(acme, [stale], at=TODAY).refreshed == 0
    assert source.evaluation.policy == 2


def a_stale(source) -> SourceFacts:
    return SourceFacts(
        source_id=source.pk,
        name=source.name,
        now=TODAY,
        added_at=LAST_WEEK,
        last_synced_at=YESTERDAY,
        sync_interval=timedelta(hours=1),
    )


# The preview


def some_content(seed: int) -> Content:
    chosen = random.Random(seed)
    rules = [rule.id for rule in rulebook if not is_always_on(rule.entry)]
    return read(
        {
            "packs": chosen.sample(sorted(catalogue().packs), 2),
            "rules": {
                rule_id: {
                    "switched_on": chosen.random() < 0.7,
                    "severity": chosen.choice(["low", "high"]),
                    "gate": chosen.choice(["block", "info"]),
                }
                for rule_id in chosen.sample(rules, 6)
            },
            "parameters": {"demographic_parity_max": chosen.choice([0.05, 0.2, 0.5])},
        }
    )


def put_in_force(number: int, content: Content) -> None:
    Policy.objects.create(
        number=number,
        published_at=TODAY,
        content=content.to_json(),
        digest=content.digest,
    )


@pytest.mark.parametrize("seed", range(12))
def test_publishing_does_what_the_preview_said(
    acme, source, inventory, monkeypatch, seed
):
    """From one policy to another, with sources, in chunks, gap by gap."""
    monkeypatch.setattr(compliance.evaluation, "CHUNK", 3)
    monkeypatch.setattr(compliance.preview, "CHUNK", 3)
    stale = [a_stale(source)]
    monkeypatch.setattr(pipeline, "source_facts", lambda organization: stale)
    put_in_force(1, some_content(100 + seed))
    evaluate_organization(acme, at=LAST_WEEK)
    evaluate_sources(acme, stale, at=LAST_WEEK)
    content = some_content(seed)

    expected = preview(content, at=TODAY)
    put_in_force(2, content)
    report = evaluate_organization(acme, only_due=True, at=TODAY)
    report.add(evaluate_sources(acme, stale, at=TODAY))

    counts = ("opened", "reopened", "refreshed", "closed", "undecided")
    assert {name: expected.events[name] for name in counts} == {
        name: getattr(report, name) for name in counts
    }
    assert expected.opens == sum(each.opened for each in expected.rules.values())
    assert expected.closes == sum(each.closed for each in expected.rules.values())
    with acting_for(acme):
        now_open = Gap.objects.open().filter(kind=Gap.Kind.RULE)
        for severity in Severity:
            count = now_open.filter(severity=severity).count()
            assert expected.after[severity] == count, severity
    assert expected.opens + expected.closes + expected.regrades > 0


def test_a_preview_writes_nothing(acme, inventory):
    evaluate_organization(acme, at=LAST_WEEK)
    before = list(Gap.objects.order_by("pk").values())

    with CaptureQueriesContext(connection) as queries:
        preview(some_content(1), at=TODAY)

    assert not [
        query["sql"]
        for query in queries
        if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))
    ]
    assert list(Gap.objects.order_by("pk").values()) == before


def test_a_preview_says_what_in_a_sentence_with_examples(acme, make_version):
    for number in range(1, 6):
        make_version(number)
    evaluate_organization(acme, at=LAST_WEEK)

    found = preview(read({"packs": ["starter"], "rules": {PRIVACY: OFF}}), at=TODAY)

    assert found.sentence() == (
        "This would open 0 gaps and close 5 gaps, among 5 versions."
    )
    effect = found.rules[PRIVACY]
    assert (effect.opened, effect.closed) == (0, 5)
    assert [example.name for example in effect.examples] == [
        "credit-scoring version 1",
        "credit-scoring version 2",
        "credit-scoring version 3",
    ]
    assert found.before[Severity.CRITICAL] - found.after[Severity.CRITICAL] == 5


def test_what_time_did_meanwhile_is_not_the_policys(acme, version):
    evaluate_organization(acme, at=LAST_WEEK)
    change(version, at=YESTERDAY, owner="")
    found = preview(read({"packs": ["starter"], "rules": {PRIVACY: OFF}}), at=TODAY)
    assert (found.opens, found.closes) == (0, 1)


def test_a_preview_of_what_is_in_force_finds_nothing(acme, inventory):
    evaluate_organization(acme, at=LAST_WEEK)
    found = preview(DEFAULTS, at=TODAY)
    assert (found.versions, found.changed, found.rules) == (7, 0, {})


def test_a_preview_costs_four_queries_a_chunk_and_one_where_something_is_served(
    acme, inventory, monkeypatch
):
    evaluate_organization(acme, at=LAST_WEEK)
    content = read({"packs": [], "rules": {}})

    def queries(chunk: int) -> int:
        monkeypatch.setattr(compliance.preview, "CHUNK", chunk)
        with CaptureQueriesContext(connection) as captured:
            preview(content, at=TODAY)
        return len(captured)

    one_chunk, seven_chunks = queries(50), queries(1)
    in_production = ModelVersion.objects.filter(lifecycle_stage="Production").count()
    assert seven_chunks - one_chunk == 6 * 4 + in_production - 1


def test_a_preview_counts_the_versions_that_are_judged(acme, inventory):
    evaluate_organization(acme, at=LAST_WEEK)
    ModelVersion.objects.update(absent_since=TODAY)
    assert preview(some_content(1), at=TODAY).versions == 7
    RegisteredModel.objects.update(out_of_scope="No pattern includes it.")
    found = preview(some_content(1), at=TODAY)
    assert (found.versions, found.opens, found.closes) == (0, 0, 0)
