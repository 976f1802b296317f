"""Stages and aliases that move in a real MLflow, as a sync tells them afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from accounts import tenancy
from accounts.models import AuditEvent, Organization
from inventory.histories import alias_history, serving
from inventory.models import (
    AliasEvent,
    LifecycleEvent,
    ModelVersion,
    RegisteredModel,
)
from inventory.records import Stage
from inventory.serving import Between, Certainty
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.servers import save_server
from tests.mlflow_sync.conftest import Syncer
from tests.mlflow_sync.faulty import Faulty
from tests.mlflow_sync.test_sync_identity import only
from tests.registry import Registry, unique

pytestmark = pytest.mark.django_db(transaction=True)

Told = tuple[str, str, str, str]  # version, from, to, told by


class Model:
    """A registered model of the real MLflow, and what people do to it there."""

    def __init__(self, registry: Registry, *, versions: int) -> None:
        self.registry = registry
        self.name = registry.model(unique("staged"))
        for _ in range(versions):
            self.add()

    def add(self) -> str:
        return self.registry.version(self.name, source="s3://models/one")

    def stage(self, version: int, stage: str, *, archive: bool = False) -> None:
        self.registry.post(
            "model-versions/transition-stage",
            name=self.name,
            version=str(version),
            stage=stage,
            archive_existing_versions=archive,
        )

    def alias(self, version: int, alias: str = "champion") -> None:
        self.registry.post(
            "registered-models/alias",
            name=self.name,
            alias=alias,
            version=str(version),
        )

    def remove_alias(self, alias: str = "champion") -> None:
        self.registry.send(
            "DELETE", "registered-models/alias", name=self.name, alias=alias
        )

    def tag(self, version: int, value: str) -> None:
        self.registry.post(
            "model-versions/set-tag",
            name=self.name,
            version=str(version),
            key="stage",
            value=value,
        )

    def delete(self, version: int) -> None:
        self.registry.send(
            "DELETE", "model-versions/delete", name=self.name, version=str(version)
        )

    def rename(self, name: str) -> None:
        self.registry.post("registered-models/rename", name=self.name, new_name=name)
        self.name = name

    # What was stored of it

    def row(self) -> RegisteredModel:
        return RegisteredModel.objects.present().get(name=self.name)

    def moves(self) -> list[Told]:
        """Return the moves between stages, the oldest first, without first sights."""
        events = LifecycleEvent.objects.filter(
            version__registered_model__name=self.name
        ).exclude(from_stage="")
        return [
            (str(event.version.version_number), event.from_stage, event.to_stage,
             event.told_by)
            for event in events.select_related("version").order_by("pk")
        ]  # fmt: skip

    def alias_moves(self) -> list[tuple[str, int | None, int | None]]:
        events = AliasEvent.objects.filter(registered_model__name=self.name)
        return list(
            events.order_by("pk").values_list("alias", "from_version", "to_version")
        )

    def served(self) -> list[tuple[int, str, str | None]]:
        """Return who served by whose word, and what followed."""
        return [
            (each.number, each.told_by, each.followed_by)
            for each in serving(self.row())
        ]


@pytest.fixture
def server(acme: Organization, faulty: Faulty) -> TrackingServer:
    """Acme's tracking server, whose models can be hidden."""
    with tenancy.acting_for(acme):
        return save_server(TrackingServer(url=faulty.url), name="Production")


@pytest.fixture
def model(own_registry: Registry) -> Iterator[Model]:
    """A model with two versions, removed in the end: a sync reads all there is."""
    model = Model(own_registry, versions=2)
    yield model
    own_registry.send("DELETE", "registered-models/delete", name=model.name)


@pytest.mark.parametrize(
    ("act", "word"),
    [
        (lambda model: model.stage(1, "Production"), "stage Production"),
        (lambda model: model.alias(1), "alias champion"),
        (lambda model: model.tag(1, "production"), "version tag stage"),
    ],
    ids=["native stage", "alias", "version tag"],
)
def test_each_way_to_promote_a_version_is_a_move_with_who_said_so(
    acme: Organization,
    model: Model,
    sync_now: Syncer,
    act: Callable[[Model], None],
    word: str,
) -> None:
    before = sync_now()

    act(model)
    sync_now()

    with tenancy.acting_for(acme):
        assert model.moves() == [("1", Stage.NONE, Stage.PRODUCTION, word)]
        (served,) = serving(model.row())
        assert (served.number, served.told_by, served.until) == (1, word, None)
        assert served.since.after == began(before)


def began(run: SyncRun) -> datetime:
    at = SyncRun.objects.get(pk=run.pk).started_at
    assert at is not None
    return at


def test_an_alias_that_moves_is_one_event_and_two_moves_between_stages(
    acme: Organization, model: Model, sync_now: Syncer
) -> None:
    model.alias(1)
    first = sync_now()

    model.alias(2)
    second = sync_now()

    with tenancy.acting_for(acme):
        assert model.alias_moves() == [("champion", None, 1), ("champion", 1, 2)]
        assert sorted(model.moves()) == [
            ("1", Stage.PRODUCTION, Stage.NONE, "stage None"),
            ("2", Stage.NONE, Stage.PRODUCTION, "alias champion"),
        ]
        sight, move = AliasEvent.objects.filter(registered_model=model.row()).order_by(
            "pk"
        )
        assert sight.observed_after is None
        assert move.observed_after == began(first)
        assert began(second) < move.observed_before
        assert model.served() == [
            (2, "alias champion", None),
            (1, "alias champion", Stage.NONE),
        ]
        entry = AuditEvent.objects.get(action="alias.moved")
        assert entry.changes["moved"] == [
            f"{model.name} @champion: version 1 → version 2"
        ]


def test_a_sync_in_which_nothing_moved_writes_no_event(
    acme: Organization, model: Model, sync_now: Syncer
) -> None:
    model.alias(1)
    sync_now()
    with tenancy.acting_for(acme):
        before = LifecycleEvent.objects.count(), AliasEvent.objects.count()

    sync_now()

    with tenancy.acting_for(acme):
        assert (LifecycleEvent.objects.count(), AliasEvent.objects.count()) == before


def test_a_version_that_is_set_back_served_in_between(
    acme: Organization, model: Model, sync_now: Syncer
) -> None:
    sync_now()
    model.stage(1, "Production")
    sync_now()
    model.stage(1, "Staging")
    sync_now()
    model.stage(1, "Production")
    sync_now()

    with tenancy.acting_for(acme):
        assert model.served() == [
            (1, "stage Production", None),
            (1, "stage Production", Stage.STAGING),
        ]


def test_an_alias_that_is_removed_ends_its_history_and_the_serving(
    acme: Organization, model: Model, sync_now: Syncer
) -> None:
    model.alias(1)
    sync_now()

    model.remove_alias()
    sync_now()

    with tenancy.acting_for(acme):
        assert model.alias_moves()[-1] == ("champion", 1, None)
        (tenure,) = alias_history(model.row())
        assert tenure.until is not None
        assert tenure.followed_by is None
        assert model.served() == [(1, "alias champion", Stage.NONE)]


def test_a_promotion_that_archives_the_versions_before_is_two_moves(
    acme: Organization, model: Model, sync_now: Syncer
) -> None:
    model.stage(1, "Production")
    sync_now()

    model.stage(2, "Production", archive=True)
    sync_now()

    with tenancy.acting_for(acme):
        assert sorted(model.moves()) == [
            ("1", Stage.PRODUCTION, Stage.ARCHIVED, "stage Archived"),
            ("2", Stage.NONE, Stage.PRODUCTION, "stage Production"),
        ]
        newer, older = serving(model.row())
        assert (newer.number, older.number) == (2, 1)
        assert newer.since == older.until


def test_a_version_deleted_while_it_served_ends_between_two_syncs(
    acme: Organization, model: Model, sync_now: Syncer
) -> None:
    model.alias(2)
    before = sync_now()

    model.delete(2)
    sync_now()

    with tenancy.acting_for(acme):
        version = ModelVersion.objects.get(
            registered_model=model.row(), version_number=2
        )
        assert version.absent_since is not None
        (served,) = serving(model.row())
        assert served.until == Between(began(before), version.absent_since)
        assert served.followed_by == ""
        assert model.alias_moves() == [("champion", None, 2), ("champion", 2, None)]


def test_a_version_made_again_under_its_name_and_number_serves_for_itself(
    acme: Organization, own_registry: Registry, model: Model, sync_now: Syncer
) -> None:
    """MLflow gives a number again only to a model that was made again."""
    model.alias(2)
    sync_now()
    with tenancy.acting_for(acme):
        old = model.row()

    own_registry.send("DELETE", "registered-models/delete", name=model.name)
    own_registry.model(model.name)
    assert (model.add(), model.add()) == ("1", "2")
    model.alias(2)
    sync_now()

    with tenancy.acting_for(acme):
        (before,), (now,) = serving(old), serving(model.row())
        assert (before.number, now.number) == (2, 2)
        assert before.version != now.version
        assert (before.followed_by, now.until) == ("", None)
        assert now.since.after is not None  # it was made since the last sync
        (tenure,) = alias_history(old)
        assert tenure.until is not None
        assert model.alias_moves() == [
            ("champion", None, 2), ("champion", 2, None), ("champion", None, 2)
        ]  # fmt: skip


def test_a_renamed_model_keeps_its_history(
    acme: Organization, model: Model, sync_now: Syncer
) -> None:
    model.alias(1)
    sync_now()

    model.rename(unique("renamed"))
    sync_now()
    model.alias(2)
    sync_now()

    with tenancy.acting_for(acme):
        assert model.alias_moves() == [("champion", None, 1), ("champion", 1, 2)]
        assert [number for number, *_ in model.served()] == [2, 1]


def test_a_model_that_was_hidden_may_have_served_meanwhile(
    acme: Organization, model: Model, faulty: Faulty, sync_now: Syncer
) -> None:
    model.alias(1)
    sync_now()
    faulty.fault = only(lambda name: name != model.name)
    hidden = sync_now()
    faulty.fault = None
    sync_now()

    with tenancy.acting_for(acme):
        again, before = serving(model.row())
        assert (again.since.after, before.followed_by) == (None, "")
        during = SyncRun.objects.get(pk=hidden.pk).finished_at
        assert during is not None
        assert again.certainty(during, last_read=None) == Certainty.POSSIBLE
        held = [(each.number, each.since.after) for each in alias_history(model.row())]
        assert held == [(1, None), (1, None)]
