"""The bare opponent: the requests of a sync, bodies decoded, nothing kept.

`python -m bench.replay URL REQUESTS CONNECTIONS` prints one JSON object. Over one
connection it is the bare download, over several the bare concurrent client. Nothing has
to wait for an answer to know what to ask next: no client can be quicker.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench import recording
from bench.recording import Request


class _QuickStream(io.RawIOBase):
    """A socket's bytes, each receive acknowledged at once.

    MLflow with several workers holds the second segment of an answer back until the
    first is acknowledged, which Linux puts off for 40 ms; the flag lasts for one receive.
    """

    def __init__(self, stream: io.RawIOBase, *, sock: socket.socket) -> None:
        self._stream = stream
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if hasattr(socket, "TCP_QUICKACK"):
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return self._stream.readinto(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_QuickStream(self.fp.detach(), sock=sock))


def replay(url: str, requests: list[Request], *, connections: int) -> float:
    """Send every request once; return the seconds it took."""
    waiting = deque(requests)
    parts = urlsplit(url)
    began = time.perf_counter()
    with ThreadPoolExecutor(connections) as threads:
        jobs = [
            threads.submit(_send_waiting, parts.netloc, waiting)
            for _ in range(connections)
        ]
        for job in jobs:
            job.result()
    return time.perf_counter() - began


def _send_waiting(server: str, waiting: deque[Request]) -> None:
    connection = http.client.HTTPConnection(server)
    connection.response_class = _Response
    while True:
        try:
            request = waiting.popleft()
        except IndexError:
            connection.close()
            return
        headers = {"Content-Type": "application/json"} if request.body else {}
        connection.request(request.method, request.target, request.body, headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == http.HTTPStatus.OK, (request, answer.status, content)
        if answer.headers.get_content_type() == "application/json":
            json.loads(content)


if __name__ == "__main__":
    _, url, path, connections = sys.argv
    requests = recording.read(Path(path))
    seconds = replay(url, requests, connections=int(connections))
    print(json.dumps({"seconds": seconds, "requests": len(requests)}))
