"""What MLflow, or what stands before it, does wrong ends as a sentence, and loses nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.db import connection
from werkzeug import Request, Response

from accounts import tenancy
from accounts.models import Organization
from inventory.models import ModelVersion, RegisteredModel
from inventory.records import Section
from mlflow_sync.models import SyncFailure, SyncRun, TrackingServer
from mlflow_sync.servers import Credentials, save_server
from tests.mlflow_sync.conftest import Syncer
from tests.mlflow_sync.faulty import Faulty, cut, html, on
from tests.mlflow_sync.test_sync import trained, version_of
from tests.registry import Registry, unique
from tests.servers import free_port

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "pässword-of-nina"


@pytest.fixture
def server(acme: Organization, faulty: Faulty) -> TrackingServer:
    with tenancy.acting_for(acme):
        return save_server(
            TrackingServer(url=faulty.url, auth_method="basic", read_timeout=2),
            name="Production",
            credentials=Credentials(username="nina", password=PASSWORD),
        )


@pytest.mark.parametrize(
    ("path", "spoil", "kind"),
    [
        ("registered-models", html(200), "not_mlflow"),
        ("registered-models", html(401), "unauthorized"),
        ("registered-models", html(403), "forbidden"),
        ("model-versions", html(500), "server_error"),
        ("model-versions", cut, "bad_body"),
        ("experiments", html(404), "not_found"),
    ],
)
def test_a_fault_ends_the_sync_with_a_sentence_and_what_was_known_stays(
    acme: Organization,
    own_registry: Registry,
    faulty: Faulty,
    sync_now: Syncer,
    path: str,
    spoil: Callable[[Response], Response],
    kind: str,
) -> None:
    name = unique("kept")
    trained(own_registry, name, tags={"owner": "nina@example.org"})
    sync_now()
    own_registry.post("registered-models/set-tag", name=name, key="domain", value="law")
    faulty.fault = on(path, spoil)

    run = sync_now()

    assert run.status == SyncRun.Status.FAILED
    assert run.error_kind == kind
    assert run.error.endswith((".", "?"))
    assert PASSWORD not in run.error
    assert "<script>" not in run.error
    with tenancy.acting_for(acme):
        assert version_of(name).owner == "nina@example.org"
        assert not ModelVersion.objects.exclude(absent_since=None).exists()

    faulty.fault = None
    assert sync_now().status == SyncRun.Status.SUCCEEDED
    with tenancy.acting_for(acme):
        assert version_of(name).governance["domain"] == "law"


def test_runs_that_cannot_be_read_leave_versions_incomplete_with_what_was_known(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    name = unique("incomplete")
    trained(own_registry, name, tags={"owner": "nina@example.org"})
    sync_now()
    faulty.fault = on("runs/search", html(500))

    run = sync_now()

    assert run.status == SyncRun.Status.PARTIAL
    assert run.count("incomplete") == run.count("versions")
    with tenancy.acting_for(acme):
        version = version_of(name)
        assert version.owner == "nina@example.org"
        assert "500" in version.incomplete[Section.RUN]
        assert SyncFailure.objects.filter(sync_run=run, model_name=name).exists()

    faulty.fault = None
    assert sync_now().status == SyncRun.Status.SUCCEEDED
    with tenancy.acting_for(acme):
        version = version_of(name)
        assert version.incomplete == {}
        assert version.run_found


def test_files_that_cannot_be_listed_leave_only_that_section_incomplete(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    name = unique("no files")
    trained(own_registry, name, tags={"owner": "nina@example.org"})
    faulty.fault = on("artifacts/list", html(500))

    run = sync_now(artifacts=True)

    assert run.status == SyncRun.Status.PARTIAL
    with tenancy.acting_for(acme):
        version = version_of(name)
        assert set(version.incomplete) == {Section.ARTIFACTS}
        assert version.owner == "nina@example.org"

    faulty.fault = None
    sync_now(artifacts=True)
    with tenancy.acting_for(acme):
        assert version_of(name).incomplete == {}


def test_a_fault_that_passes_is_not_noticed(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    name = unique("retried")
    trained(own_registry, name)
    faults = iter([html(500), cut, html(503)])

    def now_and_then(request: Request, response: Response) -> Response:
        spoil = next(faults, None) if "model-versions" in request.path else None
        return spoil(response) if spoil else response

    faulty.fault = now_and_then

    assert sync_now().status == SyncRun.Status.SUCCEEDED
    assert next(faults, None) is None
    with tenancy.acting_for(acme):
        assert version_of(name)


def test_a_server_that_is_not_there_is_a_sentence(
    acme: Organization, faulty: Faulty, server: TrackingServer, sync_now: Syncer
) -> None:
    with tenancy.acting_for(acme):
        server.url = f"http://127.0.0.1:{free_port()}"
        server.auth_method = "none"
        save_server(server)

    run = sync_now()

    assert run.status == SyncRun.Status.FAILED
    assert run.error_kind == "refused"
    with tenancy.acting_for(acme):
        assert not RegisteredModel.objects.exists()


def test_a_credential_that_no_key_opens_is_a_sentence(
    acme: Organization, server: TrackingServer, sync_now: Syncer
) -> None:
    with tenancy.acting_for(acme), connection.cursor() as cursor:
        cursor.execute("UPDATE mlflow_sync_trackingserversecret SET password = 'clear'")

    run = sync_now()

    assert run.status == SyncRun.Status.FAILED
    assert "FIELD_ENCRYPTION_KEY" in run.error


def test_a_version_without_a_creation_time_is_told_and_the_rest_is_stored(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    name, other = unique("timeless"), unique("timely")
    trained(own_registry, name)
    trained(own_registry, other)

    def forget(response: Response) -> Response:
        page = json.loads(response.get_data())
        for version in page.get("model_versions", []):
            if version["name"] == name:
                del version["creation_timestamp"]
        return Response(json.dumps(page), content_type="application/json")

    faulty.fault = on("model-versions", forget)

    run = sync_now()

    assert run.status == SyncRun.Status.PARTIAL
    with tenancy.acting_for(acme):
        assert version_of(other)
        failure = SyncFailure.objects.get(sync_run=run, model_name=name)
        assert failure.section == Section.VERSION
        assert "creation_timestamp" in failure.reason
