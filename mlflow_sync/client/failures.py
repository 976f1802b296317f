"""Turn what went wrong on the wire into one sentence that people can act on."""

from __future__ import annotations

import errno
import html
import json
import re
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

import urllib3.exceptions

from mlflow_sync.client.connection import AuthMethod, Connection
from mlflow_sync.exceptions import FailureKind, SyncError

MAX_RETRY_AFTER = 60.0  # seconds
_EXCERPT = 100  # characters of a foreign text that are worth showing

# By what a Databricks workspace is known whatever its host is called: its headers, and
# what it says of the registry that Unity Catalog has replaced.
_DATABRICKS_HEADER = "x-databricks-"
_DATABRICKS_WORDS = re.compile(
    r"Unity Catalog|Databricks workspace|legacy workspace model registry", re.IGNORECASE
)

# OpenSSL's X509_V_ERR_* numbers.
_TLS_SENTENCES = {
    9: "The certificate of the tracking server is not valid yet.",
    10: "The certificate of the tracking server has expired.",
    18: "The certificate of the tracking server is self-signed, and no CA bundle "
    "vouches for it.",
    19: "The certificate of the tracking server comes from an unknown authority: give "
    "the authority's certificate as the CA bundle.",
    20: "The certificate of the tracking server comes from an unknown authority: give "
    "the authority's certificate as the CA bundle.",
    62: "The certificate of the tracking server is made out to another host name.",
    64: "The certificate of the tracking server is made out to another IP address.",
}


def of_transport(
    error: urllib3.exceptions.HTTPError,
    connection: Connection,
    *,
    is_late: bool,
    slow: str = "",
) -> SyncError:
    """Name why no whole answer came; `slow` are other words for a missed deadline."""
    match error:
        case urllib3.exceptions.NameResolutionError():
            return SyncError(
                "The host name of the tracking server is unknown (DNS).",
                kind=FailureKind.DNS,
            )
        case urllib3.exceptions.NewConnectionError():  # which is a ConnectTimeoutError
            return _of_connecting(error.__cause__)
        case urllib3.exceptions.ConnectTimeoutError():
            return SyncError(
                "The tracking server could not be reached within "
                f"{connection.connect_timeout:g} s.",
                kind=FailureKind.TIME_OUT,
            )
        case urllib3.exceptions.ReadTimeoutError():
            if is_late:
                told = slow or f"took longer than {connection.deadline:g} s to answer"
            else:
                told = f"was silent for {connection.read_timeout:g} s"
            return SyncError(f"The tracking server {told}.", kind=FailureKind.TIME_OUT)
        case urllib3.exceptions.SSLError():
            return _of_tls(error.args[0] if error.args else None)
        case urllib3.exceptions.DecodeError():
            return SyncError(
                "The tracking server's compressed answer could not be unpacked.",
                kind=FailureKind.BAD_BODY,
            )
        case _:
            return SyncError(
                "The tracking server closed the connection before its answer was "
                "complete.",
                kind=FailureKind.CLOSED,
            )


def _of_connecting(cause: BaseException | None) -> SyncError:
    if isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED:
        return SyncError(
            "The tracking server refused the connection: nothing listens at this "
            "host and port.",
            kind=FailureKind.REFUSED,
        )
    return SyncError(
        "There is no way through the network to the tracking server.",
        kind=FailureKind.UNREACHABLE,
    )


def _of_tls(cause: object) -> SyncError:
    sentence = "The TLS connection to the tracking server failed."
    if isinstance(cause, ssl.SSLCertVerificationError):
        sentence = _TLS_SENTENCES.get(
            cause.verify_code,
            "The certificate of the tracking server could not be verified "
            f"(OpenSSL error {cause.verify_code}).",
        )
    elif isinstance(cause, ssl.SSLError) and cause.reason:
        sentence = f"The TLS connection to the tracking server failed ({cause.reason})."
        if cause.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            sentence = (
                "The tracking server does not speak TLS on this port: "
                "its URL may have to start with http://."
            )
    return SyncError(sentence, kind=FailureKind.TLS)


def of_status(
    status: int, headers: Mapping[str, str], content: bytes, *, connection: Connection
) -> SyncError:
    """Name what an answer other than 2xx means. `content` may be cut."""
    told = excerpt(content, secrets=connection.secrets())
    quoted = f": “{told}”" if told else ""
    pause = retry_after(headers.get("Retry-After", ""))
    answer = _json_object(content) or {}

    if _is_databricks(headers, str(answer.get("message", ""))):
        return unity_catalog()
    if connection.workspace and (error := _of_workspace(answer, connection)):
        return error
    match status:
        case 301 | 302 | 303 | 307 | 308:
            return _of_redirect(headers.get("Location", ""), connection)
        case 401:
            return _of_credentials(headers.get("WWW-Authenticate", ""), connection)
        case 403 if "Invalid Host header" in told:
            return SyncError(
                "The tracking server does not accept the host name it was called by: "
                "add the name to MLflow's --allowed-hosts.",
                kind=FailureKind.HOST_CHECK,
            )
        case 403:
            return SyncError(
                f"The tracking server refuses access (403){quoted}.",
                kind=FailureKind.FORBIDDEN,
            )
        case 404:
            return SyncError(
                f"The tracking server has nothing at this address (404){quoted}.",
                kind=FailureKind.NOT_FOUND,
            )
        case 429:
            return SyncError(
                "The tracking server asks for fewer requests (429).",
                kind=FailureKind.RATE_LIMITED,
                retry_after=pause,
            )
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return SyncError(
                f"The tracking server failed ({status}){quoted}.",
                kind=FailureKind.SERVER_ERROR,
                retry_after=pause,
            )
        case _:
            return SyncError(
                f"The tracking server does not accept the request ({status}){quoted}.",
                kind=FailureKind.BAD_REQUEST,
            )


def of_foreign_body(content: bytes, *, connection: Connection) -> SyncError:
    """Name what a body that is not a JSON object is: another site's page, or cut."""
    told = excerpt(content, secrets=connection.secrets())
    if looks_like_page(content):
        if told.startswith("Databricks"):  # “Databricks - Sign In”
            return unity_catalog()
        return SyncError(
            f"A web page (“{told}”) answers at this URL, not the API of MLflow.",
            kind=FailureKind.NOT_MLFLOW,
        )
    return SyncError(
        "The tracking server's answer is cut off or is not JSON.",
        kind=FailureKind.BAD_BODY,
    )


def unity_catalog() -> SyncError:
    return SyncError(
        "This is Databricks, whose Unity Catalog registry is not supported: only "
        "MLflow's own tracking servers can be read.",
        kind=FailureKind.NOT_SUPPORTED,
    )


def _is_databricks(headers: Mapping[str, str], message: str) -> bool:
    return (
        any(name.lower().startswith(_DATABRICKS_HEADER) for name in headers)
        or "databricks" in headers.get("Server", "").lower()
        or "DatabricksRealm" in headers.get("WWW-Authenticate", "")
        or bool(_DATABRICKS_WORDS.search(message))
    )


def _of_workspace(
    answer: Mapping[str, Any], connection: Connection
) -> SyncError | None:
    """Name what is wrong with the workspace that was asked for, if that is it."""
    match answer.get("error_code"):
        case "FEATURE_DISABLED":
            told = "has no workspaces: leave the field workspace empty"
        case "RESOURCE_DOES_NOT_EXIST" if (
            answer.get("message") == f"Workspace '{connection.workspace}' not found"
        ):
            told = f"has no workspace “{connection.workspace}”"
        case _:
            return None
    return SyncError(f"The tracking server {told}.", kind=FailureKind.BAD_SETTING)


def _of_redirect(location: str, connection: Connection) -> SyncError:
    """Say where to, without what a query, a fragment or a user name may hold."""
    try:
        target = urlsplit(urljoin(connection.url, location))
        host = target.hostname or ""
    except ValueError:
        host, location = "", ""
    if not location:
        where = "elsewhere"
    else:
        # The server's own host is told to nobody; a foreign one is what matters here.
        place = "the same host" if host == connection.host else host
        path = _clean(target.path, connection.secrets())
        where = f"to {path or '/'} on {_clean(place, ())} by {target.scheme}"
    return SyncError(
        f"The tracking server redirects {where}, which is not followed: give the URL "
        "that answers itself.",
        kind=FailureKind.REDIRECT,
    )


def _of_credentials(challenge: str, connection: Connection) -> SyncError:
    scheme = re.match(r"[A-Za-z][A-Za-z0-9-]{0,20}(?=\s|$)", challenge)
    wanted = f", {scheme.group()}" if scheme else ""
    if connection.auth_method == AuthMethod.BASIC:
        told = "does not accept the user name and password"
    elif connection.auth_method == AuthMethod.TOKEN:
        told = "does not accept the token"
    else:
        told = "asks for credentials"
    return SyncError(
        f"The tracking server {told} (401{wanted}).", kind=FailureKind.UNAUTHORIZED
    )


def retry_after(value: str) -> float:
    """Read a Retry-After header: seconds from now, from 0 to MAX_RETRY_AFTER."""
    if value.strip().isdecimal():
        return min(float(value), MAX_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0), MAX_RETRY_AFTER)


def excerpt(content: bytes, *, secrets: tuple[str, ...]) -> str:
    """Return the message or title of an answer, or its first 100 characters of text.

    Plain text on one line, without control characters and without the secrets that a
    server may have echoed. It comes from strangers: escape it where it is shown.
    """
    text = content[:16384].decode("utf-8", "replace")
    answer = _json_object(content)
    if answer is not None:
        text = str(answer.get("message") or answer.get("error_code") or "")
    elif looks_like_page(content):
        title = re.search(r"(?is)<title[^>]*>(.*?)</title", text)
        if title:
            text = title[1]
        else:
            text = re.sub(r"(?is)<(script|style)\b.*?(</\1\s*>|$)", " ", text)
            text = re.sub(r"(?s)<[^>]*(>|$)", " ", text)
        text = html.unescape(text)
    return _clean(text, secrets)


def _clean(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, "[…]")
    text = " ".join(text.split())
    text = "".join(character for character in text if character.isprintable())
    text = text.rstrip(".")
    return text if len(text) <= _EXCERPT else f"{text[: _EXCERPT - 1]}…"


def looks_like_page(content: bytes) -> bool:
    """Tell whether a body is HTML; MLflow labels even its plain texts as HTML."""
    return content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
