"""Who comes in to the API, and what its answers cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import tenancy
from accounts.models import ApiToken, Organization, User
from inventory.models import ModelVersion, Source
from tests.callers import PROBLEM, Caller, calling, with_token
from tests.rows import (
    a_gap,
    a_model,
    a_server,
    a_sync,
    a_version,
    an_attestation,
    an_evaluation,
    an_evidence_file,
    days,
)
from verifywise.api import ROUTES

LISTS = tuple(
    prefix
    for prefix, viewset in ROUTES
    if hasattr(viewset, "list") and prefix != "check-version"  # answers with one
)
PAGED = tuple(path for path in LISTS if path != "me")


@pytest.fixture
def alices(alice: User) -> Caller:
    return calling(alice)


@pytest.fixture
def version(source: Source) -> ModelVersion:
    return a_version(a_model(source))


@pytest.mark.django_db
@pytest.mark.parametrize("path", [*LISTS, "schema"])
def test_who_has_not_signed_in_is_told_how(path: str) -> None:
    response = Client().get(f"/api/{path}/")

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response["Content-Type"] == PROBLEM
    assert response.json()["title"] == "Unauthorized"


@pytest.mark.parametrize("path", [*LISTS, "schema"])
def test_charlie_without_membership_is_refused(path: str, charlie: User) -> None:
    assert calling(charlie).get(path)[0] == 403


@pytest.mark.parametrize("path", PAGED)
def test_a_token_opens_what_a_session_opens(path: str, alice: User) -> None:
    assert with_token(alice).get(path)[0] == calling(alice).get(path)[0] == 200


def test_a_token_reads_and_writes_without_csrf(alice: User) -> None:
    caller = with_token(alice)
    caller.client.handler.enforce_csrf_checks = True

    status, told = caller.post(
        "tracking-servers/", {"name": "CI", "url": "http://127.0.0.1:1"}
    )

    assert status == 201
    assert caller.get(f"tracking-servers/{told['id']}/")[0] == 200


def test_a_token_is_for_one_organization_whatever_the_session_says(
    alice: User, borealis: Organization, acme: Organization
) -> None:
    with tenancy.acting_for(acme):
        Source.objects.create(name="Acme's")
    caller = with_token(alice)
    with tenancy.acting_for(borealis):
        Source.objects.create(name="Borealis's")

    assert [each["name"] for each in caller.results("sources/")] == ["Acme's"]


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["", "nonsense", "vw_" + "0" * 64, "two words", "é"])
def test_a_wrong_token_is_unauthorized(token: str) -> None:
    response = Client(headers={"Authorization": f"Bearer {token}"}).get("/api/gaps/")

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response["Content-Type"] == PROBLEM


def test_an_expired_token_is_unauthorized(alice: User) -> None:
    caller = with_token(alice)
    assert caller.get("gaps/")[0] == 200
    token = ApiToken.objects.get()
    token.expiry = token.created - timedelta(days=1)
    token.save()

    assert caller.get("gaps/")[0] == 401


def test_a_session_has_to_prove_that_it_was_meant(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    body = {"name": "Production", "url": "http://127.0.0.1:1"}

    refused = client.post("/api/tracking-servers/", body, "application/json")

    assert refused.status_code == 403
    assert refused["Content-Type"] == PROBLEM
    assert "CSRF" in refused.json()["detail"]
    client.get("/api/docs/", {"script": ""})  # sets the cookie
    secret = client.cookies["csrftoken"].value
    accepted = client.post(
        "/api/tracking-servers/",
        body,
        "application/json",
        headers={"X-CSRFToken": secret},
    )
    assert accepted.status_code == 201


# Cost, beyond the queries of signing in, which a request for a rule shows, with one for
# the policy in force

POLICY = 1


def cost(caller: Caller, path: str, **parameters: Any) -> int:
    signing_in = caller.queries("rules/VW-INV-001/") - POLICY
    return caller.queries(path, **parameters) - signing_in


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        ("registered-models/", 3),
        ("modelInventory/", 5),
        ("gaps/", 2),
        ("rules/", POLICY),
        ("coverage/", 2),
        ("sources/", 2),
        ("tracking-servers/", 2),
        ("sync-runs/", 2),
        ("attestations/", 2),
    ],
)
@pytest.mark.parametrize("rows", [3, 60])
def test_a_list_costs_as_many_queries_however_long_it_is(
    path: str, queries: int, rows: int, alices: Caller, in_acme: tenancy.Acting
) -> None:
    for number in range(rows):
        source = Source.objects.create(name=f"source {number}")
        version = a_version(a_model(source, f"model {number}"))
        an_evaluation(version)
        a_gap(version)
        an_attestation(version, evidence_file=an_evidence_file())
        a_sync(a_server(source))

    assert cost(alices, path, page_size=100) == queries


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        ("registered-models/{model}/", 2),
        ("registered-models/{model}/aliases/", 2),
        ("registered-models/{model}/serving/", 2),
        ("registered-models/{model}/serving/?at=2026-01-05T00:00Z", 3),
        ("modelInventory/{version}/", 4),
        ("modelInventory/{version}/results/", 4),
        ("model-inventory-change-history/{version}/", 2),
        ("gaps/{gap}/", 4),
        ("sync-runs/{run}/", 2),
        ("tracking-servers/{server}/", 1),
        ("attestations/{attestation}/", 2),
    ],
)
def test_a_detail_costs_few_queries(
    path: str, queries: int, alices: Caller, in_acme: tenancy.Acting, source: Source
) -> None:
    version = a_version(a_model(source))
    an_evaluation(version)
    server = a_server(source)
    ids = {
        "model": version.registered_model_id,
        "version": version.pk,
        "gap": a_gap(version).pk,
        "attestation": an_attestation(version, contradicted_since=days(1)).pk,
        "server": server.pk,
        "run": a_sync(server).pk,
    }

    assert cost(alices, path.format(**ids)) == queries


def test_fields_that_are_not_asked_for_are_not_read(
    alices: Caller, version: ModelVersion
) -> None:
    with CaptureQueriesContext(connection) as captured:
        alices.results("modelInventory/", fields="model_name,owner")

    read = " ".join(query["sql"] for query in captured)
    assert "hyperparameters" not in read
    assert "inventory_lifecycleevent" not in read
    assert "compliance_evaluation" not in read
