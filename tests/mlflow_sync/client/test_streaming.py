"""A file of any size comes in chunks, from its beginning or from where it stopped."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from mlflow_sync.client import Client, Connection, transport
from mlflow_sync.exceptions import FailureKind, SyncError
from mlflow_sync.snapshots import RunSnapshot, VersionSnapshot
from tests.registry import Registry, unique
from tests.wire import gate, scripted

CONTENT = b"0123456789" * 100_000
VERSION = VersionSnapshot(name="m", version="1", source="models:/m-1", fingerprint="")


@pytest.fixture
def client(registry: Registry) -> Iterator[Client]:
    with Client(Connection(registry.server.url), delays=()) as client:
        yield client


def put(registry: Registry, layout: str) -> tuple[VersionSnapshot, RunSnapshot, str]:
    """Store a version with one file, and one of its run; return where they lie."""
    experiment_id = registry.experiment()
    run_id = registry.run(experiment_id)
    run_root = f"{experiment_id}/{run_id}/artifacts"
    root, source = f"{run_root}/model", f"mlflow-artifacts:/{run_root}/model"
    if layout == "logged model":
        model_id = registry.logged_model(experiment_id, run_id)
        root = f"{experiment_id}/models/{model_id}/artifacts"
        source = f"models:/{model_id}"
    elif layout == "words of a run":
        source = f"runs:/{run_id}/model"
    registry.put(f"{root}/data/ü & é.bin", CONTENT)
    registry.put(f"{run_root}/plots/curve.png", b"png")
    name = registry.model(unique("streamed"))
    number = registry.version(name, source=source, run_id=run_id)
    if layout == "copy":
        first, name = name, registry.model(unique("copied"))
        source = f"models:/{first}/{number}"
        number = registry.version(name, source=source, run_id=run_id)
    version = VersionSnapshot(
        name=name, version=number, source=source, run_id=run_id, fingerprint=""
    )
    run = RunSnapshot(
        run_id=run_id, artifact_uri=f"mlflow-artifacts:/{run_root}", fingerprint=""
    )
    return version, run, f"mlflow-artifacts:/{root}"


@pytest.mark.parametrize("closed", [(), ("/model-versions", "/get-artifact")], ids=str)
@pytest.mark.parametrize("layout", ["run", "logged model", "words of a run", "copy"])
def test_files_come_whole_by_every_route(
    registry: Registry, layout: str, closed: tuple[str, ...]
) -> None:
    version, run, root = put(registry, layout)
    of_run = f"runs:/{version.run_id}/plots/curve.png"
    with (
        gate(registry.server.url, closed=closed) as proxy,
        Client(Connection(proxy.url), delays=()) as client,
    ):
        for path, content in (("data/ü & é.bin", CONTENT), (of_run, b"png")):
            with client.open_file(version, path, run=run, root=root) as stream:
                assert stream.size == len(content)
                assert b"".join(stream.chunks) == content


def test_a_file_is_gone_on_with_as_long_as_it_is_the_same(
    client: Client, registry: Registry
) -> None:
    version, run, root = put(registry, "logged model")
    path = "data/ü & é.bin"
    with client.open_file(version, path, run=run, root=root) as stream:
        validator = stream.validator
    assert validator

    with client.open_file(
        version, path, run=run, root=root, begin=999_990, validator=validator
    ) as stream:
        assert (stream.begin, stream.size) == (999_990, len(CONTENT))
        assert stream.validator == validator
        assert b"".join(stream.chunks) == b"0123456789"
    with client.open_file(
        version, path, run=run, root=root, begin=999_990, validator='"another"'
    ) as stream:
        assert stream.begin == 0
        assert len(b"".join(stream.chunks)) == len(CONTENT)


def test_a_file_that_is_not_there_is_an_error_like_any_other(
    client: Client, registry: Registry
) -> None:
    version, run, root = put(registry, "run")

    with (
        pytest.raises(SyncError) as error,
        client.open_file(version, "none", run=run, root=root),
    ):
        pass

    assert error.value.kind in (FailureKind.NOT_FOUND, FailureKind.SERVER_ERROR)


def played(
    play: Callable[[socket.socket, int], object], **settings: float
) -> list[bytes]:
    with (
        scripted(play) as server,
        Client(Connection(server.url, **settings), delays=()) as client,
        client.open_file(VERSION, "big", begin=5, validator='"a"') as stream,
    ):
        return list(stream.chunks)


def head(status: str = "200 OK", *lines: str, length: int = 10) -> bytes:
    told = "\r\n".join([f"HTTP/1.1 {status}", *lines, f"Content-Length: {length}"])
    return f"{told}\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ((), ""),
        (('ETag: "a"',), '"a"'),
        (('ETag: W/"a"',), ""),
        (('ETag: "a"', "Content-Encoding: gzip"), ""),
    ],
)
def test_only_a_promise_about_every_byte_is_one(
    headers: tuple[str, ...], validator: str
) -> None:
    def play(client: socket.socket, _: int) -> None:
        client.sendall(head("200 OK", *headers) + b"0123456789")

    with (
        scripted(play) as server,
        Client(Connection(server.url), delays=()) as client,
        client.open_file(VERSION, "big") as stream,
    ):
        assert stream.validator == validator


@pytest.mark.parametrize("told", ["bytes 7-9/10", "bytes 5-x/10", "pages 5-9/10", ""])
def test_another_part_than_was_asked_for_is_refused(told: str) -> None:
    def play(client: socket.socket, _: int) -> None:
        client.sendall(head("206 Partial Content", f"Content-Range: {told}", length=5))
        client.sendall(b"56789")

    with pytest.raises(SyncError, match="another part of the file"):
        played(play)


def test_a_connection_that_ends_in_the_middle_says_so() -> None:
    def play(client: socket.socket, _: int) -> None:
        client.sendall(head(length=100) + b"0123456789")

    with pytest.raises(SyncError) as error:
        played(play)

    assert error.value.kind is FailureKind.CLOSED


def drip(client: socket.socket, _: int) -> None:
    client.sendall(head(length=100))
    for _ in range(10):
        client.sendall(b"0123456789")
        time.sleep(0.1)


def test_a_file_may_take_longer_than_any_other_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "LEAST_BYTES", 10)
    monkeypatch.setattr(transport, "LEAST_SECONDS", 0.6)
    monkeypatch.setattr(transport, "_FILE_CHUNK", 10)

    assert b"".join(played(drip, deadline=0.5)) == b"0123456789" * 10  # 1 s


def test_a_file_that_only_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LEAST_BYTES", 1000)
    monkeypatch.setattr(transport, "LEAST_SECONDS", 0.4)
    monkeypatch.setattr(transport, "_FILE_CHUNK", 10)
    began = time.monotonic()

    with pytest.raises(SyncError, match="sent less than 8 MiB of the file in 60 s"):
        played(drip)

    assert time.monotonic() - began < 0.9
