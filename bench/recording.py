"""What a process really sends: noted where urllib3 puts a request onto the wire.

Both our client and MLflow's stand on urllib3. Noting costs a microsecond a request, so
that a sync is recorded while its time is taken, and an opponent repeats exactly what
the sync asked for: pages, chunks and files of whatever size the sync likes today.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection

# The lists of which a registry consists; runs and the server's identity are apart.
REGISTRY = ("registered-models/search", "experiments/search", "model-versions/search")


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str  # path and query
    body: str | None = None

    @property
    def is_of_registry(self) -> bool:
        return urlsplit(self.target).path.endswith(REGISTRY)


def record() -> list[Request]:
    """Return a list that grows with every request of this process."""
    requests: list[Request] = []
    send = HTTPConnection.request

    def noted(
        self: HTTPConnection, method: str, url: str, body: Any = None, **rest: Any
    ) -> None:
        text = body.decode() if isinstance(body, bytes) else body
        requests.append(Request(method, url, text))
        send(self, method, url, body=body, **rest)

    # Its own signature has more names, all of which go through `rest`.
    HTTPConnection.request = noted  # type: ignore[method-assign,assignment]
    return requests


def write(path: Path, requests: Iterable[Request]) -> None:
    path.write_text("\n".join(json.dumps(asdict(request)) for request in requests))


def read(path: Path) -> list[Request]:
    return [Request(**json.loads(line)) for line in path.read_text().splitlines()]
