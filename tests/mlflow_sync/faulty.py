"""A proxy before a real MLflow that spoils what passes, and all the ways in which it can."""

from __future__ import annotations

import json
import random
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field

from werkzeug import Request, Response

from tests.mlflow_sync.proxy import OnWire, Proxy, Wire

Fault = Callable[[Request, Response], Response]
Spoil = Callable[[Response], Response]

# A second of the client's clock, in the tests: its minute of silence lasts one of ours.
SECOND = 1 / 60
SILENCE = 90 * SECOND  # longer than the read timeout
DRIP = 20 * SECOND  # between two bytes: shorter than it
HUGE = 5 * 10**9  # bytes that an answer claims to have

JSON = "application/json"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
FIRST_PAGE = b64encode(b'{"offset": 0}').decode()  # a token as MLflow makes them
PAGE = "<html><title>{}</title><script>alert(1)</script></html>"


class Faulty(Proxy):
    """A proxy that spoils answers while it has a fault."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.fault: Fault | None = None

    def answer(self, request: Request, response: Response) -> Response:
        fault = self.fault
        return fault(request, response) if fault else response


def doze(seconds: float) -> None:
    """Sleep, by the client's clock."""
    time.sleep(seconds * SECOND)


def on(path: str, spoil: Spoil) -> Fault:
    """Return a fault of the requests whose path holds `path`."""

    def fault(request: Request, response: Response) -> Response:
        return spoil(response) if path in request.path else response

    return fault


def html(status: int) -> Spoil:
    page = PAGE.format("Sorry")
    return lambda _: Response(page, status=status, content_type="text/html")


def cut(response: Response) -> Response:
    return Response(response.get_data()[:-20], content_type=JSON)


def refusing(faulty: Faulty, seconds: float) -> Fault:
    return lambda *_: OnWire(lambda _: faulty.refuse(seconds))


def is_page(path: str) -> bool:
    """Tell whether a path asks for a page of a list."""
    return path.endswith("/search")


def is_list(path: str) -> bool:
    """Tell whether a path asks for a list, be it in pages or whole."""
    return is_page(path) or path.endswith(("artifacts/list", "/directories"))


@dataclass(slots=True, kw_only=True)
class Strike:
    """A fault that spoils `times` of the paths that fit, after `after` others."""

    fault: Fault
    fits: Callable[[str], bool] = lambda _: True
    after: int = 0
    times: float = 1
    struck: int = 0
    _passed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request, response: Response) -> Response:
        with self._lock:
            if not self.fits(request.path) or self.struck >= self.times:
                return response
            if self._passed < self.after:
                self._passed += 1
                return response
            self.struck += 1
        return self.fault(request, response)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where a fault happens; it draws whatever is left to chance."""

    faulty: Faulty
    foreign: str  # URL of another host, which must never hear of us
    chance: random.Random


Kind = Callable[[Scene], Fault]
KINDS: dict[str, Kind] = {}
# A list that goes round in circles does so however often it is asked.
ENDLESS = ("repeated_token", "token_loop")
FITS = {"empty_list": is_list} | dict.fromkeys(ENDLESS, is_page)


def kind(make: Kind) -> Kind:
    """Register a kind of fault under its function's name."""
    KINDS[make.__name__] = make
    return make


@kind
def refused(scene: Scene) -> Fault:
    """Everybody is hung up on, and connections are refused for up to 20 s."""
    seconds = scene.chance.uniform(0, 20) * SECOND
    return refusing(scene.faulty, seconds)


@kind
def reset(scene: Scene) -> Fault:
    """The connection is reset in the middle of the answer's body."""
    share = scene.chance.random()

    def fault(_: Request, response: Response) -> Response:
        content = response.get_data()

        def play(wire: Wire) -> None:
            wire.send(HEAD + f"Content-Length: {len(content)}\r\n\r\n".encode())
            wire.send(content[: int(len(content) * share)])
            wire.reset()

        return OnWire(play)

    return fault


@kind
def rate_limited(scene: Scene) -> Fault:
    pause = str(scene.chance.randint(1, 20))
    return lambda *_: Response("", status=429, headers={"Retry-After": pause})


@kind
def server_error(_: Scene) -> Fault:
    """A page of HTML that tells everybody which credentials came."""

    def fault(request: Request, _: Response) -> Response:
        page = PAGE.format(f"Sorry, {request.headers.get('Authorization')}")
        return Response(page, status=500, content_type="text/html")

    return fault


@kind
def web_page(scene: Scene) -> Fault:
    """Another site's page, as of a proxy that wants people to sign in."""
    return on("", html(scene.chance.choice((200, 401, 403, 404, 503))))


@kind
def truncated(scene: Scene) -> Fault:
    """A whole answer, as far as HTTP can tell, of half a JSON document."""
    share = scene.chance.random()

    def fault(_: Request, response: Response) -> Response:
        content = response.get_data()
        return Response(content[: int(len(content) * share)], content_type=JSON)

    return fault


@kind
def empty_list(_: Scene) -> Fault:
    """What a list says to whom it shows nothing."""
    return lambda *_: Response("{}", content_type=JSON)


@kind
def repeated_token(_: Scene) -> Fault:
    """The next page is the one that was asked for, again and again."""

    def fault(request: Request, response: Response) -> Response:
        asked = request.get_json() if request.method == "POST" else request.args
        return _continued(response, asked.get("page_token") or FIRST_PAGE)

    return fault


@kind
def token_loop(_: Scene) -> Fault:
    """After the last page comes the first one again."""

    def fault(_: Request, response: Response) -> Response:
        token = json.loads(response.get_data()).get("next_page_token")
        return _continued(response, token or FIRST_PAGE)

    return fault


def _continued(response: Response, token: str) -> Response:
    page = json.loads(response.get_data()) | {"next_page_token": token}
    return Response(json.dumps(page), content_type=JSON)


@kind
def silence(_: Scene) -> Fault:
    """Not a byte comes, for longer than the client is ready to wait."""
    return lambda *_: OnWire(lambda wire: wire.wait(SILENCE))


@kind
def redirect(scene: Scene) -> Fault:
    """Another host is named, together with the credentials that came."""
    status = scene.chance.choice((301, 302, 303, 307, 308))

    def fault(request: Request, _: Response) -> Response:
        query = f"?token={request.headers.get('Authorization')}"
        place = scene.foreign + request.path + query
        return Response("", status=status, headers={"Location": place})

    return fault


@kind
def huge_claimed(_: Scene) -> Fault:
    """An answer of five billion bytes, as its head says."""

    def play(wire: Wire) -> None:
        wire.send(HEAD + f"Content-Length: {HUGE}\r\n\r\n".encode())
        _pour(wire, b" " * 2**16)

    return lambda *_: OnWire(play)


@kind
def huge_chunked(_: Scene) -> Fault:
    """An answer of five billion bytes that does not say how long it will be."""

    def play(wire: Wire) -> None:
        wire.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        _pour(wire, b"10000\r\n" + b" " * 2**16 + b"\r\n")

    return lambda *_: OnWire(play)


def _pour(wire: Wire, chunk: bytes) -> None:
    for _ in range(HUGE // len(chunk)):
        wire.send(chunk)


@kind
def slow_drip(_: Scene) -> Fault:
    """A byte now and then: never silent for long, and never done."""

    def play(wire: Wire) -> None:
        wire.send(HEAD + f"Content-Length: {HUGE}\r\n\r\n".encode())
        while True:
            wire.send(b" ")
            wire.wait(DRIP)

    return lambda *_: OnWire(play)
