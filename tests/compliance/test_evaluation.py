"""Evaluation against the database: what is written, what is not, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Prefetch
from django.test.utils import CaptureQueriesContext

import compliance.evaluation
from accounts import audit
from accounts.models import AuditEvent
from accounts.tenancy import acting_for
from compliance.engine import Rulebook, evaluate, rulebook
from compliance.evaluation import (
    Report,
    chunks,
    evaluate_organization,
    evaluate_sources,
)
from compliance.evidence import gather_facts
from compliance.facts import SourceFacts
from compliance.gaps import SWITCHED_OFF, kept_rule_set, reconcile
from compliance.judgement import Judgement, Measure
from compliance.models import Evaluation, Gap, ResultChange
from compliance.policies import in_force
from inventory.models import ModelVersion
from tests.compliance.conftest import LAST_WEEK, TODAY, TOMORROW, YESTERDAY, change
from tests.rows import a_policy

PRIVACY = "VW-PRIV-001"


def privacy_gap() -> Gap:
    return Gap.objects.get(rule_id=PRIVACY)


def events(rule_id: str = PRIVACY) -> list[str]:
    changes = ResultChange.objects.filter(rule_id=rule_id).order_by("at", "id")
    return [change.event for change in changes]


# Results and gaps


def test_a_failure_becomes_a_gap_with_a_sentence_and_a_remedy(acme, version):
    evaluate_organization(acme, at=YESTERDAY)

    gap = privacy_gap()
    assert gap.version == version
    assert gap.is_open
    assert gap.opened_at == YESTERDAY
    assert gap.detail == "No privacy assessment is recorded."
    assert gap.get_severity_display() == "Critical"
    assert gap.title == "Personal data needs a privacy assessment"
    assert gap.remedy is not None
    assert gap.remedy.code.startswith(
        'client.set_model_version_tag("credit-scoring", "1", "privacy_assessment_status"'
    )
    assert str(gap) == "VW-PRIV-001 on credit-scoring version 1"


def test_every_outcome_is_kept_with_inputs_thresholds_and_time(acme, make_version):
    version = make_version(governance={"fairness_metrics": {"dpd": 0.04}})
    evaluate_organization(acme, at=YESTERDAY)

    evaluation = version.evaluation
    verdicts = {key: value["verdict"] for key, value in evaluation.results.items()}
    assert verdicts["VW-INV-001"] == "pass"
    assert verdicts[PRIVACY] == "fail"
    assert verdicts["VW-APR-001"] == "unknown"
    assert evaluation.result("VW-FAIR-002") == {
        "verdict": "pass",
        "detail": "",
        "version": 1,
        "inputs": {"data_sensitivity": "personal", "dpd": 0.04},
        "thresholds": {"demographic_parity_max": 0.1},
        "since": YESTERDAY,
    }
    assert evaluation.since(PRIVACY) == YESTERDAY
    assert evaluation.changed_at == YESTERDAY


def test_approvals_that_are_not_set_up_make_no_gap(acme, version):
    evaluate_organization(acme)
    assert version.evaluation.results["VW-APR-001"]["detail"] == (
        "Approvals are not set up."
    )
    assert not Gap.objects.filter(rule_id="VW-APR-001").exists()


def test_missing_fields_are_counted_apart(acme, version):
    evaluate_organization(acme)
    evaluation = version.evaluation
    gaps = Gap.objects.filter(version=version)
    assert evaluation.missing_fields == 5
    assert gaps.filter(kind=Gap.Kind.MISSING_FIELD).count() == 5
    assert evaluation.low == 0
    assert evaluation.critical == gaps.filter(severity=4).count() == 2
    assert evaluation.high == gaps.filter(severity=3).count() > 1
    assert evaluation.medium == gaps.filter(severity=2).count() == 1


def test_a_gap_closes_reopens_and_keeps_its_history(acme, version):
    evaluate_organization(acme, at=LAST_WEEK)
    change(version, at=YESTERDAY, privacy_assessment_status="completed")
    evaluate_organization(acme, at=YESTERDAY)
    assert not privacy_gap().is_open
    assert privacy_gap().closed_at == YESTERDAY
    assert Evaluation.objects.get(version=version).critical == 1

    change(version, at=TODAY, privacy_assessment_status="started")
    report = evaluate_organization(acme, at=TODAY)
    assert report.reopened == 1
    gap = privacy_gap()
    assert gap.is_open
    assert (gap.opened_at, gap.reopened_at) == (LAST_WEEK, TODAY)

    change(version, at=TOMORROW, privacy_assessment_status="in review")
    evaluate_organization(acme, at=TOMORROW)
    assert (
        privacy_gap().detail == "The privacy assessment is “in review”, not completed."
    )
    assert events() == ["closed", "reopened", "refreshed"]
    assert list(gap.changes.values_list("before", "after").order_by("id")) == [
        ("fail", "pass"),
        ("pass", "fail"),
        ("fail", "fail"),
    ]
    assert Evaluation.objects.get(version=version).since(PRIVACY) == TODAY


def test_unknown_never_closes_a_gap_but_marks_it(acme, version):
    evaluate_organization(acme, at=LAST_WEEK)
    change(version, at=YESTERDAY, incomplete={"run": "403 Forbidden."})
    report = evaluate_organization(acme, at=YESTERDAY)

    gap = privacy_gap()
    assert report.undecided > 0
    assert gap.is_open
    assert gap.unknown_since == YESTERDAY
    assert gap.detail == "No privacy assessment is recorded."
    assert Evaluation.objects.get(version=version).critical == 2
    assert events() == ["undecided"]

    change(version, at=TODAY, incomplete={})
    evaluate_organization(acme, at=TODAY)
    assert privacy_gap().unknown_since is None
    assert events() == ["undecided", "refreshed"]


def test_a_change_that_makes_no_gap_is_kept_as_well(acme, version):
    evaluate_organization(acme, at=LAST_WEEK)
    change(version, at=YESTERDAY, lifecycle_stage="None")
    evaluate_organization(acme, at=YESTERDAY)
    kept = ResultChange.objects.get(rule_id="VW-APR-001")
    assert (kept.before, kept.after, kept.event) == (
        "unknown",
        "not_applicable",
        "none",
    )
    assert kept.gap is None


def test_a_rule_that_is_switched_off_closes_its_gaps(acme, version):
    evaluate_organization(acme, at=LAST_WEEK)
    off = {"switched_on": False}
    a_policy(1, rules={PRIVACY: off, "VW-INV-001": off})
    evaluate_organization(acme, at=YESTERDAY)

    assert not privacy_gap().is_open
    assert ResultChange.objects.get(rule_id=PRIVACY).detail == SWITCHED_OFF
    assert events("VW-INV-001") == ["none"]
    assert PRIVACY not in Evaluation.objects.get(version=version).results


def test_a_trigger_is_judged_but_never_a_gap(acme, version):
    entry = replace(rulebook["VW-INV-001"].entry, kind="trigger")
    rule = replace(rulebook[PRIVACY], entry=replace(entry, id="ACME-001"))
    book = Rulebook()
    book.add(rule)
    facts = gather_facts([version.pk], today=TODAY.date())
    measure = Measure(0, tuple(book), {})
    judgement = Judgement.of(version.pk, evaluate(facts[version.pk], book, {}), measure)
    rule_set = kept_rule_set(measure)
    reconcile([judgement], subject="version", at=TODAY, rule_set=rule_set)
    assert version.evaluation.results["ACME-001"]["verdict"] == "fail"
    assert not Gap.objects.exists()


# What is due


def statements(queries: CaptureQueriesContext) -> list[str]:
    """Return what was sent, but for the savepoints of contexts that nest in a test."""
    return [
        query["sql"]
        for query in queries
        if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))
    ]


# Something to ask in each way there is: of the model's versions, and of a run.
ASKING = {"governance": {"baseline_ref": "a" * 32, "dpia_date": "2025-12-01"}}


def test_without_a_change_nothing_is_written_and_few_queries_are_sent(
    acme, make_version
):
    for number in range(1, 4):
        make_version(number, **ASKING)
    evaluate_organization(acme, at=LAST_WEEK)
    entries = AuditEvent.objects.count()
    with CaptureQueriesContext(connection) as queries:
        (report,) = chunks(acme, at=TOMORROW)

    assert (report.evaluated, report.changed) == (3, 0)
    # Approvers, policy and rule set, once for all chunks; facts, their company and runs
    # for each.
    assert len(statements(queries)) == 3 + 3
    assert all(sql.startswith("SELECT") for sql in statements(queries))
    assert AuditEvent.objects.count() == entries


@pytest.mark.parametrize("number", [1, 5])
def test_a_first_evaluation_writes_each_table_once(acme, make_version, number):
    kept_rule_set(Measure.of_versions(in_force()))
    for count in range(1, number + 1):
        make_version(count, **ASKING)
    with CaptureQueriesContext(connection) as queries:
        (report,) = chunks(acme, at=LAST_WEEK)

    assert report.opened > number
    sent = statements(queries)
    written = [sql.split('"')[1] for sql in sent if sql.startswith("INSERT")]
    assert written == ["compliance_evaluation", "compliance_gap"]
    # Beside what it costs without a change: the lock, and two to read under it.
    assert len(sent) == 3 + 3 + 3 + 2


def test_an_evaluation_that_changes_results_writes_each_table_once(acme, make_version):
    versions = [make_version(number) for number in range(1, 4)]
    evaluate_organization(acme, at=LAST_WEEK)
    for version in versions:
        change(version, at=TODAY, owner="", privacy_assessment_status="completed")
    with CaptureQueriesContext(connection) as queries:
        (report,) = chunks(acme, at=TODAY, only_due=True)

    assert report.opened > 0
    assert report.closed > 0
    sent = statements(queries)
    written = [sql.split('"')[1] for sql in sent if sql.startswith("INSERT")]
    assert written == [
        "compliance_evaluation", "compliance_gap", "compliance_gap",
        "compliance_resultchange",
    ]  # fmt: skip
    (opened,) = ResultChange.objects.filter(version=versions[0], event="opened")
    assert opened.gap == Gap.objects.get(version=versions[0], rule_id=opened.rule_id)


def test_only_what_changed_since_it_was_judged_is_due(acme, make_version):
    first, second = make_version(1), make_version(2)
    assert evaluate_organization(acme, only_due=True).evaluated == 2
    assert evaluate_organization(acme, only_due=True).evaluated == 0
    change(second, at=TODAY, owner="")
    report = evaluate_organization(acme, only_due=True)
    assert (report.evaluated, report.changed, report.opened) == (1, 1, 1)
    assert Gap.objects.get(rule_id="VW-INV-001").version == second
    assert first.evaluation.judged == LAST_WEEK


def test_a_change_that_moves_no_result_is_due_once(acme, version):
    evaluate_organization(acme)
    change(version, at=TODAY, description="New words.")
    report = evaluate_organization(acme, only_due=True)
    assert (report.evaluated, report.changed) == (1, 0)
    assert evaluate_organization(acme, only_due=True).evaluated == 0


def test_versions_can_be_named(acme, make_version):
    make_version(1)
    second = make_version(2)
    assert evaluate_organization(acme, version_ids=[second.pk]).evaluated == 1
    assert set(Gap.objects.values_list("version", flat=True)) == {second.pk}


def test_a_vanished_version_is_judged_by_what_was_told_last(acme, version):
    evaluate_organization(acme)
    gaps = set(Gap.objects.open().values_list("rule_id", flat=True))
    change(version, at=TODAY, absent_since=TODAY)
    report = evaluate_organization(acme, at=TODAY)
    assert (report.evaluated, report.changed) == (1, 0)
    assert set(Gap.objects.open().values_list("rule_id", flat=True)) == gaps
    assert not Gap.objects.open().present().exists()


def test_that_a_version_vanished_is_a_gap_of_the_present_until_it_is_explained(
    acme, version
):
    a_policy(1, packs=["starter", "part11"])
    evaluate_organization(acme)
    change(version, at=TODAY, absent_since=TODAY)
    evaluate_organization(acme, at=TODAY, only_due=True)
    (gap,) = Gap.objects.open().present()
    assert (gap.rule_id, gap.version) == ("VW-OPS-003", version)
    change(version, at=TOMORROW, governance={"decommission_ref": "CHG-7"})
    evaluate_organization(acme, at=TOMORROW, only_due=True)
    assert not Gap.objects.open().present().exists()


def test_a_version_that_is_out_of_scope_is_left_as_it_was(acme, version):
    evaluate_organization(acme)
    model = version.registered_model
    model.out_of_scope = "No pattern includes it."
    model.save()
    change(version, at=TODAY, absent_since=TODAY)
    assert evaluate_organization(acme, at=TODAY) == Report()


def test_a_job_that_was_stopped_goes_on_where_it_stopped(
    acme, make_version, monkeypatch
):
    monkeypatch.setattr(compliance.evaluation, "CHUNK", 2)
    ids = [make_version(number).pk for number in range(1, 6)]

    walk = chunks(acme)
    assert next(walk).last_id == ids[1]
    walk.close()
    assert Evaluation.objects.count() == 2

    reports = list(chunks(acme, after=ids[1]))
    assert [report.evaluated for report in reports] == [2, 1]
    assert Evaluation.objects.count() == 5


def test_the_chunks_add_up(acme, make_version, monkeypatch):
    monkeypatch.setattr(compliance.evaluation, "CHUNK", 2)
    for number in range(1, 5):
        make_version(number)
    report = evaluate_organization(acme)
    assert (report.evaluated, report.changed) == (4, 4)
    assert report.opened == Gap.objects.count()


def test_an_evaluation_on_older_facts_yields_to_one_on_later_facts(acme, version):
    change(version, at=TODAY, owner="")
    evaluate_organization(acme, at=TODAY)
    measure = Measure.of_versions(in_force())
    late = Judgement.of(version.pk, [], measure, judged=YESTERDAY)
    rule_set = kept_rule_set(measure)
    done = reconcile([late], subject="version", at=TOMORROW, rule_set=rule_set)
    assert done.evaluations == []
    assert Gap.objects.get(rule_id="VW-INV-001").is_open


# Sources


def freshness(source, **facts) -> SourceFacts:
    return SourceFacts(
        **{
            "source_id": source.pk,
            "name": source.name,
            "now": TODAY,
            "added_at": LAST_WEEK,
            "last_synced_at": YESTERDAY,
            "sync_interval": timedelta(hours=1),
        }
        | facts
    )


def test_a_stale_source_is_one_gap_whatever_its_versions(acme, source, version):
    report = evaluate_sources(acme, [freshness(source)], at=TODAY)
    assert (report.evaluated, report.opened) == (0, 1)
    gap = Gap.objects.get()
    assert (gap.rule_id, gap.source, gap.version) == ("VW-OPS-002", source, None)
    assert gap.remedy is not None
    assert gap.remedy.text.startswith("Test the connection")
    assert gap.remedy.code == ""
    assert source.evaluation.high == 1

    later = freshness(source, now=TODAY + timedelta(hours=1))
    assert evaluate_sources(acme, [later], at=TODAY) == Report()

    fresh = freshness(source, last_synced_at=TODAY)
    assert evaluate_sources(acme, [fresh], at=TOMORROW).closed == 1
    assert not Gap.objects.open().exists()


def test_another_good_sync_of_a_source_writes_nothing(acme, source):
    first = freshness(source, last_synced_at=TODAY)
    evaluate_sources(acme, [first], at=TODAY)
    following = freshness(
        source,
        now=TODAY + timedelta(hours=1),
        last_synced_at=TODAY + timedelta(hours=1),
    )
    evaluation = source.evaluation

    evaluate_sources(acme, [following], at=TOMORROW)

    evaluation.refresh_from_db()
    assert evaluation.changed_at == TODAY


def test_a_source_that_is_read_no_longer_is_not_stale(acme, source):
    evaluate_sources(acme, [freshness(source)], at=YESTERDAY)
    assert evaluate_sources(acme, [], at=TODAY).closed == 1
    assert evaluate_sources(acme, [], at=TOMORROW) == Report()
    assert ResultChange.objects.get().detail == SWITCHED_OFF


def test_a_list_brings_counts_without_documents(acme, version):
    evaluate_organization(acme)
    counts = Evaluation.objects.without_documents()
    with CaptureQueriesContext(connection) as queries:
        (found,) = ModelVersion.objects.prefetch_related(Prefetch("evaluation", counts))
        assert found.evaluation.critical == 2
    _, told = [query["sql"] for query in queries]
    assert '"results"' not in told
    assert '"facts"' not in told


# Tenancy and the trail


def test_gaps_stay_in_their_organization(acme, borealis, version):
    evaluate_organization(acme)
    with acting_for(borealis):
        assert evaluate_organization(borealis).evaluated == 0
        assert not Gap.objects.exists()
        assert not Evaluation.objects.exists()
        assert not ResultChange.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_an_evaluation_changes_is_one_entry_of_the_trail(acme, in_acme, version):
    entries = AuditEvent.objects.filter(action="gaps.reconciled")
    assert entries.count() == 0
    report = evaluate_organization(acme)
    audit.seal()
    entry = entries.get()
    assert entry.changes["opened"] == report.opened == Gap.objects.count()
    assert len(entry.changes["digest"]) == 64
    assert entry.object_label == "1 model version"
