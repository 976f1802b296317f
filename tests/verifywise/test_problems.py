"""Errors of the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts import tenancy
from accounts.models import Organization, User
from inventory.models import ModelVersion, Source
from tests.callers import PROBLEM, Caller, calling
from tests.conftest import signed_in
from tests.rows import (
    a_model,
    a_version,
)
from verifywise.problems import problem_details


@pytest.fixture
def alices(alice: User) -> Caller:
    return calling(alice)


@pytest.fixture
def version(source: Source) -> ModelVersion:
    return a_version(a_model(source))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("gaps/4711/", 404),
        ("gaps/abc/", 404),
        ("gaps/999999999999999999999999/", 404),
        ("modelInventory/1e3/", 404),
        ("nothing/", 404),
        ("nothing", 404),
        ("", 404),
        ("registered-models/1/versions/", 404),
    ],
)
def test_what_is_not_there_is_a_problem_of_its_own(
    path: str, status: int, alices: Caller
) -> None:
    found, problem = alices.get(path)

    assert found == status
    assert problem == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no such thing, or it is not yours to see.",
    }


def test_a_page_outside_the_api_keeps_its_own_words(client: Client) -> None:
    response = client.get("/nothing/")

    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


def test_a_method_that_is_not_offered_is_a_problem(alices: Caller) -> None:
    response = alices.client.put("/api/gaps/", {}, "application/json")

    assert response.status_code == 405
    assert response["Content-Type"] == PROBLEM
    assert response["Allow"] == "GET, HEAD, OPTIONS"
    assert alices.client.options("/api/gaps/").status_code == 405


def test_only_json_is_spoken(alices: Caller) -> None:
    response = alices.client.get("/api/gaps/", headers={"Accept": "text/csv"})

    assert response.status_code == 406
    assert response["Content-Type"] == PROBLEM


def test_only_json_is_understood(alices: Caller) -> None:
    response = alices.client.post("/api/tracking-servers/", {"name": "Form"})

    assert response.status_code == 415
    assert response["Content-Type"] == PROBLEM


@pytest.mark.parametrize(
    "body",
    ["{", '{"name": NaN}', "\ufeff{}", "", '{"name": "\\ud800"}', "[]", "3", '"x"'],
)
def test_malformed_json_is_a_problem(body: str, alices: Caller) -> None:
    response = alices.client.post(
        "/api/tracking-servers/", body.encode(), "application/json"
    )

    assert response.status_code == 400
    assert response["Content-Type"] == PROBLEM


def test_bytes_that_are_no_text_are_a_problem(alices: Caller) -> None:
    response = alices.client.post(
        "/api/tracking-servers/", b'{"name": "\xff"}', "application/json"
    )

    assert response.status_code == 400


def test_every_fault_of_a_body_is_named_at_once(alices: Caller) -> None:
    status, problem = alices.post(
        "tracking-servers/", {"name": "", "auth_method": "x", "read_timeout": "long"}
    )

    assert status == 400
    assert {error["field"] for error in problem["errors"]} == {
        "name",
        "url",
        "auth_method",
        "read_timeout",
    }
    assert problem["title"] == "Bad Request"
    assert "read_timeout: A valid integer is required." in problem["detail"]


def test_a_refused_request_leaves_nothing_behind(
    alices: Caller, acme: Organization
) -> None:
    alices.post(
        "tracking-servers/",
        {"name": "Half", "url": "http://127.0.0.1:1", "auth_method": "basic"},
    )

    with tenancy.acting_for(acme):
        assert not Source.objects.exists()


def test_a_crash_says_nothing_of_its_cause(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> None:
        raise RuntimeError("the secret cause")

    monkeypatch.setattr("verifywise.model_inventory.VersionViewSet.list", crash)
    client = signed_in(alice)
    client.raise_request_exception = False

    response = client.get("/api/modelInventory/")

    assert response.status_code == 500
    assert response["Content-Type"] == PROBLEM
    assert response.json()["title"] == "Internal Server Error"
    assert b"secret" not in response.content


def test_who_asks_too_often_is_told_when_to_come_back() -> None:
    plain = APIRequestFactory().get("/api/gaps/")
    request = Request(plain)

    response = problem_details(exceptions.Throttled(wait=30), {"request": request})

    assert response is not None
    assert (response.status_code, response["Retry-After"]) == (429, "30")
    assert response.data["title"] == "Too Many Requests"
    assert plain.failed is True
