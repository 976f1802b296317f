"""The webhook of a server in the console and over REST, role by role."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from accounts import tenancy
from accounts.models import AuditEvent, Organization, User
from accounts.roles import MAY, Permission, Role
from mlflow_sync.models import (
    SyncRun,
    TrackingServer,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookSecret,
)
from mlflow_sync.servers import save_server
from mlflow_sync.webhooks import endpoints
from tests.callers import Caller, calling
from tests.conftest import member
from tests.mlflow_sync.webhooks.delivering import Sender
from tests.pages import MOST_QUERIES, Visitor, words
from tests.rows import a_sync, days

pytestmark = pytest.mark.django_db

SERVERS = "mlflow_sync/trackingserver/"
NASTY = "<script>alert('x')</script>"
EXPLAINED = "It is shown only now"


@pytest.fixture
def research(acme: Organization) -> TrackingServer:
    with tenancy.acting_for(acme):
        return save_server(TrackingServer(url="http://127.0.0.1:1/ml"), name="Research")


def some_deliveries(server: TrackingServer, count: int) -> None:
    for number in range(count):
        WebhookDelivery.objects.create(
            server=server,
            delivery_id=f"{WebhookDelivery.objects.count()}",
            event="model_version_tag.set",
            model_name=f"model {number}",
            handled_by=a_sync(server) if number % 2 else None,
            received_at=days(number),
        )


def act(visitor: Visitor, server: TrackingServer, name: str) -> Any:
    return visitor.post(f"{SERVERS}{server.pk}/webhook/{name}/")


def shown(page: str, name: str) -> str:
    """Return what an element of the page says."""
    found = re.search(f'id="{name}">([^<]*)<', page)
    assert found is not None, name
    return found[1]


# The console


def test_the_secret_is_shown_once_and_opens_the_endpoint(
    acme: Organization, alice: User, research: TrackingServer
) -> None:
    visitor = Visitor(alice)
    assert "Enable webhook" in visitor.page(f"{SERVERS}{research.pk}/change/")

    told = act(visitor, research, "enable").content.decode()

    secret, url = shown(told, "webhook-secret"), shown(told, "webhook-url")
    assert EXPLAINED in told
    assert secret in shown(told, "webhook-curl")
    assert secret in shown(told, "webhook-python")
    assert url.startswith("http://testserver/webhooks/mlflow/acme/")
    for path in (f"{SERVERS}{research.pk}/change/", f"{SERVERS}{research.pk}/history/"):
        assert secret not in visitor.page(path)
    page = visitor.page(f"{SERVERS}{research.pk}/change/")
    assert shown(page, "webhook-url") == url
    assert "Enable webhook" not in page
    assert "New secret" in page
    mlflow = Sender(url.removeprefix("http://testserver"), secret)
    assert mlflow.tell("model_version.created", "credit").status_code == 202
    text = visitor.text(f"{SERVERS}{research.pk}/change/")
    assert "model_version.created credit Accepted run" in text
    assert "Last delivery just now" in text


def test_a_new_secret_is_shown_with_the_command_that_changes_it(
    acme: Organization, alice: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        before = endpoints.enable(research)

    told = act(Visitor(alice), research, "renew").content.decode()

    secret = shown(told, "webhook-secret")
    assert secret != before.told_once
    assert EXPLAINED in told
    assert "good for another day" in told
    assert "update_webhook" in shown(told, "webhook-python")
    assert "-X PATCH" in shown(told, "webhook-curl")
    with tenancy.acting_for(acme):
        assert WebhookSecret.objects.get().valid() == (secret, before.told_once)


def test_a_webhook_is_disabled(
    acme: Organization, alice: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        endpoints.enable(research)
        some_deliveries(research, 1)
    visitor = Visitor(alice)

    answer = act(visitor, research, "disable")

    assert answer["Location"] == research.get_absolute_url()
    page = visitor.page(f"{SERVERS}{research.pk}/change/")
    assert "The webhook of Research was disabled." in page
    text = words(page)
    assert "Not enabled" in text
    assert "model 0 Accepted waits for the next run" in text  # still on record


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("enable", "The webhook of Research is enabled already."),
        ("renew", "The webhook of Research is not enabled."),
        ("disable", "The webhook of Research is not enabled."),
    ],
)
def test_a_form_that_comes_too_late_says_so(
    acme: Organization, alice: User, research: TrackingServer, name: str, sentence: str
) -> None:
    if name == "enable":
        with tenancy.acting_for(acme):
            endpoints.enable(research)
    visitor = Visitor(alice)

    assert act(visitor, research, name)["Location"] == research.get_absolute_url()
    assert sentence in visitor.page(f"{SERVERS}{research.pk}/change/")


@pytest.mark.parametrize("role", Role)
def test_the_buttons_are_for_those_who_manage_servers(
    acme: Organization, research: TrackingServer, role: Role
) -> None:
    visitor = Visitor(member(acme, "Somebody", role))
    may = role in MAY[Permission.MANAGE_SERVERS]

    page = visitor.page(f"{SERVERS}{research.pk}/change/")
    assert ("Enable webhook" in page) is may
    assert act(visitor, research, "enable").status_code == (200 if may else 403)
    page = visitor.page(f"{SERVERS}{research.pk}/change/")
    assert ("New secret" in page) is may
    for name in ("renew", "disable"):
        assert (act(visitor, research, name).status_code == 403) is not may
    with tenancy.acting_for(acme):
        entries = AuditEvent.objects.filter(action__startswith="webhook.")
        assert entries.count() == (3 if may else 0)


@pytest.mark.parametrize("name", ["enable", "renew", "disable"])
def test_the_webhook_of_others_is_not_there(
    acme: Organization, bob: User, research: TrackingServer, name: str
) -> None:
    with tenancy.acting_for(acme):
        key = endpoints.enable(research).key

    assert act(Visitor(bob), research, name).status_code == 404
    Visitor(bob).page(f"{SERVERS}{research.pk}/webhook/{name}/", answers=405)
    with tenancy.acting_for(acme):
        assert WebhookEndpoint.objects.get().key == key


def test_deliveries_say_what_became_of_them(
    acme: Organization, audrey: User, research: TrackingServer
) -> None:
    outcome = WebhookDelivery.Outcome
    with tenancy.acting_for(acme):
        endpoints.enable(research)
        run = a_sync(research)
        for number, (name, fields) in enumerate(
            {
                NASTY: {"handled_by": run},
                "example_model": {"outcome": outcome.UNKNOWN_MODEL, "handled_by": run},
                "": {"outcome": outcome.UNKNOWN_EVENT, "event": "prompt.created"},
                "theirs": {"outcome": outcome.OTHER_WORKSPACE},
            }.items()
        ):
            WebhookDelivery.objects.create(
                server=research,
                delivery_id=f"{number}",
                model_name=name,
                received_at=now() - timedelta(minutes=number + 1),
                **{"event": "model_version.created", **fields},
            )

    page = Visitor(audrey).page(f"{SERVERS}{research.pk}/change/")
    text = Visitor(audrey).text(f"{SERVERS}{research.pk}/change/")

    assert NASTY not in page
    assert f"{NASTY} Accepted run {run.pk} Succeeded" in text
    assert f"example_model Unknown model run {run.pk} Succeeded" in text
    assert "prompt.created – Unknown event nothing to read" in text
    assert "theirs Another workspace nothing to read" in text


def test_a_refusal_is_shown(
    acme: Organization, alice: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        path = endpoints.enable(research).path()
    Sender(path, "another secret").tell("model_version.created")

    assert "Last refused just now : not signed with the secret" in Visitor(alice).text(
        f"{SERVERS}{research.pk}/change/"
    )


def test_the_page_of_a_run_says_how_many_deliveries_it_follows(
    acme: Organization, alice: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        some_deliveries(research, 3)
        WebhookDelivery.objects.update(handled_by=None)
        run = endpoints.follow_up(research)
    assert run is not None

    page = Visitor(alice).text(f"mlflow_sync/syncrun/{run.pk}/change/")

    assert "Started by Webhook, for 3 deliveries" in page


def test_a_server_that_was_told_a_lot_takes_no_more_queries(
    acme: Organization, alice: User, research: TrackingServer
) -> None:
    visitor, path = Visitor(alice), f"{SERVERS}{research.pk}/change/"
    with tenancy.acting_for(acme):
        endpoints.enable(research)
        some_deliveries(research, 3)
    few = visitor.queries(path)
    with tenancy.acting_for(acme):
        some_deliveries(research, 60)

    assert visitor.queries(path) == few <= MOST_QUERIES


# The API


@pytest.fixture
def alices(alice: User) -> Caller:
    return calling(alice)


def test_a_webhook_is_enabled_renewed_and_disabled_over_rest(
    acme: Organization, alices: Caller, research: TrackingServer
) -> None:
    path = f"tracking-servers/{research.pk}/webhook/"
    assert alices.get(path)[0] == 404

    status, enabled = alices.post(path)
    assert status == 201
    _, told = alices.get(path)
    assert told == {name: enabled[name] for name in enabled if name != "secret"}
    assert told["last_delivery_at"] is told["refused_at"] is None

    status, renewed = alices.post(path)
    assert status == 201
    assert renewed["url"] == enabled["url"]
    assert renewed["secret"] != enabled["secret"]

    mlflow = Sender(enabled["url"].removeprefix("http://testserver"), enabled["secret"])
    assert mlflow.tell("model_version.created").status_code == 202
    assert alices.get(path)[1]["last_delivery_at"] is not None

    assert alices.delete(path) == (204, None)
    assert alices.delete(path)[0] == alices.get(path)[0] == 404
    assert mlflow.tell("model_version.created").status_code == 401


def test_the_secret_is_in_no_other_answer(
    alices: Caller, research: TrackingServer
) -> None:
    own = f"tracking-servers/{research.pk}/"
    secret = alices.post(f"{own}webhook/")[1]["secret"]

    for path in (own, f"{own}webhook/", f"{own}webhook/deliveries/", "audit-events/"):
        status, told = alices.get(path)
        assert status == 200
        assert secret not in str(told)


@pytest.mark.parametrize("role", Role)
def test_roles_decide_over_rest(
    acme: Organization, research: TrackingServer, role: Role
) -> None:
    with tenancy.acting_for(acme):
        endpoints.enable(research)
    caller = calling(member(acme, "Somebody", role))
    path = f"tracking-servers/{research.pk}/webhook/"
    may = role in MAY[Permission.MANAGE_SERVERS]

    assert caller.get(path)[0] == caller.get(f"{path}deliveries/")[0] == 200
    assert caller.post(path)[0] == (201 if may else 403)
    assert caller.delete(path)[0] == (204 if may else 403)


def test_the_webhook_of_others_is_not_there_over_rest(
    acme: Organization, bob: User, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        endpoints.enable(research)
        some_deliveries(research, 1)
    caller, path = calling(bob), f"tracking-servers/{research.pk}/webhook/"

    assert caller.get(path)[0] == caller.get(f"{path}deliveries/")[0] == 404
    assert caller.post(path)[0] == caller.delete(path)[0] == 404


def test_deliveries_are_listed_in_pages(
    acme: Organization, alices: Caller, research: TrackingServer
) -> None:
    path = f"tracking-servers/{research.pk}/webhook/deliveries/"
    with tenancy.acting_for(acme):
        some_deliveries(research, 3)
        run = SyncRun.objects.get()
    few = alices.queries(path)

    assert [
        (each["model_name"], each["outcome"], each["handled_by"])
        for each in alices.results(path)
    ] == [
        ("model 2", "accepted", None),
        ("model 1", "accepted", run.pk),
        ("model 0", "accepted", None),
    ]
    assert alices.fault(path, outcome="accepted").keys() == {"outcome"}

    with tenancy.acting_for(acme):
        some_deliveries(research, 60)
    assert alices.queries(path) == few
    assert len(alices.results(path, page_size=20, page=4)) == 3
