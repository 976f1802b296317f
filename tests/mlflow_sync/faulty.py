"""A proxy before a real MLflow that spoils what passes."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

Fault = Callable[[Request, Response], Response]


class Faulty:
    """A reverse proxy before a real MLflow that spoils answers while it has a fault."""

    def __init__(self, front: HTTPServer, target: str) -> None:
        self.fault: Fault | None = None
        self.url = front.url_for("")
        self._target = urlsplit(target).netloc
        front.expect_request(re.compile(".*")).respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        backend = http.client.HTTPConnection(self._target, timeout=60)
        path = request.full_path.rstrip("?")
        headers = {"Content-Type": request.content_type or "application/json"}
        backend.request(request.method, path, request.get_data() or None, headers)
        answer = backend.getresponse()
        kind = answer.headers.get("Content-Type")
        response = Response(answer.read(), status=answer.status, content_type=kind)
        backend.close()
        return self.fault(request, response) if self.fault else response


def on(path: str, spoil: Callable[[Response], Response]) -> Fault:
    """Return a fault of the requests whose path holds `path`."""

    def fault(request: Request, response: Response) -> Response:
        return spoil(response) if path in request.path else response

    return fault


def html(status: int) -> Callable[[Response], Response]:
    page = "<html><title>Sorry</title><script>alert(1)</script></html>"
    return lambda _: Response(page, status=status, content_type="text/html")


def cut(response: Response) -> Response:
    return Response(response.get_data()[:-20], content_type="application/json")
