"""Only known reads leave the house, within their bounds, and are repeated with sense."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from mlflow_sync.client import Client, Connection
from mlflow_sync.client.transport import ALLOWED, API, Transport, is_allowed
from mlflow_sync.exceptions import FailureKind, NotReadOnly, SyncError
from mlflow_sync.snapshots import VersionSnapshot
from tests.wire import answer, scripted

EVERYTHING = re.compile("")
MODELS = f"{API}/registered-models/search"
ONE_MODEL = {"registered_models": [{"name": "m"}]}


def names(url: str, *, slept: list[float] | None = None, **settings: Any) -> list[str]:
    """Return the names of a server's models, noting pauses instead of making them."""
    slept = [] if slept is None else slept
    with Client(Connection(url, **settings), sleep=slept.append) as client:
        return [model.name for page in client.search_models() for model in page]


class TestWhatMayBeSent:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", f"{API}/registered-models/create"),
            ("POST", f"{API}/registered-models/search"),
            ("POST", f"{API}/model-versions/set-tag"),
            ("PATCH", f"{API}/model-versions/update"),
            ("DELETE", f"{API}/registered-models/delete"),
            ("DELETE", f"{API}/model-versions/delete"),
            ("POST", f"{API}/runs/set-tag"),
            ("POST", f"{API}/runs/search/../set-tag"),
            ("GET", f"{API}/runs/search"),
            ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/run/artifacts/x"),
            ("GET", "/api/2.0/mlflow-artifacts/artifacts"),
            ("GET", "/api/2.0/mlflow-artifacts/artifacts/0/../../../mlflow/x"),
            ("GET", f"{API}/logged-models/../artifacts/directories"),
            ("GET", f"{API}/logged-models/search"),
            ("POST", f"{API}/logged-models"),
            ("POST", f"{API}/logged-models/m-1/params"),
            ("GET", f"{MODELS}?max_results=1"),
            ("GET", f"{MODELS}\n"),
            ("get", MODELS),
            ("HEAD", MODELS),
            ("OPTIONS", MODELS),
            ("POST", "/graphql"),
            ("GET", "/"),
        ],
    )
    def test_what_is_not_a_known_read_is_refused_before_anything_is_sent(
        self, httpserver: HTTPServer, method: str, path: str
    ) -> None:
        transport = Transport(Connection(httpserver.url_for("")))
        with pytest.raises(NotReadOnly):
            transport.send(method, path)
        assert httpserver.log == []
        assert transport.requests == 0

    def test_what_the_client_does_is_the_list_and_nothing_else(
        self, httpserver: HTTPServer
    ) -> None:
        """Walk all its methods against a server that records every request."""
        httpserver.expect_request(EVERYTHING).respond_with_handler(_any_mlflow)
        sources = (
            "models:/m-1",
            "models:/other/1",
            "mlflow-artifacts:/1/r1/artifacts/model",
        )
        with Client(Connection(httpserver.url_for(""))) as client:
            client.probe()
            list(client.search_models())
            list(client.search_versions())
            list(client.search_experiments())
            client.fetch_runs(["r1"], experiment_ids=["1"])
            list(client.search_logged_models(["1"]))
            list(client.search_logging_runs(["1"]))
            for source in sources:
                found = client.fetch_artifacts(
                    VersionSnapshot(
                        name="m",
                        version="1",
                        source=source,
                        run_id="r1",
                        fingerprint="",
                    )
                )
                assert found.contents["MLmodel"] == b"flavors: {}"

            client.list_ahead(
                [
                    (
                        VersionSnapshot(
                            name="m", version="1", run_id="r1", fingerprint=""
                        ),
                        None,
                    )
                ]
            )

        assert [
            request.path
            for request, _ in httpserver.log
            if not is_allowed(
                request.method, request.path, request.get_json(silent=True)
            )
        ] == []
        sent = {(request.method, request.path) for request, _ in httpserver.log}
        assert [
            (method, path)
            for method, path in ALLOWED
            if not any(m == method and re.fullmatch(path, p) for m, p in sent)
        ] == []
        posts = {path for method, path in sent if method != "GET"}
        searches = {f"{API}/{kind}/search" for kind in ("runs", "logged-models")}
        assert posts == searches | {"/graphql"}
        assert not any("Origin" in request.headers for request, _ in httpserver.log)
        assert not any("Cookie" in request.headers for request, _ in httpserver.log)


def _any_mlflow(request: Request) -> Response:
    """Answer as an MLflow whose pages are blocked, and set a cookie each time."""
    root = "mlflow-artifacts:/1/r1/artifacts"
    folder = f"{path}/" if (path := request.args.get("path")) else ""
    listing = {
        "root_uri": root,
        "files": [{"path": f"{folder}MLmodel", "is_dir": False, "file_size": 11}],
    }
    answers: dict[str, Any] = {
        "version": "3.17.2",
        "MLmodel": "flavors: {}",
        "list": listing,
        "directories": listing,
        "get-download-uri": {"artifact_uri": f"{root}/model"},
    }
    found = answers.get(request.path.rsplit("/", 1)[-1], {})
    content = found if isinstance(found, str) else json.dumps(found)
    is_blocked = request.path.endswith("get-artifact")
    response = Response(content, 404 if is_blocked else 200)
    response.set_cookie("session", "abc")
    return response


class TestRepeating:
    def test_three_more_tries_after_1_2_and_4_seconds_with_jitter(
        self, httpserver: HTTPServer
    ) -> None:
        httpserver.expect_request(MODELS).respond_with_data("busy", 503)
        slept: list[float] = []
        with pytest.raises(SyncError) as caught:
            names(httpserver.url_for(""), slept=slept)
        assert caught.value.kind is FailureKind.SERVER_ERROR
        assert len(httpserver.log) == 4
        assert [int(seconds) for seconds in slept] == [1, 2, 4]
        assert all(
            delay <= seconds <= delay * 1.25
            for delay, seconds in zip((1, 2, 4), slept, strict=True)
        )

    def test_a_failure_that_passes_leaves_no_trace(
        self, httpserver: HTTPServer
    ) -> None:
        for status in (503, 429, 500):
            httpserver.expect_ordered_request(MODELS).respond_with_data("", status)
        httpserver.expect_ordered_request(MODELS).respond_with_json(ONE_MODEL)
        assert names(httpserver.url_for("")) == ["m"]

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 301])
    def test_what_will_not_pass_is_not_repeated(
        self, httpserver: HTTPServer, status: int
    ) -> None:
        httpserver.expect_request(MODELS).respond_with_data("no", status)
        with pytest.raises(SyncError) as caught:
            names(httpserver.url_for(""))
        assert caught.value.permanent
        assert len(httpserver.log) == 1

    @pytest.mark.parametrize(
        ("told", "expected"), [("7", 7), ("3600", 60), ("soon", 1), ("-5", 1)]
    )
    def test_retry_after_is_honoured_up_to_a_minute(
        self, httpserver: HTTPServer, told: str, expected: int
    ) -> None:
        httpserver.expect_ordered_request(MODELS).respond_with_data(
            "", 429, {"Retry-After": told}
        )
        httpserver.expect_ordered_request(MODELS).respond_with_json(ONE_MODEL)
        slept: list[float] = []
        assert names(httpserver.url_for(""), slept=slept) == ["m"]
        assert int(slept[0]) == expected

    def test_a_retry_after_that_is_a_date_is_understood(
        self, httpserver: HTTPServer
    ) -> None:
        moment = time.strftime(
            "%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30)
        )
        httpserver.expect_ordered_request(MODELS).respond_with_data(
            "", 503, {"Retry-After": moment}
        )
        httpserver.expect_ordered_request(MODELS).respond_with_json(ONE_MODEL)
        slept: list[float] = []
        names(httpserver.url_for(""), slept=slept)
        assert 27 < slept[0] <= 30

    def test_a_connection_closed_in_mid_body_and_cut_json_are_repeated(self) -> None:
        whole = json.dumps(ONE_MODEL).encode()

        def play(client: socket.socket, number: int) -> None:
            over = b"Connection: close\r\n"
            cut = answer(whole[:9], head=over)
            broken = (answer(whole[:9], length=len(whole)), cut, b"")
            client.sendall((*broken, answer(whole))[number])

        with scripted(play) as server:
            assert names(server.url) == ["m"]
            assert len(server.requests) == 4

    def test_each_try_counts_as_a_request_and_all_bytes_count(
        self, httpserver: HTTPServer
    ) -> None:
        httpserver.expect_ordered_request(MODELS).respond_with_data("busy", 503)
        httpserver.expect_ordered_request(MODELS).respond_with_data("{}")
        connection = Connection(httpserver.url_for(""))
        with Client(connection, delays=[0]) as client:
            list(client.search_models())
            assert (client.requests, client.bytes) == (2, 6)


class TestBounds:
    def test_a_body_larger_than_the_bound_is_given_up(
        self, httpserver: HTTPServer
    ) -> None:
        content = " " * 300_000 + "{}"
        httpserver.expect_request(MODELS).respond_with_data(content)
        with pytest.raises(SyncError, match="larger than 100,000 bytes") as caught:
            names(httpserver.url_for(""), max_bytes=100_000)
        assert caught.value.kind is FailureKind.TOO_LARGE

    def test_a_small_body_that_unpacks_to_a_huge_one_is_given_up(
        self, httpserver: HTTPServer
    ) -> None:
        bomb = gzip.compress(b" " * 50_000_000)
        httpserver.expect_request(MODELS).respond_with_data(
            bomb, headers={"Content-Encoding": "gzip"}
        )
        connection = Connection(httpserver.url_for(""), max_bytes=100_000)
        with Client(connection, delays=()) as client:
            with pytest.raises(SyncError) as caught:
                list(client.search_models())
            assert client.bytes < 1_000_000
        assert caught.value.kind is FailureKind.TOO_LARGE

    def test_a_compressed_answer_is_read(self, httpserver: HTTPServer) -> None:
        httpserver.expect_request(MODELS).respond_with_data(
            gzip.compress(json.dumps(ONE_MODEL).encode()),
            headers={"Content-Encoding": "gzip"},
        )
        assert names(httpserver.url_for("")) == ["m"]

    def test_a_page_that_is_too_much_is_asked_for_in_smaller_pieces(
        self, httpserver: HTTPServer
    ) -> None:
        """Five hundred models of 1 kB each do not fit; half of them do."""

        def serve(request: Request) -> Response:
            size = int(request.args["max_results"])
            start = int(request.args.get("page_token", 0))
            found = [
                {"name": f"m{number}", "description": "x" * 1000}
                for number in range(start, min(start + size, 1200))
            ]
            token = (
                {"next_page_token": str(start + size)} if start + size < 1200 else {}
            )
            return Response(json.dumps({"registered_models": found} | token))

        httpserver.expect_request(MODELS).respond_with_handler(serve)
        found = names(httpserver.url_for(""), max_bytes=300_000)
        assert found == [f"m{number}" for number in range(1200)]
        sizes = [request.args["max_results"] for request, _ in httpserver.log]
        assert sizes == ["500", "250", "250", "250", "250", "250"]

    @pytest.mark.parametrize(
        "slowly",
        [
            b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000,  # in the headers
            answer(b"x" * 1000),  # in the body
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n"
            + b"x" * 999,
        ],
        ids=["headers", "body", "chunk"],
    )
    def test_a_slow_drip_ends_at_the_deadline(self, slowly: bytes) -> None:
        def play(client: socket.socket, number: int) -> None:
            for position in range(len(slowly)):
                client.sendall(slowly[position : position + 1])
                time.sleep(0.02)

        connection_settings = {"read_timeout": 5, "deadline": 0.5}
        with scripted(play) as server:
            started = time.monotonic()
            connection = Connection(server.url, **connection_settings)
            with (
                Client(connection, delays=()) as client,
                pytest.raises(SyncError) as caught,
            ):
                list(client.search_models())
            assert time.monotonic() - started < 2
        assert caught.value.kind is FailureKind.TIME_OUT
        assert (
            str(caught.value) == "The tracking server took longer than 0.5 s to answer."
        )

    def test_one_connection_is_kept_alive(self) -> None:
        """The scripted server hears each connection once: two requests come on one."""
        heard: list[bytes] = []

        def play(client: socket.socket, number: int) -> None:
            client.sendall(answer(b'{"next_page_token": "2"}'))
            heard.append(client.recv(65536))
            client.sendall(answer(b"{}"))

        with scripted(play) as server:
            assert names(server.url) == []
            assert len(server.requests) == 1
        assert b"page_token=2" in heard[0]
