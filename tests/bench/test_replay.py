"""The bare opponent sends what the sync has sent, all of it, and nothing else."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from urllib3.connection import HTTPConnection
from werkzeug import Request, Response

from bench import recording
from bench.recording import record
from bench.replay import replay
from mlflow_sync.client import Client, Connection

PAGES = {
    "/api/2.0/mlflow/registered-models/search": '{"registered_models": []}',
    "/api/2.0/mlflow/runs/search": '{"runs": []}',
    "/version": "3.17.2",
}


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[recording.Request]:
    """What this process sends from now on; afterwards urllib3 is as it was."""
    monkeypatch.setattr(HTTPConnection, "request", HTTPConnection.request)
    return record()


@pytest.fixture
def server(httpserver: HTTPServer) -> HTTPServer:
    for path, body in PAGES.items():
        content_type = "application/json" if body.startswith("{") else "text/plain"
        httpserver.expect_request(path).respond_with_data(
            body, content_type=content_type
        )
    return httpserver


def seen(server: HTTPServer) -> list[tuple[str, str, bytes]]:
    """Return what has arrived since the last look."""
    found = [
        (request.method, request.full_path, request.get_data())
        for request, _ in server.log
    ]
    server.clear_log()
    return found


def ask(server: HTTPServer) -> None:
    with Client(Connection(server.url_for("").rstrip("/"))) as client:
        client.identify()
        list(client.search_models(page_size=7))
        client.fetch_runs([f"{n:032x}" for n in range(650)], experiment_ids=["1", "2"])


@pytest.mark.parametrize("connections", [1, 4])
def test_every_request_of_the_client_comes_again(
    server: HTTPServer,
    recorded: list[recording.Request],
    tmp_path: Path,
    connections: int,
) -> None:
    ask(server)
    by_client = seen(server)
    recording.write(tmp_path / "requests", recorded)

    replay(
        server.url_for(""),
        recording.read(tmp_path / "requests"),
        connections=connections,
    )

    assert len(by_client) >= 5
    assert Counter(seen(server)) == Counter(by_client)


def test_what_is_asked_of_the_registry_is_told_from_the_rest(
    server: HTTPServer, recorded: list[recording.Request]
) -> None:
    ask(server)

    assert [each.is_of_registry for each in recorded].count(True) == 1


def test_several_connections_are_waited_for_at_once() -> None:
    together = threading.Barrier(4, timeout=30)

    def answer_when_all_are_there(_: Request) -> Response:
        together.wait()
        return Response("{}", content_type="application/json")

    with HTTPServer(threaded=True) as server:
        server.expect_request("/").respond_with_handler(answer_when_all_are_there)
        requests = [recording.Request("GET", "/")] * 8

        replay(server.url_for(""), requests, connections=4)

        server.check()
        assert len(server.log) == 8


def test_an_answer_that_is_none_spoils_the_measurement(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data("no", status=500)

    with pytest.raises(AssertionError):
        replay(httpserver.url_for(""), [recording.Request("GET", "/")], connections=2)
