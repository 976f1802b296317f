"""Models that nobody registered, found on a real MLflow, and what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from werkzeug import Request, Response

from accounts import tenancy
from accounts.models import AuditEvent, Organization
from inventory.models import RegisteredModel, UnregisteredModel
from mlflow_sync import unregistered
from mlflow_sync.client import client as reading
from mlflow_sync.client.logged import HISTORY
from mlflow_sync.models import SyncFailure, SyncRun, TrackingServer
from mlflow_sync.servers import save_server
from tests.mlflow_sync.conftest import Syncer
from tests.mlflow_sync.faulty import Faulty, html, on
from tests.registry import Registry, history, unique
from tests.servers import MlflowServer

pytestmark = pytest.mark.django_db(transaction=True)

State = UnregisteredModel.State
SEARCH = "logged-models/search"


@pytest.fixture
def server(acme: Organization, faulty: Faulty) -> TrackingServer:
    """A server whose unregistered models are looked for."""
    with tenancy.acting_for(acme):
        return save_server(
            TrackingServer(url=faulty.url, find_unregistered=True), name="Production"
        )


@pytest.fixture
def found(acme: Organization) -> Callable[[str], UnregisteredModel | None]:
    """Return the row of an address."""

    def find(address: str) -> UnregisteredModel | None:
        with tenancy.acting_for(acme):
            return UnregisteredModel.objects.filter(external_id=address).first()

    return find


def logged(registry: Registry) -> tuple[str, str, str]:
    """Log a model as MLflow 3 does; return its address, its run and experiment."""
    experiment = registry.experiment()
    run_id = registry.run(experiment)
    return f"models:/{registry.logged_model(experiment, run_id)}", run_id, experiment


def tagged(registry: Registry, *paths: str) -> tuple[str, str]:
    """Log models as MLflow 2 does; return their run and experiment."""
    experiment = registry.experiment()
    run_id = registry.run(experiment)
    registry.tag_run(run_id, HISTORY, history(run_id, *paths))
    return run_id, experiment


def register(registry: Registry, source: str, **body: str) -> str:
    name = registry.model(unique("registered"))
    registry.version(name, source=source, **body)
    return name


Finder = Callable[[str], UnregisteredModel | None]


def test_a_logged_model_is_listed_until_it_is_registered(
    acme: Organization, own_registry: Registry, sync_now: Syncer, found: Finder
) -> None:
    address, run_id, experiment = logged(own_registry)
    run = sync_now()

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    row = found(address)
    assert row is not None
    assert (row.kind, row.state) == ("logged_model", State.UNREGISTERED)
    assert (row.name, row.run_id, row.experiment_id) == ("model", run_id, experiment)
    assert (row.status, row.created_at is None) == ("PENDING", False)
    with tenancy.acting_for(acme):
        listed = UnregisteredModel.objects.listed().count()
        entry = AuditEvent.objects.filter(action="sync.unregistered").first()
        assert entry is not None
        assert entry.changes["new"] > 0
    assert run.count("unregistered") == listed > 0

    name = register(own_registry, address, run_id=run_id)
    run = sync_now()

    row = found(address)
    assert row is not None
    assert row.state is State.REGISTERED
    assert run.count("unregistered") == listed - 1
    with tenancy.acting_for(acme):
        entry = AuditEvent.objects.filter(action="sync.unregistered").latest("sequence")
        assert entry.changes["registered"] == [address]

    own_registry.send("DELETE", "registered-models/delete", name=name)
    sync_now()
    row = found(address)
    assert row is not None
    assert row.state is State.UNREGISTERED


def test_models_of_a_run_of_mlflow_2_are_listed_until_they_are_registered(
    own_registry: Registry, sync_now: Syncer, found: Finder
) -> None:
    run_id, experiment = tagged(own_registry, "model", "steps/scaler")
    root = f"mlflow-artifacts:/{experiment}/{run_id}/artifacts"
    register(own_registry, f"{root}/model", run_id=run_id)

    sync_now()

    assert found(f"runs:/{run_id}/model") is None
    row = found(f"runs:/{run_id}/steps/scaler")
    assert row is not None
    assert (row.kind, row.name) == ("run", "steps/scaler")
    assert row.model_type == "python_function, sklearn"

    register(own_registry, f"runs:/{run_id}/steps/scaler", run_id=run_id)
    sync_now()
    row = found(f"runs:/{run_id}/steps/scaler")
    assert row is not None
    assert row.state is State.REGISTERED


def test_what_is_no_longer_told_is_marked_absent_and_comes_back(
    own_registry: Registry, sync_now: Syncer, found: Finder
) -> None:
    models = [logged(own_registry) for _ in range(3)]
    run_id, _ = tagged(own_registry, "model")
    (gone, *_), (hidden, _, closed), (stays, *_) = models
    sync_now()

    own_registry.send("DELETE", f"logged-models/{gone.removeprefix('models:/')}")
    own_registry.post("experiments/delete", experiment_id=closed)
    own_registry.post("runs/delete", run_id=run_id)
    sync_now()

    run_model = f"runs:/{run_id}/model"
    assert _states(found, gone, hidden, stays, run_model) == [
        State.ABSENT,
        State.ABSENT,
        State.UNREGISTERED,
        State.ABSENT,
    ]

    own_registry.post("experiments/restore", experiment_id=closed)
    own_registry.post("runs/restore", run_id=run_id)
    sync_now()
    assert _states(found, gone, hidden, run_model) == [
        State.ABSENT,
        State.UNREGISTERED,
        State.UNREGISTERED,
    ]


def _states(found: Finder, *addresses: str) -> list[State | None]:
    rows = [found(address) for address in addresses]
    return [row.state if row else None for row in rows]


def test_nothing_is_looked_for_unless_somebody_wants_it(
    acme: Organization,
    own_registry: Registry,
    faulty: Faulty,
    server: TrackingServer,
    sync_now: Syncer,
    found: Finder,
) -> None:
    address, *_ = logged(own_registry)
    sync_now()
    asked: list[str] = []

    def note(request: Request, response: Response) -> Response:
        asked.append(request.path)
        return response

    faulty.fault = note
    with tenancy.acting_for(acme):
        server.refresh_from_db()
        server.find_unregistered = False
        save_server(server)
    run = sync_now()

    assert not [path for path in asked if path.endswith(SEARCH)]
    assert run.count("unregistered") == 0
    assert _states(found, address) == [State.ABSENT]


def test_a_second_look_writes_nothing(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    logged(own_registry)
    tagged(own_registry, "model")
    sync_now()
    with tenancy.acting_for(acme):
        before = set(UnregisteredModel.objects.values_list("pk", "changed_at"))
        entries = AuditEvent.objects.filter(action="sync.unregistered").count()

    with CaptureQueriesContext(connection) as captured:
        sync_now()

    with tenancy.acting_for(acme):
        assert set(UnregisteredModel.objects.values_list("pk", "changed_at")) == before
        told = AuditEvent.objects.filter(action="sync.unregistered").count()
        assert told == entries
    writing = [
        query["sql"]
        for query in captured
        if "inventory_unregisteredmodel" in query["sql"]
        and query["sql"].startswith("INSERT")
    ]
    assert writing == []


def test_pages_and_groups_cost_a_constant_number_of_queries_each(
    acme: Organization,
    own_registry: Registry,
    sync_now: Syncer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    experiment = own_registry.experiment()
    run_id = own_registry.run(experiment)
    for _ in range(30):
        own_registry.logged_model(experiment, run_id)
    sync_now()
    few = _queries_about_the_list(sync_now)
    for _ in range(30):
        own_registry.logged_model(experiment, run_id)
    sync_now()

    assert _queries_about_the_list(sync_now) == few


def _queries_about_the_list(sync_now: Syncer) -> int:
    with CaptureQueriesContext(connection) as captured:
        sync_now()
    return sum("inventory_unregisteredmodel" in query["sql"] for query in captured)


def test_slices_and_pages_of_one_find_what_one_look_finds(
    acme: Organization,
    own_registry: Registry,
    sync_now: Syncer,
    found: Finder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    experiment = own_registry.experiment()
    run_id = own_registry.run(experiment)
    addresses = [
        f"models:/{own_registry.logged_model(experiment, run_id)}" for _ in range(5)
    ]
    runs = [tagged(own_registry, "a", "b")[0] for _ in range(3)]
    run_models = [f"runs:/{run_id}/{path}" for run_id in runs for path in "ab"]
    monkeypatch.setattr(reading, "LOGGED_PER_REQUEST", 2)
    monkeypatch.setattr(reading, "RUNS_PER_REQUEST", 1)
    monkeypatch.setattr(unregistered, "EXPERIMENTS", 3)

    run = sync_now(patience=0)

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    with tenancy.acting_for(acme):
        listed = set(
            UnregisteredModel.objects.listed().values_list("external_id", flat=True)
        )
    assert {*addresses, *run_models} <= listed

    middle = sorted(addresses)[2]
    own_registry.send("DELETE", f"logged-models/{middle.removeprefix('models:/')}")
    sync_now(patience=0)
    with tenancy.acting_for(acme):
        left = set(
            UnregisteredModel.objects.listed().values_list("external_id", flat=True)
        )
    assert listed - left == {middle}


def test_a_model_whose_version_is_out_of_scope_is_registered_all_the_same(
    acme: Organization,
    own_registry: Registry,
    server: TrackingServer,
    sync_now: Syncer,
    found: Finder,
) -> None:
    (address, run_id, _), (other, *_) = logged(own_registry), logged(own_registry)
    run_of_2, _ = tagged(own_registry, "model")
    register(own_registry, address, run_id=run_id)
    register(own_registry, f"runs:/{run_of_2}/model", run_id=run_of_2)
    with tenancy.acting_for(acme):
        server.refresh_from_db()
        server.exclude_names = "*"
        save_server(server)

    sync_now()

    with tenancy.acting_for(acme):
        assert not RegisteredModel.objects.in_scope().exists()
    assert _states(found, address, f"runs:/{run_of_2}/model") == [None, None]
    assert _states(found, other) == [State.UNREGISTERED]  # the scope bears not on it


def test_a_failure_of_the_search_is_told_and_leaves_the_registry_read(
    acme: Organization,
    own_registry: Registry,
    faulty: Faulty,
    sync_now: Syncer,
    found: Finder,
) -> None:
    address, *_ = logged(own_registry)
    sync_now()
    faulty.fault = on(SEARCH, html(500))

    run = sync_now()

    assert run.status == SyncRun.Status.PARTIAL
    assert run.count("versions") == run.count("unchanged")
    with tenancy.acting_for(acme):
        failure = SyncFailure.objects.get(sync_run=run)
        assert (failure.section, failure.model_name) == ("unregistered", "")
        assert "500" in failure.reason
    assert _states(found, address) == [State.UNREGISTERED]


def test_mlflow_2_lists_no_logged_models_and_that_is_no_failure(
    own_registry: Registry, faulty: Faulty, sync_now: Syncer, found: Finder
) -> None:
    address, *_ = logged(own_registry)
    run_id, _ = tagged(own_registry, "model")

    def older(request: Request, response: Response) -> Response:
        if request.path.endswith("/version"):
            return Response("2.22.5")
        return html(404)(response) if SEARCH in request.path else response

    faulty.fault = older
    run = sync_now()

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    assert run.mlflow_version == "2.22.5"
    assert _states(found, address, f"runs:/{run_id}/model") == [
        None,
        State.UNREGISTERED,
    ]


def test_mlflow_3_that_answers_404_is_a_failure(
    own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    logged(own_registry)
    faulty.fault = on(SEARCH, html(404))

    assert sync_now().status == SyncRun.Status.PARTIAL


def test_a_list_that_is_not_in_order_is_not_believed(
    acme: Organization,
    own_registry: Registry,
    faulty: Faulty,
    sync_now: Syncer,
    found: Finder,
) -> None:
    addresses = [logged(own_registry)[0] for _ in range(2)]
    sync_now()

    def reverse(response: Response) -> Response:
        page = json.loads(response.get_data())
        page["models"] = page.get("models", [])[::-1][:-1]
        return Response(json.dumps(page), content_type="application/json")

    faulty.fault = on(SEARCH, reverse)
    run = sync_now()

    assert run.status == SyncRun.Status.PARTIAL
    with tenancy.acting_for(acme):
        assert "by id" in SyncFailure.objects.get(sync_run=run).reason
    assert set(_states(found, *addresses)) == {State.UNREGISTERED}


def test_a_tag_that_was_cut_off_is_said(
    acme: Organization, own_registry: Registry, sync_now: Syncer, found: Finder
) -> None:
    paths = [f"model-{number:03}-{'x' * 200}" for number in range(40)]
    run_id, _ = tagged(own_registry, *paths)
    try:
        run = sync_now()
    finally:
        own_registry.post("runs/delete", run_id=run_id)

    assert run.status == SyncRun.Status.PARTIAL
    assert _states(found, f"runs:/{run_id}/{paths[0]}") == [State.UNREGISTERED]
    with tenancy.acting_for(acme):
        failure = SyncFailure.objects.get(sync_run=run)
        assert failure.reason.startswith("Of 1 run not all logged models are told")
        assert failure.reason.endswith(f"The first is run {run_id}.")


def test_two_servers_keep_their_lists_apart(
    acme: Organization,
    own_mlflow: MlflowServer,
    own_registry: Registry,
    server: TrackingServer,
    sync_now: Syncer,
) -> None:
    address, *_ = logged(own_registry)
    sync_now()
    with tenancy.acting_for(acme):
        other = save_server(TrackingServer(url=own_mlflow.url), name="Other")
        assert not UnregisteredModel.objects.filter(source=other.source).exists()
        row = UnregisteredModel.objects.get(external_id=address)
        assert row.source_id == server.source_id
