"""Which runs a sync asks for: those that matter now always, the others in turn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from werkzeug import Request, Response

from accounts import tenancy
from accounts.models import Organization
from inventory.models import ModelVersion
from mlflow_sync import fingerprints, turns
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.servers import save_server
from tests.mlflow_sync.conftest import Syncer
from tests.mlflow_sync.faulty import Faulty, html
from tests.mlflow_sync.test_sync import version_of
from tests.registry import Registry, unique

pytestmark = pytest.mark.django_db(transaction=True)

ROUND = 3  # syncs within which each run is read


class Asked:
    """What went through to MLflow: the runs of each search, and all paths."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.paths: list[str] = []

    def __call__(self, request: Request, response: Response) -> Response:
        self.paths.append(request.path)
        if request.path.endswith("runs/search"):
            body = request.get_json()
            self.runs += re.findall(r"'(\w+)'", body["filter"])
        return response

    def taken(self) -> list[str]:
        """Return the runs that were asked for since the last call."""
        runs, self.runs, self.paths = self.runs, [], []
        return runs


@pytest.fixture
def asked(faulty: Faulty) -> Iterator[Asked]:
    told = Asked()
    faulty.fault = told
    yield told
    faulty.fault = None


@pytest.fixture
def server(
    acme: Organization, faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> TrackingServer:
    """A server whose versions are old enough to be settled."""
    monkeypatch.setattr(turns, "NEW_FOR", timedelta(0))
    with tenancy.acting_for(acme):
        return save_server(
            TrackingServer(url=faulty.url, reread_within=ROUND), name="Production"
        )


def versions(registry: Registry, name: str, count: int, **run: object) -> list[str]:
    """Register a model with versions from a run each; return the runs."""
    experiment = registry.experiment()
    registry.model(name)
    runs = [registry.run(experiment, **run) for _ in range(count)]  # type: ignore[arg-type]
    for run_id in runs:
        registry.version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    return runs


def test_runs_that_matter_are_read_by_every_sync_and_each_other_once_in_a_round(
    own_registry: Registry, asked: Asked, sync_now: Syncer
) -> None:
    settled = versions(own_registry, unique("settled"), 9)
    name = unique("in use")
    staged, produced, aliased, tagged = versions(own_registry, name, 4)
    (running,) = versions(own_registry, unique("running"), 1, status="RUNNING")
    for number, stage in (("1", "Staging"), ("2", "Production")):
        own_registry.post(
            "model-versions/transition-stage",
            name=name, version=number, stage=stage, archive_existing_versions=False,
        )  # fmt: skip
    own_registry.post("registered-models/alias", name=name, alias="b", version="3")
    own_registry.post(
        "model-versions/set-tag",
        name=name, version="4", key="deployment_status", value="production",
    )  # fmt: skip
    always = {staged, produced, aliased, tagged, running}
    sync_now()
    assert set(settled) | always <= set(asked.taken())  # all are new

    rounds = []
    for _ in range(ROUND):
        sync_now()
        rounds.append(asked.taken())

    assert all(always <= set(runs) for runs in rounds)
    again = [run for runs in rounds for run in runs if run in settled]
    assert sorted(again) == sorted(settled)


def test_a_run_that_is_new_under_an_alias_is_read_at_once(
    own_registry: Registry, asked: Asked, sync_now: Syncer
) -> None:
    name = unique("promoted")
    runs = versions(own_registry, name, 6)
    sync_now()
    asked.taken()
    sync_now()
    waiting = next(run for run in runs if run not in asked.taken())
    number = str(runs.index(waiting) + 1)
    own_registry.post(
        "runs/set-tag", run_id=waiting, key="owner", value="n@example.org"
    )
    own_registry.post("registered-models/alias", name=name, alias="c", version=number)

    sync_now()

    assert waiting in asked.taken()


def test_a_late_tag_on_a_settled_run_is_found_within_the_round(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name = unique("late")
    (run_id,) = versions(own_registry, name, 1)
    sync_now()
    own_registry.post("runs/set-tag", run_id=run_id, key="owner", value="n@example.org")

    updated = sum(sync_now().count("updated") for _ in range(ROUND))

    assert updated == 1
    with tenancy.acting_for(acme):
        version = version_of(name)
        assert version.owner == "n@example.org"
        assert version.run_found


def test_a_full_sync_reads_every_run(
    own_registry: Registry, asked: Asked, sync_now: Syncer
) -> None:
    runs = versions(own_registry, unique("full"), 5)
    sync_now()
    asked.taken()

    sync_now(full=True)

    assert set(runs) <= set(asked.taken())


def test_other_code_reads_every_run_anew(
    own_registry: Registry,
    asked: Asked,
    sync_now: Syncer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = versions(own_registry, unique("upgraded"), 5)
    sync_now()
    asked.taken()
    monkeypatch.setattr(fingerprints, "NORMALIZER_VERSION", 999)

    sync_now()

    assert set(runs) <= set(asked.taken())


def test_a_sync_that_fails_uses_up_no_turn(
    own_registry: Registry, faulty: Faulty, asked: Asked, sync_now: Syncer
) -> None:
    runs = versions(own_registry, unique("failing"), 6)
    sync_now()
    found: set[str] = set()
    for _ in range(ROUND):
        faulty.fault = lambda request, response: (
            html(403)(response) if "model-versions" in request.path else response
        )
        assert sync_now().status == SyncRun.Status.FAILED
        faulty.fault = asked
        asked.taken()
        sync_now()
        found |= set(asked.taken())

    assert set(runs) <= found


def test_a_run_that_mlflow_did_not_tell_is_asked_for_each_time(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    name = unique("untold")
    (run_id,) = versions(own_registry, name, 1)
    asked = Asked()

    def untold(request: Request, response: Response) -> Response:
        asked(request, response)
        if request.path.endswith("runs/search"):
            return Response("{}", content_type="application/json")
        return response

    faulty.fault = untold
    for _ in range(ROUND):
        assert sync_now().status == SyncRun.Status.PARTIAL
        assert run_id in asked.taken()

    faulty.fault = None
    assert sync_now().status == SyncRun.Status.SUCCEEDED
    with tenancy.acting_for(acme):
        assert version_of(name).run_found


def test_without_a_change_the_registry_takes_four_requests_and_what_is_unread_stays(
    acme: Organization, own_registry: Registry, asked: Asked, sync_now: Syncer
) -> None:
    versions(own_registry, unique("quiet"), 12, tags={"owner": "n@example.org"})
    sync_now()
    with tenancy.acting_for(acme):
        before = list(ModelVersion.objects.order_by("pk").values())
    asked.taken()

    run = sync_now()

    kinds = [path.rsplit("mlflow/", 1)[-1] for path in asked.paths]
    assert sorted(kinds) == [
        "/version",
        "experiments/search",
        "model-versions/search",
        "registered-models/search",
        "runs/search",
    ]
    assert run.count("unchanged") == run.count("versions")
    with tenancy.acting_for(acme):
        assert list(ModelVersion.objects.order_by("pk").values()) == before
