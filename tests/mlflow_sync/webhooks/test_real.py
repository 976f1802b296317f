"""A real MLflow tells a real web server of changes, and a sync brings them in."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.db import connection
from django.http import HttpResponse
from django.utils.timezone import now
from pytest_django.live_server_helper import LiveServer

from accounts import audit, tenancy
from accounts.models import Organization
from inventory.models import ModelVersion, RegisteredModel
from mlflow_sync import lease
from mlflow_sync.api import Receiver
from mlflow_sync.models import (
    SyncRun,
    TrackingServer,
    WebhookDelivery,
    WebhookSecret,
)
from mlflow_sync.queueing import request_sync
from mlflow_sync.servers import save_server
from mlflow_sync.webhooks import commands, endpoints
from mlflow_sync.webhooks.signatures import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
    sign,
)
from tests.mlflow_sync.webhooks.delivering import deliveries
from tests.registry import Registry, unique
from tests.servers import Flavour, MlflowServer, shared_mlflow
from tests.workers import wait_until, worker
from verifywise import pipeline

pytestmark = pytest.mark.django_db(transaction=True)

Told = Callable[[int], list[WebhookDelivery]]


@pytest.fixture(scope="session")
def telling_mlflow(shared_folder: Path) -> Iterator[MlflowServer]:
    """An MLflow of this test process alone that sends webhooks to this machine."""
    name = os.environ.get("PYTEST_XDIST_WORKER", "main")
    folder = shared_folder / f"mlflow-webhooks-{name}"
    with shared_mlflow(folder, Flavour.WEBHOOKS) as server:
        yield server


@pytest.fixture
def registry(telling_mlflow: MlflowServer) -> Iterator[Registry]:
    """Writes into `telling_mlflow`, which afterwards tells nobody any more."""
    with Registry(telling_mlflow) as registry:
        yield registry
        for webhook in registry.send("GET", "webhooks").get("webhooks", ()):
            registry.send("DELETE", f"webhooks/{webhook['webhook_id']}")


@pytest.fixture
def production(acme: Organization, telling_mlflow: MlflowServer) -> TrackingServer:
    with tenancy.acting_for(acme):
        return save_server(TrackingServer(url=telling_mlflow.url), name="Production")


@pytest.fixture
def address(
    acme: Organization, production: TrackingServer, live_server: LiveServer
) -> dict[str, str]:
    """Enable the webhook; return what its commands are made of."""
    with tenancy.acting_for(acme):
        endpoint = endpoints.enable(production)
        url = f"{live_server.url}{endpoint.path()}"
    return {"url": url, "secret": endpoint.told_once}


@pytest.fixture
def webhook_id(
    registry: Registry, production: TrackingServer, address: dict[str, str]
) -> str:
    """Make the webhook in MLflow by the command that the console shows."""
    run_in_shell(commands.creating(production, **address).curl)
    (webhook,) = registry.send("GET", "webhooks")["webhooks"]
    assert webhook["url"] == address["url"]
    return str(webhook["webhook_id"])


@pytest.fixture
def told(acme: Organization, webhook_id: str) -> Told:
    """Wait until so many deliveries have come, and return them."""

    def wait(count: int) -> list[WebhookDelivery]:
        wait_until(lambda: len(deliveries(acme)) >= count)
        return deliveries(acme)

    return wait


def run_in_shell(command: str, **variables: str) -> str:
    done = subprocess.run(
        ["bash", "-e"],
        input=command,
        env=os.environ | variables,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def work(organization: Organization) -> list[SyncRun]:
    """Do what workers do until no run is active; return all runs, the first one first."""
    while True:
        with tenancy.acting_for(organization):
            active = SyncRun.objects.active().first()
            if active is None:
                return list(SyncRun.objects.order_by("pk"))
        pipeline.advance(organization, active.pk)


def stored(organization: Organization, name: str) -> ModelVersion:
    with tenancy.acting_for(organization):
        return ModelVersion.objects.get(registered_model__name=name)


def test_what_is_done_in_mlflow_arrives_by_itself(
    acme: Organization, registry: Registry, told: Told
) -> None:
    name = registry.model(unique("ü “credit” #?%"))
    registry.version(name, source="s3://bucket/model")
    told(2)
    work(acme)
    assert stored(acme, name).version_number == 1

    registry.post(
        "model-versions/set-tag", name=name, version="1", key="owner", value="nina"
    )
    told(3)
    work(acme)
    assert stored(acme, name).tags == {"owner": "nina"}

    registry.post("registered-models/alias", name=name, version="1", alias="champion")
    told(4)
    work(acme)
    assert stored(acme, name).aliases == ["champion"]

    registry.send("DELETE", "registered-models/alias", name=name, alias="champion")
    registry.send(
        "DELETE", "model-versions/delete-tag", name=name, version="1", key="owner"
    )
    found = told(6)
    runs = work(acme)
    assert (stored(acme, name).tags, stored(acme, name).aliases) == ({}, [])
    assert {delivery.event for delivery in found} == set(endpoints.EVENTS)
    assert {delivery.model_name for delivery in found} == {name}
    assert {run.trigger for run in runs} == {"webhook"}
    assert all(run.targets == [name] for run in runs)
    assert all(run.has_read for run in runs), [run.error for run in runs]
    assert {each.outcome for each in deliveries(acme)} == {"accepted"}


def test_mlflows_own_test_of_a_webhook_passes_and_does_no_harm(
    acme: Organization, registry: Registry, webhook_id: str
) -> None:
    answer = registry.post(f"webhooks/{webhook_id}/test")

    assert answer["result"]["success"] is True, answer
    assert answer["result"]["response_status"] == 202
    work(acme)
    (delivery,) = deliveries(acme)
    assert (delivery.model_name, delivery.outcome) == ("example_model", "unknown_model")
    with tenancy.acting_for(acme):
        assert not RegisteredModel.objects.filter(name="example_model").exists()


def test_a_webhook_without_its_secret_is_told_so_by_mlflow(
    acme: Organization, registry: Registry, address: dict[str, str]
) -> None:
    events = [{"entity": "MODEL_VERSION", "action": "CREATED"}]

    def test(**fields: str) -> dict[str, Any]:
        made = registry.post("webhooks", name="w", events=events, **fields)
        path = f"webhooks/{made['webhook']['webhook_id']}/test"
        result: dict[str, Any] = registry.post(path)["result"]
        return result

    unsigned = test(url=address["url"])
    assert (unsigned["success"], unsigned["response_status"]) == (False, 400)
    assert "does the webhook in MLflow have its secret?" in unsigned["response_body"]
    wrong = test(url=address["url"], secret="another")
    assert (wrong["success"], wrong["response_status"]) == (False, 401)
    assert deliveries(acme) == []


def test_a_delivery_whose_answer_was_lost_is_sent_again_and_taken_once(
    acme: Organization,
    registry: Registry,
    webhook_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[int] = []
    take = Receiver.post

    def lose(*args: Any, **kwargs: Any) -> HttpResponse:
        answers.append(take(*args, **kwargs).status_code)
        return HttpResponse(status=503 if len(answers) == 1 else answers[-1])

    monkeypatch.setattr(Receiver, "post", lose)

    answer = registry.post(f"webhooks/{webhook_id}/test")

    assert answer["result"]["success"] is True
    assert answers == [202, 200]
    assert len(deliveries(acme)) == 1


@pytest.mark.cluster
def test_a_burst_of_a_hundred_deliveries_is_a_few_runs(
    acme: Organization, registry: Registry, told: Told, tmp_path: Path
) -> None:
    names = [registry.model(unique("burst")) for _ in range(5)]
    for name in names:
        registry.version(name, source="s3://bucket/model")
    told(10)
    work(acme)
    with tenancy.acting_for(acme):
        before = SyncRun.objects.count()

    def tag(number: int) -> None:
        with Registry(registry.server) as mine:
            told = {"key": f"k{number}", "value": f"{number}", "version": "1"}
            mine.post("model-versions/set-tag", name=names[number % 5], **told)

    with worker(tmp_path) as cluster:
        with ThreadPoolExecutor(8) as people:
            list(people.map(tag, range(100)))
        told(110)
        wait_until(lambda: _is_quiet(acme), process=cluster)

    for first, name in enumerate(names):
        tags = {f"k{number}": f"{number}" for number in range(first, 100, 5)}
        assert stored(acme, name).tags == tags
    with tenancy.acting_for(acme):
        runs = SyncRun.objects.count() - before
        # Partial: the server cannot list what is in the bucket.
        assert not WebhookDelivery.objects.exclude(handled_by__status__in=SyncRun.READ)
        assert audit.verify(acme).intact
    assert 1 <= runs <= 15


def test_a_hundred_deliveries_at_once_ask_for_one_run_and_the_next(
    acme: Organization, production: TrackingServer, address: dict[str, str]
) -> None:
    body = (
        b'{"entity": "registered_model", "action": "created", "data": {"name": "%d"}}'
    )

    def send(number: int) -> int:
        at, told = str(int(time.time())), body % number
        headers = {
            "Content-Type": "application/json",
            ID_HEADER: f"d{number}",
            TIME_HEADER: at,
            SIGNATURE_HEADER: sign(address["secret"], f"d{number}", at, told),
        }
        return requests.post(
            address["url"], data=told, headers=headers, timeout=60
        ).status_code

    with ThreadPoolExecutor(20) as senders:
        statuses = list(senders.map(send, range(100)))

    assert set(statuses) == {202}
    with tenancy.acting_for(acme):
        first = SyncRun.objects.get()
        assert WebhookDelivery.objects.waiting().count() == 99
    _, second = work(acme)
    assert len(first.targets) == 1
    assert len(second.targets) == 99


def _is_quiet(organization: Organization) -> bool:
    with tenancy.acting_for(organization):
        return not (
            WebhookDelivery.objects.waiting().exists()
            or SyncRun.objects.active().exists()
            or SyncRun.objects.filter(evaluated_at=None).exists()
        )


def test_the_python_that_is_shown_makes_the_webhook_and_changes_its_secret(
    acme: Organization,
    registry: Registry,
    production: TrackingServer,
    address: dict[str, str],
) -> None:
    with tenancy.acting_for(acme):
        secret = endpoints.renew_secret(production).told_once
        WebhookSecret.objects.update(previous_until=now() - timedelta(seconds=1))
    made = commands.creating(production, **address).python
    changed = commands.changing(production, url=address["url"], secret=secret).python

    subprocess.run(
        [sys.executable, "-c", f"{made}\n{changed}"], check=True, capture_output=True
    )

    name = registry.model(unique("python"))
    wait_until(lambda: deliveries(acme))
    assert deliveries(acme)[0].model_name == name


def test_the_curl_that_is_shown_changes_the_secret(
    acme: Organization,
    registry: Registry,
    production: TrackingServer,
    address: dict[str, str],
    webhook_id: str,
) -> None:
    with tenancy.acting_for(acme):
        secret = endpoints.renew_secret(production).told_once
        WebhookSecret.objects.update(previous_until=now() - timedelta(seconds=1))
    command = commands.changing(production, url=address["url"], secret=secret)

    before = registry.post(f"webhooks/{webhook_id}/test")["result"]
    run_in_shell(command.curl, WEBHOOK_ID=webhook_id)
    after = registry.post(f"webhooks/{webhook_id}/test")["result"]

    assert (before["response_status"], after["response_status"]) == (401, 202)


def test_a_delivery_that_comes_in_as_a_run_ends_is_not_left_behind(
    acme: Organization,
) -> None:
    """It finds the run active, and is committed after the run's end looked for it."""
    with tenancy.acting_for(acme):
        server = save_server(TrackingServer(url="http://127.0.0.1:1"), name="Quiet")
        run = request_sync(server, trigger=SyncRun.Trigger.MANUAL)
    has_looked, may_commit = threading.Event(), threading.Event()

    def deliver() -> None:
        with tenancy.acting_for(acme):
            event = endpoints.Told(event="model_version.created", model_name="late")
            endpoints.receive(server, "d1", event)
            has_looked.set()
            may_commit.wait(30)
        connection.close()

    def settle() -> None:
        with tenancy.acting_for(acme):
            endpoints.settle(run)
        connection.close()

    delivering = threading.Thread(target=deliver)
    delivering.start()
    assert has_looked.wait(30)
    with tenancy.acting_for(acme):
        lease.close(run, SyncRun.Status.FAILED)
    settling = threading.Thread(target=settle)
    settling.start()
    settling.join(0.5)
    may_commit.set()
    delivering.join(30)
    settling.join(30)

    with tenancy.acting_for(acme):
        assert SyncRun.objects.active().get().targets == ["late"]
