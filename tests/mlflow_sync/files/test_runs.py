"""When runs of files start, wait, give way and are refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts import tenancy
from accounts.models import AuditEvent, Organization
from inventory.models import ModelVersion, Source
from inventory.records import Stage
from mlflow_sync import lease
from mlflow_sync.exceptions import SyncAlreadyActive
from mlflow_sync.files import runs as file_runs
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.queueing import cancel_sync, request_files, request_sync
from mlflow_sync.servers import remove_server, save_server
from tests.rows import a_model, a_version
from verifywise import jobs

pytestmark = pytest.mark.django_db

MANIFEST = [{"path": "model.pkl", "size": 5, "type": "model", "state": "not_asked"}]
MANUAL, SCHEDULE = SyncRun.Trigger.MANUAL, SyncRun.Trigger.SCHEDULE


@pytest.fixture
def server(acme: Organization) -> TrackingServer:
    with tenancy.acting_for(acme):
        return save_server(TrackingServer(url="http://127.0.0.1:1"), name="Production")


@pytest.fixture
def version(acme: Organization, server: TrackingServer) -> ModelVersion:
    """A version in production with a file that was never read."""
    with tenancy.acting_for(acme):
        return deployed(server.source)


def deployed(source: Source, name: str = "credit", **fields: Any) -> ModelVersion:
    told: dict[str, Any] = {
        "lifecycle_stage": Stage.PRODUCTION,
        "artifact_manifest": MANIFEST,
        "files_waiting": 1,
        "files_due_at": now(),
    }
    return a_version(a_model(source, name), **(told | fields))


def active(organization: Organization) -> SyncRun | None:
    with tenancy.acting_for(organization):
        return SyncRun.objects.active().first()


def closed(run: SyncRun, *, days: float = 0, **fields: Any) -> None:
    ended = now() - timedelta(days=days)
    SyncRun.objects.filter(pk=run.pk).update(finished_at=ended, **fields)


@pytest.mark.usefixtures("version")
def test_what_is_due_is_asked_for_every_few_minutes(acme: Organization) -> None:
    jobs.tend()

    run = active(acme)
    assert run is not None
    assert (run.reach, run.trigger) == (SyncRun.Reach.FILES, SCHEDULE)
    with tenancy.acting_for(acme):
        entry = AuditEvent.objects.get(action="sync.requested")
        assert entry.changes == {"trigger": "schedule", "files": "due"}
    jobs.tend()
    with tenancy.acting_for(acme):
        assert SyncRun.objects.count() == 1


@pytest.mark.usefixtures("server")
def test_looking_for_what_is_due_costs_a_query_and_no_write(acme: Organization) -> None:
    with tenancy.acting_for(acme), CaptureQueriesContext(connection) as captured:
        file_runs.tend()

    assert len(captured) == 1
    assert captured[0]["sql"].startswith("SELECT")
    assert active(acme) is None


LEAVE_ALONE: dict[str, Callable[[TrackingServer, ModelVersion], object]] = {
    "paused": lambda server, _: TrackingServer.objects.update(
        paused_until=now() + timedelta(hours=1)
    ),
    "failing": lambda server, _: TrackingServer.objects.update(failures_in_row=1),
    "removed": lambda server, _: remove_server(server),
    "only when asked": lambda server, _: TrackingServer.objects.update(
        is_enabled=False
    ),
    "hashes no files": lambda server, _: TrackingServer.objects.update(
        hash_files=False
    ),
    "being read": lambda server, _: request_sync(server, trigger=MANUAL),
    "gone": lambda _, version: ModelVersion.objects.update(absent_since=now()),
    "not yet": lambda _, version: ModelVersion.objects.update(
        files_due_at=now() + timedelta(hours=1)
    ),
}


@pytest.mark.parametrize("why", LEAVE_ALONE)
def test_nothing_starts_by_itself(
    acme: Organization, server: TrackingServer, version: ModelVersion, why: str
) -> None:
    with tenancy.acting_for(acme):
        LEAVE_ALONE[why](server, version)

    jobs.tend()

    with tenancy.acting_for(acme):
        assert not SyncRun.objects.of_files().exists()


@pytest.mark.usefixtures("version")
@pytest.mark.parametrize(
    ("ended", "is_left_alone"),
    [
        ({"status": "failed", "error_kind": "internal"}, True),
        ({"status": "cancelled", "error_kind": "cancelled"}, True),
        ({"status": "cancelled", "error_kind": "gave_way"}, False),
        ({"status": "partial"}, False),
    ],
)
def test_after_a_run_that_was_ended_there_is_an_hour_of_calm(
    acme: Organization,
    server: TrackingServer,
    ended: dict[str, str],
    is_left_alone: bool,
) -> None:
    with tenancy.acting_for(acme):
        run = request_files(server, trigger=MANUAL)
        closed(run, **ended)

    jobs.tend()
    assert (active(acme) is None) is is_left_alone

    if is_left_alone:
        with tenancy.acting_for(acme):
            closed(run, days=0.05, **ended)
        jobs.tend()
        assert active(acme)


@pytest.mark.usefixtures("version")
def test_the_end_of_a_sync_is_when_files_are_asked_for(
    acme: Organization, server: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        run = request_sync(server, trigger=MANUAL)
        lease.close(run, SyncRun.Status.FAILED, error="It failed.", kind="internal")
        file_runs.follow_up(run)
        assert not SyncRun.objects.active().exists()

        run = request_sync(server, trigger=MANUAL)
        lease.close(run, SyncRun.Status.SUCCEEDED)
        file_runs.follow_up(run)
        following = SyncRun.objects.active().get()
        assert following.reach == SyncRun.Reach.FILES

        closed(following, status="succeeded")
        file_runs.follow_up(following)
        assert not SyncRun.objects.active().exists()


@pytest.mark.parametrize("state", [SyncRun.Status.QUEUED, SyncRun.Status.RUNNING])
def test_a_sync_never_waits_for_files(
    acme: Organization, server: TrackingServer, version: ModelVersion, state: str
) -> None:
    with tenancy.acting_for(acme):
        reading = request_files(server, trigger=MANUAL)
        SyncRun.objects.update(status=state, heartbeat_at=now())

        run = request_sync(server, trigger=SyncRun.Trigger.WEBHOOK, targets=["credit"])

        assert SyncRun.objects.active().get() == run
        reading.refresh_from_db()
        assert reading.status == SyncRun.Status.CANCELLED
        assert reading.error_kind == SyncRun.GAVE_WAY
        with pytest.raises(SyncAlreadyActive):
            file_runs.verify_files(version, trigger=MANUAL)


def test_a_version_that_somebody_asked_for_comes_before_what_is_due(
    acme: Organization, server: TrackingServer, version: ModelVersion
) -> None:
    with tenancy.acting_for(acme):
        due = request_files(server, trigger=SCHEDULE)

        asked = file_runs.verify_files(version, trigger=MANUAL)

        due.refresh_from_db()
        assert due.error_kind == SyncRun.GAVE_WAY
        other = deployed(server.source, "fraud")
        with pytest.raises(SyncAlreadyActive):
            file_runs.verify_files(other, trigger=MANUAL)

        # It is not forgotten when a sync comes in between, whenever files are due.
        ModelVersion.objects.update(files_due_at=None)
        run = request_sync(server, trigger=SCHEDULE)
        lease.close(run, SyncRun.Status.SUCCEEDED)
        file_runs.follow_up(run)
        again = SyncRun.objects.active().get()
        assert (again.version, again.trigger) == (version, MANUAL)
        assert again.place["since"] == asked.queued_at.isoformat()
        closed(again, status="succeeded")
        file_runs.tend()
        assert not SyncRun.objects.active().exists()


def test_a_run_goes_on_where_the_last_one_was(
    acme: Organization, server: TrackingServer, version: ModelVersion
) -> None:
    with tenancy.acting_for(acme):
        run = request_files(server, trigger=SCHEDULE)
        run.place = {"version": version.pk, "results": {"a": {"sha256": "…"}}}
        run.save()
        cancel_sync(run)

        following = request_files(server, trigger=SCHEDULE)

        assert following.place == run.place


def test_what_cannot_be_read_is_refused_with_the_reason(
    acme: Organization, server: TrackingServer, version: ModelVersion
) -> None:
    with tenancy.acting_for(acme):

        def refused() -> str:
            version.refresh_from_db()
            with pytest.raises(ValidationError) as refusal:
                file_runs.verify_files(version, trigger=MANUAL)
            return str(refusal.value.messages[0])

        ModelVersion.objects.update(artifact_manifest=[])
        assert refused() == file_runs.NO_FILES
        ModelVersion.objects.update(artifact_manifest=MANIFEST, absent_since=now())
        assert refused() == "MLflow no longer tells this version."
        ModelVersion.objects.update(absent_since=None)
        remove_server(server)
        assert refused() == file_runs.NO_SERVER
        server.hash_files = False
        with pytest.raises(ValidationError, match="is set to hash no files"):
            file_runs.read_due_files(server, trigger=MANUAL)


@pytest.mark.parametrize(
    ("field", "value"), [("hash_limit", 5), ("rehash_days", 7), ("hash_files", False)]
)
def test_other_wishes_let_the_job_look_at_everything_again(
    acme: Organization,
    server: TrackingServer,
    version: ModelVersion,
    field: str,
    value: int,
) -> None:
    with tenancy.acting_for(acme):
        staged = deployed(
            server.source, "staged", lifecycle_stage=Stage.STAGING, files_due_at=None
        )
        later = now() + timedelta(days=20)
        ModelVersion.objects.filter(pk=version.pk).update(files_due_at=later)
        server.read_timeout = 30
        save_server(server)
        version.refresh_from_db()
        assert version.files_due_at == later

        setattr(server, field, value)
        save_server(server)

        version.refresh_from_db()
        staged.refresh_from_db()
        assert version.files_due_at is not None
        assert version.files_due_at < later
        assert staged.files_due_at is None
        assert version.history.count() == 1  # the schedule is no part of the record


def test_files_of_servers_are_counted_without_reading_manifests(
    acme: Organization, server: TrackingServer, version: ModelVersion
) -> None:
    with tenancy.acting_for(acme):
        deployed(server.source, "b", files_hashed=3, files_changed=1, files_too_large=2)
        deployed(server.source, "staged", lifecycle_stage=Stage.STAGING, files_hashed=9)
        deployed(server.source, "gone", absent_since=now(), files_hashed=9)

        (told,) = TrackingServer.objects.values_list(file_runs.file_counts(), flat=True)

        assert told == {"hashed": 3, "waiting": 2, "too_large": 2, "changed": 1}
