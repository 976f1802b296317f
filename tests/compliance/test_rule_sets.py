"""What results have in common is kept once, and stays told as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.tenancy import acting_for
from compliance import gaps
from compliance.engine import rulebook
from compliance.evaluation import evaluate_organization, evaluate_sources
from compliance.gaps import kept_rule_set
from compliance.judgement import Measure
from compliance.models import Evaluation, RuleSet
from compliance.policies import in_force
from tests.compliance.conftest import LAST_WEEK, TODAY, YESTERDAY
from tests.compliance.test_preview import a_stale
from tests.rows import a_policy

FAIR = "VW-FAIR-002"
THRESHOLD = "demographic_parity_max"


@pytest.fixture
def version(make_version):
    return make_version(governance={"fairness_metrics": {"dpd": 0.07}})


def test_all_versions_share_one_rule_set(acme, version, make_version):
    make_version(2)
    evaluate_organization(acme, at=LAST_WEEK)
    evaluate_organization(acme, at=TODAY)
    rule_set = RuleSet.objects.get()
    assert set(Evaluation.objects.values_list("rule_set", flat=True)) == {rule_set.pk}
    assert rule_set.rules[FAIR] == {
        "shown": [
            "affected_groups",
            "annex_iii_category",
            "data_sensitivity",
            "decision_automation",
            "profiles_natural_persons",
        ],
        "thresholds": {THRESHOLD: 0.1},
        "version": 1,
    }


def test_sources_are_judged_by_a_rule_set_of_their_own(acme, source):
    evaluate_sources(acme, [a_stale(source)], at=TODAY)
    assert "VW-OPS-002" in RuleSet.objects.get().rules
    result = Evaluation.objects.get(source=source).result("VW-OPS-002")
    assert result["thresholds"] == {"sync_stale_factor": 2}
    assert result["inputs"]["sync_interval"] == "1:00:00"


def test_a_result_tells_known_facts_alone_and_joins_what_the_rule_saw_itself(
    acme, version
):
    evaluate_organization(acme, at=TODAY)
    evaluation = Evaluation.objects.get()
    assert evaluation.result(FAIR)["inputs"] == {
        "data_sensitivity": "personal",
        "dpd": 0.07,
    }
    assert "affected_groups" not in evaluation.facts
    assert "dpd" not in evaluation.facts
    assert evaluation.result("ACME-404") == {}


def test_what_another_policy_judged_keeps_its_thresholds(acme, version, make_version):
    gone = make_version(2, governance={"fairness_metrics": {"dpd": 0.07}})
    evaluate_organization(acme, at=LAST_WEEK)
    a_policy(1, parameters={THRESHOLD: 0.05})
    evaluate_organization(acme, at=TODAY, version_ids=[version.pk])

    def told(which):
        result = Evaluation.objects.get(version=which).result(FAIR)
        return result["verdict"], result["thresholds"][THRESHOLD]

    assert told(version) == ("fail", 0.05)
    assert told(gone) == ("pass", 0.1)
    assert RuleSet.objects.count() == 2


def test_a_policy_that_changes_no_rule_changes_no_rule_set(acme, version):
    evaluate_organization(acme, at=LAST_WEEK)
    a_policy(1, rules={FAIR: {"severity": "low"}})
    evaluate_organization(acme, at=TODAY)
    assert RuleSet.objects.count() == 1


def test_a_rule_that_reads_other_facts_is_judged_anew(acme, version, monkeypatch):
    evaluate_organization(acme, at=LAST_WEEK)
    widened = replace(rulebook[FAIR], reads=(*rulebook[FAIR].reads, "owner"))
    before = Evaluation.objects.get()
    monkeypatch.setitem(rulebook._rules, FAIR, widened)
    assert "owner" not in before.result(FAIR)["inputs"]

    assert evaluate_organization(acme, at=TODAY).changed == 1

    after = Evaluation.objects.get()
    assert after.result(FAIR)["inputs"]["owner"] == version.owner
    assert after.since(FAIR) == LAST_WEEK


def test_results_from_before_rule_sets_tell_all_by_themselves(acme, version):
    evaluate_organization(acme, at=YESTERDAY)
    old = {
        "verdict": "pass",
        "version": 3,
        "inputs": {"owner": "olga@example.org", "dpd": 0.01},
        "thresholds": {THRESHOLD: 0.2},
    }
    Evaluation.objects.update(results={FAIR: old}, facts={}, rule_set=None)
    evaluation = Evaluation.objects.get()
    assert evaluation.result(FAIR) == {**old, "detail": "", "since": YESTERDAY}


def test_joining_results_costs_one_query_or_none(acme, version):
    evaluate_organization(acme, at=TODAY)
    for evaluations, cost in (
        (Evaluation.objects.all(), 2),
        (Evaluation.objects.told(), 1),
    ):
        with CaptureQueriesContext(connection) as queries:
            evaluation = evaluations.get()
            assert all(evaluation.result(rule_id) for rule_id in evaluation.results)
        assert len(queries) == cost


def test_a_rule_set_that_another_keeps_meanwhile_is_the_same(
    acme, in_acme, monkeypatch
):
    measure = Measure.of_versions(in_force())
    theirs: list[int] = []
    waiting = gaps.lock_gaps

    def keep_it_first() -> None:
        monkeypatch.setattr(gaps, "lock_gaps", waiting)
        theirs.append(kept_rule_set(measure))

    monkeypatch.setattr(gaps, "lock_gaps", keep_it_first)
    assert kept_rule_set(measure) == theirs[0]
    assert RuleSet.objects.count() == 1


def test_a_rule_set_stays_in_its_organization(acme, borealis, version):
    measure = Measure.of_versions(in_force())
    with acting_for(acme):
        ours = kept_rule_set(measure)
        assert kept_rule_set(measure) == ours
    with acting_for(borealis):
        assert not RuleSet.objects.exists()
        assert kept_rule_set(measure) != ours
