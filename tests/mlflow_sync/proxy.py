"""A reverse proxy before a real MLflow that can do to a connection whatever a network can.

A thread for each connection, which is kept alive as MLflow's own are.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from werkzeug import Request, Response
from werkzeug.test import create_environ

HOST = "127.0.0.1"
REGISTRY = ("registered-models/search", "model-versions/search")
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST instead of FIN


class Wire:
    """One client's connection, for answers that HTTP has no words for."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, content: bytes) -> None:
        """Raises OSError once the client has hung up."""
        self._sock.sendall(content)

    def wait(self, seconds: float) -> None:
        """Do nothing for so long. Raises OSError at once when the client hangs up."""
        if select.select([self._sock], [], [], seconds)[0]:
            raise ConnectionAbortedError  # a client that waits for its answer asks nothing

    def reset(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


class OnWire(Response):
    """An answer that is played to the client's connection, which then is closed."""

    def __init__(self, play: Callable[[Wire], object]) -> None:
        super().__init__()
        self.play = play


class Proxy:
    """Passes requests on to an MLflow; use it as a context manager.

    `names` shows only models whose names begin with it, as permissions do, and
    `page_size` keeps the pages of models, versions and runs that short. `paths` has
    that of each request so far. What `answer` raises is raised again on leaving.
    """

    def __init__(self, target: str) -> None:
        self.names = ""
        self.page_size = 0
        self.paths: list[str] = []
        self._target = urlsplit(target).netloc
        self._lock = threading.Lock()
        self._clients: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._errors: list[Exception] = []
        self._is_over = threading.Event()
        # Bound and never listening: the port stays ours while connections are refused.
        self._holder = _bound(0)
        self._port: int = self._holder.getsockname()[1]
        self._listener: socket.socket | None = None
        self.url = f"http://{HOST}:{self._port}"

    def answer(self, request: Request, response: Response) -> Response:
        """Return what the client gets in place of MLflow's answer."""
        return response

    def __enter__(self) -> Self:
        self.admit()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._hang_up()
        for thread in self._threads:
            thread.join()
        self._holder.close()
        if self._errors and error is None:
            raise self._errors[0]

    def refuse(self, seconds: float) -> None:
        """Hang up on everybody, and refuse connections for so long, or until `admit`."""
        self._hang_up()

        def admit_again() -> None:
            if not self._is_over.wait(seconds):
                self.admit()

        self._start(admit_again)

    def admit(self) -> None:
        """Let connections come, if they do not already."""
        with self._lock:
            if self._listener is not None or self._is_over.is_set():
                return
            self._listener = _bound(self._port)
            self._listener.listen(128)
        self._start(self._accept, self._listener)

    def _hang_up(self) -> None:
        with self._lock:
            if self._listener is not None:
                _shut(self._listener)  # wakes its thread, which closes it
                self._listener = None
            for client in self._clients:
                _shut(client)

    def _start(self, work: Callable[..., object], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return  # hung up
                with self._lock:
                    if self._listener is listener:
                        self._clients.add(client)
                        self._start(self._converse, client)
                    else:
                        client.close()

    def _converse(self, client: socket.socket) -> None:
        try:
            _Conversation(self, client)
        except OSError:
            pass  # the client, or we ourselves, hung up in the middle of it
        except Exception as error:  # noqa: BLE001 - raised again by the test's own thread
            self._errors.append(error)
        finally:
            with self._lock:
                self._clients.remove(client)
                client.close()

    def ask(self, method: str, target: str, kind: str, body: bytes) -> Response:
        """Ask MLflow, within `names` and `page_size`."""
        path, _, query = target.partition("?")
        if path.endswith(REGISTRY):
            query = self._narrowed(path, query)
        elif path.endswith("runs/search") and self.page_size:
            asked = json.loads(body)
            size = min(asked["max_results"], self.page_size)
            body = json.dumps(asked | {"max_results": size}).encode()
        backend = http.client.HTTPConnection(self._target, timeout=60)
        try:
            target = f"{path}?{query}" if query else path
            backend.request(method, target, body or None, {"Content-Type": kind})
            answer = backend.getresponse()
            told = answer.headers.get("Content-Type")
            return Response(answer.read(), status=answer.status, content_type=told)
        finally:
            backend.close()

    def _narrowed(self, path: str, query: str) -> str:
        pairs = parse_qsl(query, keep_blank_values=True)
        if self.page_size:
            pairs = [
                (key, str(min(int(value), self.page_size)))
                if key == "max_results"
                else (key, value)
                for key, value in pairs
            ]
        if self.names:
            wanted = [value for key, value in pairs if key == "filter" and value]
            told = " AND ".join([*wanted, f"name LIKE '{self.names}%'"])
            pairs = [*((k, v) for k, v in pairs if k != "filter"), ("filter", told)]
        return urlencode(pairs)


class _Conversation(BaseHTTPRequestHandler):
    """All requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self.proxy = proxy
        super().__init__(client, client.getsockname(), None)  # type: ignore[arg-type]  # no server is asked

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.headers.get("Content-Type", "application/json")
        path, _, query = self.path.partition("?")
        request = Request(
            create_environ(
                path=path,
                base_url=self.proxy.url,
                query_string=query,
                method=self.command,
                headers=dict(self.headers.items()),
                data=body,
            )
        )
        self.proxy.paths.append(request.path)
        found = self.proxy.ask(self.command, self.path, kind, body)
        self.reply(self.proxy.answer(request, found))

    do_GET = do_POST = handle_one

    def reply(self, response: Response) -> None:
        if isinstance(response, OnWire):
            self.close_connection = True
            response.play(Wire(self.connection))
            return
        content = response.get_data()
        self.send_response_only(response.status_code)
        for name, value in response.headers.items():
            if name != "Content-Length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _bound(port: int) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.bind((HOST, port))
    return found


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):  # the other side was quicker
        sock.shutdown(socket.SHUT_RDWR)
