"""What workers do by themselves, in the test's own process."""

from __future__ import annotations

import math
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.utils.timezone import now
from django_q.models import OrmQ, Schedule

from accounts import tenancy
from accounts.models import AuditEvent, Organization, User
from compliance import evaluation
from compliance.models import Evaluation, Waiver
from mlflow_sync import servers
from mlflow_sync.client import Connection
from mlflow_sync.lease import MAX_ATTEMPTS
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.queueing import request_sync
from mlflow_sync.servers import save_server
from tests import rows
from tests.rows import a_model, a_source, a_version
from tests.servers import MlflowServer, free_port
from verifywise import jobs, pipeline
from verifywise.schedules import ensure_standing

pytestmark = pytest.mark.django_db(transaction=True)


def add_server(organization: Organization, url: str) -> TrackingServer:
    with tenancy.acting_for(organization):
        return save_server(TrackingServer(url=url), name="Production")


def runs(organization: Organization) -> list[SyncRun]:
    with tenancy.acting_for(organization):
        return list(SyncRun.objects.of_registry())


def test_a_saved_server_is_read_every_hour_by_one_schedule(acme: Organization) -> None:
    server = add_server(acme, "http://127.0.0.1:5000")
    with tenancy.acting_for(acme):
        save_server(server)

    schedule = Schedule.objects.get(name=f"sync of server {server.pk}")
    assert schedule.func == "verifywise.jobs.scheduled_sync"
    assert schedule.cron == "0 * * * *"

    with tenancy.acting_for(acme):
        server.is_enabled = False
        save_server(server)

    assert not Schedule.objects.filter(name=schedule.name).exists()


def test_the_standing_schedules_are_made_once() -> None:
    ensure_standing()
    ensure_standing()

    for job in (
        "tend",
        "end_waivers",
        "lapse_attestations",
        "evaluate_everybody",
        "forget_deliveries",
    ):
        assert Schedule.objects.filter(func=f"verifywise.jobs.{job}").count() == 1


def test_waivers_that_are_over_end_in_every_organization(
    acme: Organization, borealis: Organization, max_: User, bob: User
) -> None:
    yesterday = now().date() - timedelta(days=1)
    for organization, person in ((acme, max_), (borealis, bob)):
        with tenancy.acting_for(organization):
            gap = rows.a_gap(rows.a_version(rows.a_model(rows.a_source())))
            rows.a_waiver(gap, person, ends_on=yesterday)

    jobs.end_waivers()

    for organization in (acme, borealis):
        with tenancy.acting_for(organization):
            assert Waiver.objects.get().status == Waiver.Status.EXPIRED
            entry = AuditEvent.objects.get(action="waiver.expired")
            assert (entry.origin, entry.actor_name) == ("scheduler", "VerifyWise")


def test_a_scheduled_sync_reads_and_judges(
    acme: Organization, mlflow_server: MlflowServer
) -> None:
    server = add_server(acme, mlflow_server.url)

    jobs.scheduled_sync(acme.pk, server.pk)
    (queued,) = runs(acme)
    jobs.sync(acme.pk, queued.pk)

    (run,) = runs(acme)
    assert run.trigger == SyncRun.Trigger.SCHEDULE
    assert run.status in (SyncRun.Status.SUCCEEDED, SyncRun.Status.PARTIAL), run.error
    assert run.evaluated_at is not None
    with tenancy.acting_for(acme):
        assert Evaluation.objects.filter(source=server.source).exists()


def test_delivering_a_job_twice_does_no_harm(
    acme: Organization, mlflow_server: MlflowServer
) -> None:
    server = add_server(acme, mlflow_server.url)
    jobs.scheduled_sync(acme.pk, server.pk)
    (queued,) = runs(acme)
    jobs.sync(acme.pk, queued.pk)
    (first,) = runs(acme)

    jobs.sync(acme.pk, queued.pk)

    (second,) = runs(acme)
    assert second.finished_at == first.finished_at


def test_a_server_that_failed_its_test_is_tested_again_and_skipped(
    acme: Organization,
) -> None:
    server = add_server(acme, f"http://127.0.0.1:{free_port()}")
    with tenancy.acting_for(acme):
        TrackingServer.objects.update(last_test_passed=False)

    jobs.scheduled_sync(acme.pk, server.pk)

    (run,) = runs(acme)
    assert run.status == SyncRun.Status.SKIPPED
    assert run.error.startswith("Skipped, because the connection test failed: ")
    assert not OrmQ.objects.exists()


def test_no_transaction_is_open_while_a_server_is_tested(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = add_server(acme, f"http://127.0.0.1:{free_port()}")
    with tenancy.acting_for(acme):
        TrackingServer.objects.update(last_test_passed=False)
    asked: list[bool] = []

    def ask(_: Connection) -> servers.TestResult:
        asked.append(connection.in_atomic_block)
        return servers.TestResult(passed=False, message="Nobody there.")

    monkeypatch.setattr("mlflow_sync.servers.ask_server", ask)

    jobs.scheduled_sync(acme.pk, server.pk)

    assert asked == [False]


def test_another_hour_of_syncing_is_taken_over_by_the_schedules_there_are(
    acme: Organization, settings: Any
) -> None:
    server = add_server(acme, "http://127.0.0.1:5000")
    settings.SYNC_CRON = "*/20 * * * *"

    ensure_standing()

    schedule = Schedule.objects.get(name=f"sync of server {server.pk}")
    assert schedule.cron == "*/20 * * * *"


def test_a_server_that_works_again_is_read_after_its_test(
    acme: Organization, mlflow_server: MlflowServer
) -> None:
    server = add_server(acme, mlflow_server.url)
    with tenancy.acting_for(acme):
        TrackingServer.objects.update(last_test_passed=False)

    jobs.scheduled_sync(acme.pk, server.pk)

    (run,) = runs(acme)
    assert run.status == SyncRun.Status.QUEUED
    assert OrmQ.objects.count() == 1
    with tenancy.acting_for(acme):
        server.refresh_from_db()
        assert server.last_test_passed


def test_a_server_that_is_not_scheduled_any_more_is_left_alone(
    acme: Organization,
) -> None:
    server = add_server(acme, "http://127.0.0.1:5000")
    with tenancy.acting_for(acme):
        TrackingServer.objects.update(is_enabled=False)

    jobs.scheduled_sync(acme.pk, server.pk)

    assert runs(acme) == []


def test_a_job_and_the_act_that_asked_for_it_are_rolled_back_together(
    acme: Organization,
) -> None:
    server = add_server(acme, "http://127.0.0.1:5000")

    def ask_and_fail() -> None:
        with tenancy.acting_for(acme):
            request_sync(server, trigger=SyncRun.Trigger.MANUAL)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask_and_fail()

    assert runs(acme) == []
    assert not OrmQ.objects.exists()


@pytest.mark.parametrize(
    ("attempts", "status", "kind", "queued"),
    [(1, "queued", "", 2), (MAX_ATTEMPTS, "failed", "worker_lost", 0)],
)
def test_the_runs_of_dead_workers_are_taken_up_or_given_up_in_every_organization(
    acme: Organization,
    borealis: Organization,
    attempts: int,
    status: str,
    kind: str,
    queued: int,
) -> None:
    for organization in (acme, borealis):
        server = add_server(organization, "http://127.0.0.1:5000")
        with tenancy.acting_for(organization):
            SyncRun.objects.create(
                server=server,
                trigger=SyncRun.Trigger.MANUAL,
                status=SyncRun.Status.RUNNING,
                attempts=attempts,
                heartbeat_at=now() - timedelta(minutes=5),
            )

    jobs.tend()
    jobs.tend()  # what waits for a worker is not put onto the queue again

    for organization in (acme, borealis):
        (run,) = runs(organization)
        assert (run.status, run.error_kind) == (status, kind)
    assert OrmQ.objects.count() == queued


def test_the_daily_judgement_is_a_job_for_each_open_organization(
    acme: Organization, borealis: Organization
) -> None:
    borealis.closed_at = now()
    borealis.save()

    jobs.evaluate_everybody()

    assert OrmQ.objects.count() == 1
    jobs.evaluate(acme.pk)


def test_nobody_can_schedule_any_function_in_the_console() -> None:
    ours = {"accounts", "inventory", "mlflow_sync", "compliance"}
    assert {model._meta.app_label for model in admin.site._registry} <= ours


def test_a_prefetched_job_cannot_be_handed_out_twice() -> None:
    queue = settings.Q_CLUSTER
    waiting = math.ceil((queue["queue_limit"] + 1) / queue["workers"])
    assert queue["retry"] > queue["timeout"] * (1 + waiting)


def test_the_facts_of_a_source_tell_how_it_is_read(acme: Organization) -> None:
    add_server(acme, "http://mlflow.example.org")
    (facts,) = pipeline.source_facts(acme)
    assert facts.name == "Production"
    assert facts.last_synced_at is None
    assert facts.sync_interval == timedelta(hours=1)
    assert (facts.is_encrypted, facts.is_verified, facts.is_local) == (
        False,
        False,
        False,
    )
    assert (facts.has_identity, facts.can_write) == (False, None)


def test_a_judgement_that_takes_too_long_goes_on_in_the_next_job(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tenancy.acting_for(acme):
        model = a_model(a_source())
        for number in (1, 2, 3):
            a_version(model, number)
    monkeypatch.setattr(evaluation, "CHUNK", 2)
    monkeypatch.setattr(pipeline, "judge_due", partial(pipeline.judge_due, patience=0))

    def judged() -> int:
        with tenancy.acting_for(acme):
            return Evaluation.objects.count()

    OrmQ.objects.all().delete()
    jobs.evaluate_due(acme.pk)
    assert judged() == 2
    task = OrmQ.objects.get().task
    assert (task["func"], task["args"]) == (settings.DUE_EVALUATION_JOB, (acme.pk,))
    for _ in range(2):
        OrmQ.objects.all().delete()
        jobs.evaluate_due(acme.pk)
    assert judged() == 3
    assert not OrmQ.objects.exists()
