"""Each way in is proven against a server that demands it, and each dead end is named."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import trustme
from pytest_httpserver import HTTPServer

from mlflow_sync.client import Client, Connection, Probe
from mlflow_sync.client.transport import API
from mlflow_sync.exceptions import FailureKind, SyncError
from tests.registry import Registry, unique
from tests.servers import ADMIN, MlflowServer
from tests.wire import Gate, gate


def probe(url: str, **settings: Any) -> Probe:
    with Client(Connection(url, **settings)) as client:
        return client.probe()


def failure_of(url: str, **settings: Any) -> SyncError:
    with pytest.raises(SyncError) as caught:
        probe(url, **settings)
    return caught.value


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_an_open_server(mlflow_server: MlflowServer, registry: Registry) -> None:
    registry.model(unique("credit"))
    found = probe(f"{mlflow_server.url}/")
    assert found.mlflow_version.startswith("3.")
    assert found.username == ""
    assert found.workspaces_enabled is False
    assert found.sees_models
    assert found.message == f"MLflow {found.mlflow_version} answers."


class TestBasicAuth:
    BASIC = {"auth_method": "basic", "username": ADMIN[0], "password": ADMIN[1]}

    def test_the_right_password(self, basic_auth_server: MlflowServer) -> None:
        found = probe(basic_auth_server.url, **self.BASIC)
        assert found.username == ADMIN[0]
        assert f"knows us as “{ADMIN[0]}”" in found.message

    def test_a_reader_without_grants_sees_nothing_and_is_told_so(
        self, basic_auth_registry: Registry
    ) -> None:
        basic_auth_registry.model(unique("credit"))
        reader = unique("reader").replace(" ", "-")
        basic_auth_registry.post("users/create", username=reader, password="x" * 12)
        found = probe(
            basic_auth_registry.server.url,
            auth_method="basic",
            username=reader,
            password="x" * 12,
        )
        assert found.username == reader
        assert not found.sees_models
        assert found.message.endswith(", but shows us no registered model.")

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            (
                {"auth_method": "none"},
                "The tracking server asks for credentials (401, Basic).",
            ),
            (
                {"auth_method": "token", "token": "tok-123"},
                "The tracking server does not accept the token (401, Basic).",
            ),
            (
                BASIC | {"password": "wrong-4711"},
                "The tracking server does not accept the user name and password "
                "(401, Basic).",
            ),
        ],
    )
    def test_the_wrong_credentials(
        self,
        basic_auth_server: MlflowServer,
        wrong: dict[str, Any],
        sentence: str,
    ) -> None:
        error = failure_of(basic_auth_server.url, **wrong)
        assert error.kind is FailureKind.UNAUTHORIZED
        assert str(error) == sentence

    def test_netrc_and_the_environment_are_not_read(
        self,
        basic_auth_server: MlflowServer,
        tmp_path: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Credentials and proxies of the process are those of nobody's server."""
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine 127.0.0.1 login {ADMIN[0]} password '{ADMIN[1]}'\n")
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN[0])
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN[1])
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        error = failure_of(basic_auth_server.url)
        assert error.kind is FailureKind.UNAUTHORIZED


@pytest.mark.filterwarnings(  # pytest undoes that the client switches it off
    "ignore::urllib3.exceptions.InsecureRequestWarning"
)
class TestGate:
    """A proxy under a path, over TLS, that wants a bearer token and a header."""

    WANTED = {"Authorization": "Bearer tok-123", "X-Team": "risk"}
    SETTINGS = {
        "auth_method": "token",
        "token": "tok-123",
        "headers": {"X-Team": "risk"},
    }

    @pytest.fixture
    def proxy(
        self, mlflow_server: MlflowServer, authority: trustme.CA
    ) -> Iterator[Gate]:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        with gate(
            mlflow_server.url, path="/ml/flow", wanted=self.WANTED, tls=tls
        ) as found:
            yield found

    def test_with_its_ca_token_and_header(
        self, proxy: Gate, authority: trustme.CA
    ) -> None:
        bundle = authority.cert_pem.bytes().decode()
        found = probe(proxy.url, ca_bundle=bundle, **self.SETTINGS)
        assert found.mlflow_version.startswith("3.")

    def test_with_verification_switched_off(self, proxy: Gate) -> None:
        assert probe(proxy.url, verify_tls=False, **self.SETTINGS).mlflow_version

    def test_without_its_ca(self, proxy: Gate) -> None:
        error = failure_of(proxy.url, **self.SETTINGS)
        assert error.kind is FailureKind.TLS
        assert proxy.seen == []

    @pytest.mark.parametrize(
        "fault", [{"token": "tok-12"}, {"headers": {}}, {"headers": {"X-Team": "x"}}]
    )
    def test_without_its_token_or_header(
        self, proxy: Gate, fault: dict[str, Any]
    ) -> None:
        settings: dict[str, Any] = self.SETTINGS | {"verify_tls": False} | fault
        error = failure_of(proxy.url, **settings)
        assert error.kind is FailureKind.UNAUTHORIZED
        assert "(401, Bearer)" in str(error)

    def test_without_its_path(self, proxy: Gate) -> None:
        url = proxy.url.removesuffix("/ml/flow")
        error = failure_of(url, verify_tls=False, **self.SETTINGS)
        assert error.kind is FailureKind.NOT_MLFLOW
        assert "a path may be missing" in str(error)

    def test_a_whole_sync_goes_through_it_without_cookies_or_origin(
        self, proxy: Gate
    ) -> None:
        connection = Connection(proxy.url, verify_tls=False, **self.SETTINGS)
        with Client(connection, delays=()) as client:
            ids = [
                e.experiment_id for page in client.search_experiments() for e in page
            ]
            assert ids
            client.fetch_runs(["0" * 32], experiment_ids=ids)
            list(client.search_models())
            for page in client.search_versions():
                for version in page[:3]:
                    client.fetch_artifacts(version)
        assert len(proxy.seen) == client.requests
        for headers in proxy.seen:
            assert {"Cookie", "Origin", "Referer"}.isdisjoint(headers)
            assert headers["User-Agent"] == "VerifyWise"


class TestOthers:
    @pytest.fixture
    def httpserver(self, httpserver: HTTPServer) -> Iterator[HTTPServer]:
        """Answer 404 to what is not expected, as an MLflow does."""
        httpserver.no_handler_status_code = 404
        yield httpserver
        httpserver.no_handler_status_code = 500

    def test_an_older_mlflow_behind_a_proxy_for_the_api_alone(
        self, httpserver: HTTPServer
    ) -> None:
        httpserver.expect_request(f"{API}/registered-models/search").respond_with_json(
            {}
        )
        httpserver.expect_request(f"{API}/runs/search").respond_with_json({})
        httpserver.expect_request("/version").respond_with_data("<p>Sign in")
        httpserver.expect_request(f"{API}/users/current").respond_with_data("", 403)
        found = probe(httpserver.url_for(""))
        assert (found.mlflow_version, found.username) == ("", "")
        assert found.workspaces_enabled is None
        assert found.message == "An MLflow answers, but shows us no registered model."

    def test_a_path_that_may_be_mlflow_2s_prefix_is_named(
        self, httpserver: HTTPServer
    ) -> None:
        error = failure_of(httpserver.url_for("/ml/flow"))
        assert error.kind is FailureKind.NOT_MLFLOW
        assert str(error).endswith(
            "its path may be wrong. MLflow 2 has its API beside its --static-prefix, "
            "not below it: leave the prefix out."
        )

    def test_a_service_that_says_yes_to_everything(
        self, httpserver: HTTPServer
    ) -> None:
        for path in (
            f"{API}/registered-models/search",
            f"{API}/runs/search",
            "/version",
        ):
            httpserver.expect_request(path).respond_with_json({})
        assert failure_of(httpserver.url_for("")).kind is FailureKind.NOT_MLFLOW

    def test_a_proxy_that_blocks_posts_is_found_before_the_first_sync(
        self, httpserver: HTTPServer
    ) -> None:
        httpserver.expect_request(f"{API}/registered-models/search").respond_with_json(
            {}
        )
        httpserver.expect_request(f"{API}/runs/search").respond_with_data(
            "Read-only", 403
        )
        error = failure_of(httpserver.url_for(""))
        assert error.kind is FailureKind.FORBIDDEN
        assert "“Read-only”" in str(error)

    def test_a_workspace_is_refused_by_a_server_that_has_none(
        self, httpserver: HTTPServer
    ) -> None:
        """MLflow 2 ignores the header, and would show everything."""
        httpserver.expect_request(f"{API}/registered-models/search").respond_with_json(
            {}
        )
        httpserver.expect_request(f"{API}/runs/search").respond_with_json({})
        error = failure_of(httpserver.url_for(""), workspace="risk")
        assert error.kind is FailureKind.BAD_SETTING
        assert "leave the field workspace empty" in str(error)

    @pytest.mark.parametrize(
        "host",
        [
            "adb-1.2.azuredatabricks.net",
            "dbc-1.cloud.Databricks.com",
            "x.databricks.us",
        ],
    )
    def test_databricks_is_named_and_not_asked(self, host: str) -> None:
        error = failure_of(f"https://{host}")
        assert error.kind is FailureKind.NOT_SUPPORTED
        assert "Unity Catalog" in str(error)

    def test_nothing_is_repeated(self, httpserver: HTTPServer) -> None:
        httpserver.expect_request(f"{API}/registered-models/search").respond_with_data(
            "", 503
        )
        assert failure_of(httpserver.url_for("")).kind is FailureKind.SERVER_ERROR
        assert len(httpserver.log) == 1
