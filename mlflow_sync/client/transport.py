"""Send one request to one tracking server, if it is a known read, and take the answer.

The promise that MLflow is only read is kept here: what is not on the list below raises
before a connection is opened.
"""

from __future__ import annotations

import json
import logging
import random
import re
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import urllib3

from mlflow_sync.client import failures
from mlflow_sync.client.connection import Connection
from mlflow_sync.client.pace import Pace
from mlflow_sync.client.pool import Deadline, open_pool
from mlflow_sync.client.queries import DOCUMENTS
from mlflow_sync.client.streaming import (
    LEAST_BYTES,
    LEAST_SECONDS,
    TOO_SLOW,
    FileStream,
    answered,
    asking,
)
from mlflow_sync.exceptions import FailureKind, NotReadOnly, SyncError

logger = logging.getLogger(__name__)

T = TypeVar("T")
Query = Sequence[tuple[str, str | int]]

API = "/api/2.0/mlflow"
GRAPHQL = "/graphql"  # with the documents of `queries`, and no others
_SEGMENT = r"(?!\.{1,2}(?:/|$))[^/?#]+"
ALLOWED = (
    ("GET", r"/version"),
    ("GET", r"/api/3\.0/mlflow/server-info"),
    ("GET", r"/api/2\.0/mlflow/users/current"),
    ("GET", r"/api/2\.0/mlflow/registered-models/search"),
    ("GET", r"/api/2\.0/mlflow/model-versions/search"),
    ("GET", r"/api/2\.0/mlflow/model-versions/get-download-uri"),
    ("GET", r"/api/2\.0/mlflow/experiments/search"),
    ("POST", r"/api/2\.0/mlflow/runs/search"),
    ("GET", r"/api/2\.0/mlflow/artifacts/list"),
    ("POST", r"/api/2\.0/mlflow/logged-models/search"),
    ("GET", rf"/api/2\.0/mlflow/logged-models/{_SEGMENT}/artifacts/directories"),
    ("GET", rf"/api/2\.0/mlflow-artifacts/artifacts(?:/{_SEGMENT})+"),
    ("GET", r"/model-versions/get-artifact"),
    ("GET", r"/get-artifact"),
    ("POST", GRAPHQL),
)
_PATTERNS = tuple((method, re.compile(path)) for method, path in ALLOWED)

DELAYS = (1.0, 2.0, 4.0)  # seconds before the second, third and fourth try
JITTER = 0.25  # a delay grows by up to so much of itself
_CHUNK = 64 * 1024  # bytes
_FILE_CHUNK = 256 * 1024  # bytes, of a file of any size
_ERROR_BYTES = 64 * 1024  # what is read of an answer that is an error anyway

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

# The answer was too much for one of the two sides: ask for half of it.
_TOO_MUCH = frozenset({FailureKind.TIME_OUT, FailureKind.CLOSED, FailureKind.TOO_LARGE})


class Transport:
    """One keep-alive connection to one server; counts what it sends and receives.

    `requests` counts every try, `bytes` what came back after decompression. Cookies,
    proxies, netrc and redirects do not exist here. For one thread at a time.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        delays: Sequence[float] = DELAYS,
        sleep: Callable[[float], object] = time.sleep,
        pace: Pace | None = None,
    ) -> None:
        self.connection = connection
        self.pace = pace or Pace(sleep=sleep)
        self.requests = 0
        self.bytes = 0
        self._delays = tuple(delays)
        self._sleep = sleep
        self._headers = connection.request_headers()
        self._deadline = Deadline()
        self._pool = open_pool(connection, deadline=self._deadline)

    def close(self) -> None:
        self._pool.close()

    def get_json(self, path: str, query: Query = ()) -> dict[str, Any]:
        """Send one GET. Raises SyncError."""
        return self._decode(self.send("GET", path, query=query))

    def post_json(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send one POST, which is a search. Raises SyncError."""
        return self._decode(self.send("POST", path, body=body))

    def repeat(
        self,
        ask: Callable[[int], T],
        *,
        size: int = 1,
        final: Container[FailureKind] = (),
    ) -> tuple[T, int]:
        """Call `ask(size)`, up to three times more while its failure may pass.

        A `size` above 1 is halved when the answer was too much for one of the sides.
        Failures in `final` are not worth a second try to the caller. Returns the
        answer and the size that it came in.
        """
        for delay in (*self._delays, None):
            try:
                return ask(size), size
            except SyncError as error:
                too_much = size > 1 and error.kind in _TOO_MUCH
                is_final = error.kind in final or (error.permanent and not too_much)
                if delay is None or is_final:
                    raise
                if too_much:
                    size //= 2
                    self.pace.ease()
                # Jitter is no secret: it only keeps workers from retrying in step.
                pause = delay * random.uniform(1, 1 + JITTER)  # noqa: S311
                pause = max(pause, error.retry_after)
                self.pace.hold(error.retry_after)
                logger.info("Asking again in %.1f s: %s", pause, error)
            self._sleep(pause)
        raise AssertionError("The last try neither answered nor failed.")

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: dict[str, Any] | None = None,
        max_bytes: int | None = None,
    ) -> bytes:
        """Send one request, once, and return the body of its 2xx answer.

        Raises SyncError for any other outcome, and NotReadOnly, with nothing sent, for
        what is not on the list. `max_bytes` narrows the connection's bound.
        """
        started = time.monotonic()
        with self._named():
            response = self._request(method, path, query=query, body=body)
            answer = self._receive(response, max_bytes or self.connection.max_bytes)
        logger.debug(
            "%s %s: %d bytes, %.3f s",
            method,
            path,
            len(answer),
            time.monotonic() - started,
        )
        return answer

    @contextmanager
    def stream(
        self, path: str, query: Query = (), *, begin: int = 0, validator: str = ""
    ) -> Iterator[FileStream]:
        """Send one GET for a file, once, and yield its bytes from `begin` on.

        If it is no longer the file that `validator` named, or the server sends files
        only whole, they come from the first one on. There is no bound but a least
        speed: whoever takes the chunks counts them. Raises SyncError, also while they
        come.
        """
        with self._named():
            response = self._request(
                "GET",
                path,
                query=query,
                headers=asking(begin=begin, validator=validator),
            )
            if not _is_good(response):
                self._receive(response, _ERROR_BYTES)
        try:
            yield answered(
                response.status,
                response.headers,
                asked=begin,
                chunks=self._chunks(response),
            )
        finally:
            response.close()

    def _chunks(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        """Yield the body; the deadline moves on with every few mebibytes that come."""
        self._deadline.restart(LEAST_SECONDS)
        received = 0
        with self._named(slow=TOO_SLOW):
            for chunk in response.stream(_FILE_CHUNK, decode_content=True):
                self.bytes += len(chunk)
                received += len(chunk)
                if received >= LEAST_BYTES:
                    self._deadline.restart(LEAST_SECONDS)
                    received = 0
                yield chunk

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: dict[str, Any] | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, if it is a known read, and return the head of its answer."""
        if not is_allowed(method, path, body):
            raise NotReadOnly(f"{method} {path} is not on the list of reads.")
        target = self.connection.base_path + path
        if query:
            target = f"{target}?{urlencode(query, errors='surrogatepass')}"
        headers = self._headers | dict(headers)
        content = None
        if body is not None:
            headers |= {"Content-Type": "application/json"}
            content = json.dumps(body).encode()

        self.pace.wait()
        self.requests += 1
        self._deadline.restart(self.connection.deadline)
        return self._pool.urlopen(
            method,
            target,
            body=content,
            headers=headers,
            redirect=False,
            preload_content=False,
        )

    @contextmanager
    def _named(self, *, slow: str = "") -> Iterator[None]:
        """Say in our own words what went wrong on the wire: its own name the host."""
        try:
            yield
        except urllib3.exceptions.HTTPError as error:
            raise failures.of_transport(
                error,
                self.connection,
                is_late=self._deadline.remaining() <= 0,
                slow=slow,
            ) from None

    def _receive(self, response: urllib3.BaseHTTPResponse, max_bytes: int) -> bytes:
        is_good = _is_good(response)
        limit = max_bytes if is_good else _ERROR_BYTES
        content = bytearray()
        for chunk in response.stream(_CHUNK, decode_content=True):
            content += chunk
            self.bytes += len(chunk)
            if len(content) > limit:
                response.close()
                break
        if not is_good:
            raise failures.of_status(
                response.status,
                response.headers,
                bytes(content),
                connection=self.connection,
            )
        if len(content) > limit:
            raise SyncError(
                f"The tracking server's answer is larger than {limit:,} bytes.",
                kind=FailureKind.TOO_LARGE,
            )
        return bytes(content)

    def _decode(self, content: bytes) -> dict[str, Any]:
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            raise failures.of_foreign_body(
                content, connection=self.connection
            ) from None
        if not isinstance(found, dict):
            raise SyncError(
                "What answers at this URL speaks JSON, but not as MLflow does.",
                kind=FailureKind.NOT_MLFLOW,
            )
        return found


def _is_good(response: urllib3.BaseHTTPResponse) -> bool:
    return HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES


def is_allowed(method: str, path: str, body: Mapping[str, Any] | None = None) -> bool:
    """Tell whether a request, its path relative to the server's URL, is a known read."""
    if path == GRAPHQL and (body or {}).get("query") not in DOCUMENTS:
        return False
    return any(
        method == allowed and pattern.fullmatch(path) for allowed, pattern in _PATTERNS
    )


def quoted(path: str) -> str:
    """Return a path with every segment encoded whole: "a/b c" as "a/b%20c"."""
    return "/".join(
        quote(segment, safe="", errors="surrogatepass") for segment in path.split("/")
    )
