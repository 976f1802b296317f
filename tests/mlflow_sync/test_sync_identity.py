"""Which record a version is: through renames, absence, a lost grant, a new life."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from werkzeug import Request, Response

from accounts import tenancy
from accounts.exceptions import NotAllowed
from accounts.models import AuditEvent, Organization, User
from accounts.roles import Role
from inventory.models import ModelVersion, RegisteredModel
from mlflow_sync import sync
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.queueing import confirm_absence, request_sync
from mlflow_sync.servers import Credentials, save_server
from tests.mlflow_sync.conftest import Syncer
from tests.mlflow_sync.faulty import Fault, Faulty
from tests.mlflow_sync.test_sync import trained, version_of
from tests.registry import Registry, unique
from tests.servers import ADMIN, MlflowServer

pytestmark = pytest.mark.django_db(transaction=True)

LISTS = ("registered_models", "model_versions")


@pytest.fixture
def server(acme: Organization, faulty: Faulty) -> TrackingServer:
    with tenancy.acting_for(acme):
        return save_server(TrackingServer(url=faulty.url), name="Production")


def only(wanted: Callable[[str], bool]) -> Fault:
    """Return a fault that hides all other models, as a lost permission does."""

    def hide(_: Request, response: Response) -> Response:
        if response.content_type != "application/json":
            return response
        page = json.loads(response.get_data())
        for name in LISTS:
            if name in page:
                page[name] = [row for row in page[name] if wanted(row["name"])]
        return Response(json.dumps(page), content_type="application/json")

    return hide


def keys_of(*names: str) -> list[int]:
    return [version_of(name).pk for name in names]


def rename(registry: Registry, name: str, new_name: str) -> None:
    registry.post("registered-models/rename", name=name, new_name=new_name)


def test_a_sync_says_as_whom_it_read_and_which_mlflow(
    acme: Organization, basic_auth_server: MlflowServer
) -> None:
    user, password = ADMIN
    with tenancy.acting_for(acme):
        server = save_server(
            TrackingServer(url=basic_auth_server.url, auth_method="basic"),
            name="Guarded",
            credentials=Credentials(username=user, password=password),
        )
        run = request_sync(server, trigger=SyncRun.Trigger.MANUAL, enqueue=False)

    done = sync.advance(acme, run.pk)

    assert done is not None
    assert done.identity == "User name and password, known to MLflow as “admin”"
    assert done.mlflow_version.startswith("3.")
    assert len(done.credential_fingerprint) == 16


def test_models_that_swapped_their_names_keep_their_records(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    one, two, between = unique("one"), unique("two"), unique("between")
    trained(own_registry, one)
    trained(own_registry, two)
    sync_now()
    with tenancy.acting_for(acme):
        before = keys_of(one, two)

    rename(own_registry, one, between)
    rename(own_registry, two, one)
    rename(own_registry, between, two)
    run = sync_now()

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    assert run.count("created") == run.count("absent") == 0
    with tenancy.acting_for(acme):
        assert keys_of(two, one) == before
        renamed = AuditEvent.objects.filter(action="registered_model.renamed")
        assert renamed.count() == 2


def test_a_chain_of_renames_moves_each_record_one_name_on(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    old, middle, new = unique("old"), unique("middle"), unique("new")
    trained(own_registry, old)
    trained(own_registry, middle)
    sync_now()
    with tenancy.acting_for(acme):
        before = keys_of(old, middle)

    rename(own_registry, middle, new)
    rename(own_registry, old, middle)
    trained(own_registry, old)  # and the first name begins anew
    run = sync_now()

    assert run.count("created") == 1
    assert run.count("absent") == 0
    with tenancy.acting_for(acme):
        assert keys_of(middle, new) == before
        assert version_of(old).pk not in before


def test_a_grant_that_is_lost_and_given_back_brings_the_records_back(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    name = unique("granted")
    trained(own_registry, name, tags={"owner": "nina@example.org"})
    sync_now(artifacts=True)
    with tenancy.acting_for(acme):
        before = version_of(name)

    faulty.fault = only(lambda other: other != name)
    assert sync_now(artifacts=True).count("absent") == 1
    with tenancy.acting_for(acme):
        assert RegisteredModel.objects.get(name=name).is_absent

    faulty.fault = None
    run = sync_now(artifacts=True)

    assert (run.count("created"), run.count("updated")) == (0, 1)
    with tenancy.acting_for(acme):
        version = version_of(name)
        assert version.pk == before.pk
        assert version.artifacts_fingerprint == before.artifacts_fingerprint
        assert RegisteredModel.objects.get(name=name).versions.count() == 1
        assert [row.is_absent for row in _history(version)] == [False, True, False]
        stages = version.lifecycle.values_list("from_stage", "to_stage")
        assert list(stages) == [("", "None"), ("None", ""), ("", "None")]
        stored = AuditEvent.objects.filter(action="sync.stored").latest("sequence")
        assert stored.changes["returned"] == [f"{name} version 1"]


def _history(version: ModelVersion) -> list[ModelVersion]:
    return [row.instance for row in version.history.all()]


def test_a_model_renamed_while_it_could_not_be_seen_comes_back_as_itself(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    name, name_now = unique("hidden"), unique("seen")
    trained(own_registry, name)
    sync_now()
    with tenancy.acting_for(acme):
        before = keys_of(name)
    faulty.fault = only(lambda other: other != name)
    sync_now()

    rename(own_registry, name, name_now)
    trained(own_registry, name)  # another model takes the name meanwhile
    faulty.fault = only(lambda other: other != name_now)
    assert sync_now().count("created") == 1
    faulty.fault = None
    run = sync_now()

    assert run.count("created") == 0
    with tenancy.acting_for(acme):
        assert keys_of(name_now) == before
        assert version_of(name).pk not in before


def test_too_much_that_is_gone_is_believed_when_a_person_confirms_it(
    acme: Organization,
    olga: User,
    max_: User,
    own_registry: Registry,
    faulty: Faulty,
    sync_now: Syncer,
) -> None:
    names = [own_registry.model(unique("many")) for _ in range(12)]
    sync_now()
    faulty.fault = only(lambda other: other != names[0])
    assert sync_now().status == SyncRun.Status.SUCCEEDED  # one may go
    faulty.fault = only(lambda other: False)

    for doubted in (sync_now(), sync_now(full=True)):
        assert doubted.status == SyncRun.Status.FAILED
        assert doubted.error_kind == "vanished"
        with tenancy.acting_for(acme):
            mine = RegisteredModel.objects.filter(name__in=names[1:])
            assert not mine.exclude(absent_since=None).exists()

    with (
        tenancy.acting_for(acme, actor=max_, role=Role.ML_ENGINEER),
        pytest.raises(NotAllowed),
    ):
        confirm_absence(doubted, trigger=SyncRun.Trigger.MANUAL)
    with tenancy.acting_for(acme, actor=olga, role=Role.COMPLIANCE_OFFICER):
        run = confirm_absence(doubted, trigger=SyncRun.Trigger.MANUAL, enqueue=False)
    finished = sync.advance(acme, run.pk)
    assert finished is not None
    assert finished.status == SyncRun.Status.SUCCEEDED
    with tenancy.acting_for(acme, actor=olga, role=Role.COMPLIANCE_OFFICER):
        assert not RegisteredModel.objects.present().exists()
        assert not ModelVersion.objects.present().exists()
        entry = AuditEvent.objects.get(action="sync.absence_confirmed")
        assert entry.changes == {"vanished": doubted.vanished}
        with pytest.raises(ValidationError, match="A later sync has read"):
            confirm_absence(doubted, trigger=SyncRun.Trigger.MANUAL)


def test_what_was_confirmed_to_be_gone_is_as_much_and_no_more(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    names = [own_registry.model(unique("more")) for _ in range(24)]
    faulty.fault = only(lambda other: other in names)
    with tenancy.acting_for(acme):
        server = TrackingServer.objects.get()
        server.vanish_percent, server.vanish_always = 50, 2
        save_server(server)
    sync_now()
    faulty.fault = only(lambda other: other in names[:12])
    assert sync_now().status == SyncRun.Status.SUCCEEDED  # no more than the half
    faulty.fault = only(lambda other: other in names[:5])
    doubted = sync_now()
    assert (doubted.error_kind, doubted.vanished) == ("vanished", 7)
    faulty.fault = only(lambda other: other in names[:2])

    with tenancy.acting_for(acme):
        run = confirm_absence(doubted, trigger=SyncRun.Trigger.MANUAL, enqueue=False)
    again = sync.advance(acme, run.pk)

    assert again is not None
    assert (again.error_kind, again.vanished) == ("vanished", 10)


def test_a_version_that_is_listed_without_its_creation_time_is_not_gone(
    acme: Organization, own_registry: Registry, faulty: Faulty, sync_now: Syncer
) -> None:
    name = unique("timeless")
    trained(own_registry, name)
    sync_now()

    def forget(_: Request, response: Response) -> Response:
        text = response.get_data(as_text=True)
        if '"model_versions"' not in text or '"registered_models"' in text:
            return response
        page = json.loads(text)
        for version in page["model_versions"]:
            version.pop("creation_timestamp")
        return Response(json.dumps(page), content_type="application/json")

    faulty.fault = forget

    run = sync_now()

    assert run.status == SyncRun.Status.PARTIAL
    assert run.count("absent") == 0
    with tenancy.acting_for(acme):
        assert not version_of(name).is_absent


def test_too_much_that_disappears_at_once_is_not_believed(
    acme: Organization, own_registry: Registry, server: TrackingServer, sync_now: Syncer
) -> None:
    name = unique("kept")
    trained(own_registry, name)
    sync_now()
    with tenancy.acting_for(acme):
        model = RegisteredModel.objects.get(name=name)
        known = ModelVersion.objects.present().count()
        for number in range(100, 112 + known):
            row = version_of(name)
            row.pk, row.version_number = None, number
            row.save()

    run = sync_now()

    assert run.status == SyncRun.Status.FAILED
    assert "Too much disappeared" in run.error
    with tenancy.acting_for(acme):
        assert not ModelVersion.objects.exclude(absent_since=None).exists()
        assert not RegisteredModel.objects.get(pk=model.pk).is_absent
