"""The proxy of the tests does to each connection what it should, and to no other."""

from __future__ import annotations

import http.client
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from urllib.parse import urlsplit

import pytest
from werkzeug import Response

from tests.mlflow_sync.faulty import KINDS, Faulty, Scene, Strike, refusing
from tests.servers import MlflowServer

CONNECTIONS, REQUESTS = 4, 5


@pytest.fixture
def scene(faulty: Faulty) -> Scene:
    return Scene(faulty=faulty, foreign="", chance=random.Random(0))


def connected(faulty: Faulty) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(faulty.url).netloc, timeout=30)


def ask(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/version")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_connections_are_kept_alive_and_a_strike_hits_just_as_often_as_it_should(
    faulty: Faulty, scene: Scene
) -> None:
    faulty.fault = Strike(fault=KINDS["rate_limited"](scene), after=3, times=6)

    def converse(_: int) -> list[int]:
        connection = connected(faulty)
        connection.connect()
        place = connection.sock.getsockname()
        found = [ask(connection) for _ in range(REQUESTS)]
        assert connection.sock.getsockname() == place
        connection.close()
        return found

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        answers = pool.map(converse, range(CONNECTIONS))
        found = Counter(chain.from_iterable(answers))

    assert found == {200: CONNECTIONS * REQUESTS - 6, 429: 6}
    assert len(faulty.paths) == CONNECTIONS * REQUESTS


def test_silence_on_one_connection_holds_up_no_other(
    faulty: Faulty, scene: Scene
) -> None:
    faulty.fault = Strike(fault=KINDS["silence"](scene))
    silent, other = connected(faulty), connected(faulty)
    silent.request("GET", "/version")
    while not faulty.fault.struck:
        time.sleep(0.01)

    assert ask(other) == 200
    with pytest.raises(http.client.RemoteDisconnected):
        silent.getresponse()


def test_connections_are_refused_until_they_are_admitted_again(faulty: Faulty) -> None:
    faulty.fault = Strike(fault=refusing(faulty, 3600))
    first, second = connected(faulty), connected(faulty)
    second.connect()

    with pytest.raises(http.client.RemoteDisconnected):
        ask(first)
    with pytest.raises(ConnectionError):
        ask(second)
    with pytest.raises(ConnectionRefusedError):
        connected(faulty).connect()

    faulty.admit()
    assert ask(connected(faulty)) == 200


def test_what_a_fault_raises_is_raised_by_the_test(own_mlflow: MlflowServer) -> None:
    def broken(*_: object) -> Response:
        raise LookupError("a bug of the test")

    def run() -> None:
        with Faulty(own_mlflow.url) as faulty:
            faulty.fault = broken
            with pytest.raises(http.client.RemoteDisconnected):
                ask(connected(faulty))

    with pytest.raises(LookupError, match="a bug of the test"):
        run()
