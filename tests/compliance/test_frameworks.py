"""Standings, tallies and reports against the database, now and as of a moment."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from accounts.models import Organization, User
from accounts.tenancy import acting_for
from compliance import waivers
from compliance.evaluation import (
    chunks,
    evaluate_organization,
    evaluate_sources,
    make_due,
)
from compliance.facts import SourceFacts
from compliance.frameworks import standings
from compliance.frameworks import tallies as tallying
from compliance.frameworks.control_map import Framework, control_map
from compliance.frameworks.counting import State
from compliance.frameworks.lines import source_gaps, version_lines
from compliance.frameworks.report import ControlLine, Report, Scope, report, summaries
from compliance.models import FrameworkTally, Gap, Standing, Waiver
from inventory import attestations
from inventory.models import ModelVersion, RegisteredModel
from inventory.records import Stage
from tests.compliance.conftest import LAST_WEEK, TODAY, change
from tests.compliance.test_framework_gathering import files
from tests.rows import a_policy

ISO = control_map().frameworks["ISO42001"]
OWNERSHIP = "ISO42001-A.3.2"
NOW = Scope()


def line(told: Report, control_id: str = OWNERSHIP) -> ControlLine:
    return next(each for each in told.controls if each.control.id == control_id)


def told(framework: Framework = ISO, scope: Scope = NOW) -> dict[str, Any]:
    """Return all that a report and its lines tell, but for when they were asked."""
    moment = scope.at or now()
    found = report(framework, scope)
    return {
        "controls": found.controls,
        "versions": found.versions,
        "policy": found.policy,
        "lines": list(version_lines(framework, scope, moment=moment)),
        "sources": source_gaps(framework, scope),
    }


def counted_anew() -> dict[tuple[str, bool, bool], dict[str, int]]:
    tallying.recount(list(control_map().frameworks.values()))
    return tallies()


def tallies() -> dict[tuple[str, bool, bool], dict[str, int]]:
    return {
        (row.framework, row.is_production, row.is_declared): row.counts
        for row in FrameworkTally.objects.all()
        if row.counts
    }


def test_a_report_counts_evidence_and_gaps_of_versions(
    acme: Organization, make_version: Callable[..., ModelVersion]
) -> None:
    make_version(1)
    make_version(2, owner="", lifecycle_stage=Stage.NONE.value)
    evaluate_organization(acme)

    found = report(ISO, NOW)

    assert found.versions == 2
    ownership = line(found)
    assert ownership.evidence == {"direct": 1, "partial": 0, "context": 0, "none": 1}
    assert ownership.judged == 2
    (owner,) = ownership.fields
    assert (owner.field.name, owner.known) == ("owner", 1)
    rule = next(each for each in ownership.rules if each.rule_id == "VW-INV-001")
    assert rule.states[State.OPEN] == rule.states[State.MET] == 1

    in_production = report(ISO, Scope(in_production=True))
    assert in_production.versions == 1
    assert line(in_production).evidence["direct"] == 1


def test_a_framework_can_be_narrowed_to_what_is_declared_to_be_under_it(
    acme: Organization, make_version: Callable[..., ModelVersion]
) -> None:
    make_version(1, regulatory_scope=["gdpr", "hipaa"])
    make_version(2)
    evaluate_organization(acme)
    gdpr = control_map().frameworks["GDPR"]

    assert report(gdpr, NOW).versions == 2
    assert report(gdpr, Scope(declared=True)).versions == 1
    lines = version_lines(gdpr, Scope(declared=True), moment=now())
    assert [str(each.subject) for each in lines] == ["credit-scoring version 1"]
    assert report(ISO, Scope(declared=True)).versions == 2, "everything is under it"


def test_what_cannot_be_decided_is_neither_met_nor_lost(
    acme: Organization, version: ModelVersion
) -> None:
    evaluate_organization(acme)
    Gap.objects.get(rule_id="VW-PRIV-001")
    change(version, at=TODAY, data_sensitivity="", privacy_assessment_status="")
    evaluate_organization(acme)

    states = Standing.objects.current().get(version=version).states

    gap = Gap.objects.get(rule_id="VW-PRIV-001")
    assert states["VW-PRIV-001"] == (State.OPEN if gap.is_open else State.MET)
    undecided = [rule_id for rule_id, state in states.items() if state == "undecided"]
    assert undecided
    open_gaps = set(Gap.objects.open().values_list("rule_id", flat=True))
    assert open_gaps.isdisjoint(undecided)


def test_a_waiver_moves_a_gap_to_the_waived_at_once(
    acme: Organization, version: ModelVersion, max_: User, olga: User
) -> None:
    evaluate_organization(acme)
    gap = Gap.objects.get(rule_id="VW-PRIV-001")
    gdpr, control_id = control_map().frameworks["GDPR"], "GDPR-35.3.a"
    assert line(report(gdpr, NOW), control_id).states[State.OPEN] == 1
    with acting_for(acme, actor=max_, role=max_.memberships.get().role):
        (asked,) = waivers.ask_for_gaps(
            [gap],
            waivers.Terms(
                kind=Waiver.Kind.NOT_APPLICABLE, reason="No people are scored."
            ),
        )
    with acting_for(acme, actor=olga, role=olga.memberships.get().role):
        waivers.approve(asked, reason="Right.")

    after = line(report(gdpr, NOW), control_id).states
    assert after == dict.fromkeys(State, 0) | {State.WAIVED: 1}
    (waived,) = [
        each
        for row in version_lines(gdpr, NOW, moment=now())
        for each in row.gaps
        if each.state is State.WAIVED
    ]
    assert waived.waiver == "Not applicable, approved by Olga: No people are scored."
    assert tallies() == counted_anew()


def test_sources_count_for_their_rules_and_are_no_versions(
    acme: Organization, version: ModelVersion
) -> None:
    evaluate_organization(acme)
    facts = SourceFacts(
        source_id=version.source_id,
        name=version.source.name,
        now=now(),
        added_at=LAST_WEEK,
        last_synced_at=LAST_WEEK,
        sync_interval=timedelta(hours=1),
    )
    evaluate_sources(acme, [facts])

    open_gaps = Gap.objects.open().exclude(source=None)
    shown = {
        gap.rule_id
        for each in control_map().frameworks.values()
        for gap in source_gaps(each, NOW)
    }
    assert shown == set(open_gaps.values_list("rule_id", flat=True))
    assert shown
    assert {each.versions for each in summaries(NOW)} == {1}
    assert tallies() == counted_anew()


def test_a_version_that_is_gone_or_out_of_scope_stands_no_longer(
    acme: Organization,
    credit: RegisteredModel,
    make_version: Callable[..., ModelVersion],
) -> None:
    gone, left_out = make_version(1), make_version(2)
    evaluate_organization(acme)
    assert report(ISO, NOW).versions == 2

    change(gone, at=TODAY, absent_since=TODAY)
    evaluate_organization(acme, only_due=True)
    assert report(ISO, NOW).versions == 1

    RegisteredModel.objects.filter(pk=credit.pk).update(out_of_scope="Not ours.")
    change(left_out, at=TODAY, absent_since=TODAY)
    evaluate_organization(acme, only_due=True)
    assert report(ISO, NOW).versions == 0
    assert Standing.objects.count() == 2
    assert tallies() == counted_anew() == {}


def test_unchanged_standings_write_nothing(
    acme: Organization,
    version: ModelVersion,
    django_assert_num_queries: Callable[..., Any],
) -> None:
    evaluate_organization(acme)
    with acting_for(acme), django_assert_num_queries(5):
        assert standings.keep([version.pk]) == 0  # the lock, and four to read
    assert Standing.objects.count() == 1


def test_what_was_judged_before_standings_were_kept_is_caught_up_with(
    acme: Organization, version: ModelVersion
) -> None:
    evaluate_organization(acme)
    before = told()
    FrameworkTally.objects.all().delete()
    Standing.objects.all().delete()

    evaluate_organization(acme, only_due=True)

    assert told() == before
    assert tallies() == counted_anew()


def test_what_an_interrupted_evaluation_judged_is_kept_by_the_next(
    acme: Organization, make_version: Callable[..., ModelVersion]
) -> None:
    make_version(1)
    next(chunks(acme))
    assert not Standing.objects.exists()
    make_version(2)
    assert evaluate_organization(acme, only_due=True).evaluated == 1
    assert report(ISO, NOW).versions == 2
    assert tallies() == counted_anew()


def test_what_moves_no_result_is_kept_too(
    acme: Organization, version: ModelVersion
) -> None:
    evaluate_organization(acme)
    make_due([version.pk])  # as when another name means a member
    evaluate_organization(acme, only_due=True)
    version.description, version.changed_at = "Scores applicants.", now()
    version.save()

    assert evaluate_organization(acme, only_due=True).changed == 0

    assert "description" in Standing.objects.current().get(version=version).known
    assert tallies() == counted_anew()


def test_another_control_map_counts_anew(
    acme: Organization, version: ModelVersion
) -> None:
    evaluate_organization(acme)
    FrameworkTally.objects.update(digest="older", counts={"versions": 7})
    evaluate_organization(acme, only_due=True)
    assert report(ISO, NOW).versions == 1
    assert tallies() == counted_anew()


def shake(
    dice: random.Random, rows: list[ModelVersion], make: Callable[..., ModelVersion]
) -> None:
    """Change something as a sync, or a sync that finds a new version, would."""
    fields = {
        "owner": dice.choice(["", "max@example.org"]),
        "data_sensitivity": dice.choice(["", "personal", "public"]),
        "regulatory_scope": dice.choice([[], ["eu_ai_act"], ["gdpr", "hipaa"]]),
        "lifecycle_stage": dice.choice([Stage.PRODUCTION.value, Stage.NONE.value]),
        "metrics": dice.choice([{}, {"auc": 0.9}]),
        "governance": dice.choice([{}, {"intended_use": "Rank."}]),
    }
    row = dice.choice(rows)
    row.refresh_from_db()
    for name in dice.sample(sorted(fields), 2):
        setattr(row, name, fields[name])
    row.changed_at = now()
    row.save()
    if dice.random() < 0.3:
        rows.append(make(len(rows) + 1))


def test_tallies_stay_what_counting_anew_says_and_the_past_what_it_was(
    acme: Organization, make_version: Callable[..., ModelVersion]
) -> None:
    dice = random.Random(11)
    rows = [make_version(number) for number in (1, 2, 3)]
    evaluate_organization(acme)
    past: list[tuple[datetime, dict[str, Any]]] = []
    for _ in range(6):
        shake(dice, rows, make_version)
        evaluate_organization(acme, only_due=True)
        assert tallies() == counted_anew()
        past.append((now(), told()))

    for moment, at_the_time in past:
        assert told(scope=Scope(at=moment)) == at_the_time
    assert past[0][1] != past[-1][1]


def test_as_of_yesterday_equals_what_was_told_yesterday(
    acme: Organization,
    credit: RegisteredModel,
    make_version: Callable[..., ModelVersion],
    max_: User,
    olga: User,
) -> None:
    """Ten things change, and the report as of before is the one taken then."""
    rows = [make_version(number) for number in range(1, 6)]
    gone = make_version(6)
    evaluate_organization(acme)
    frameworks = control_map().frameworks.values()
    scopes = [NOW, Scope(in_production=True), Scope(declared=True)]
    taken = {(each.id, s): told(each, s) for each in frameworks for s in scopes}
    overview = summaries(NOW)
    yesterday = now()
    taken_files = files(Scope(at=yesterday))

    rows[0].owner, rows[0].changed_at = "", now()  # 1: a value is no longer told
    rows[0].save()
    rows[1].metrics, rows[1].changed_at = (
        {"auc": 0.5},
        now(),
    )  # 2: one is told otherwise
    rows[1].save()
    rows[2].lifecycle_stage = Stage.ARCHIVED.value  # 3: one is archived
    rows[2].regulatory_scope = ["gdpr"]  # 4: and declared
    rows[2].changed_at = now()
    rows[2].save()
    credit.name = "credit-scoring-2"  # 5: the model is renamed
    credit.save()
    gone.absent_since = gone.changed_at = now()  # 6: a version is gone
    gone.save()
    make_version(7, owner="")  # 7: one is new
    source = rows[0].source
    source.name = "Old MLflow"  # 8: the source is renamed
    source.save()
    a_policy(1, at=now(), packs=["starter", "privacy_gdpr_hipaa"])  # 9: another policy
    evaluate_organization(acme)
    with acting_for(acme, actor=olga, role=olga.memberships.get().role):
        attestations.attest(  # 10: a field is attested
            field="privacy_assessment_status",
            value="completed",
            reason="Seen.",
            versions=[rows[3]],
        )
    evaluate_organization(acme, version_ids=[rows[3].pk])
    with acting_for(acme, actor=max_, role=max_.memberships.get().role):
        gap = Gap.objects.open().filter(version=rows[4]).first()
        assert gap
        (asked,) = waivers.ask_for_gaps(
            [gap], waivers.Terms(kind=Waiver.Kind.NOT_APPLICABLE, reason="So.")
        )
    with acting_for(acme, actor=olga, role=olga.memberships.get().role):
        waivers.approve(asked, reason="Yes.")  # 11: a gap is waived

    for (framework_id, scope), before in taken.items():
        framework = control_map().frameworks[framework_id]
        assert told(framework, replace(scope, at=yesterday)) == before
        assert told(framework, scope) != before
    assert summaries(Scope(at=yesterday)) == overview
    assert files(Scope(at=yesterday)) == taken_files


def test_before_anything_was_kept_there_is_nothing(
    acme: Organization, version: ModelVersion
) -> None:
    early = now()
    evaluate_organization(acme)
    found = report(ISO, Scope(at=early))
    assert found.versions == 0
    assert found.first_kept
    assert found.first_kept > early


@pytest.mark.parametrize("number", [1, 40])
def test_a_report_costs_the_same_whatever_the_number_of_versions(
    acme: Organization,
    make_version: Callable[..., ModelVersion],
    django_assert_num_queries: Callable[..., Any],
    number: int,
) -> None:
    for each in range(1, number + 1):
        make_version(each)
    evaluate_organization(acme)
    with django_assert_num_queries(3):
        report(ISO, NOW)
    with django_assert_num_queries(1):
        summaries(NOW)
