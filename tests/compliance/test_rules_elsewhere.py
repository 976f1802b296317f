"""The rules that judge sources and approval requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

import compliance.rules  # noqa: F401 - registers the rules
from compliance.catalogue import parameters
from compliance.engine import Result, Verdict, evaluate, rulebook
from compliance.facts import ConditionFacts, RequestFacts, SourceFacts, StepFacts

PASS, FAIL = Verdict.PASS, Verdict.FAIL
UNKNOWN, NOT_APPLICABLE = Verdict.UNKNOWN, Verdict.NOT_APPLICABLE

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
SOURCE = SourceFacts(
    source_id=1,
    name="Production MLflow",
    now=NOW,
    added_at=NOW - timedelta(days=30),
    last_synced_at=NOW - timedelta(hours=1),
    sync_interval=timedelta(hours=1),
)


@pytest.mark.parametrize(
    ("facts", "verdict", "detail"),
    [
        ({}, PASS, ""),
        ({"last_synced_at": NOW - timedelta(hours=2)}, PASS, ""),
        (
            {"last_synced_at": NOW - timedelta(hours=2, seconds=1)},
            FAIL,
            "The last successful sync ended 2026-01-10 09:59 UTC, more than 2 intervals "
            "ago.",
        ),
        ({"last_synced_at": None}, FAIL, "No sync has ever succeeded."),
        (
            {"last_synced_at": None, "added_at": NOW},
            UNKNOWN,
            "No sync has succeeded yet.",
        ),
        (
            {"sync_interval": None},
            NOT_APPLICABLE,
            "The source is not synchronized by schedule.",
        ),
    ],
)
def test_a_stale_sync_is_told_once_for_its_source(facts, verdict, detail):
    (result,) = evaluate(
        replace(SOURCE, **facts), [rulebook["VW-OPS-002"]], parameters()
    )
    assert (result.verdict, result.outcome.detail) == (verdict, detail)


SECURE = replace(SOURCE, is_encrypted=True, is_verified=True, has_identity=True)


@pytest.mark.parametrize(
    ("facts", "verdict", "detail"),
    [
        ({}, PASS, ""),
        ({"can_write": False}, PASS, ""),
        ({"is_encrypted": False, "is_verified": False, "is_local": True}, PASS, ""),
        (
            {"is_encrypted": None},
            NOT_APPLICABLE,
            "The source is not read over a connection.",
        ),
        (
            {"is_encrypted": False, "has_identity": False},
            FAIL,
            "The connection to Production MLflow: it is not encrypted, it names no "
            "identity.",
        ),
        (
            {"is_verified": False, "can_write": True},
            FAIL,
            "The connection to Production MLflow: the server's certificate is not "
            "verified, its identity may write.",
        ),
    ],
)
def test_a_connection_is_encrypted_verified_and_named(facts, verdict, detail):
    (result,) = evaluate(
        replace(SECURE, **facts), [rulebook["VW-SEC-004"]], parameters()
    )
    assert (result.verdict, result.outcome.detail) == (verdict, detail)


# Approval requests

REQUEST = RequestFacts(
    request_id=1,
    now=NOW,
    requested_at=NOW - timedelta(hours=3),
    requester="max@example.org",
    owner="olga@example.org",
    run_user="max@example.org",
    version_creator="mia@example.org",
    steps=(StepFacts(by="Olga@example.org"), StepFacts(by="sam@example.org")),
    conditions=(ConditionFacts(name="Monitor drift", due_on=date(2026, 1, 10)),),
)


def judged(rule_id: str, **faults: object) -> Result:
    (result,) = evaluate(replace(REQUEST, **faults), [rulebook[rule_id]], parameters())
    return result


@pytest.mark.parametrize(
    ("steps", "verdict", "told"),
    [
        (REQUEST.steps, PASS, ""),
        ((), NOT_APPLICABLE, "Nobody has decided yet."),
        ((StepFacts(by="max@example.org"),), FAIL, "who requested the approval"),
        ((StepFacts(by="max@example.org"),), FAIL, "who ran the training"),
        ((StepFacts(by="MIA@example.org"),), FAIL, "who made the version"),
        (
            (StepFacts(by="olga@example.org", is_final=True),),
            FAIL,
            "who owns the model",
        ),
        ((*REQUEST.steps, StepFacts(by="SAM@example.org")), FAIL, "more than one step"),
    ],
)
def test_nobody_decides_on_their_own_work(steps, verdict, told):
    result = judged("VW-APR-003", steps=steps)
    assert result.verdict is verdict
    assert told in result.outcome.detail


@pytest.mark.parametrize(
    ("request_facts", "verdict"),
    [
        ({}, PASS),
        ({"requested_at": NOW - timedelta(hours=23, minutes=59)}, PASS),
        ({"requested_at": NOW - timedelta(hours=24)}, FAIL),
        (
            {"requested_at": NOW - timedelta(days=9), "decided_at": NOW},
            NOT_APPLICABLE,
        ),
    ],
)
def test_a_request_is_decided_within_a_day(request_facts, verdict):
    assert judged("VW-APR-011", **request_facts).verdict is verdict


@pytest.mark.parametrize(
    ("condition", "verdict", "told"),
    [
        ({}, PASS, ""),
        ({"due_on": date(2026, 1, 9)}, FAIL, "“Monitor drift” was due on 2026-01-09"),
        ({"due_on": date(2026, 1, 9), "is_closed": True}, PASS, ""),
        ({"is_justified": False}, FAIL, "has no owner or no reason"),
    ],
)
def test_conditions_are_met_in_time_and_justified(condition, verdict, told):
    (only,) = REQUEST.conditions
    result = judged("VW-APR-012", conditions=(replace(only, **condition),))
    assert result.verdict is verdict
    assert told in result.outcome.detail


def test_without_conditions_there_is_nothing_to_hold():
    assert judged("VW-APR-012", conditions=()).verdict is NOT_APPLICABLE
