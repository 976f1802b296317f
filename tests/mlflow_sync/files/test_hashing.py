"""Files of production versions are read for their digests, from a real MLflow."""

from __future__ import annotations

import tracemalloc
from datetime import timedelta

import pytest
from django.utils.timezone import now

from accounts import tenancy
from accounts.models import AuditEvent, Organization
from inventory.models import ModelVersion
from mlflow_sync.models import SyncFailure, SyncRun, TrackingServer
from mlflow_sync.servers import save_server
from tests.mlflow_sync.files.deployed import (
    MIB,
    Deployed,
    Layout,
    age,
    read_files,
    sha256,
    sync_model,
)
from tests.registry import Registry

pytestmark = pytest.mark.django_db(transaction=True)

WEIGHTS = b"weights " * 500_000  # 4 MB
MLMODEL = b"flavors:\n  python_function: {}\n"


@pytest.mark.parametrize("layout", Layout)
def test_what_a_production_version_consists_of_is_hashed_whatever_the_layout(
    acme: Organization, own_registry: Registry, server: TrackingServer, layout: Layout
) -> None:
    files = {
        "MLmodel": MLMODEL,
        "model.pkl": WEIGHTS,
        "data/deep/ü & é.bin": b"0123",
        "empty.txt": b"",
        "large.bin": 64 * MIB,
    }
    model = Deployed(own_registry, files, layout=layout)
    model.write("runs:/plots/curve.png", b"png" * 1000)
    sync_model(acme, server, model)
    with tenancy.acting_for(acme):
        assert model.manifest()["model.pkl"]["state"] == "not_asked"
        assert model.manifest()["MLmodel"]["state"] == "hashed"  # the sync read it

    run = read_files(acme, server)

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    assert run.count("files") == 5
    with tenancy.acting_for(acme):
        manifest = model.manifest()
        for path, content in files.items():
            assert manifest[path]["sha256"] == sha256(content), path
            assert manifest[path]["state"] == "hashed"
            assert manifest[path]["verified_at"] >= manifest[path]["hashed_at"]
        of_run = manifest[f"runs:/{model.run_id}/plots/curve.png"]
        assert of_run["sha256"] == sha256(b"png" * 1000)
        version = model.version()
        assert (version.files_hashed, version.files_waiting) == (6, 0)
        assert version.files_due_at is not None
        assert version.files_due_at > now() + timedelta(days=29)
        entry = AuditEvent.objects.get(action="artifacts.hashed")
        assert entry.changes["read"] == 5
        assert entry.object_label == str(version)


def test_a_sync_of_what_is_hashed_writes_nothing_and_keeps_the_digests(
    acme: Organization, own_registry: Registry, server: TrackingServer
) -> None:
    model = Deployed(own_registry, {"MLmodel": MLMODEL, "model.pkl": WEIGHTS})
    sync_model(acme, server, model)
    read_files(acme, server)
    with tenancy.acting_for(acme):
        before = model.version()

    assert sync_model(acme, server, model).count("unchanged") == 1
    assert sync_model(acme, server, model, full=True).count("updated") == 0

    with tenancy.acting_for(acme):
        after = model.version()
        assert after.artifact_manifest == before.artifact_manifest
        assert after.changed_at == before.changed_at
        assert after.files_due_at == before.files_due_at
        assert after.history.count() == 2  # listed, hashed
    own_registry.post(
        "model-versions/set-tag",
        name=model.name, version=model.number, key="owner", value="nina@example.org",
    )  # fmt: skip
    model.write("added.txt", b"late")

    assert sync_model(acme, server, model, full=True).count("updated") == 1

    with tenancy.acting_for(acme):
        assert model.manifest()["model.pkl"]["sha256"] == sha256(WEIGHTS)
        assert model.manifest()["added.txt"]["state"] == "not_asked"
        due_at = model.version().files_due_at
        assert due_at is not None
        assert due_at <= now()


@pytest.mark.parametrize("stage", ["Staging", "Archived", "None"])
def test_only_what_is_in_production_is_read_by_itself(
    acme: Organization, own_registry: Registry, server: TrackingServer, stage: str
) -> None:
    model = Deployed(own_registry, {"model.pkl": WEIGHTS}, stage=stage)
    sync_model(acme, server, model)

    with pytest.raises(AssertionError, match="Nothing is due"):
        read_files(acme, server)

    with tenancy.acting_for(acme):
        assert model.manifest()["model.pkl"]["state"] == "not_asked"
    model.move("Production")
    sync_model(acme, server, model)
    assert read_files(acme, server).count("files") == 1


def test_what_is_over_the_limit_is_too_large_and_read_when_the_limit_is_raised(
    acme: Organization, own_registry: Registry, server: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        server.hash_limit = 2
        save_server(server)
    model = Deployed(own_registry, {"model.pkl": WEIGHTS, "small.bin": b"small"})
    sync_model(acme, server, model)

    run = read_files(acme, server)

    assert run.status == SyncRun.Status.SUCCEEDED
    assert run.count("files") == 1
    assert run.count("bytes") < MIB
    with tenancy.acting_for(acme):
        row = model.manifest()["model.pkl"]
        assert row["state"] == "too_large"
        assert row["reason"] == "It is larger than the 2 MiB that are hashed."
        assert model.version().files_too_large == 1
        server.hash_limit = 10
        save_server(server)

    assert read_files(acme, server).count("files") == 1

    with tenancy.acting_for(acme):
        assert model.manifest()["model.pkl"]["sha256"] == sha256(WEIGHTS)
        assert "reason" not in model.manifest()["model.pkl"]


def test_files_are_verified_again_when_their_time_has_come(
    acme: Organization, own_registry: Registry, server: TrackingServer
) -> None:
    model = Deployed(own_registry, {"MLmodel": MLMODEL, "model.pkl": WEIGHTS})
    sync_model(acme, server, model)
    read_files(acme, server)
    age(acme, model, days=31)
    with tenancy.acting_for(acme):
        before = model.version()

    assert read_files(acme, server).count("files") == 2  # what the sync read, too

    with tenancy.acting_for(acme):
        after = model.version()
        row = model.manifest()["model.pkl"]
        assert row["verified_at"] > before.artifact_manifest[1]["verified_at"]
        assert row["hashed_at"] == before.artifact_manifest[1]["hashed_at"]
        # Nothing is other than it was: no history, and no rule judges anew.
        assert after.history.count() == 2
        assert after.changed_at == before.changed_at


def test_a_file_that_changed_behind_mlflows_back_is_told_and_its_first_digest_kept(
    acme: Organization, own_registry: Registry, server: TrackingServer
) -> None:
    model = Deployed(own_registry, {"MLmodel": MLMODEL, "model.pkl": WEIGHTS})
    sync_model(acme, server, model)
    read_files(acme, server)
    other = b"other! " * 600_000  # another size, too
    model.write("model.pkl", other)
    age(acme, model, days=31)
    with tenancy.acting_for(acme):
        before = model.version()

    run = read_files(acme, server)

    assert run.status == SyncRun.Status.SUCCEEDED
    assert run.count("changed_files") == 1
    with tenancy.acting_for(acme):
        version = model.version()
        row = model.manifest()["model.pkl"]
        assert row["sha256"] == sha256(WEIGHTS)
        assert row["changed"]["sha256"] == sha256(other)
        assert row["changed"]["size"] == len(other)
        assert version.files_changed == 1
        assert version.changed_at > before.changed_at
        assert version.history.count() == 3  # listed, hashed, changed
        entry = AuditEvent.objects.get(action="artifact.changed")
        assert entry.object_label == str(version)
        assert entry.changes["path"] == "model.pkl"
        assert entry.changes["sha256"] == {"from": sha256(WEIGHTS), "to": sha256(other)}

    age(acme, model, days=31)  # found so once more: that is no news
    assert read_files(acme, server).count("changed_files") == 0
    sync_model(acme, server, model, full=True)
    with tenancy.acting_for(acme):
        assert model.manifest()["model.pkl"]["changed"]["sha256"] == sha256(other)
        assert AuditEvent.objects.filter(action="artifact.changed").count() == 1

    model.write("model.pkl", WEIGHTS)
    age(acme, model, days=31)
    read_files(acme, server)
    with tenancy.acting_for(acme):
        assert "changed" not in model.manifest()["model.pkl"]
        assert model.version().files_changed == 0
        assert AuditEvent.objects.filter(action="artifact.restored").count() == 1


def test_a_full_sync_that_sees_another_file_tells_it_too(
    acme: Organization, own_registry: Registry, server: TrackingServer
) -> None:
    model = Deployed(own_registry, {"MLmodel": MLMODEL, "model.pkl": WEIGHTS})
    sync_model(acme, server, model)
    read_files(acme, server)
    other = MLMODEL + b"utc_time_created: '2026-01-01'\n"
    model.write("MLmodel", other)
    model.write("model.pkl", WEIGHTS + b"!")

    sync_model(acme, server, model, full=True)

    with tenancy.acting_for(acme):
        manifest = model.manifest()
        assert manifest["MLmodel"]["sha256"] == sha256(MLMODEL)
        assert manifest["MLmodel"]["changed"]["sha256"] == sha256(other)
        assert manifest["model.pkl"]["sha256"] == sha256(WEIGHTS)
        assert manifest["model.pkl"]["changed"]["size"] == len(WEIGHTS) + 1
        assert "sha256" not in manifest["model.pkl"]["changed"]  # not read yet
        assert AuditEvent.objects.filter(action="artifact.changed").count() == 2

    assert read_files(acme, server).count("files") == 1

    with tenancy.acting_for(acme):
        changed = model.manifest()["model.pkl"]["changed"]
        assert changed["sha256"] == sha256(WEIGHTS + b"!")


def test_a_file_that_is_gone_is_unavailable_and_keeps_its_digest(
    acme: Organization, own_registry: Registry, server: TrackingServer
) -> None:
    model = Deployed(own_registry, {"MLmodel": MLMODEL, "model.pkl": WEIGHTS})
    sync_model(acme, server, model)
    read_files(acme, server)
    (model.folder / "model.pkl").unlink()
    age(acme, model, days=31)

    run = read_files(acme, server)

    assert run.status == SyncRun.Status.PARTIAL
    assert run.count("unavailable_files") == 1
    with tenancy.acting_for(acme):
        row = model.manifest()["model.pkl"]
        assert row["state"] == "unavailable"
        assert "(404)" in row["reason"] or "(500)" in row["reason"]
        assert row["sha256"] == sha256(WEIGHTS)
        assert model.manifest()["MLmodel"]["state"] == "hashed"
        failure = SyncFailure.objects.get(sync_run=run)
        assert failure.reason.startswith("model.pkl: ")
        due_at = model.version().files_due_at
        assert due_at is not None
        assert now() < due_at < now() + timedelta(days=2)

    model.write("model.pkl", WEIGHTS)
    age(acme, model, days=2)
    assert read_files(acme, server).status == SyncRun.Status.SUCCEEDED
    with tenancy.acting_for(acme):
        assert model.manifest()["model.pkl"]["state"] == "hashed"


def test_what_is_not_of_the_size_that_was_listed_is_not_taken(
    acme: Organization, own_registry: Registry, server: TrackingServer
) -> None:
    model = Deployed(own_registry, {"model.pkl": b"0123", "other.bin": b"4567"})
    sync_model(acme, server, model)
    model.write("model.pkl", WEIGHTS)

    run = read_files(acme, server)

    assert run.status == SyncRun.Status.PARTIAL
    with tenancy.acting_for(acme):
        row = model.manifest()["model.pkl"]
        assert row["state"] == "unavailable"
        assert row["reason"] == "MLflow listed it with 4 bytes, and serves 4,000,000."
        assert "sha256" not in row
        assert model.manifest()["other.bin"]["sha256"] == sha256(b"4567")


def test_slices_read_one_file_after_the_other_and_each_only_once(
    acme: Organization, own_registry: Registry, server: TrackingServer
) -> None:
    files: dict[str, bytes | int] = {f"{n}.bin": bytes([n]) * 100_000 for n in range(4)}
    model = Deployed(own_registry, files)
    sync_model(acme, server, model)

    run = read_files(acme, server, patience=0)

    assert run.status == SyncRun.Status.SUCCEEDED
    assert run.count("files") == 4
    assert run.count("bytes") < 450_000
    with tenancy.acting_for(acme):
        assert model.version().files_hashed == 4
        assert AuditEvent.objects.filter(action="artifacts.hashed").count() == 4


def test_the_oldest_goes_last_where_something_was_never_read(
    acme: Organization, own_registry: Registry, server: TrackingServer
) -> None:
    old = Deployed(own_registry, {"model.pkl": b"old"})
    sync_model(acme, server, old)
    read_files(acme, server)
    age(acme, old, days=90)
    with tenancy.acting_for(acme):
        ModelVersion.objects.update(files_due_at=now() - timedelta(days=60))
    new = Deployed(own_registry, {"model.pkl": b"new"})
    sync_model(acme, server, new)

    read_files(acme, server)

    with tenancy.acting_for(acme):
        labels = AuditEvent.objects.filter(action="artifacts.hashed").order_by("pk")
        told = [entry.object_label for entry in labels][1:]
        assert told == [f"{new.name} version 1", f"{old.name} version 1"]


def test_the_files_of_one_version_are_read_whenever_somebody_wants_to_know(
    acme: Organization, own_registry: Registry, server: TrackingServer
) -> None:
    model = Deployed(own_registry, {"model.pkl": WEIGHTS}, stage="None")
    sync_model(acme, server, model)
    with tenancy.acting_for(acme):
        version = model.version()

    assert read_files(acme, server, version=version).count("files") == 1
    model.write("model.pkl", b"other")
    run = read_files(acme, server, version=version)

    assert (run.count("files"), run.count("changed_files")) == (1, 1)
    with tenancy.acting_for(acme):
        assert model.manifest()["model.pkl"]["changed"]["sha256"] == sha256(b"other")
        assert model.version().files_due_at is None  # it is not in production


def test_memory_does_not_grow_with_a_file(
    acme: Organization, own_registry: Registry, server: TrackingServer
) -> None:
    peaks = []
    for size in (4 * MIB, 200 * MIB):
        model = Deployed(own_registry, {"large.bin": size})
        sync_model(acme, server, model)
        tracemalloc.start()
        try:
            run = read_files(acme, server)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert run.count("bytes") > size
        with tenancy.acting_for(acme):
            assert model.manifest()["large.bin"]["sha256"] == sha256(size)

    small, large = peaks
    assert large < small + 2 * MIB
