"""Enabling a webhook, and which run reads what deliveries told of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.utils.timezone import now

from accounts import tenancy
from accounts.exceptions import NotAllowed
from accounts.models import AuditEvent, Organization, User
from accounts.roles import MAY, Permission, Role
from mlflow_sync import lease
from mlflow_sync.models import (
    SyncFailure,
    SyncRun,
    TrackingServer,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookSecret,
)
from mlflow_sync.queueing import request_sync
from mlflow_sync.servers import remove_server, save_server
from mlflow_sync.webhooks import endpoints
from tests.conftest import member
from tests.rows import a_model, a_server, a_source, a_sync
from verifywise import jobs

pytestmark = pytest.mark.django_db

ACTS: dict[str, Callable[[TrackingServer], Any]] = {
    "enable": endpoints.enable,
    "renew": endpoints.renew_secret,
    "disable": endpoints.disable,
}


@pytest.fixture
def production(in_acme: tenancy.Acting) -> TrackingServer:
    return save_server(TrackingServer(url="http://127.0.0.1:1"), name="Production")


def told(server: TrackingServer, *names: str, **fields: Any) -> list[WebhookDelivery]:
    """Keep a delivery for each name, as if it had come in while a run was active."""
    return [
        WebhookDelivery.objects.create(
            server=server,
            delivery_id=f"{WebhookDelivery.objects.count()}",
            event="model_version.created",
            model_name=name,
            **fields,
        )
        for name in names
    ]


def waiting() -> list[str]:
    rows = WebhookDelivery.objects.waiting().order_by("pk")
    return list(rows.values_list("model_name", flat=True))


def end(run: SyncRun, status: str = SyncRun.Status.SUCCEEDED) -> SyncRun:
    """Close a run, as its worker does before it settles."""
    run.started_at = run.started_at or now()
    lease.close(run, SyncRun.Status(status))
    return run


# Acts


def test_a_webhook_has_an_address_and_a_secret_that_is_told_once(
    production: TrackingServer,
) -> None:
    endpoint = endpoints.enable(production)

    assert endpoint.told_once.startswith("vwhs_")
    assert len(endpoint.told_once) > 40
    assert endpoint.path() == f"/webhooks/mlflow/acme/{endpoint.key}/"
    assert endpoint.told_once not in endpoint.path()
    found = WebhookEndpoint.objects.get()
    assert found.told_once == ""
    assert found.secret.valid() == (endpoint.told_once,)


def test_two_webhooks_have_nothing_in_common(production: TrackingServer) -> None:
    other = save_server(TrackingServer(url="http://127.0.0.1:2"), name="Other")
    first, second = endpoints.enable(production), endpoints.enable(other)

    assert first.key != second.key
    assert first.told_once != second.told_once


def test_secrets_are_stored_encrypted_and_dumped_never(
    production: TrackingServer,
) -> None:
    secret = endpoints.enable(production).told_once
    renewed = endpoints.renew_secret(production).told_once

    with connection.cursor() as cursor:
        cursor.execute("SELECT current, previous FROM mlflow_sync_webhooksecret")
        (stored,) = cursor.fetchall()
    dump = serializers.serialize("json", WebhookSecret.objects.all())
    for each in (secret, renewed):
        assert each not in "".join(stored)
        assert each not in dump
        assert each not in repr(WebhookSecret.objects.get())


def test_acts_are_on_the_trail_without_their_secrets(
    acme: Organization, alice: User
) -> None:
    with tenancy.acting_for(acme, actor=alice, role=Role.ADMINISTRATOR):
        server = save_server(TrackingServer(url="http://127.0.0.1:1"), name="P")
        told_once = [endpoints.enable(server).told_once]
        told_once.append(endpoints.renew_secret(server).told_once)
        endpoints.disable(server)

    with tenancy.acting_for(acme):
        entries = AuditEvent.objects.filter(action__startswith="webhook.")
        assert [entry.action for entry in entries.order_by("sequence")] == [
            "webhook.enabled",
            "webhook.secret_renewed",
            "webhook.disabled",
        ]
        for entry in entries:
            assert (entry.actor, entry.object_label) == (alice, "P")
            for secret in told_once:
                assert secret not in f"{entry.changes} {entry.reason}"


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("act", ACTS)
def test_webhooks_are_for_those_who_manage_servers(
    acme: Organization, production: TrackingServer, role: Role, act: str
) -> None:
    if act != "enable":
        endpoints.enable(production)
    person = member(acme, "Somebody", role)

    with tenancy.acting_for(acme, actor=person, role=role):
        if role in MAY[Permission.MANAGE_SERVERS]:
            ACTS[act](production)
        else:
            with pytest.raises(NotAllowed, match="Manage tracking servers"):
                ACTS[act](production)


def test_what_is_enabled_is_not_enabled_again(production: TrackingServer) -> None:
    endpoints.enable(production)

    with pytest.raises(ValidationError, match="of Production is enabled already"):
        endpoints.enable(production)


@pytest.mark.parametrize("act", ["renew", "disable"])
def test_what_is_not_enabled_has_no_secret(
    production: TrackingServer, act: str
) -> None:
    with pytest.raises(ValidationError, match="of Production is not enabled"):
        ACTS[act](production)


def test_a_removed_server_is_told_of_nothing(production: TrackingServer) -> None:
    endpoints.enable(production)
    remove_server(production)

    assert not WebhookEndpoint.objects.exists()
    with pytest.raises(ValidationError, match="Production was removed"):
        endpoints.enable(production)


def test_a_secret_that_no_key_opens_can_be_replaced_and_removed(
    production: TrackingServer,
) -> None:
    endpoints.enable(production)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mlflow_sync_webhooksecret SET current = 'gAAAA'")

    renewed = endpoints.renew_secret(production)

    secret = WebhookSecret.objects.get()
    assert secret.valid() == (renewed.told_once,)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mlflow_sync_webhooksecret SET current = 'gAAAA'")
    endpoints.disable(production)
    assert not WebhookEndpoint.objects.exists()


def test_the_keys_of_webhook_secrets_can_be_rotated(
    production: TrackingServer, settings: Any
) -> None:
    secret = endpoints.enable(production).told_once
    old, new = settings.FIELD_ENCRYPTION_KEY[0], Fernet.generate_key().decode()
    before = stored_secret()

    settings.FIELD_ENCRYPTION_KEY = [new, old]
    call_command("rotate_encryption_keys")

    assert stored_secret() != before
    assert WebhookSecret.objects.get().current == secret


def stored_secret() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current FROM mlflow_sync_webhooksecret")
        return str(cursor.fetchone()[0])


# Following up


def test_one_run_reads_all_models_that_wait(production: TrackingServer) -> None:
    told(production, "credit", "churn", "credit", "fraud")

    run = endpoints.follow_up(production)

    assert run is not None
    assert run.targets == ["churn", "credit", "fraud"]
    assert (run.reach, run.trigger) == ("models", "webhook")
    assert waiting() == []
    assert run.webhook_deliveries.count() == 4


def test_what_comes_in_while_a_run_is_active_waits_for_its_end(
    production: TrackingServer,
) -> None:
    told(production, "credit")
    first = endpoints.follow_up(production)
    assert first is not None
    told(production, "churn", "fraud")

    assert endpoints.follow_up(production) is None
    assert waiting() == ["churn", "fraud"]

    following = endpoints.settle(end(first))

    assert following is not None
    assert following.targets == ["churn", "fraud"]
    assert waiting() == []
    assert endpoints.settle(end(following)) is None


@pytest.mark.parametrize("status", ["queued", "running"])
@pytest.mark.parametrize("reach", [SyncRun.Reach.REGISTRY, SyncRun.Reach.MODELS])
def test_no_run_is_asked_for_beside_another_one(
    production: TrackingServer, status: str, reach: str
) -> None:
    a_sync(production, status=status, reach=reach, finished_at=None)
    told(production, "credit")

    assert endpoints.follow_up(production) is None
    assert waiting() == ["credit"]


@pytest.mark.parametrize("status", ["queued", "running"])
def test_what_only_reads_files_makes_way(
    production: TrackingServer, status: str
) -> None:
    files = SyncRun.Reach.FILES
    of_files = a_sync(
        production, status=status, reach=files, queued_at=now(), finished_at=None
    )
    told(production, "credit")

    run = endpoints.follow_up(production)

    assert run is not None
    assert run.targets == ["credit"]
    of_files.refresh_from_db()
    assert (of_files.status, of_files.error_kind) == ("cancelled", SyncRun.GAVE_WAY)


@pytest.mark.parametrize(
    ("minutes", "is_asked"), [(10, False), (-1, True), (None, True)]
)
def test_a_server_that_is_paused_is_left_alone(
    production: TrackingServer, minutes: int | None, is_asked: bool
) -> None:
    until = now() + timedelta(minutes=minutes) if minutes else None
    TrackingServer.objects.update(paused_until=until)  # as another process does
    told(production, "credit")

    assert (endpoints.follow_up(production) is not None) is is_asked
    assert waiting() == ([] if is_asked else ["credit"])


def test_a_removed_server_is_left_alone(production: TrackingServer) -> None:
    told(production, "credit")
    remove_server(production)

    assert endpoints.follow_up(production) is None
    assert not SyncRun.objects.exists()


def test_nothing_is_asked_for_where_nothing_waits(production: TrackingServer) -> None:
    outcome = WebhookDelivery.Outcome
    told(production, "a", outcome=outcome.UNKNOWN_EVENT)
    told(production, "b", outcome=outcome.OTHER_WORKSPACE)
    other = a_server(a_source("Other"))
    told(other, "c")

    assert endpoints.follow_up(production) is None


def test_too_many_models_are_read_as_a_whole(
    production: TrackingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "MOST_NAMES", 3)
    told(production, "a", "b", "c", "c")
    run = endpoints.follow_up(production)
    assert run is not None
    assert run.targets == ["a", "b", "c"]

    told(production, "a", "b", "c", "d")
    following = endpoints.settle(end(run))

    assert following is not None
    assert (following.targets, following.reach) == ([], "registry")
    assert waiting() == []


def test_a_whole_sync_answers_what_came_before_it(production: TrackingServer) -> None:
    run = request_sync(production, trigger=SyncRun.Trigger.MANUAL)
    run.started_at = now()
    a_model(production.source, "before")
    before = told(production, "before", received_at=now() - timedelta(minutes=1))
    told(production, "after", received_at=now() + timedelta(seconds=1))

    following = endpoints.settle(end(run))

    before[0].refresh_from_db()
    assert before[0].handled_by == run
    assert following is not None
    assert following.targets == ["after"]


@pytest.mark.parametrize(
    ("status", "reach"),
    [("failed", "registry"), ("cancelled", "registry"), ("succeeded", "files")],
)
def test_a_run_that_did_not_read_the_models_answers_nothing(
    production: TrackingServer, status: str, reach: str
) -> None:
    run = a_sync(production, reach=reach, status="queued", finished_at=None)
    told(production, "credit", received_at=run.started_at)

    following = endpoints.settle(end(run, status))

    assert following is not None
    assert following.targets == ["credit"]


def test_what_a_failed_run_did_not_read_is_not_asked_for_again_and_again(
    production: TrackingServer,
) -> None:
    told(production, "credit")
    run = endpoints.follow_up(production)
    assert run is not None

    assert endpoints.settle(end(run, SyncRun.Status.FAILED)) is None

    assert SyncRun.objects.count() == 1
    assert run.webhook_deliveries.get().outcome == "accepted"


def test_a_model_that_no_sync_met_is_unknown(production: TrackingServer) -> None:
    """MLflow's own test of a webhook names `example_model`."""
    a_model(production.source, "credit")
    a_model(a_source("Other"), "example_model")
    told(production, "credit", "example_model", "broken")
    run = endpoints.follow_up(production)
    assert run is not None
    SyncFailure.objects.create(
        sync_run=run, model_name="broken", section="version", reason="Too long."
    )

    endpoints.settle(end(run, SyncRun.Status.PARTIAL))

    outcomes = run.webhook_deliveries.values_list("model_name", "outcome")
    assert dict(outcomes) == {
        "credit": "accepted",
        "example_model": "unknown_model",
        "broken": "accepted",
    }


# What is tended


def test_what_still_waits_is_followed_up_every_few_minutes(
    acme: Organization, borealis: Organization
) -> None:
    for organization in (acme, borealis):
        with tenancy.acting_for(organization):
            server = save_server(TrackingServer(url="http://127.0.0.1:1"), name="P")
            told(server, "credit")
            SyncRun.objects.create(
                server=server,
                trigger=SyncRun.Trigger.MANUAL,
                status=SyncRun.Status.RUNNING,
                heartbeat_at=now() - timedelta(minutes=5),
                attempts=lease.MAX_ATTEMPTS,  # it is closed, and not taken up again
            )

    jobs.tend()

    for organization in (acme, borealis):
        with tenancy.acting_for(organization):
            assert SyncRun.objects.active().get().targets == ["credit"]
            assert waiting() == []


def test_deliveries_are_forgotten_after_a_month(production: TrackingServer) -> None:
    told(production, "old", "waiting", received_at=now() - timedelta(days=31))
    told(production, "young", received_at=now() - timedelta(days=29))

    jobs.forget_deliveries()

    assert waiting() == ["young"]


def test_another_organization_sees_nothing_of_a_webhook(
    production: TrackingServer, borealis: Organization
) -> None:
    endpoints.enable(production)
    told(production, "credit")

    with tenancy.acting_for(borealis):
        for model in (WebhookEndpoint, WebhookSecret, WebhookDelivery):
            assert not model._default_manager.exists()
