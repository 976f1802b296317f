"""A proxy before a real MLflow that passes large files on as they come, or cuts them."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

CHUNK = 64 * 1024
KEPT = ("Content-Type", "Range", "If-Range")


@dataclass(slots=True)
class Passing:
    """What passed: path and Range of each request for a file.

    `cut` says of a request for a file, by its number from 0, after how many bytes of its
    body the connection ends; None: never. `between` is called between two chunks of a
    body with how much has passed. `answer`, where it returns something, are status and
    body that come instead of the file.
    """

    url: str = ""
    files: list[tuple[str, str]] = field(default_factory=list)
    with_ranges: bool = True
    cut: Callable[[int], int | None] = lambda _: None
    between: Callable[[int], object] = lambda _: None
    answer: Callable[[str], tuple[int, bytes] | None] = lambda _: None

    @property
    def ranges(self) -> list[str]:
        return [told for _, told in self.files]


@contextmanager
def passing(target: str) -> Iterator[Passing]:
    found = Passing()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            is_file = "artifact" in self.path and "/list" not in self.path
            is_file = is_file and "directories" not in self.path
            number = len(found.files)
            headers = {key: self.headers[key] for key in KEPT if key in self.headers}
            if is_file:
                found.files.append((self.path, headers.get("Range", "")))
            if not found.with_ranges:
                headers.pop("Range", None)
            if is_file and (told := found.answer(self.path)) is not None:
                status, page = told
                self.head(status, {"Content-Type": "text/html"}, len(page))
                self.wfile.write(page)
                return
            backend = http.client.HTTPConnection(urlsplit(target).netloc, timeout=60)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            backend.request(self.command, self.path, body or None, headers)
            answer = backend.getresponse()
            kept = {
                key: answer.headers[key]
                for key in ("Content-Type", "ETag", "Content-Range")
                if key in answer.headers
            }
            self.head(answer.status, kept, int(answer.headers["Content-Length"]))
            cut, passed = found.cut(number) if is_file else None, 0
            while chunk := answer.read(
                CHUNK if cut is None else min(CHUNK, cut - passed)
            ):
                self.wfile.write(chunk)
                passed += len(chunk)
                if is_file:
                    found.between(passed)
            if cut is not None:
                self.close_connection = True
            backend.close()

        do_GET = do_POST = pass_on

        def head(self, status: int, headers: dict[str, str], length: int) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *arguments: Any) -> None:
            pass  # the client had enough

    server = Server(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
