"""Faulty syncs at random, then a good one: the inventory is as if nothing had happened.

Two seeds run with all tests; `make soak` runs the rest.
"""

from __future__ import annotations

import logging
import random
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, models

from accounts import audit, tenancy
from accounts.models import Organization
from inventory.manifest import content
from inventory.models import (
    Experiment,
    LifecycleEvent,
    ModelVersion,
    RegisteredModel,
    Run,
)
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.servers import Credentials, save_server
from tests.mlflow_sync.conftest import Syncer, impatience, sync_to_end
from tests.mlflow_sync.faulty import ENDLESS, FITS, KINDS, Faulty, Scene, Strike
from tests.mlflow_sync.proxy import Proxy
from tests.mlflow_sync.turmoil import Turmoil
from tests.registry import Registry
from tests.servers import MlflowServer
from tests.tally import FAULTY_SYNCS as TALLY
from tests.wire import Script

pytestmark = pytest.mark.django_db(transaction=True)

FAULTY_SYNCS = 10  # of one seed
QUICK_SEEDS = 2
SOAK_SEEDS = 21
PAGE_SIZE = 4  # so that few versions are several pages
PASSWORD = "pässword-of-nina"
GATE = "gate-token-of-nina"
SECRETS = (PASSWORD, b64encode(f"nina:{PASSWORD}".encode()).decode(), GATE)
# What differs although the registry is the same: keys, and times of our own.
OWN = {"id", "organization", "source", "registered_model", "run", "first_seen_at"} | {
    "changed_at",
    "files_due_at",
}
# What the registry itself tells of a version; all else comes from its run and files.
REGISTRY = (
    "created_at", "lifecycle_stage", "native_stage", "aliases", "tags",
    "version_description", "registration_status", "source_run_id",
)  # fmt: skip


@pytest.fixture
def server(acme: Organization, faulty: Faulty) -> TrackingServer:
    with tenancy.acting_for(acme):
        return save_server(
            TrackingServer(url=faulty.url, auth_method="basic", read_timeout=1),
            name="Production",
            credentials=Credentials(
                username="nina", password=PASSWORD, headers={"X-Gate": GATE}
            ),
        )


def kinds_of(seed: int) -> list[str]:
    """Deal the kinds of fault out to the seeds, evenly, and shuffle each hand."""
    kinds = list(KINDS)
    start = seed * FAULTY_SYNCS
    dealt = [kinds[place % len(kinds)] for place in range(start, start + FAULTY_SYNCS)]
    random.Random(seed).shuffle(dealt)
    return dealt


class Soak:
    """Syncs that are struck by one fault each, at a request that chance decides."""

    def __init__(self, scene: Scene, sync_now: Syncer) -> None:
        self._scene = scene
        self._sync_now = sync_now
        self._paths = ["/search"] * 8  # of the last sync that came to its end

    def strike(self, kind: str) -> tuple[int, str]:
        """Sync until the fault has struck; return how often it did, and the outcome."""
        chance = self._scene.chance
        fits: Callable[[str], bool] = FITS.get(kind, lambda _: True)
        after = chance.randrange(sum(map(fits, self._paths)))
        while True:
            strike = Strike(
                fault=KINDS[kind](self._scene),
                fits=fits,
                after=after,
                times=float("inf") if kind in ENDLESS else chance.choice((1, 1, 2, 4)),
            )
            run = self._sync(strike)
            if strike.struck:
                return strike.struck, run.status
            after //= 2  # this sync asked for less than the one before

    def _sync(self, strike: Strike) -> SyncRun:
        faulty, chance = self._scene.faulty, self._scene.chance
        faulty.admit()
        faulty.paths.clear()
        faulty.fault = strike
        run = self._sync_now(
            artifacts=chance.random() < 0.7,
            full=chance.random() < 0.2,
            patience=chance.choice((0, float("inf"), float("inf"))),
        )
        faulty.fault = None
        if run.has_read:
            self._paths = list(faulty.paths)
        return run


def rows(found: models.QuerySet[Any], key: Callable[[Any], Any]) -> dict[Any, Any]:
    """Return rows by what identifies them in MLflow, with all that MLflow told."""
    names = [
        field.name
        for field in found.model._meta.concrete_fields
        if field.name not in OWN
    ]
    told = {key(row): {name: _told(row, name) for name in names} for row in found}
    assert len(told) == len(found)
    return told


def _told(row: Any, name: str) -> Any:
    """Return a value, without the times at which we looked at files."""
    value = getattr(row, name)
    return content(value) if name == "artifact_manifest" else value


def inventory(organization: Organization) -> dict[str, dict[Any, Any]]:
    """Return all that is present."""
    versions = ModelVersion.objects.present().select_related("registered_model")
    with tenancy.acting_for(organization):
        return {
            "models": rows(RegisteredModel.objects.present(), lambda row: row.name),
            "versions": rows(
                versions, lambda row: (row.model_name, row.version_number)
            ),
            "runs": rows(Run.objects.all(), lambda row: row.run_id),
            "experiments": rows(
                Experiment.objects.all(), lambda row: row.experiment_id
            ),
        }


def told_by_registry(found: dict[str, dict[Any, Any]]) -> dict[Any, Any]:
    return {
        key: {name: version[name] for name in REGISTRY}
        for key, version in found["versions"].items()
    }


def check_nothing_is_lost(turmoil: Turmoil) -> None:
    """Compare what is stored with what was made and deleted; works in `acting_for`."""
    versions = ModelVersion.objects.select_related("registered_model")
    present = [(row.model_name, str(row.version_number)) for row in versions.present()]
    assert sorted(present) == sorted(
        (name, number)
        for name, numbers in turmoil.versions.items()
        for number in numbers
    )
    names = RegisteredModel.objects.present().values_list("name", flat=True)
    assert sorted(names) == sorted(turmoil.versions)
    assert versions.exclude(absent_since=None).count() <= turmoil.deleted
    assert versions.count() == versions.values("source_run_id").distinct().count()
    assert not versions.present().exclude(incomplete={}).exists()


def check_lifecycle(version: ModelVersion) -> None:
    """Check that each move begins where the one before it ended."""
    moves = LifecycleEvent.objects.filter(version=version).order_by("id")
    stage = ""
    for move in moves:
        assert move.from_stage == stage, list(moves)
        assert move.to_stage != stage, list(moves)
        stage = move.to_stage
    assert stage == version.lifecycle_stage


def stored_texts() -> Iterator[str]:
    """Yield every row of every table as text; works in `acting_for`."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{table}" t')  # noqa: S608
            yield from (text for (text,) in cursor.fetchall())


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=() if seed < QUICK_SEEDS else pytest.mark.soak)
        for seed in range(QUICK_SEEDS + SOAK_SEEDS)
    ],
)
def test_after_faulty_syncs_a_good_one_makes_everything_right(
    acme: Organization,
    borealis: Organization,
    own_mlflow: MlflowServer,
    own_registry: Registry,
    server: TrackingServer,
    faulty: Faulty,
    foreign: Script,
    sync_now: Syncer,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
    seed: int,
) -> None:
    caplog.set_level(logging.DEBUG)
    chance = random.Random(seed)
    turmoil = Turmoil(own_registry, chance)
    faulty.names, faulty.page_size = turmoil.prefix, PAGE_SIZE
    soak = Soak(Scene(faulty=faulty, foreign=foreign.url, chance=chance), sync_now)
    outcomes = []
    with impatience():
        for kind in kinds_of(seed):
            struck, outcome = soak.strike(kind)
            outcomes.append([kind, struck, str(outcome)])
            turmoil.change(chance.randint(0, 3))
    record_property(TALLY, outcomes)
    assert {outcome for _, _, outcome in outcomes} <= {"succeeded", "partial", "failed"}

    faulty.admit()
    with tenancy.acting_for(acme):
        server.read_timeout = 60
        save_server(server)
    good = sync_now(artifacts=True)
    assert good.status == SyncRun.Status.SUCCEEDED, good.error
    with tenancy.acting_for(acme):
        check_nothing_is_lost(turmoil)
    early = inventory(acme)
    good = sync_now(artifacts=True, full=True)
    assert good.status == SyncRun.Status.SUCCEEDED, good.error

    with Proxy(own_mlflow.url) as clean:
        clean.names = turmoil.prefix
        with tenancy.acting_for(borealis):
            other = save_server(TrackingServer(url=clean.url), name="Clean")
        sync_to_end(borealis, other, artifacts=True)
    ours, theirs = inventory(acme), inventory(borealis)
    assert early["models"] == theirs["models"]
    assert told_by_registry(early) == told_by_registry(theirs)
    evidence = ours["runs"].keys() - theirs["runs"].keys()  # of versions since deleted
    assert evidence <= set(turmoil.run_ids)
    ours["runs"] = {key: ours["runs"][key] for key in ours["runs"].keys() - evidence}
    assert ours == theirs
    with tenancy.acting_for(acme):
        check_nothing_is_lost(turmoil)
        for version in ModelVersion.objects.all():
            check_lifecycle(version)
        assert audit.verify(acme).intact
        for text in (*stored_texts(), caplog.text):
            assert not any(secret in text for secret in SECRETS)
