"""What is believed of what is sent to a webhook, and what is answered."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from django_q.models import OrmQ

from accounts import audit, tenancy
from accounts.models import AuditEvent, Organization, User
from mlflow_sync.api import receiver
from mlflow_sync.models import (
    SyncRun,
    TrackingServer,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookSecret,
)
from mlflow_sync.servers import remove_server, save_server
from mlflow_sync.webhooks import endpoints
from mlflow_sync.webhooks.signatures import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
    sign,
)
from tests.callers import PROBLEM
from tests.conftest import signed_in
from tests.mlflow_sync.webhooks.delivering import Sender, deliveries, sender_of

pytestmark = pytest.mark.django_db

NOT_BELIEVED = (
    "There is no such webhook, or this delivery is not signed with its secret."
)


@pytest.fixture
def production(acme: Organization) -> TrackingServer:
    """A server that nothing listens at: deliveries ask nothing of it."""
    with tenancy.acting_for(acme):
        return save_server(TrackingServer(url="http://127.0.0.1:1"), name="Production")


@pytest.fixture
def mlflow(acme: Organization, production: TrackingServer) -> Sender:
    return sender_of(acme, production)


@pytest.fixture
def nothing_happened(acme: Organization) -> Iterator[None]:
    yield
    assert deliveries(acme) == []
    with tenancy.acting_for(acme):
        assert not SyncRun.objects.exists()


def runs(organization: Organization) -> list[SyncRun]:
    with tenancy.acting_for(organization):
        return list(SyncRun.objects.order_by("pk"))


def problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == PROBLEM
    told: dict[str, Any] = response.json()
    return told


# What is taken


@pytest.mark.parametrize("event", endpoints.EVENTS)
def test_an_event_of_a_model_is_kept_and_its_model_is_to_be_read(
    acme: Organization, mlflow: Sender, event: str
) -> None:
    response = mlflow.tell(event, "credit")

    assert (response.status_code, response.json()) == (202, {"outcome": "accepted"})
    (delivery,) = deliveries(acme)
    (run,) = runs(acme)
    assert (delivery.event, delivery.model_name) == (event, "credit")
    assert delivery.handled_by_id == run.pk
    assert (run.trigger, run.status) == ("webhook", "queued")
    assert (run.reach, run.targets) == ("models", ["credit"])
    assert run.requested_by is None
    assert OrmQ.objects.count() == 1
    with tenancy.acting_for(acme):
        entry = AuditEvent.objects.get(action="sync.requested")
    assert entry.origin == "webhook"


@pytest.mark.parametrize(
    "event", ["prompt.created", "prompt_alias.deleted", "registered_model.renamed"]
)
def test_an_event_that_is_of_no_concern_is_kept_and_does_nothing(
    acme: Organization, mlflow: Sender, event: str
) -> None:
    response = mlflow.tell(event, envelope={"data": {"amount": 3}})

    assert (response.status_code, response.json()) == (
        202,
        {"outcome": "unknown_event"},
    )
    (delivery,) = deliveries(acme)
    assert (delivery.event, delivery.outcome) == (event, "unknown_event")
    assert runs(acme) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        ("", "default", "accepted"),
        ("", "team-a", "other_workspace"),
        ("team-a", "team-a", "accepted"),
        ("team-a", "default", "other_workspace"),
        ("team-a", None, "accepted"),
    ],
)
def test_another_workspace_is_another_registry(
    acme: Organization,
    mlflow: Sender,
    ours: str,
    theirs: str | None,
    outcome: str,
) -> None:
    with tenancy.acting_for(acme):
        TrackingServer.objects.update(workspace=ours)

    response = mlflow.tell("model_version.created", envelope={"workspace": theirs})

    assert response.json() == {"outcome": outcome}
    assert len(runs(acme)) == (outcome == "accepted")


@pytest.mark.parametrize(
    "name",
    ["a b", " padded ", "ü “x” 'y' \"z\"", "#?%&", "a%2Fb/c:d", "<b>", "😀", "n" * 600],
)
def test_odd_names_are_kept_as_they_are(
    acme: Organization, mlflow: Sender, name: str
) -> None:
    assert mlflow.tell("model_version_tag.set", name).status_code == 202

    assert deliveries(acme)[0].model_name == name
    assert runs(acme)[0].targets == [name]


def test_a_delivery_that_comes_twice_is_taken_once(
    acme: Organization, mlflow: Sender
) -> None:
    """As MLflow sends it again, where it got no answer: same id, time and signature."""
    at = time.time()
    told = {"delivery_id": "3005d5d1", "at": at}
    first = mlflow.tell("model_version.created", **told)
    again = mlflow.tell("model_version.created", **told)

    assert first.status_code == 202
    assert (again.status_code, again.json()) == (200, {"outcome": "duplicate"})
    assert len(deliveries(acme)) == len(runs(acme)) == 1


def test_two_servers_may_be_told_under_one_id(
    acme: Organization, mlflow: Sender
) -> None:
    with tenancy.acting_for(acme):
        server = save_server(TrackingServer(url="http://127.0.0.1:2"), name="Other")
    other = sender_of(acme, server)

    for sender in (mlflow, other):
        response = sender.tell("model_version.created", delivery_id="same")
        assert response.json() == {"outcome": "accepted"}


def test_one_of_several_signatures_has_to_hold(
    acme: Organization, mlflow: Sender
) -> None:
    at, body = str(int(time.time())), b'{"entity": "prompt", "action": "created"}'
    mine = sign(mlflow.secret, "d1", at, body)
    theirs = sign("another", "d1", at, body)
    told: dict[str, Any] = {"delivery_id": "d1", "at": int(at)}

    assert mlflow.send(body, signature=f"{theirs} v1a,xyz", **told).status_code == 401
    assert mlflow.send(body, signature=f"{theirs} {mine}", **told).status_code == 202


def test_the_address_works_without_its_last_slash(mlflow: Sender) -> None:
    mlflow.path = mlflow.path.rstrip("/")

    assert mlflow.tell("model_version.created").status_code == 202


def test_the_signature_is_that_of_mlflow() -> None:
    """Made by `mlflow.webhooks.delivery` of MLflow 3.17."""
    assert sign("s3cret", "d1", "1795196950", b'{"a": 1}') == (
        "v1,APLKUmykgGALiXSzMsfbOl6/IvZXd7KrPSDw/Nx66Fo="
    )


# Who is not believed


def foreign(sender: Sender, case: str) -> dict[str, Any]:
    """Return how a delivery is sent in which something is not as it should be."""
    key = sender.path.split("/")[4]
    return {
        "another secret": {"signature": "v1,1LntxmRik5z1MSYLTzEumf5vqfdw64YV="},
        "no secret": {"signature": sign("", "d1", "1", b"")},
        "another scheme": {"signature": "v2,abc"},
        "odd characters": {"signature": "v1,ü"},
        "many signatures": {"signature": "v1,a " * 500},
        "unknown key": {"path": f"/webhooks/mlflow/acme/{'k' * 32}/"},
        "unknown slug": {"path": f"/webhooks/mlflow/nobody/{key}/"},
        "another organization": {"path": f"/webhooks/mlflow/borealis/{key}/"},
        "the installation": {"path": f"/webhooks/mlflow/installation/{key}/"},
        "odd slug": {"path": f"/webhooks/mlflow/äcme/{key}/"},
    }[case]


@pytest.mark.parametrize(
    "case",
    [
        "another secret",
        "no secret",
        "another scheme",
        "odd characters",
        "many signatures",
        "unknown key",
        "unknown slug",
        "another organization",
        "the installation",
        "odd slug",
    ],
)
def test_all_who_are_not_believed_get_one_answer(
    borealis: Organization, mlflow: Sender, nothing_happened: None, case: str
) -> None:
    response = mlflow.tell("model_version.created", **foreign(mlflow, case))

    assert problem(response, 401) == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": NOT_BELIEVED,
    }


def test_a_removed_server_a_closed_organization_and_a_disabled_webhook_too(
    acme: Organization, production: TrackingServer, mlflow: Sender
) -> None:
    acme.closed_at = now()
    acme.save()
    closed = mlflow.tell("model_version.created")
    acme.closed_at = None
    acme.save()
    with tenancy.acting_for(acme):
        TrackingServer.objects.update(removed_at=now())
    removed = mlflow.tell("model_version.created")
    with tenancy.acting_for(acme):
        TrackingServer.objects.update(removed_at=None)
        endpoints.disable(production)
    disabled = mlflow.tell("model_version.created")

    for response in (closed, removed, disabled):
        assert problem(response, 401)["detail"] == NOT_BELIEVED
    assert deliveries(acme) == []


@pytest.mark.django_db(transaction=True)
def test_who_is_not_there_costs_as_many_queries_as_who_is_not_believed(
    borealis: Organization, mlflow: Sender
) -> None:
    def cost(case: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            mlflow.tell("model_version.created", **foreign(mlflow, case))
        return len(captured)

    cost("another secret")  # once an hour a refusal is noted

    assert cost("unknown key") == cost("unknown slug") == 5
    assert cost("another secret") == 6  # and finds that it was noted


@pytest.mark.parametrize("place", ["body", ID_HEADER, TIME_HEADER])
def test_what_was_signed_cannot_be_changed(
    mlflow: Sender, nothing_happened: None, place: str
) -> None:
    at, body = int(time.time()), b'{"entity": "prompt", "action": "created"}'
    signature = sign(mlflow.secret, "d1", str(at), body)
    told: dict[str, Any] = {"delivery_id": "d1", "at": at, "signature": signature}
    if place == "body":
        body = body.replace(b"prompt", b"trompt")
    elif place == ID_HEADER:
        told["delivery_id"] = "d2"
    else:
        told["at"] = at + 1

    assert problem(mlflow.send(body, **told), 401)["detail"] == NOT_BELIEVED


def test_id_and_time_cannot_be_cut_apart_elsewhere(
    mlflow: Sender, nothing_happened: None
) -> None:
    at = str(int(time.time()))
    signature = sign(mlflow.secret, "d1.7", at, b"{}")

    response = mlflow.send(b"{}", delivery_id="d1.7", signature=signature)

    assert problem(response, 400)["errors"] == [
        {"field": ID_HEADER, "detail": "This is no id of a delivery."}
    ]


def test_a_delivery_is_not_for_another_server(
    acme: Organization, borealis: Organization, mlflow: Sender
) -> None:
    with tenancy.acting_for(borealis):
        theirs = save_server(TrackingServer(url="http://127.0.0.1:2"), name="MLflow")
    other = sender_of(borealis, theirs)

    response = mlflow.tell("model_version.created", path=other.path)

    assert response.status_code == 401
    assert deliveries(acme) == deliveries(borealis) == []


def test_a_delivery_without_the_secret_of_its_webhook_is_told_what_is_missing(
    mlflow: Sender, nothing_happened: None
) -> None:
    response = mlflow.tell("model_version.created", without=SIGNATURE_HEADER)

    (error,) = problem(response, 400)["errors"]
    assert error["field"] == SIGNATURE_HEADER
    assert "does the webhook in MLflow have its secret?" in error["detail"]


@pytest.mark.parametrize(
    ("header", "value", "sentence"),
    [
        (ID_HEADER, None, "missing"),
        (TIME_HEADER, None, "missing"),
        (ID_HEADER, "x" * 101, "no id"),
        (ID_HEADER, "a b", "no id"),
        (TIME_HEADER, "yesterday", "no Unix time"),
        (TIME_HEADER, "²", "no Unix time"),
        (TIME_HEADER, "-1", "no Unix time"),
        (TIME_HEADER, "9" * 400, "no Unix time"),
        (TIME_HEADER, "1.5", "no Unix time"),
        (TIME_HEADER, "1", "more than five minutes"),
    ],
)
@pytest.mark.parametrize("is_known", [True, False])
def test_a_wrong_header_is_named_to_everybody(
    mlflow: Sender,
    nothing_happened: None,
    header: str,
    value: str | None,
    sentence: str,
    is_known: bool,
) -> None:
    path = mlflow.path if is_known else f"/webhooks/mlflow/nobody/{'k' * 32}/"
    told = {"without": header} if value is None else {header: value}

    response = mlflow.tell("model_version.created", path=path, **told)

    (error,) = problem(response, 400)["errors"]
    assert error["field"] == header
    assert sentence in error["detail"]


@pytest.mark.parametrize(
    ("seconds", "is_taken"), [(-310, False), (-290, True), (290, True), (310, False)]
)
def test_deliveries_are_taken_for_five_minutes(
    acme: Organization, mlflow: Sender, seconds: int, is_taken: bool
) -> None:
    response = mlflow.tell("model_version.created", at=time.time() + seconds)

    assert response.status_code == (202 if is_taken else 400)
    assert len(deliveries(acme)) == is_taken


# What else can be wrong


def test_a_body_that_is_too_large_is_not_read(
    mlflow: Sender, nothing_happened: None
) -> None:
    told = problem(mlflow.send(b" " * (receiver.LARGEST + 1)), 413)

    assert "1,048,576 bytes" in told["detail"]


def test_a_body_of_the_largest_size_is_taken(
    acme: Organization, mlflow: Sender
) -> None:
    envelope = {
        "entity": "model_version_tag",
        "action": "set",
        "data": {"name": "m", "value": ""},
    }
    empty = json.dumps(envelope)
    envelope["data"] = {"name": "m", "value": "x" * (receiver.LARGEST - len(empty))}
    body = json.dumps(envelope).encode()

    assert len(body) == receiver.LARGEST
    assert mlflow.send(body).status_code == 202


def test_a_body_without_a_length_is_not_read(
    mlflow: Sender, nothing_happened: None
) -> None:
    response = mlflow.client.generic(
        "POST", mlflow.path, b"{}", "application/json", CONTENT_LENGTH=""
    )

    assert problem(response, 411)["detail"] == "Content-Length is missing."


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_only_json_is_taken(mlflow: Sender, nothing_happened: None, kind: str) -> None:
    assert problem(mlflow.send(b"{}", content_type=kind), 415)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b" ", "JSON parse error"),
        (b"{", "JSON parse error"),
        (b"\xff\xfe", "JSON parse error"),
        (b'{"entity": NaN}', "JSON parse error"),
        (b"[" * 100_000, "The JSON is nested too deep."),
        (b"[]", "Expected a dictionary"),
        (b'"x"', "Invalid data"),
        (b"{}", "entity: This field is required."),
        (b'{"entity": "model_version"}', "action: This field is required."),
        (b'{"entity": {}, "action": null}', "entity: Not a valid string."),
        (
            b'{"entity": "model_version", "action": "created"}',
            "data.name: This field is required.",
        ),
        (
            b'{"entity": "model_version", "action": "created", "data": []}',
            "data: Expected a dictionary",
        ),
        (
            b'{"entity": "model_version", "action": "created", "data": {"name": ""}}',
            "data.name: This field may not be blank.",
        ),
        (
            b'{"entity": "model_version", "action": "created", '
            b'"data": {"name": "a\\u0000b"}}',
            "data.name: Null characters are not allowed.",
        ),
        (
            b'{"entity": "model_version", "action": "created", '
            b'"data": {"name": "\\ud800"}}',
            "data.name: Surrogate characters are not allowed",
        ),
        (
            b'{"entity": "model_version", "action": "created", "data": {"name": "'
            + b"n" * 601
            + b'"}}',
            "data.name: Ensure this field has no more than 600 characters.",
        ),
        (
            b'{"entity": "' + b"e" * 51 + b'", "action": "created"}',
            "entity: Ensure this field has no more than 50 characters.",
        ),
    ],
)
def test_a_body_that_is_none_of_mlflow_is_told_what_is_wrong(
    mlflow: Sender, nothing_happened: None, body: bytes, sentence: str
) -> None:
    assert sentence in problem(mlflow.send(body), 400)["detail"]


def test_what_is_wrong_with_a_body_is_told_to_those_who_are_believed(
    mlflow: Sender, nothing_happened: None
) -> None:
    assert problem(mlflow.send(b"{", signature="v1,abc"), 401)


@pytest.mark.parametrize("method", ["get", "put", "delete", "options", "head"])
def test_deliveries_are_posted(mlflow: Sender, method: str) -> None:
    response = getattr(mlflow.client, method)(mlflow.path)

    assert response.status_code == 405
    assert response["Allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/webhooks/", "/webhooks/mlflow/acme/", "/webhooks/mlflow/a%00b/k/"]
)
def test_what_is_no_address_is_a_problem_too(client: Client, path: str) -> None:
    assert problem(client.post(path, b"{}", "application/json"), 404)


def test_a_delivery_wants_no_csrf_token(mlflow: Sender) -> None:
    mlflow.client = Client(enforce_csrf_checks=True)

    assert mlflow.tell("model_version.created").status_code == 202


def test_nobodys_session_carries_a_delivery(
    mlflow: Sender, audrey: User, nothing_happened: None
) -> None:
    """Or the run would be the auditor's, who may not ask for one."""
    mlflow.client = signed_in(audrey)

    told = problem(mlflow.tell("model_version.created"), 400)

    assert told["detail"] == "Deliveries come without anybody's session."


def test_the_password_of_a_proxy_does_not_matter(
    acme: Organization, mlflow: Sender
) -> None:
    response = mlflow.tell("model_version.created", Authorization="Basic YTpi")

    assert response.status_code == 202
    assert len(deliveries(acme)) == 1


def test_a_secret_that_no_key_opens_is_said(
    acme: Organization, mlflow: Sender, nothing_happened: None
) -> None:
    with tenancy.acting_for(acme), connection.cursor() as cursor:
        cursor.execute("UPDATE mlflow_sync_webhooksecret SET current = 'gAAAA'")

    told = problem(mlflow.tell("model_version.created"), 409)

    assert "opens with no key of FIELD_ENCRYPTION_KEY" in told["detail"]


# Refusals


def test_refusals_at_a_known_address_are_noted_once_an_hour(
    acme: Organization, mlflow: Sender, olga: User
) -> None:
    def noted() -> int:
        with tenancy.acting_for(acme):
            assert audit.verify(acme).intact
            return AuditEvent.objects.filter(action="webhook.refused").count()

    for _ in range(20):
        mlflow.tell("model_version.created", signature="v1,abc")
    assert noted() == 1

    with tenancy.acting_for(acme):
        WebhookEndpoint.objects.update(refused_at=now() - timedelta(minutes=61))
    mlflow.tell("model_version.created", signature="v1,abc")

    assert noted() == 2


def test_what_is_sent_to_unknown_addresses_leaves_no_row(
    borealis: Organization, mlflow: Sender, nothing_happened: None
) -> None:
    def rows() -> list[int]:
        counts = []
        for organization in (*Organization.objects.all(), receiver.NOBODY):
            with tenancy.acting_for(organization):
                counts.append(AuditEvent.objects.count())
        return counts

    before = rows()
    for case in ("unknown key", "unknown slug", "another organization"):
        mlflow.tell("model_version.created", **foreign(mlflow, case))

    assert rows() == before


# Secrets


def test_the_secret_before_is_good_for_a_day(
    acme: Organization, production: TrackingServer, mlflow: Sender
) -> None:
    with tenancy.acting_for(acme):
        renewed = Sender(mlflow.path, endpoints.renew_secret(production).told_once)

    assert mlflow.tell("prompt.created").status_code == 202
    assert renewed.tell("prompt.created").status_code == 202

    with tenancy.acting_for(acme):
        WebhookSecret.objects.update(previous_until=now() - timedelta(seconds=1))
    assert mlflow.tell("prompt.created").status_code == 401
    assert renewed.tell("prompt.created").status_code == 202


def test_a_webhook_that_is_enabled_again_knows_nothing_of_its_former_secret(
    acme: Organization, production: TrackingServer, mlflow: Sender
) -> None:
    with tenancy.acting_for(acme):
        endpoints.disable(production)
    again = sender_of(acme, production)

    assert again.path != mlflow.path
    assert mlflow.tell("prompt.created").status_code == 401
    assert mlflow.tell("prompt.created", path=again.path).status_code == 401
    assert again.tell("prompt.created").status_code == 202


def test_removing_a_server_ends_its_webhook(
    acme: Organization, production: TrackingServer, mlflow: Sender
) -> None:
    with tenancy.acting_for(acme):
        remove_server(production)
        save_server(production)  # brought back

    assert mlflow.tell("prompt.created").status_code == 401
    with tenancy.acting_for(acme):
        assert not WebhookSecret.objects.exists()


# What it costs


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("event", "is_busy", "queries"),
    [
        ("model_version.created", False, 21),
        ("model_version.created", True, 11),
        ("prompt.created", False, 8),
    ],
)
def test_a_delivery_costs_so_many_queries(
    acme: Organization,
    production: TrackingServer,
    mlflow: Sender,
    event: str,
    is_busy: bool,
    queries: int,
) -> None:
    if is_busy:
        mlflow.tell("model_version.created", "other")
        with tenancy.acting_for(acme):
            WebhookDelivery.objects.bulk_create(
                WebhookDelivery(server=production, delivery_id=f"{n}", event="e")
                for n in range(500)
            )

    with CaptureQueriesContext(connection) as captured:
        response = mlflow.tell(event)

    assert response.status_code == 202
    assert len(captured) == queries, [query["sql"] for query in captured]
