"""Each kind of fault alone: what the sync ends as, in which words, and that all is kept."""

from __future__ import annotations

import random
from functools import partial

import pytest

from accounts import tenancy
from accounts.models import Organization
from inventory.models import ModelVersion
from inventory.records import Section
from mlflow_sync.client import Client
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.servers import Credentials, save_server
from tests.mlflow_sync.conftest import Syncer
from tests.mlflow_sync.faulty import KINDS, Faulty, Scene, Strike, doze, refusing
from tests.mlflow_sync.test_sync import version_of
from tests.registry import Registry, unique
from tests.wire import Script

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("impatient"),
]

VERSIONS = 12  # more than may vanish unasked
PASSWORD = "pässword-of-nina"
ENDLESS = (
    "The tracking server's list “model_versions” has no end: its pages repeat "
    "themselves."
)
TOO_LARGE = "The tracking server's answer is larger than 1,048,576 bytes."
LASTING = {
    "refused": (
        "refused",
        "The tracking server refused the connection: nothing listens at this host and "
        "port.",
    ),
    "reset": (
        "closed",
        "The tracking server closed the connection before its answer was complete.",
    ),
    "rate_limited": (
        "rate_limited",
        "The tracking server asks for fewer requests (429).",
    ),
    "server_error": (
        "server_error",
        "The tracking server failed (500): “Sorry, Basic […]”.",
    ),
    "web_page": (
        "unauthorized",
        "The tracking server does not accept the user name and password (401).",
    ),
    "truncated": (
        "bad_body",
        "The tracking server's answer is cut off or is not JSON.",
    ),
    "empty_list": (
        "vanished",
        f"Too much disappeared: {VERSIONS} of {VERSIONS} versions are no longer told. "
        "Nothing was marked absent. Did the user lose a permission in MLflow? If they "
        "were deleted, confirm it.",
    ),
    "repeated_token": ("bad_body", ENDLESS),
    "token_loop": ("bad_body", ENDLESS),
    "silence": ("time_out", "The tracking server was silent for 1 s."),
    "redirect": (
        "redirect",
        "The tracking server redirects to /api/2.0/mlflow/model-versions/search on "
        "localhost by http, which is not followed: give the URL that answers itself.",
    ),
    "huge_claimed": ("too_large", TOO_LARGE),
    "huge_chunked": ("too_large", TOO_LARGE),
    "slow_drip": ("time_out", "The tracking server took longer than 1.5 s to answer."),
}
PASSING = (
    "refused",
    "reset",
    "rate_limited",
    "server_error",
    "truncated",
    "silence",
    "huge_claimed",
    "huge_chunked",
    "slow_drip",
)


@pytest.fixture(scope="module")
def name(own_registry: Registry) -> str:
    """A model that has all that these tests read: enough versions, each with its run."""
    name = own_registry.model(unique("kind"))
    experiment = own_registry.experiment()
    for _ in range(VERSIONS):
        run_id = own_registry.run(experiment, metrics={"auc": 0.9})
        path = f"{experiment}/{run_id}/artifacts/model/MLmodel"
        own_registry.put(path, b"flavors: {}")
        own_registry.version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    return name


@pytest.fixture
def server(acme: Organization, faulty: Faulty, name: str) -> TrackingServer:
    faulty.names = name
    with tenancy.acting_for(acme):
        return save_server(
            TrackingServer(url=faulty.url, auth_method="basic", read_timeout=1),
            name="Production",
            credentials=Credentials(username="nina", password=PASSWORD),
        )


@pytest.fixture
def scene(faulty: Faulty, foreign: Script) -> Scene:
    return Scene(faulty=faulty, foreign=foreign.url, chance=random.Random(4))


def stored(organization: Organization) -> list[tuple[int, int]]:
    """Return number and key of each version that is there."""
    with tenancy.acting_for(organization):
        present = ModelVersion.objects.present().order_by("version_number")
        return list(present.values_list("version_number", "pk"))


def test_each_kind_has_its_sentence() -> None:
    assert set(LASTING) == set(KINDS)


@pytest.mark.parametrize("kind", LASTING)
def test_what_lasts_ends_the_sync_with_a_sentence_and_what_was_known_stays(
    acme: Organization,
    own_registry: Registry,
    faulty: Faulty,
    scene: Scene,
    sync_now: Syncer,
    name: str,
    kind: str,
) -> None:
    sync_now()
    before = stored(acme)
    assert len(before) == VERSIONS
    note = unique("note")
    own_registry.post("registered-models/set-tag", name=name, key="domain", value=note)
    fault = refusing(faulty, 3600) if kind == "refused" else KINDS[kind](scene)
    faulty.fault = strike = Strike(
        fault=fault,
        fits=lambda path: path.endswith("model-versions/search"),
        times=float("inf"),
    )

    run = sync_now()

    assert strike.struck
    error_kind, sentence = LASTING[kind]
    assert (run.status, run.error_kind, run.error) == ("failed", error_kind, sentence)
    assert run.count("bytes") < 5 * 2**20
    assert stored(acme) == before

    faulty.fault = None
    faulty.admit()
    assert sync_now().status == SyncRun.Status.SUCCEEDED
    assert stored(acme) == before
    with tenancy.acting_for(acme):
        assert version_of(name).governance["domain"] == note


@pytest.mark.parametrize("kind", PASSING)
def test_what_passes_is_not_noticed(
    acme: Organization,
    faulty: Faulty,
    scene: Scene,
    sync_now: Syncer,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    faulty.page_size = 5  # so that some pages came before
    fault = refusing(faulty, 0) if kind == "refused" else KINDS[kind](scene)
    faulty.fault = strike = Strike(
        fault=fault, fits=lambda path: path.endswith("model-versions/search"), after=1
    )
    patient = partial(Client, delays=(1, 6, 180), sleep=doze)
    monkeypatch.setattr("mlflow_sync.readers.Client", patient)

    run = sync_now()

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    assert strike.struck == 1
    assert len(stored(acme)) == VERSIONS
    assert run.count("incomplete") == 0


@pytest.mark.parametrize(
    "kind", ["server_error", "truncated", "empty_list", "token_loop", "huge_claimed"]
)
def test_runs_that_cannot_be_read_are_read_next_time(
    acme: Organization, faulty: Faulty, scene: Scene, sync_now: Syncer, kind: str
) -> None:
    faulty.fault = Strike(
        fault=KINDS[kind](scene),
        fits=lambda path: path.endswith("runs/search"),
        times=float("inf"),
    )

    run = sync_now()

    assert run.status == SyncRun.Status.PARTIAL, run.error
    assert run.count("incomplete") == VERSIONS
    before = stored(acme)

    faulty.fault = None
    assert sync_now().status == SyncRun.Status.SUCCEEDED
    assert stored(acme) == before
    with tenancy.acting_for(acme):
        for version in ModelVersion.objects.present():
            assert version.metrics == {"auc": 0.9}


@pytest.mark.parametrize(
    "kind", ["reset", "truncated", "silence", "redirect", "huge_chunked", "slow_drip"]
)
def test_files_that_cannot_be_listed_are_listed_next_time(
    acme: Organization, faulty: Faulty, scene: Scene, sync_now: Syncer, kind: str
) -> None:
    faulty.fault = Strike(
        fault=KINDS[kind](scene),
        fits=lambda path: path.endswith("artifacts/list"),
        times=1 if kind in ("silence", "slow_drip") else 5,
    )
    with tenancy.acting_for(acme):  # one after the other: all tries for one version
        TrackingServer.objects.update(concurrency=1)

    run = sync_now(artifacts=True)

    assert run.status == SyncRun.Status.PARTIAL, run.error
    assert run.count("versions") == VERSIONS
    assert 0 < run.count("incomplete") < VERSIONS

    faulty.fault = None
    assert sync_now(artifacts=True).status == SyncRun.Status.SUCCEEDED
    with tenancy.acting_for(acme):
        for version in ModelVersion.objects.present():
            assert Section.ARTIFACTS not in version.incomplete
            assert [row["path"] for row in version.artifact_manifest] == ["MLmodel"]
