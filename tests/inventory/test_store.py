"""Records become rows: only real changes are written, and identity survives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.test.utils import CaptureQueriesContext

from inventory import store
from inventory.models import (
    NAME_LENGTH,
    LifecycleEvent,
    ModelVersion,
    RegisteredModel,
    Source,
)
from inventory.records import ModelRecord, Redaction, Stage, Told, VersionRecord
from inventory.writing import StoreReport

MADE = datetime(2026, 1, 5, 9, tzinfo=UTC)
AT = datetime(2026, 2, 1, 12, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
MODEL = ModelRecord(name="scoring", created_at=MADE, fingerprint="m1")
VERSION = VersionRecord(
    model_name="scoring",
    version_number=1,
    created_at=MADE,
    owner="nina@example.org",
    provenance={
        "owner": Told("run tag", "owner", weak=True, raw="Nina"),
        "lifecycle_stage": Told("stage", "None"),
    },
    others={"owner": (("olga@example.org", Told("model tag", "owner")),)},
    redactions=(Redaction("run tag", "aws", "AWS access key", True),),
    fingerprint="v1",
)


def put_models(
    source: Source,
    *records: ModelRecord,
    at: datetime = AT,
    previous: datetime | None = None,
) -> dict[str, RegisteredModel]:
    return store.store_models(source, records, at=at, previous_sync=previous)


def put_versions(
    source: Source,
    records: Sequence[VersionRecord],
    *,
    at: datetime = AT,
    previous: datetime | None = None,
) -> StoreReport:
    names = {record.model_name for record in records}
    present = RegisteredModel.objects.present().filter(source=source)
    models = {row.name: row for row in present.filter(name__in=names)}
    rows = ModelVersion.objects.filter(registered_model__in=models.values())
    return store.store_versions(
        source,
        records,
        models=models,
        run_ids={},
        rows=list(rows.order_by("-id")),
        at=at,
        previous_sync=previous,
    )


def numbered(count: int, *, fingerprint: str = "v") -> list[VersionRecord]:
    return [
        replace(VERSION, version_number=number, fingerprint=f"{fingerprint}{number}")
        for number in range(1, count + 1)
    ]


def test_a_new_version_is_a_row_a_history_row_and_an_event(source: Source) -> None:
    put_models(source, MODEL)

    report = put_versions(source, [VERSION], previous=MADE)

    version = ModelVersion.objects.get()
    assert (report.created, report.updated, report.unchanged) == (1, 0, 0)
    assert version.history.get().history_type == "+"
    assert version.first_seen_at == version.changed_at == AT
    event = LifecycleEvent.objects.get()
    assert (event.from_stage, event.to_stage) == ("", Stage.NONE)
    assert (event.observed_after, event.observed_before) == (MADE, AT)
    assert event.told_by == "stage None"
    assert report.moved == []  # a beginning is no move


def test_who_told_a_value_and_what_lost_against_it_is_kept(source: Source) -> None:
    put_models(source, MODEL)
    put_versions(source, [VERSION])

    version = ModelVersion.objects.get()
    assert version.provenance["owner"] == {
        "source": "run tag",
        "key": "owner",
        "weak": True,
        "raw": "Nina",
    }
    lost = {"source": "model tag", "key": "owner"}
    assert version.others == {"owner": [["olga@example.org", lost]]}
    assert version.redactions[0]["kind"] == "AWS access key"


def test_what_has_not_changed_is_not_written(
    source: Source, django_assert_num_queries: CaptureQueriesContext
) -> None:
    put_models(source, MODEL)
    put_versions(source, [VERSION])

    with django_assert_num_queries(1):
        put_models(source, MODEL, at=LATER)
    report = put_versions(source, [VERSION], at=LATER)

    assert (report.created, report.updated, report.unchanged) == (0, 0, 1)
    version = ModelVersion.objects.get()
    assert version.changed_at == AT
    assert version.history.count() == 1
    assert RegisteredModel.objects.get().history.count() == 1


def test_a_change_is_one_history_row_and_its_old_value_stays_in_it(
    source: Source,
) -> None:
    put_models(source, MODEL)
    put_versions(source, numbered(2))
    changed = replace(numbered(1)[0], owner="max@example.org", fingerprint="other")

    report = put_versions(source, [changed, numbered(2)[1]], at=LATER)

    assert (report.created, report.updated, report.unchanged) == (0, 1, 1)
    assert report.written == ["other"]
    first, second = ModelVersion.objects.order_by("version_number")
    now, before = first.history.all()
    assert (now.owner, before.owner) == ("max@example.org", "nina@example.org")
    assert second.history.count() == 1


@pytest.mark.parametrize("count", [1, 60])
def test_a_chunk_costs_the_same_queries_whatever_its_size(
    source: Source, count: int, django_assert_num_queries: CaptureQueriesContext
) -> None:
    model = put_models(source, MODEL)["scoring"]

    def put(records: Sequence[VersionRecord]) -> None:
        store.store_versions(
            source,
            records,
            models={"scoring": model},
            run_ids={},
            rows=rows,
            at=AT,
            previous_sync=None,
        )

    rows: list[ModelVersion] = []
    with django_assert_num_queries(5):  # lock, attested, rows, history, events
        put(numbered(count))
    rows = list(ModelVersion.objects.all())
    with django_assert_num_queries(4):  # lock, attested, rows, history
        put(numbered(count, fingerprint="other"))
    rows = list(ModelVersion.objects.all())
    with django_assert_num_queries(0):
        put(numbered(count, fingerprint="other"))


def test_a_move_between_stages_is_an_event_with_what_said_so(source: Source) -> None:
    put_models(source, MODEL)
    put_versions(source, [VERSION])
    told = Told("alias", "champion-" + "x" * 400)
    moved = replace(
        VERSION,
        lifecycle_stage=Stage.PRODUCTION,
        provenance={"lifecycle_stage": told},
        fingerprint="v2",
    )

    report = put_versions(source, [moved], at=LATER, previous=AT)

    event = LifecycleEvent.objects.first()
    assert event is not None
    assert (event.from_stage, event.to_stage) == (Stage.NONE, Stage.PRODUCTION)
    assert (event.observed_after, event.observed_before) == (AT, LATER)
    assert len(event.told_by) == 300
    assert report.moved == ["scoring version 1: None → Production"]


def test_a_version_made_again_under_its_number_is_another_record(
    source: Source,
) -> None:
    put_models(source, MODEL)
    put_versions(source, [VERSION])
    again = replace(VERSION, created_at=LATER, owner="", fingerprint="v2")

    put_versions(source, [again], at=LATER)

    old, new = ModelVersion.objects.order_by("pk")
    assert (old.absent_since, old.owner) == (LATER, "nina@example.org")
    assert (new.absent_since, new.owner) == (None, "")
    assert [row.history_type for row in old.history.all()] == ["~", "+"]


def test_a_version_that_is_told_again_is_the_record_it_was(source: Source) -> None:
    put_models(source, MODEL)
    put_versions(source, [VERSION])
    before = ModelVersion.objects.get()
    store.mark_versions_absent([before], at=AT, previous_sync=None)

    report = put_versions(source, [VERSION], at=LATER)

    version = ModelVersion.objects.get()
    assert version.pk == before.pk
    assert version.absent_since is None
    assert version.changed_at == LATER  # so that it is judged
    assert report.returned == ["scoring version 1"]
    assert [row.absent_since for row in version.history.all()] == [None, AT, None]


def test_of_several_records_under_one_number_the_one_made_then_comes_back(
    source: Source,
) -> None:
    put_models(source, MODEL)
    other = replace(VERSION, created_at=LATER, fingerprint="v2")
    put_versions(source, [VERSION])
    put_versions(source, [other])

    put_versions(source, [VERSION], at=LATER)

    first, second = ModelVersion.objects.order_by("pk")
    assert (first.absent_since, second.absent_since) == (None, LATER)


def test_a_model_made_again_takes_the_name_and_leaves_the_versions(
    source: Source,
) -> None:
    put_models(source, MODEL)
    put_versions(source, [VERSION])

    put_models(source, replace(MODEL, created_at=LATER, fingerprint="m2"), at=LATER)

    old, new = RegisteredModel.objects.order_by("pk")
    assert (old.absent_since, new.absent_since) == (LATER, None)
    assert old.versions.get().absent_since == LATER
    assert not new.versions.exists()


def test_a_creation_time_that_is_not_told_tells_nothing_apart(source: Source) -> None:
    put_models(source, MODEL)

    put_models(source, replace(MODEL, created_at=None, fingerprint="m2"), at=LATER)

    assert RegisteredModel.objects.get().absent_since is None


def test_of_an_absent_and_a_present_model_the_present_one_is_meant_by_a_name(
    source: Source,
) -> None:
    again = replace(MODEL, created_at=LATER, fingerprint="m2")
    put_models(source, MODEL)
    put_models(source, again)
    put_models(source, MODEL)  # the older row is the present one now

    put_models(source, replace(MODEL, created_at=None, fingerprint="m3"), at=LATER)

    old, new = RegisteredModel.objects.order_by("pk")
    assert (old.fingerprint, old.absent_since) == ("m3", None)
    assert (new.fingerprint, new.absent_since) == ("m2", AT)


def test_a_model_that_is_told_again_is_the_record_it_was(source: Source) -> None:
    put_models(source, MODEL)
    put_versions(source, [VERSION])
    before = RegisteredModel.objects.get()
    store.mark_models_absent([before], at=AT, previous_sync=None)
    assert ModelVersion.objects.get().absent_since == AT

    put_models(source, MODEL, at=LATER)
    report = put_versions(source, [VERSION], at=LATER)

    model = RegisteredModel.objects.get()
    assert (model.pk, model.absent_since) == (before.pk, None)
    assert ModelVersion.objects.get().absent_since is None
    assert (report.created, report.updated) == (0, 1)
    assert model.history.count() == 3


def test_names_can_be_swapped_and_each_model_keeps_its_record(source: Source) -> None:
    one = replace(MODEL, name="one", fingerprint="m1")
    two = replace(MODEL, name="two", created_at=LATER, fingerprint="m2")
    rows = put_models(source, one, two)

    store.rename_models([(rows["one"], "two"), (rows["two"], "one")])
    put_models(
        source,
        replace(one, name="two", fingerprint="m3"),
        replace(two, name="one", fingerprint="m4"),
        at=LATER,
    )

    assert RegisteredModel.objects.count() == 2
    first, second = RegisteredModel.objects.order_by("pk")
    assert (first.name, first.absent_since) == ("two", None)
    assert (second.name, second.absent_since) == ("one", None)
    assert [row.name for row in first.history.all()] == ["two", "one"]


@pytest.mark.parametrize("field", ["owner", "risk_category", "description"])
def test_a_text_of_any_length_can_be_stored(source: Source, field: str) -> None:
    """PostgreSQL's index rows end at 2,704 bytes."""
    long = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(100_000))
    put_models(source, MODEL)

    put_versions(source, [replace(VERSION, **{field: long})])

    assert getattr(ModelVersion.objects.get(), field) == long


def test_the_longest_name_can_be_stored(source: Source) -> None:
    name = "".join(chr(0x10000 + n * 7919 % 60_000) for n in range(NAME_LENGTH))

    put_models(source, replace(MODEL, name=name))

    assert RegisteredModel.objects.get().name == name
