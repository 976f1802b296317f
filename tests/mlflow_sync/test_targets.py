"""A sync of a few models, as a webhook asks for it: quick, and silent on the others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accounts import tenancy
from accounts.models import AuditEvent, Organization
from inventory.models import ModelVersion, RegisteredModel
from mlflow_sync import sync
from mlflow_sync.as_of import last_reads
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.queueing import request_sync
from tests.mlflow_sync.conftest import Syncer
from tests.mlflow_sync.test_sync import trained, version_of
from tests.registry import Registry, unique

pytestmark = pytest.mark.django_db(transaction=True)

Targeter = Callable[..., SyncRun]


@pytest.fixture
def sync_only(acme: Organization, server: TrackingServer) -> Targeter:
    """Sync models of these names to the end."""

    def sync_them(*names: str) -> SyncRun:
        with tenancy.acting_for(acme):
            queued = request_sync(
                server,
                trigger=SyncRun.Trigger.WEBHOOK,
                targets=names,
                with_artifacts=False,
                enqueue=False,
            )
        finished = sync.advance(acme, queued.pk)
        assert finished is not None
        return finished

    return sync_them


def owned(registry: Registry, name: str, owner: str) -> None:
    registry.post(
        "model-versions/set-tag", name=name, version="1", key="owner", value=owner
    )


def test_only_the_named_model_is_read_and_nothing_is_held_to_be_gone(
    acme: Organization, own_registry: Registry, sync_now: Syncer, sync_only: Targeter
) -> None:
    name, other, deleted = unique("named"), unique("other"), unique("deleted")
    for each in (name, other, deleted):
        trained(own_registry, each)
    whole = sync_now()
    owned(own_registry, name, "new@example.org")
    owned(own_registry, other, "new@example.org")
    own_registry.send("DELETE", "registered-models/delete", name=deleted)

    run = sync_only(name)

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    assert (run.count("versions"), run.count("updated"), run.count("absent")) == (
        1, 1, 0,
    )  # fmt: skip
    assert run.count("requests") <= 5
    with tenancy.acting_for(acme):
        assert version_of(name).owner == "new@example.org"
        assert version_of(other).owner == ""
        assert not version_of(deleted).is_absent
        # Nothing is claimed of what was not read.
        (read,) = last_reads().values()
        assert read.rows == SyncRun.objects.get(pk=whole.pk).started_at
        requested = AuditEvent.objects.filter(action="sync.requested").latest(
            "sequence"
        )
        assert requested.changes["models"] == [name]

    after = sync_now()
    assert (after.count("updated"), after.count("absent")) == (1, 1)


def test_what_arrived_is_as_a_whole_sync_would_have_stored_it(
    own_registry: Registry, sync_now: Syncer, sync_only: Targeter
) -> None:
    sync_now()
    name = unique("fresh")
    trained(own_registry, name, tags={"owner": "n@example.org"}, metrics={"auc": 0.9})
    own_registry.post("registered-models/alias", name=name, alias="a", version="1")

    run = sync_only(name)

    assert run.count("created") == 1
    after = sync_now()
    assert (after.count("created"), after.count("updated")) == (0, 0)


@pytest.mark.parametrize(
    "name", ["bob's model", 'the "best"', 'bob\'s "best"', "Größe ✓ #?%&", "a%2Fb"]
)
def test_any_name_can_be_asked_for(
    acme: Organization, own_registry: Registry, sync_only: Targeter, name: str
) -> None:
    name = unique(name)
    trained(own_registry, name)
    trained(own_registry, unique("beside"))

    run = sync_only(name)

    assert (run.count("models"), run.count("versions")) == (1, 1)
    with tenancy.acting_for(acme):
        assert [row.name for row in RegisteredModel.objects.all()] == [name]


def test_an_unknown_name_is_harmless(
    acme: Organization, own_registry: Registry, sync_now: Syncer, sync_only: Targeter
) -> None:
    name = unique("known")
    trained(own_registry, name)
    sync_now()

    run = sync_only("example_model", name)

    assert run.status == SyncRun.Status.SUCCEEDED
    assert (run.count("models"), run.count("unchanged")) == (1, 1)
    with tenancy.acting_for(acme):
        assert not ModelVersion.objects.exclude(absent_since=None).exists()


def test_a_name_that_may_be_a_renamed_models_is_left_to_a_whole_sync(
    acme: Organization, own_registry: Registry, sync_now: Syncer, sync_only: Targeter
) -> None:
    name, name_now = unique("before"), unique("after")
    trained(own_registry, name)
    sync_now()
    with tenancy.acting_for(acme):
        version = version_of(name)
    own_registry.post("registered-models/rename", name=name, new_name=name_now)

    run = sync_only(name_now)

    assert run.count("created") == 0
    sync_now()
    with tenancy.acting_for(acme):
        assert version_of(name_now).pk == version.pk


def test_a_targeted_sync_uses_up_no_turn(
    own_registry: Registry, sync_now: Syncer, sync_only: Targeter
) -> None:
    name = unique("turns")
    trained(own_registry, name)
    first = sync_now()
    sync_only(name)

    assert sync_now().turn == first.turn + 1
