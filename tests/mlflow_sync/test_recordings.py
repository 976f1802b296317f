"""MLflows of old, from recordings of real ones: tests/recordings/record.py makes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from accounts import tenancy
from accounts.models import Organization
from mlflow_sync import servers
from mlflow_sync.client import Client, Connection
from mlflow_sync.models import SyncRun, TrackingServer
from tests.mlflow_sync.conftest import sync_to_end
from tests.recordings.expected import WholeRegistry
from tests.recordings.record import ask_everything
from tests.recordings.replay import RECORDINGS, Replay

OUTDATED = "Not in the recording: run python -m tests.recordings.record"


@pytest.fixture(params=RECORDINGS, ids=lambda path: f"{path.parent.name} {path.stem}")
def recording(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def replay(recording: Path, httpserver: HTTPServer) -> Replay:
    return Replay(httpserver, recording)


def test_both_stores_of_both_generations_are_recorded() -> None:
    told = {f"{path.parent.name}/{path.stem}" for path in RECORDINGS}
    assert {re.sub(r"\.\d+/", ".x/", name) for name in told} == {
        f"mlflow-{version}/{store}"
        for version in ("2.9.x", "2.22.x")
        for store in ("file", "sqlite")
    }


def test_what_the_client_asks_is_what_was_recorded(replay: Replay) -> None:
    with Client(Connection(replay.url), delays=()) as client:
        release = ask_everything(client)

    assert release == replay.release
    assert replay.unknown == [], OUTDATED
    assert not replay.unasked, "In the recording, and not asked for any more"


def test_pages_of_two_tell_the_same_as_one_page(replay: Replay) -> None:
    """MLflow 2.9 ends some lists with an empty page, and later ones do not."""
    with Client(Connection(replay.url), delays=()) as client:
        for search in (
            client.search_models,
            client.search_experiments,
            client.search_versions,
        ):
            whole = [row for page in search() for row in page]
            assert [row for page in search(page_size=2) for row in page] == whole
            assert len(whole) > 2
    assert replay.unknown == [], OUTDATED


def test_a_recording_tells_nothing_of_the_machine_it_was_made_on(
    recording: Path,
) -> None:
    text = recording.read_text(encoding="utf-8")
    assert not re.search(r"/tmp|/home|/root|/work|127\.0\.0\.1|localhost", text)


@pytest.mark.django_db(transaction=True)
class TestSync(WholeRegistry):
    @pytest.fixture
    def server(self, acme: Organization, replay: Replay) -> TrackingServer:
        with tenancy.acting_for(acme):
            return servers.save_server(TrackingServer(url=replay.url), name="Old")

    @pytest.fixture
    def sync_filled(
        self,
        acme: Organization,
        server: TrackingServer,
        replay: Replay,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Callable[[], SyncRun]:
        def sync() -> SyncRun:
            run = sync_to_end(acme, server, artifacts=True)
            assert replay.unknown == [], OUTDATED
            return run

        quick = partial(Client, delays=(0.01, 0.01, 0.01))
        monkeypatch.setattr("mlflow_sync.sync.Client", quick)
        return sync

    def test_a_connection_test_names_the_release(
        self, acme: Organization, server: TrackingServer, replay: Replay
    ) -> None:
        with tenancy.acting_for(acme):
            found = servers.test_server(server)
        assert found.passed
        assert found.message == f"MLflow {replay.release} answers."
