"""When the files of a version are to be looked at, and what writing about them costs."""

from __future__ import annotations

import importlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.utils.timezone import now

from accounts import tenancy
from accounts.models import Organization
from inventory import store, store_files
from inventory.changes import field_changes
from inventory.models import ModelVersion, Source
from inventory.records import Stage, VersionRecord
from tests.inventory.test_store import (
    AT,
    LATER,
    MODEL,
    VERSION,
    put_models,
    put_versions,
)
from tests.rows import a_model, a_source, a_version

ROW = {"path": "model.pkl", "size": 5, "type": "model", "state": "not_asked"}
HASHED = ROW | {
    "state": "hashed", "sha256": "a" * 64,
    "hashed_at": "2026-01-01T00:00:00Z", "verified_at": "2026-01-01T00:00:00Z",
}  # fmt: skip
DEPLOYED = replace(
    VERSION, lifecycle_stage=Stage.PRODUCTION, artifact_manifest=(ROW,), fingerprint="p"
)


def put(source: Source, record: VersionRecord, *, at: datetime = AT) -> ModelVersion:
    put_versions(source, [record], at=at)
    return ModelVersion.objects.get()


@pytest.mark.parametrize(
    ("changes", "is_due"),
    [
        ({}, True),
        ({"lifecycle_stage": Stage.STAGING}, False),
        ({"artifact_manifest": ()}, False),
    ],
)
def test_files_of_what_is_in_production_are_due_at_once(
    source: Source, changes: dict[str, Any], is_due: bool
) -> None:
    put_models(source, MODEL)

    version = put(source, replace(DEPLOYED, **changes))

    assert version.files_due_at == (AT if is_due else None)
    assert version.files_waiting == len(version.artifact_manifest)


def test_a_change_that_is_not_of_files_or_stage_leaves_the_schedule(
    source: Source,
) -> None:
    put_models(source, MODEL)
    version = put(source, DEPLOYED)
    later = now() + timedelta(days=30)
    store_files.store_manifest(version, [HASHED], due_at=later, at=AT)
    known = replace(DEPLOYED, artifact_manifest=(HASHED,))

    renamed = put(source, replace(known, owner="max", fingerprint="o"), at=LATER)
    assert renamed.files_due_at == later

    retired = replace(known, lifecycle_stage=Stage.ARCHIVED, fingerprint="r")
    assert put(source, retired, at=LATER).files_due_at is None
    again = put(source, replace(known, fingerprint="again"), at=LATER)
    assert again.files_due_at == LATER
    assert (again.files_hashed, again.files_waiting) == (1, 0)


def test_what_comes_back_is_looked_at(source: Source) -> None:
    put_models(source, MODEL)
    version = put(source, DEPLOYED)
    store_files.store_manifest(version, [HASHED], due_at=None, at=AT)
    store.mark_versions_absent([version], at=AT, previous_sync=None)

    known = replace(DEPLOYED, artifact_manifest=(HASHED,), fingerprint="back")

    assert put(source, known, at=LATER).files_due_at == LATER


def test_what_was_found_to_be_as_it_was_is_no_change(source: Source) -> None:
    put_models(source, MODEL)
    version = put(source, DEPLOYED)
    assert store_files.store_manifest(version, [HASHED], due_at=None, at=LATER)
    verified = HASHED | {"verified_at": "2026-02-01T00:00:00Z"}

    assert not store_files.store_manifest(version, [verified], due_at=None, at=now())

    version = ModelVersion.objects.get()
    assert version.artifact_manifest == [verified]
    assert version.changed_at == LATER
    assert version.history.count() == 2
    # Nor is it told as one, when something else changes.
    put(
        source,
        replace(DEPLOYED, artifact_manifest=(verified,), owner="max", fingerprint="o"),
        at=now(),
    )
    latest = [change for change in field_changes(version) if change.new == "max"]
    told = [
        each for each in field_changes(version) if each.field == "artifact_manifest"
    ]
    assert len(latest) == 1
    assert [each.action for each in told] == ["updated", "created"]


def test_evidence_says_what_the_manifest_says(source: Source) -> None:
    card = ROW | {"path": "card.md"}
    evidence = {"path": "card.md", "kind": "model card", "state": "not_asked"}
    put_models(source, MODEL)
    version = put(
        source,
        replace(DEPLOYED, artifact_manifest=(card,), evidence_files=(evidence,)),
    )

    store_files.store_manifest(
        version, [HASHED | {"path": "card.md"}], due_at=None, at=LATER
    )

    assert ModelVersion.objects.get().evidence_files == [
        {"path": "card.md", "kind": "model card", "state": "hashed", "sha256": "a" * 64}
    ]


def test_rows_from_before_are_counted_and_scheduled(
    acme: Organization, borealis: Organization
) -> None:
    too_large = ROW | {"state": "too_large"}
    for organization in (acme, borealis):
        with tenancy.acting_for(organization):
            model = a_model(a_source())
            for number, stage in enumerate((Stage.PRODUCTION, Stage.NONE), start=1):
                a_version(
                    model, number, lifecycle_stage=stage,
                    artifact_manifest=[ROW, HASHED, HASHED, too_large],
                )  # fmt: skip
            a_version(model, 3, lifecycle_stage=Stage.PRODUCTION)
    migration = importlib.import_module("inventory.migrations.0006_files")

    with connection.schema_editor(atomic=False) as editor:
        migration.count_files(apps, editor)

    for organization in (acme, borealis):
        with tenancy.acting_for(organization):
            first, second, third = ModelVersion.objects.order_by("version_number")
            for version in (first, second):
                assert version.files_hashed == 2
                assert (version.files_waiting, version.files_too_large) == (1, 1)
            assert first.files_due_at is not None
            assert second.files_due_at is third.files_due_at is None
