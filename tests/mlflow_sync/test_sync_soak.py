"""Faulty syncs at random, then a good one: the inventory is as if nothing had happened.

A few seeds run with all tests; `make soak` runs the rest.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug import Request, Response

from accounts import audit, tenancy
from accounts.models import Organization
from inventory.models import ModelVersion
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.servers import save_server
from tests.mlflow_sync.conftest import Syncer, sync_to_end
from tests.mlflow_sync.faulty import Fault, Faulty, cut, html
from tests.mlflow_sync.test_sync import trained
from tests.registry import Registry, unique
from tests.servers import MlflowServer

pytestmark = pytest.mark.django_db(transaction=True)

SHARE_SPOILT = 0.25  # of all answers, so that some syncs get through and most do not
FAULTY_SYNCS = 4
QUICK_SEEDS = 3
ALL_SEEDS = 50
# What differs although the registry is the same: keys, and times of our own.
OWN = {"id", "organization", "source", "registered_model", "run", "first_seen_at"} | {
    "changed_at"
}


def emptied(_: Response) -> Response:
    return Response("", content_type="application/json")


SPOILS: tuple[Callable[[Response], Response], ...] = (
    html(200), html(404), html(429), html(500), html(503), cut, emptied,
)  # fmt: skip


@pytest.fixture
def server(acme: Organization, faulty: Faulty) -> TrackingServer:
    with tenancy.acting_for(acme):
        return save_server(TrackingServer(url=faulty.url), name="Production")


def now_and_then(chance: random.Random) -> Fault:
    def fault(_: Request, response: Response) -> Response:
        spoilt = chance.random() < SHARE_SPOILT
        return chance.choice(SPOILS)(response) if spoilt else response

    return fault


def inventory(organization: Organization) -> dict[tuple[str, int], dict[str, Any]]:
    """Return every present version by name and number, with all that MLflow told."""
    names = [
        field.name
        for field in ModelVersion._meta.concrete_fields
        if field.name not in OWN
    ]
    with tenancy.acting_for(organization):
        return {
            (version.model_name, version.version_number): {
                name: getattr(version, name) for name in names
            }
            for version in ModelVersion.objects.present().select_related(
                "registered_model"
            )
        }


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=() if seed < QUICK_SEEDS else pytest.mark.soak)
        for seed in range(ALL_SEEDS)
    ],
)
def test_after_faulty_syncs_a_good_one_makes_everything_right(
    acme: Organization,
    borealis: Organization,
    own_mlflow: MlflowServer,
    own_registry: Registry,
    faulty: Faulty,
    sync_now: Syncer,
    seed: int,
) -> None:
    chance = random.Random(seed)
    for _ in range(3):
        trained(own_registry, unique("soak"), metrics={"auc": chance.random()})
    faulty.fault = now_and_then(chance)
    outcomes = [
        sync_now(artifacts=chance.random() < 0.5).status for _ in range(FAULTY_SYNCS)
    ]
    assert set(outcomes) <= {"succeeded", "partial", "failed"}

    faulty.fault = None
    assert sync_now(artifacts=True).status == SyncRun.Status.SUCCEEDED

    with tenancy.acting_for(borealis):
        clean = save_server(TrackingServer(url=own_mlflow.url), name="Clean")
    sync_to_end(borealis, clean, artifacts=True)
    assert inventory(acme) == inventory(borealis)
    with tenancy.acting_for(acme):
        assert not ModelVersion.objects.exclude(absent_since=None).exists()
        assert audit.verify(acme).intact
