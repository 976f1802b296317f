"""What stands between us and MLflow, or in its place: a gate, and servers that misbehave."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and the answer to it; `target` is the path below the gate's, and query."""

    method: str
    target: str
    body: bytes
    status: int
    kind: str  # of the answer: its Content-Type
    content: bytes


@dataclass(slots=True)
class Gate:
    """A reverse proxy before a real server.

    `seen` has the headers of what came, `passed` what went through.
    """

    url: str
    seen: list[Mapping[str, str]] = field(default_factory=list)
    passed: list[Exchange] = field(default_factory=list)


@contextmanager
def gate(
    target: str,
    *,
    path: str = "/",
    wanted: Mapping[str, str] | None = None,
    closed: tuple[str, ...] = (),
    tls: ssl.SSLContext | None = None,
    delay: float = 0,
) -> Iterator[Gate]:
    """Pass on what comes below `path` with the wanted headers, over TLS or not.

    What lacks a header gets 401, and what starts with one of `closed` below the path
    gets 404, both as HTML. Every answer sets a cookie, and comes `delay` seconds late.
    """
    found = Gate(url="")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            found.seen.append(dict(self.headers.items()))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            inner = "/" + self.path.removeprefix(path).lstrip("/")
            if not self.path.startswith(path) or inner.startswith(closed):
                return self.answer(404, b"<title>Nothing here</title>", "text/html")
            if any(
                self.headers.get(key) != told for key, told in (wanted or {}).items()
            ):
                return self.answer(401, b"<title>Sign in</title>", "text/html")
            backend = http.client.HTTPConnection(urlsplit(target).netloc, timeout=60)
            kept = {
                key: self.headers[key]
                for key in ("Content-Type", "X-MLFLOW-WORKSPACE")
                if key in self.headers
            }
            backend.request(self.command, inner, body or None, kept)
            answer = backend.getresponse()
            kind = answer.headers.get("Content-Type", "text/plain")
            content = answer.read()
            backend.close()
            found.passed.append(
                Exchange(
                    method=self.command,
                    target=inner,
                    body=body,
                    status=answer.status,
                    kind=kind,
                    content=content,
                )
            )
            time.sleep(delay)
            self.answer(answer.status, content, kind)

        do_GET = do_POST = handle_one

        def answer(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Set-Cookie", "session=abc; Path=/")
            if status == 401:
                self.send_header("WWW-Authenticate", 'Bearer realm="gate"')
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *arguments: Any) -> None:
            pass  # a handshake that fails is what some tests are about

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    scheme = "https" if tls else "http"
    found.url = f"{scheme}://127.0.0.1:{server.server_port}{path.rstrip('/')}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(slots=True)
class Script:
    """A server that plays a script; `requests` are the heads and bodies that came."""

    url: str
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def scripted(play: Callable[[socket.socket, int], object]) -> Iterator[Script]:
    """Call `play` with the socket and the request's number, from 0, then hang up.

    For what no well-meant server does: what `play` writes goes out as it is.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    found = Script(url=f"http://127.0.0.1:{listener.getsockname()[1]}")

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # closed below
            with client:
                try:
                    found.requests.append(_read_request(client))
                    play(client, len(found.requests) - 1)
                except OSError:
                    continue  # the client has had enough

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _read_request(client: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        request += client.recv(65536) or b"\r\n\r\n"
    head, _, body = request.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += client.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(content: bytes, *, length: int | None = None, head: bytes = b"") -> bytes:
    """Return an HTTP answer of JSON that claims to be `length` bytes long."""
    size = len(content) if length is None else length
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        + head
        + f"Content-Length: {size}\r\n\r\n".encode()
        + content
    )
