"""Databricks under a host name of the customer's: everybody is told the same sentence."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from accounts import tenancy
from accounts.models import Organization, User
from inventory.models import RegisteredModel
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.servers import save_server
from tests.callers import calling
from tests.mlflow_sync.conftest import sync_to_end
from tests.mlflow_sync.test_admin import FILLED, SERVERS
from tests.pages import Visitor

pytestmark = pytest.mark.django_db(transaction=True)

SENTENCE = (
    "This is Databricks, whose Unity Catalog registry is not supported: only MLflow's "
    "own tracking servers can be read."
)
SIGNED = {"X-Databricks-Org-Id": "1234567890", "Server": "databricks"}
DISABLED = {
    "error_code": "PERMISSION_DENIED",
    "message": "The legacy workspace model registry is disabled for the current "
    "Databricks workspace. Use models in Unity Catalog instead.",
}


def with_unity_catalog(request: Request) -> tuple[int, Any]:
    """Answer as a workspace of today, whose own registry is switched off."""
    if "registered-models" in request.path:
        return 403, DISABLED
    return on_old_ways(request)


def on_old_ways(request: Request) -> tuple[int, Any]:
    """Answer as a workspace whose own registry is still in use."""
    if request.path.startswith("/api/2.0/mlflow/registered-models/"):
        return 200, {"registered_models": [{"name": "credit"}]}
    if request.path.endswith("/search"):
        return 200, {}
    said = f"No API found for '{request.method} {request.path}'"
    return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": said}


@pytest.fixture(params=[with_unity_catalog, on_old_ways])
def url(request: pytest.FixtureRequest, httpserver: HTTPServer) -> str:
    def answer(asked: Request) -> Response:
        status, body = request.param(asked)
        response = Response(status=status, headers=SIGNED)
        response.set_data(json.dumps(body))
        response.content_type = "application/json"
        return response

    httpserver.expect_request(re.compile(".*")).respond_with_handler(answer)
    found: str = httpserver.url_for("")
    return found


def test_the_command_adds_it_and_says_so(acme: Organization, url: str) -> None:
    out, err = StringIO(), StringIO()
    call_command(
        "add_tracking_server",
        *("--organization=acme", "--name=Lakehouse", f"--url={url}"),
        stdout=out,
        stderr=err,
    )
    assert err.getvalue().strip() == SENTENCE
    with tenancy.acting_for(acme):
        assert TrackingServer.objects.get().last_test_message == SENTENCE


def test_the_api_says_so(alice: User, url: str) -> None:
    caller = calling(alice)
    status, added = caller.post("tracking-servers/", {"name": "Lakehouse", "url": url})
    assert status == 201

    status, told = caller.post(f"tracking-servers/{added['id']}/test/")

    assert status == 200
    assert (told["passed"], told["kind"]) == (False, "not_supported")
    assert told["message"] == SENTENCE
    _, stored = caller.get(f"tracking-servers/{added['id']}/")
    assert stored["last_test_message"] == SENTENCE


def test_the_console_says_so(acme: Organization, alice: User, url: str) -> None:
    visitor = Visitor(alice)
    visitor.post(f"{SERVERS}add/", **FILLED | {"url": url})
    with tenancy.acting_for(acme):
        page = f"{SERVERS}{TrackingServer.objects.get().pk}/"

    visitor.post(f"{page}test/")

    assert SENTENCE in visitor.text(f"{page}change/")


def test_a_sync_fails_with_it_and_takes_nothing_in(
    acme: Organization, url: str
) -> None:
    with tenancy.acting_for(acme):
        server = save_server(TrackingServer(url=url), name="Lakehouse")

    run = sync_to_end(acme, server)

    assert (run.status, run.error) == (SyncRun.Status.FAILED, SENTENCE)
    with tenancy.acting_for(acme):
        assert not RegisteredModel.objects.exists()
