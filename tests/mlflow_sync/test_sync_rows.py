"""Rows that MLflow should not tell: each is told of, and spoils nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from werkzeug import Request, Response

from accounts import tenancy
from accounts.models import Organization
from inventory.manifest import content
from inventory.models import ModelVersion, RegisteredModel
from inventory.records import Section
from mlflow_sync.files import listing as files
from mlflow_sync.models import SyncFailure, SyncRun, TrackingServer
from mlflow_sync.servers import save_server
from tests.mlflow_sync.conftest import Syncer
from tests.mlflow_sync.faulty import Fault, Faulty, html, on
from tests.mlflow_sync.test_sync import trained, version_of
from tests.registry import Registry, unique

pytestmark = pytest.mark.django_db(transaction=True)

Row = dict[str, Any]


@pytest.fixture
def server(acme: Organization, faulty: Faulty) -> TrackingServer:
    with tenancy.acting_for(acme):
        return save_server(TrackingServer(url=faulty.url), name="Production")


def rows(path: str, change: Callable[[Row], object]) -> Fault:
    """Return a fault that changes each row of the lists below `path`."""

    def spoil(response: Response) -> Response:
        page = json.loads(response.get_data())
        for found in page.values():
            for row in found if isinstance(found, list) else ():
                change(row)
        return Response(json.dumps(page), content_type="application/json")

    return on(f"{path}/search", spoil)


def both(*faults: Fault) -> Fault:
    def fault(request: Request, response: Response) -> Response:
        for each in faults:
            response = each(request, response)
        return response

    return fault


def of(name: str, **changes: object) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        if row["name"] == name:
            row |= changes

    return change


@pytest.mark.parametrize(
    ("path", "changes", "reason"),
    [
        (
            "registered-models",
            {"aliases": [{"alias": "champion", "version": "latest"}]},
            "aliases has “latest” for a version number",
        ),
        (
            "registered-models",
            {"aliases": [{"alias": "champion", "version": "3000000000"}]},
            "for a version number",
        ),
        ("model-versions", {"version": "3000000000"}, "not a number"),
        ("model-versions", {"version": "٣"}, "not a number"),
        ("model-versions", {"version": "0"}, "not a number"),
        ("model-versions", {"run_id": "r" * 65}, "run_id is too long"),
    ],
)
def test_a_row_that_cannot_be_ours_is_told_and_the_rest_is_stored(
    acme: Organization,
    own_registry: Registry,
    faulty: Faulty,
    sync_now: Syncer,
    path: str,
    changes: Row,
    reason: str,
) -> None:
    name, other = unique("odd"), unique("even")
    trained(own_registry, name)
    trained(own_registry, other)
    faulty.fault = rows(path, of(name, **changes))

    run = sync_now()

    assert run.status == SyncRun.Status.PARTIAL, run.error
    with tenancy.acting_for(acme):
        failure = SyncFailure.objects.get(sync_run=run, model_name=name)
        assert failure.section == Section.VERSION
        assert reason in failure.reason
        assert version_of(other)


def test_a_known_model_that_cannot_be_read_now_stays_with_its_versions(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    name = unique("known")
    trained(own_registry, name)
    sync_now()
    bad = [{"alias": "champion", "version": "latest"}]
    faulty.fault = rows("registered-models", of(name, aliases=bad))

    run = sync_now()

    assert run.status == SyncRun.Status.PARTIAL
    assert run.count("absent") == 0
    with tenancy.acting_for(acme):
        assert not version_of(name).is_absent
        assert not RegisteredModel.objects.get(name=name).is_absent


def test_an_experiment_without_a_usable_id_is_told(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    name = unique("kept")
    trained(own_registry, name)
    broken = own_registry.experiment(unique("broken"))

    def lengthen(row: Row) -> None:
        if row["experiment_id"] == broken:
            row["experiment_id"] = "9" * 65

    faulty.fault = rows("experiments", lengthen)

    run = sync_now()

    assert run.status == SyncRun.Status.PARTIAL
    with tenancy.acting_for(acme):
        failure = SyncFailure.objects.get(sync_run=run, section=Section.EXPERIMENT)
        assert "experiment_id is too long" in failure.reason
        assert str(failure).startswith("experiment: ")
        assert version_of(name)


def test_what_postgresql_cannot_store_is_replaced_everywhere(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    name = unique("nul")
    trained(own_registry, name)
    odd = f"{name}\x00\ud800"

    def spoil(row: Row) -> None:
        if row.get("name") == name:
            row["name"] = odd
            row["aliases"] = [{"alias": "champion\x00", "version": "1"}]
            row["tags"] = [{"key": "owner\ud800", "value": "nina\x00@example.org"}]
            row["run_id"] = "r\x00\ud800"

    faulty.fault = both(rows("registered-models", spoil), rows("model-versions", spoil))

    run = sync_now()

    assert run.status == SyncRun.Status.PARTIAL, run.error
    with tenancy.acting_for(acme):
        version = version_of(f"{name}\ufffd\ufffd")
        assert version.aliases == ["champion\ufffd"]
        assert "r\ufffd\ufffd" in version.incomplete[Section.RUN]
        assert SyncFailure.objects.filter(
            sync_run=run, model_name=f"{name}\ufffd\ufffd"
        ).exists()
    again = sync_now()
    assert again.count("unchanged") == again.count("versions")
    assert again.count("absent") == 0


def test_an_owner_of_any_length_is_stored(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name = unique("wordy")
    number, _ = trained(own_registry, name)
    owner = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(30_000))
    own_registry.post(
        "model-versions/set-tag", name=name, version=number, key="owner", value=owner
    )

    run = sync_now()

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    with tenancy.acting_for(acme):
        assert version_of(name).owner == owner


def test_a_server_that_cannot_list_files_is_not_asked_for_each_version(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    name = unique("no store")
    own_registry.model(name)
    experiment = own_registry.experiment()
    run_id = own_registry.run(experiment)
    for _ in range(20):
        own_registry.version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    sync_now()  # what other tests left has been read without files
    asked: list[str] = []

    def refuse(request: Request, response: Response) -> Response:
        if "artifacts" not in request.path:
            return response
        asked.append(request.full_path)
        return html(500)(response)

    faulty.fault = refuse

    run = sync_now(artifacts=True)

    assert run.status == SyncRun.Status.PARTIAL
    at_once = TrackingServer._meta.get_field("concurrency").default
    assert len(asked) < 2 * (files.GIVE_UP_AFTER + at_once) < 2 * 20
    with tenancy.acting_for(acme):
        reasons = {
            version.incomplete[Section.ARTIFACTS]
            for version in ModelVersion.objects.present()
        }
        assert len(reasons) == 2
        assert any("it was not asked again" in reason for reason in reasons)
        assert all("500" in reason for reason in reasons)
        before = version_of(name, "9").history.count()

    sync_now(artifacts=True)  # which fails in the same way: nothing has changed
    with tenancy.acting_for(acme):
        assert version_of(name, "9").history.count() == before
    faulty.fault = None
    assert sync_now(artifacts=True).count("incomplete") == 0


def test_a_server_that_takes_long_to_fail_is_given_up_sooner(
    acme: Organization,
    own_registry: Registry,
    faulty: Faulty,
    sync_now: Syncer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else slice after slice would go by with time-outs, a few versions each."""
    name = unique("slow store")
    own_registry.model(name)
    run_id = own_registry.run(own_registry.experiment())
    for _ in range(9):
        own_registry.version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    sync_now()
    asked: list[str] = []

    def refuse(request: Request, response: Response) -> Response:
        if "artifacts" not in request.path:
            return response
        asked.append(request.full_path)
        time.sleep(0.3)
        return html(500)(response)

    faulty.fault = refuse
    monkeypatch.setattr(files, "LONGEST", 0.5)
    with tenancy.acting_for(acme):
        TrackingServer.objects.update(concurrency=1)

    assert sync_now(artifacts=True).status == SyncRun.Status.PARTIAL

    assert len(asked) <= 2
    with tenancy.acting_for(acme):
        assert "was not asked again" in version_of(name, "9").incomplete["artifacts"]


def test_files_that_were_known_stay_when_they_cannot_be_listed_again(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    name = unique("files")
    experiment = own_registry.experiment()
    run_id = own_registry.run(experiment)
    own_registry.put(f"{experiment}/{run_id}/artifacts/model/MLmodel", b"flavors: {}")
    own_registry.model(name)
    own_registry.version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    sync_now(artifacts=True)
    with tenancy.acting_for(acme):
        before = version_of(name)
    assert before.artifact_manifest[0]["state"] == "hashed"

    faulty.fault = on("artifacts/list", html(500))
    sync_now(artifacts=True, full=True)

    with tenancy.acting_for(acme):
        version = version_of(name)
        assert content(version.artifact_manifest) == content(before.artifact_manifest)
        assert "500" in version.incomplete[Section.ARTIFACTS]
    faulty.fault = None
    sync_now(artifacts=True)
    with tenancy.acting_for(acme):
        version = version_of(name)
        assert version.incomplete == {}
        assert content(version.artifact_manifest) == content(before.artifact_manifest)


def test_a_page_of_a_proxy_is_not_taken_for_a_file(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    name = unique("paged")
    experiment = own_registry.experiment()
    run_id = own_registry.run(experiment)
    own_registry.put(f"{experiment}/{run_id}/artifacts/model/MLmodel", b"flavors: {}")
    own_registry.model(name)
    own_registry.version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    faulty.fault = on("get-artifact", html(200))
    sync_now(artifacts=True)

    with tenancy.acting_for(acme):
        version = version_of(name)
        assert version.artifact_manifest[0]["state"] == "unavailable"
        assert "MLflow listed it with 11 bytes, and served" in str(version.incomplete)
    faulty.fault = None
    sync_now(artifacts=True)
    with tenancy.acting_for(acme):
        version = version_of(name)
        assert version.incomplete == {}
        assert version.artifact_manifest[0]["state"] == "hashed"
        assert "changed" not in version.artifact_manifest[0]


def test_files_that_were_known_stay_when_none_are_listed_any_more(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name = unique("emptied")
    experiment = own_registry.experiment()
    run_id = own_registry.run(experiment)
    path = f"{experiment}/{run_id}/artifacts/model/MLmodel"
    own_registry.put(path, b"flavors: {sklearn: {}}")
    own_registry.model(name)
    own_registry.version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    sync_now(artifacts=True)
    with tenancy.acting_for(acme):
        before = version_of(name)
    assert before.flavors == ["sklearn"]

    own_registry.remove(path)
    run = sync_now(artifacts=True, full=True)

    with tenancy.acting_for(acme):
        version = version_of(name)
        assert content(version.artifact_manifest) == content(before.artifact_manifest)
        assert (version.flavors, version.mlmodel) == (before.flavors, before.mlmodel)
        assert version.incomplete == {
            Section.ARTIFACTS: "MLflow lists no files any more. "
            "What was known of them (1 in all) is kept."
        }
    assert run.status == SyncRun.Status.PARTIAL

    own_registry.put(path, b"flavors: {sklearn: {}}")
    sync_now(artifacts=True)
    with tenancy.acting_for(acme):
        version = version_of(name)
        assert version.incomplete == {}
        assert content(version.artifact_manifest) == content(before.artifact_manifest)


def test_a_slice_may_end_in_the_middle_of_a_page_of_files(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name = unique("long")
    experiment = own_registry.experiment()
    own_registry.model(name)
    for _ in range(4):
        run_id = own_registry.run(experiment)
        own_registry.version(name, source=f"runs:/{run_id}/model", run_id=run_id)

    run = sync_now(artifacts=True, patience=0)

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    assert run.count("created") == run.count("versions")
    with tenancy.acting_for(acme), connection.cursor() as cursor:
        assert ModelVersion.objects.present().count() == run.count("versions")
        assert not ModelVersion.objects.filter(artifacts_fingerprint="").exists()
        cursor.execute("SELECT count(*) FROM django_q_ormq")
        assert cursor.fetchone()[0] >= 4  # each slice put the next onto the queue
