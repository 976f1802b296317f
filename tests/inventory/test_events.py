"""Moves of stages and aliases become events, with what is known of when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from accounts import tenancy
from accounts.models import AuditEvent, Organization
from inventory import store
from inventory.models import (
    AliasEvent,
    LifecycleEvent,
    ModelVersion,
    RegisteredModel,
    Source,
)
from inventory.records import ModelRecord, Stage, Told, VersionRecord
from tests.inventory.test_store import (
    AT,
    LATER,
    MADE,
    MODEL,
    VERSION,
    put_models,
    put_versions,
)

LATEST = LATER + timedelta(hours=1)
Move = tuple[str, int | None, int | None]
Bounds = tuple[datetime | None, datetime]


def with_aliases(fingerprint: str, **aliases: int) -> ModelRecord:
    return replace(MODEL, aliases=aliases, fingerprint=fingerprint)


def staged(stage: Stage, told: Told, fingerprint: str) -> VersionRecord:
    return replace(
        VERSION,
        lifecycle_stage=stage,
        provenance={"lifecycle_stage": told},
        fingerprint=fingerprint,
    )


def alias_moves() -> list[tuple[Move, Bounds]]:
    """Return all events, the oldest first."""
    return [
        (
            (event.alias, event.from_version, event.to_version),
            (event.observed_after, event.observed_before),
        )
        for event in AliasEvent.objects.order_by("pk")
    ]


def stages() -> list[tuple[str, str, datetime | None]]:
    """Return all moves between stages, the oldest first."""
    events = LifecycleEvent.objects.order_by("pk")
    return list(events.values_list("from_stage", "to_stage", "observed_after"))


# Aliases


def test_the_aliases_of_a_model_seen_first_are_there_since_nobody_knows_when(
    source: Source,
) -> None:
    put_models(source, with_aliases("m1", champion=3, baseline=1), previous=MADE)

    assert alias_moves() == [
        (("baseline", None, 1), (None, AT)),
        (("champion", None, 3), (None, AT)),
    ]


@pytest.mark.parametrize(
    ("before", "after", "moves"),
    [
        ({}, {"champion": 1}, [("champion", None, 1)]),
        ({"champion": 1}, {"champion": 2}, [("champion", 1, 2)]),
        ({"champion": 1}, {}, [("champion", 1, None)]),
        (
            {"champion": 1, "baseline": 1},
            {"champion": 2, "baseline": 1, "shadow": 3},
            [("champion", 1, 2), ("shadow", None, 3)],
        ),
        ({"champion": 1}, {"champion": 1}, []),
    ],
)
def test_an_alias_that_moved_is_an_event_observed_between_two_syncs(
    source: Source,
    before: Mapping[str, int],
    after: Mapping[str, int],
    moves: list[Move],
) -> None:
    put_models(source, with_aliases("m1", **before))
    known = AliasEvent.objects.count()

    put_models(source, with_aliases("m2", **after), at=LATER, previous=AT)

    assert alias_moves()[known:] == [(move, (AT, LATER)) for move in moves]


def test_moves_of_aliases_are_on_the_trail_and_first_sights_are_not(
    acme: Organization,
) -> None:
    with tenancy.acting_for(acme):
        source = Source.objects.create(name="MLflow")
        put_models(source, with_aliases("m1", champion=1))
    with tenancy.acting_for(acme):
        assert not AuditEvent.objects.filter(action="alias.moved").exists()
        put_models(source, with_aliases("m2", champion=2, shadow=1), at=LATER)

    with tenancy.acting_for(acme):
        entry = AuditEvent.objects.get(action="alias.moved")
    assert entry.changes["moved"] == [
        "scoring @champion: version 1 → version 2",
        "scoring @shadow: none → version 1",
    ]


def test_aliases_end_with_their_model_and_begin_anew_with_it(source: Source) -> None:
    record = with_aliases("m1", champion=1)
    put_models(source, record)
    model = RegisteredModel.objects.get()
    store.mark_models_absent([model], at=LATER, previous_sync=AT)

    put_models(source, record, at=LATEST, previous=LATER)

    assert alias_moves() == [
        (("champion", None, 1), (None, AT)),
        (("champion", 1, None), (AT, LATER)),
        (("champion", None, 1), (None, LATEST)),
    ]


def test_aliases_end_with_a_model_whose_name_another_one_took(source: Source) -> None:
    put_models(source, with_aliases("m1", champion=1))
    other = replace(with_aliases("m2", champion=1), created_at=LATER)

    put_models(source, other, at=LATER, previous=AT)

    old, new = RegisteredModel.objects.order_by("pk")
    of_old, of_new = old.alias_events.get, new.alias_events.get
    assert of_old(to_version=None).observed_after == AT
    assert of_new().observed_after is None


def test_a_model_renamed_while_it_was_hidden_is_told_again(source: Source) -> None:
    put_models(source, with_aliases("m1", champion=1))
    model = RegisteredModel.objects.get()
    store.mark_models_absent([model], at=LATER, previous_sync=AT)

    store.rename_models([(model, "ranking")])
    renamed = replace(with_aliases("m2", champion=1), name="ranking")
    put_models(source, renamed, at=LATEST, previous=LATER)

    told = RegisteredModel.objects.get()
    assert (told.pk, told.name, told.absent_since) == (model.pk, "ranking", None)
    assert alias_moves()[-1] == (("champion", None, 1), (None, LATEST))


@pytest.mark.parametrize("count", [1, 60])
def test_aliases_cost_one_query_and_none_where_nothing_moved(
    source: Source, count: int, django_assert_num_queries: CaptureQueriesContext
) -> None:
    def told(alias: int) -> list[ModelRecord]:
        return [
            replace(
                with_aliases(f"m{alias}", champion=alias, other=alias),
                name=f"model {number}",
            )
            for number in range(count)
        ]

    with django_assert_num_queries(4):  # known, rows, history, events
        put_models(source, *told(1))
    with django_assert_num_queries(4):
        put_models(source, *told(2), at=LATER)
    with django_assert_num_queries(1):
        put_models(source, *told(2), at=LATEST)
    assert AliasEvent.objects.count() == 4 * count


@pytest.mark.parametrize(("before", "after"), [(None, None), (2, 2)])
def test_an_event_without_a_move_is_refused(
    source: Source, before: int | None, after: int | None
) -> None:
    model = put_models(source, MODEL)["scoring"]

    with pytest.raises(IntegrityError):
        AliasEvent.objects.create(
            registered_model=model,
            alias="champion",
            from_version=before,
            to_version=after,
            observed_before=AT,
        )


# Stages


def test_a_version_that_is_gone_left_its_stage_between_two_syncs(
    source: Source,
) -> None:
    put_models(source, MODEL)
    put_versions(source, [staged(Stage.PRODUCTION, Told("alias", "champion"), "v1")])

    store.mark_versions_absent(
        list(ModelVersion.objects.all()), at=LATER, previous_sync=AT
    )

    event = LifecycleEvent.objects.latest("pk")
    assert (event.from_stage, event.to_stage) == (Stage.PRODUCTION, "")
    assert (event.observed_after, event.observed_before) == (AT, LATER)
    assert event.told_by == ""
    assert str(event) == "scoring version 1: Production → no longer told"


def test_a_version_that_is_told_again_comes_into_its_stage(source: Source) -> None:
    put_models(source, MODEL)
    put_versions(source, [VERSION], previous=MADE)
    store.mark_versions_absent(
        list(ModelVersion.objects.all()), at=AT, previous_sync=MADE
    )

    report = put_versions(source, [VERSION], at=LATER, previous=AT)

    assert stages() == [("", "None", MADE), ("None", "", MADE), ("", "None", AT)]
    assert report.moved == []


def test_a_version_whose_number_another_one_took_is_gone(source: Source) -> None:
    put_models(source, MODEL)
    put_versions(source, [VERSION])

    put_versions(source, [replace(VERSION, created_at=LATER)], at=LATEST, previous=AT)

    old, new = ModelVersion.objects.order_by("pk")
    assert old.lifecycle.latest("pk").to_stage == ""
    assert (new.lifecycle.get().from_stage, new.lifecycle.get().to_stage) == (
        "",
        "None",
    )


NOTHING = (Stage.NONE, Told("stage", "None"))
RUN = Told("run tag", "stage")


@pytest.mark.parametrize(
    ("before", "after", "since"),
    [
        (NOTHING, (Stage.PRODUCTION, RUN), None),
        ((Stage.ARCHIVED, RUN), NOTHING, None),
        ((Stage.STAGING, RUN), (Stage.PRODUCTION, RUN), None),
        ((Stage.STAGING, RUN), (Stage.PRODUCTION, Told("alias", "champion")), AT),
        ((Stage.PRODUCTION, Told("alias", "champion")), (Stage.STAGING, RUN), AT),
        (NOTHING, (Stage.PRODUCTION, Told("version tag", "stage")), AT),
    ],
)
def test_of_what_only_a_run_says_it_is_unknown_since_when(
    source: Source,
    before: tuple[Stage, Told],
    after: tuple[Stage, Told],
    since: datetime | None,
) -> None:
    """A sync reads the whole registry, and not every run that stands behind it."""
    put_models(source, MODEL)
    put_versions(source, [staged(*before, "v1")])

    put_versions(source, [staged(*after, "v2")], at=LATER, previous=AT)

    assert LifecycleEvent.objects.latest("pk").observed_after == since


# What was stored before there were events


def test_the_history_begins_with_what_is_there(source: Source) -> None:
    put_models(source, with_aliases("m1", champion=1), replace(MODEL, name="bare"))
    put_versions(source, [VERSION])
    store.mark_versions_absent(
        list(ModelVersion.objects.all()), at=LATER, previous_sync=AT
    )
    AliasEvent.objects.all().delete()
    LifecycleEvent.objects.filter(to_stage="").delete()
    migration = import_module("inventory.migrations.0003_events_of_what_is_there")

    with connection.schema_editor() as editor:
        migration.begin(apps, editor)

    assert alias_moves() == [(("champion", None, 1), (None, AT))]
    assert stages() == [("", "None", None), ("None", "", None)]
    assert LifecycleEvent.objects.latest("pk").observed_before == LATER
