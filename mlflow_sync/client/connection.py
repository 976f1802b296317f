"""What is needed to reach one tracking server, checked before anything is sent."""

from __future__ import annotations

import re
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from urllib.parse import quote, urlsplit

from mlflow_sync.exceptions import FailureKind, SyncError

MEBIBYTE = 1024 * 1024

# RFC 9110: a token, and what may stand in a field value as http.client encodes it.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

# Headers that the client sets itself, or must never send: MLflow 3 refuses a POST with
# a foreign Origin, and a second Host or length lets one request look like two.
_OWN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "origin",
        "transfer-encoding",
        "x-mlflow-workspace",
    }
)


class AuthMethod(StrEnum):
    NONE = "none"
    BASIC = "basic"
    TOKEN = "token"  # noqa: S105 - the name of a method, not a token


@dataclass(frozen=True, slots=True)
class Connection:
    """An MLflow tracking server and how to speak to it. Its repr tells no secret.

    `url` may carry a path (a proxy's, or MLflow's --static-prefix). `ca_bundle` is PEM
    text and, where given, replaces the authorities of the machine. Timeouts are in
    seconds: `read_timeout` without a byte, `deadline` for a whole request. `max_bytes`
    bounds one answer. Raises SyncError (bad_setting) naming the field that is wrong.
    """

    url: str = field(repr=False)
    _: KW_ONLY
    auth_method: str = AuthMethod.NONE
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    workspace: str = ""
    ca_bundle: str = field(default="", repr=False)
    verify_tls: bool = True
    allow_private_networks: bool = True
    connect_timeout: float = 10
    read_timeout: float = 60
    deadline: float = 180
    max_bytes: int = 64 * MEBIBYTE

    def __post_init__(self) -> None:
        self._check_url()
        self._check_credentials()
        self._check_headers()
        if self.ca_bundle:
            self._check_ca_bundle()

    def _check_headers(self) -> None:
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise _wrong("A header's name has a character that HTTP does not allow")
            if name.lower() in _OWN_HEADERS:
                raise _wrong(f"The header {name} cannot be set")
            if not _HEADER_VALUE.fullmatch(value):
                raise _wrong(
                    f"The value of the header {name} has a character that HTTP does "
                    "not allow"
                )
        if not _HEADER_VALUE.fullmatch(self.workspace):
            raise _wrong("The workspace has a character that HTTP does not allow")

    def _check_url(self) -> None:
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _wrong("The URL is not a valid URL") from None
        if parts.scheme not in ("http", "https"):
            raise _wrong("The URL does not start with http:// or https://")
        if not host or port == 0 or not parts.netloc.isprintable() or " " in host:
            raise _wrong("The URL names no valid host and port")
        if "@" in parts.netloc:
            raise _wrong("The URL holds a user name or password, which have own fields")
        if parts.query or parts.fragment:
            raise _wrong("The URL goes on after a ? or #, which must be left out")

    def _check_credentials(self) -> None:
        if self.auth_method not in set(AuthMethod):
            raise _wrong("The authentication method is none of none, basic and token")
        if self.auth_method == AuthMethod.BASIC and not self.username:
            raise _wrong("The user name is missing")
        if ":" in self.username:
            raise _wrong("The user name holds a colon, which HTTP does not allow")
        if self.auth_method == AuthMethod.TOKEN and not self.token:
            raise _wrong("The token is missing")
        if not self.token.isascii() or not self.token.isprintable():
            raise _wrong("The token has a character that HTTP does not allow")
        if self.auth_method != AuthMethod.NONE and any(
            name.lower() == "authorization" for name in self.headers
        ):
            raise _wrong(
                "The header Authorization cannot be set beside an authentication method"
            )

    def _check_ca_bundle(self) -> None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
                cadata=self.ca_bundle
            )
        except (ssl.SSLError, ValueError, TypeError):
            raise _wrong("The CA bundle holds no certificate in PEM form") from None

    @property
    def scheme(self) -> str:
        return urlsplit(self.url).scheme

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int | None:
        return urlsplit(self.url).port

    @property
    def base_path(self) -> str:
        """The URL's path without a last slash, encoded: "" or "/mlflow"."""
        return quote(urlsplit(self.url).path.rstrip("/"), safe="/%")

    def request_headers(self) -> dict[str, str]:
        """Return the headers of every request, credentials included."""
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        headers |= {"User-Agent": "VerifyWise"}
        if self.auth_method == AuthMethod.BASIC:
            headers["Authorization"] = f"Basic {self._basic_credentials()}"
        elif self.auth_method == AuthMethod.TOKEN:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.workspace:
            headers["X-MLFLOW-WORKSPACE"] = self.workspace
        return headers | dict(self.headers)

    def secrets(self) -> tuple[str, ...]:
        """Return all that must not appear in a message, the host's name included."""
        told = [self.password, self.token, *self.headers.values(), self.host]
        if self.auth_method == AuthMethod.BASIC:
            told.append(self._basic_credentials())
        # The longest first, so that no secret is left over as the rest of another.
        return tuple(sorted(filter(None, told), key=len, reverse=True))

    def _basic_credentials(self) -> str:
        return b64encode(f"{self.username}:{self.password}".encode()).decode()


def _wrong(what: str) -> SyncError:
    return SyncError(f"{what}.", kind=FailureKind.BAD_SETTING)
