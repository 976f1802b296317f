"""Each way to fail has a sentence, and no sentence has a secret."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from pytest_httpserver import HTTPServer

from mlflow_sync.client import Client, Connection
from mlflow_sync.client.transport import API
from mlflow_sync.exceptions import FailureKind, SyncError
from tests.servers import MlflowServer, free_port
from tests.wire import gate, scripted

MODELS = f"{API}/registered-models/search"
TOKEN = "tok-&<s3cret>-4711"


def failure_of(url: str, **settings: Any) -> SyncError:
    """Read the models of a server, without a second try, and return what went wrong."""
    settings = {"connect_timeout": 2, "read_timeout": 2} | settings
    client = Client(Connection(url, **settings), delays=())
    with client, pytest.raises(SyncError) as caught:
        list(client.search_models())
    error = caught.value
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert str(error).endswith(".")
    assert "\n" not in str(error)
    assert "127.0.0.1" not in str(error)
    assert "localhost" not in str(error)
    return error


class TestTheWay:
    def test_an_unknown_host(self) -> None:
        error = failure_of("http://no-such-host.invalid")
        assert error.kind is FailureKind.DNS
        assert str(error) == "The host name of the tracking server is unknown (DNS)."
        assert not error.permanent

    def test_a_port_where_nobody_listens(self) -> None:
        error = failure_of(f"http://127.0.0.1:{free_port()}")
        assert error.kind is FailureKind.REFUSED
        assert not error.permanent

    def test_a_host_that_does_not_answer_at_all(self) -> None:
        """A listener whose queue is full drops what comes."""
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            port = listener.getsockname()[1]
            waiting = [socket.socket() for _ in range(3)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", port))
            error = failure_of(f"http://127.0.0.1:{port}", connect_timeout=0.3)
            for one in waiting:
                one.close()
        assert error.kind is FailureKind.TIME_OUT
        assert "could not be reached within 0.3 s" in str(error)

    def test_a_hang_past_the_time_out(self) -> None:
        with scripted(lambda client, number: time.sleep(1)) as server:
            error = failure_of(server.url, read_timeout=0.3)
        assert error.kind is FailureKind.TIME_OUT
        assert str(error) == "The tracking server was silent for 0.3 s."

    def test_a_hang_past_the_deadline(self) -> None:
        with scripted(lambda client, number: time.sleep(2)) as server:
            started = time.monotonic()
            error = failure_of(server.url, read_timeout=30, deadline=0.3)
            assert time.monotonic() - started < 1.5
        assert str(error) == "The tracking server took longer than 0.3 s to answer."

    @pytest.mark.parametrize(
        "told",
        [
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
            b"SSH-2.0-OpenSSH_9\r\n",
        ],
        ids=["nothing", "half a body", "another protocol"],
    )
    def test_a_connection_that_ends_too_early(self, told: bytes) -> None:
        with scripted(lambda client, number: client.sendall(told)) as server:
            error = failure_of(server.url)
        assert error.kind is FailureKind.CLOSED
        assert not error.permanent

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.1.2.3"])
    def test_private_networks_can_be_closed_off(self, host: str) -> None:
        with scripted(lambda client, number: None) as server:
            port = server.url.rpartition(":")[2]
            error = failure_of(f"http://{host}:{port}", allow_private_networks=False)
            assert server.requests == []
        assert error.kind is FailureKind.PRIVATE_ADDRESS
        assert error.permanent


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


class TestTls:
    @contextmanager
    def server(self, certificate: trustme.LeafCert) -> Iterator[str]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        with gate("http://127.0.0.1:9", tls=context) as found:
            yield found.url

    def test_an_unknown_authority(self, authority: trustme.CA) -> None:
        with self.server(authority.issue_cert("127.0.0.1")) as url:
            error = failure_of(url)
        assert error.kind is FailureKind.TLS
        assert error.permanent
        assert "unknown authority" in str(error)

    def test_a_self_signed_certificate(
        self, authority: trustme.CA, tmp_path: Path
    ) -> None:
        authority.cert_pem.write_to_path(str(tmp_path / "own.pem"))
        authority.private_key_pem.write_to_path(str(tmp_path / "own.key"))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tmp_path / "own.pem", tmp_path / "own.key")
        with gate("http://127.0.0.1:9", tls=context) as found:
            error = failure_of(found.url)
        assert error.kind is FailureKind.TLS
        assert "self-signed" in str(error)

    def test_an_expired_certificate(self, authority: trustme.CA) -> None:
        expired = authority.issue_cert(
            "127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1)
        )
        with self.server(expired) as url:
            error = failure_of(url, ca_bundle=authority.cert_pem.bytes().decode())
        assert error.kind is FailureKind.TLS
        assert str(error) == "The certificate of the tracking server has expired."

    @pytest.mark.parametrize("name", ["mlflow.example", "10.0.0.1"])
    def test_a_certificate_for_another_host(
        self, authority: trustme.CA, name: str
    ) -> None:
        with self.server(authority.issue_cert(name)) as url:
            error = failure_of(url, ca_bundle=authority.cert_pem.bytes().decode())
        assert error.kind is FailureKind.TLS
        assert "made out to another" in str(error)

    def test_a_server_without_tls(self) -> None:
        with gate("http://127.0.0.1:9") as found:
            error = failure_of(found.url.replace("http:", "https:"))
        assert error.kind is FailureKind.TLS
        assert "may have to start with http://" in str(error)


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "kind", "sentence"),
        [
            (
                400,
                FailureKind.BAD_REQUEST,
                "The tracking server does not accept the request (400): “Oh dear”.",
            ),
            (
                401,
                FailureKind.UNAUTHORIZED,
                "The tracking server asks for credentials (401).",
            ),
            (
                403,
                FailureKind.FORBIDDEN,
                "The tracking server refuses access (403): “Oh dear”.",
            ),
            (
                404,
                FailureKind.NOT_FOUND,
                "The tracking server has nothing at this address (404): “Oh dear”.",
            ),
            (
                429,
                FailureKind.RATE_LIMITED,
                "The tracking server asks for fewer requests (429).",
            ),
            (
                500,
                FailureKind.SERVER_ERROR,
                "The tracking server failed (500): “Oh dear”.",
            ),
            (
                503,
                FailureKind.SERVER_ERROR,
                "The tracking server failed (503): “Oh dear”.",
            ),
        ],
    )
    def test_a_status_with_a_page_is_one_sentence_with_its_title(
        self, httpserver: HTTPServer, status: int, kind: FailureKind, sentence: str
    ) -> None:
        page = f"<html><title>Oh\n dear</title><body>{'x' * 90_000}</body>"
        httpserver.expect_request(MODELS).respond_with_data(
            page, status, content_type="text/html"
        )
        error = failure_of(httpserver.url_for(""))
        assert (error.kind, str(error)) == (kind, sentence)

    def test_a_page_without_a_title_is_quoted_by_its_text_and_not_whole(
        self, httpserver: HTTPServer
    ) -> None:
        page = (
            "<script>var evil = 1</script><style>p {}</style><p>Gate&shy;way \x1b[31m"
            f"&amp; more\u202e{' word' * 100}"
        )
        httpserver.expect_request(MODELS).respond_with_data(page, 502)
        told = str(failure_of(httpserver.url_for("")))
        assert told.startswith("The tracking server failed (502): “Gateway [31m& more")
        assert told.endswith("…”.")
        assert len(told) < 150
        assert "evil" not in told
        assert told.isprintable()

    def test_the_message_of_mlflow_is_quoted(self, httpserver: HTTPServer) -> None:
        httpserver.expect_request(MODELS).respond_with_json(
            {"error_code": "INVALID_PARAMETER_VALUE", "message": "Bad order_by."},
            status=400,
        )
        assert "(400): “Bad order_by”." in str(failure_of(httpserver.url_for("")))

    def test_another_site_is_not_an_mlflow(self, httpserver: HTTPServer) -> None:
        httpserver.expect_request(MODELS).respond_with_data(
            "\n<!doctype html><title>Grafana</title>"
        )
        error = failure_of(httpserver.url_for(""))
        assert error.kind is FailureKind.NOT_MLFLOW
        assert error.permanent
        assert "A web page (“Grafana”) answers" in str(error)

    @pytest.mark.parametrize("content", ["[]", '"ok"', "7", "null"])
    def test_json_of_another_service_is_not_an_mlflow(
        self, httpserver: HTTPServer, content: str
    ) -> None:
        httpserver.expect_request(MODELS).respond_with_data(content)
        assert failure_of(httpserver.url_for("")).kind is FailureKind.NOT_MLFLOW

    @pytest.mark.parametrize(
        "content",
        ['{"registered_models": [{"na', "", "[" * 100_000, b"\xff\xfe{}", "9" * 5000],
        ids=["cut", "empty", "deep", "binary", "endless number"],
    )
    def test_a_body_that_is_not_json(
        self, httpserver: HTTPServer, content: str | bytes
    ) -> None:
        httpserver.expect_request(MODELS).respond_with_data(content)
        error = failure_of(httpserver.url_for(""))
        assert error.kind is FailureKind.BAD_BODY
        assert not error.permanent

    @pytest.mark.parametrize(
        "rows", [[{}], [[]], ["m"], 7, {"name": "m"}, [{"name": "m", "tags": [{}]}]]
    )
    def test_rows_that_are_not_mlflows(self, httpserver: HTTPServer, rows: Any) -> None:
        httpserver.expect_request(MODELS).respond_with_json({"registered_models": rows})
        error = failure_of(httpserver.url_for(""))
        assert error.kind is FailureKind.BAD_BODY
        assert "“registered_models”" in str(error)

    def test_a_list_without_an_end(self, httpserver: HTTPServer) -> None:
        httpserver.expect_request(MODELS).respond_with_json({"next_page_token": "a"})
        error = failure_of(httpserver.url_for(""))
        assert error.kind is FailureKind.BAD_BODY
        assert "“registered_models” has no end" in str(error)
        assert len(httpserver.log) == 2

    @pytest.mark.parametrize(
        ("location", "where"),
        [
            (
                "https://sso.example/sign%20in?next=secret#secret",
                "to /sign%20in on sso.example by https",
            ),
            ("https://me:secret@sso.example", "to / on sso.example by https"),
            ("/login", "to /login on the same host by http"),
            ("http://[", "elsewhere"),
            ("", "elsewhere"),
        ],
    )
    def test_a_redirect_is_named_and_not_followed(
        self, location: str, where: str
    ) -> None:
        told = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode()
        with scripted(lambda client, number: client.sendall(told)) as server:
            error = failure_of(server.url)
            assert len(server.requests) == 1
        assert error.kind is FailureKind.REDIRECT
        assert str(error).startswith(f"The tracking server redirects {where}, which")
        assert "secret" not in str(error)

    def test_a_workspace_on_a_server_without_workspaces(
        self, mlflow_server: MlflowServer
    ) -> None:
        error = failure_of(mlflow_server.url, workspace="risk")
        assert error.kind is FailureKind.BAD_SETTING
        assert "no workspaces" in str(error)

    def test_a_host_name_that_mlflow_does_not_know(
        self, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolve = socket.getaddrinfo
        monkeypatch.setattr(
            "socket.getaddrinfo",
            lambda host, *rest, **more: resolve("127.0.0.1", *rest, **more),
        )
        port = mlflow_server.url.rpartition(":")[2]
        error = failure_of(f"http://mlflow.example:{port}")
        assert error.kind is FailureKind.HOST_CHECK
        assert "--allowed-hosts" in str(error)

    @pytest.mark.parametrize(
        ("status", "headers", "body"),
        [
            (401, {"WWW-Authenticate": 'Bearer realm="DatabricksRealm"'}, ""),
            (
                403,
                {"Server": "databricks"},
                '{"error_code": "403", "message": "Invalid access token."}',
            ),
            (
                404,
                {"X-Databricks-Org-Id": "1234567890"},
                '{"error_code": "ENDPOINT_NOT_FOUND", "message": "No API found"}',
            ),
            (
                403,
                {},
                '{"error_code": "PERMISSION_DENIED", "message": "The legacy workspace '
                'model registry is disabled for the current Databricks workspace."}',
            ),
            (
                400,
                {},
                '{"error_code": "FEATURE_DISABLED", "message": "'
                + "A long introduction. " * 9
                + 'Use models in Unity Catalog instead."}',
            ),
            (303, {"Server": "databricks", "Location": "/login.html"}, ""),
            (200, {}, "<html><title>Databricks - Sign In</title></html>"),
        ],
    )
    @pytest.mark.parametrize("workspace", ["", "risk"])
    def test_databricks_is_named_by_any_of_its_signs(
        self,
        httpserver: HTTPServer,
        status: int,
        headers: dict[str, str],
        body: str,
        workspace: str,
    ) -> None:
        httpserver.expect_request(MODELS).respond_with_data(
            body, status=status, headers=headers
        )
        error = failure_of(httpserver.url_for(""), workspace=workspace)
        assert error.kind is FailureKind.NOT_SUPPORTED
        assert "Unity Catalog registry is not supported" in str(error)


class TestSecrets:
    @pytest.mark.parametrize("status", [200, 400, 403, 404, 500])
    @pytest.mark.parametrize("shape", ["plain", "page", "title", "json"])
    def test_a_server_that_echoes_the_credential_is_not_quoted_with_it(
        self,
        httpserver: HTTPServer,
        caplog: pytest.LogCaptureFixture,
        status: int,
        shape: str,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        caplog.set_level(logging.DEBUG, logger="mlflow_sync")
        escaped = TOKEN.replace("&", "&amp;").replace("<", "&lt;")
        content = {
            "plain": f"Bad credential {TOKEN} from {httpserver.host}",
            "page": f"<p>Bad credential {escaped} or header-key",
            "title": f"<title>{escaped} at {httpserver.host}</title>",
            "json": json.dumps({"error_code": "X", "message": f"{TOKEN} header-key"}),
        }[shape]
        if shape == "json" and status == 200:
            content = content[:-5]
        httpserver.expect_request(MODELS).respond_with_data(content, status)
        error = failure_of(
            httpserver.url_for(""),
            auth_method="token",
            token=TOKEN,
            headers={"X-Key": "header-key"},
        )
        for told in (str(error), repr(error), repr(vars(error)), caplog.text):
            for secret in (TOKEN, escaped, "s3cret", "header-key", httpserver.host):
                assert secret not in told

    def test_logs_and_reprs_of_a_good_and_of_a_failing_sync_tell_nothing(
        self, mlflow_server: MlflowServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        caplog.set_level(logging.DEBUG, logger="mlflow_sync")
        connection = Connection(
            mlflow_server.url,
            auth_method="basic",
            username="u",
            password="pass-4711",
            headers={"X-Key": "header-key"},
        )
        with Client(connection, sleep=lambda seconds: None) as client:
            list(client.search_versions())
        failure_of(f"http://127.0.0.1:{free_port()}", headers={"X-Key": "header-key"})
        told = f"{caplog.text}{connection!r}{client!r}{client._transport!r}"
        assert "model-versions/search" in told
        for secret in ("pass-4711", "header-key", "127.0.0.1", "cGFzcy"):
            assert secret not in told
