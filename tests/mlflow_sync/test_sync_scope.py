"""A scope on a real MLflow: what leaves it, what comes back, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from werkzeug import Request, Response

from accounts import tenancy
from accounts.models import AuditEvent, Organization
from inventory.models import ModelVersion, RegisteredModel, Run
from mlflow_sync.models import SyncFailure, SyncRun, TrackingServer
from mlflow_sync.scope import NOT_INCLUDED, NOT_TAGGED
from mlflow_sync.scoping import LEFT, preview
from mlflow_sync.servers import save_server
from tests.mlflow_sync.conftest import Syncer, sync_to_end
from tests.mlflow_sync.faulty import Faulty
from tests.mlflow_sync.test_sync import trained, version_of
from tests.registry import Registry, unique

pytestmark = pytest.mark.django_db(transaction=True)


def scoped(server: TrackingServer, **fields: Any) -> None:
    """Change the scope of a server as an administrator does."""
    with tenancy.acting_for(server.organization):
        server.refresh_from_db()
        for name, value in fields.items():
            setattr(server, name, value)
        save_server(server)


def model_of(name: str) -> RegisteredModel:
    return RegisteredModel.objects.present().get(name=name)


def leave_all_but(server: TrackingServer, *names: str) -> None:
    """Let only these names be in scope; brackets in them are no patterns."""
    scoped(server, include_names="\n".join(names))


def test_a_model_that_no_pattern_includes_is_listed_with_the_reason_and_no_more(
    acme: Organization, own_registry: Registry, server: TrackingServer, sync_now: Syncer
) -> None:
    wanted, other = unique("wanted"), unique("other")
    trained(own_registry, wanted)
    _, run_id = trained(own_registry, other)
    own_registry.post(
        "registered-models/set-tag", name=other, key="plan", value="hidden"
    )
    own_registry.post(
        "registered-models/alias", name=other, alias="champion", version="1"
    )
    leave_all_but(server, wanted)

    run = sync_now()

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    with tenancy.acting_for(acme):
        assert not version_of(wanted).is_absent
        model = model_of(other)
        assert model.out_of_scope == NOT_INCLUDED
        assert model.created_at is not None
        assert model.description == ""
        assert model.tags == model.aliases == model.latest_versions == {}
        assert not model.versions.exists()
        assert not Run.objects.filter(run_id=run_id).exists()
        assert not SyncFailure.objects.exists()
        total = RegisteredModel.objects.present().count()
    assert (run.count("models"), run.count("out_of_scope")) == (total, total - 1)
    assert run.count("versions") == 1


def test_what_leaves_the_scope_and_comes_back_is_the_rows_it_was(
    acme: Organization, own_registry: Registry, server: TrackingServer, sync_now: Syncer
) -> None:
    name = unique("moody")
    trained(own_registry, name, tags={"owner": "nina@example.org"})
    own_registry.post("registered-models/set-tag", name=name, key="a", value="b")
    sync_now(artifacts=True)
    with tenancy.acting_for(acme):
        model, version = model_of(name), version_of(name)

    scoped(server, exclude_names="moody *")
    gone = sync_now(artifacts=True)

    assert gone.status == SyncRun.Status.SUCCEEDED, gone.error
    assert gone.count("absent") == 0
    reason = "Its name matches the exclude pattern “moody *”."
    with tenancy.acting_for(acme):
        left = model_of(name)
        assert (left.pk, left.out_of_scope, left.tags) == (model.pk, reason, {})
        kept = ModelVersion.objects.get(pk=version.pk)
        assert kept.is_absent
        assert kept.owner == "nina@example.org"
        scopes = AuditEvent.objects.get(action="registered_models.scoped")
        assert scopes.changes == {"out_of_scope": {name: reason}, "in_scope": []}
        entry = AuditEvent.objects.get(action="sync.out_of_scope")
        assert entry.changes == {"versions": [f"{name} version 1"]}
        assert entry.reason == LEFT
        assert not AuditEvent.objects.filter(action="sync.absent").exists()

    scoped(server, exclude_names="")
    run = sync_now(artifacts=True)

    assert run.count("created") == 0
    with tenancy.acting_for(acme):
        back = model_of(name)
        assert (back.pk, back.out_of_scope, back.tags) == (model.pk, "", {"a": "b"})
        again = version_of(name)
        assert again.pk == version.pk
        assert again.artifacts_fingerprint == version.artifacts_fingerprint
        absences = [row.instance.is_absent for row in again.history.all()]
        assert absences == [False, True, False]
        scopes = AuditEvent.objects.filter(action="registered_models.scoped")
        assert scopes.latest("sequence").changes["in_scope"] == [name]
        stored = AuditEvent.objects.filter(action="sync.stored").latest("sequence")
        assert stored.changes["returned"] == [f"{name} version 1"]


def test_a_tag_takes_a_model_in_and_out(
    acme: Organization, own_registry: Registry, server: TrackingServer, sync_now: Syncer
) -> None:
    name = unique("tagged")
    trained(own_registry, name)
    scoped(server, required_tags="regulated=y*")
    sync_now()
    with tenancy.acting_for(acme):
        assert model_of(name).out_of_scope == NOT_TAGGED
        assert not ModelVersion.objects.exists()

    own_registry.post(
        "registered-models/set-tag", name=name, key="regulated", value="yes"
    )
    sync_now()
    with tenancy.acting_for(acme):
        assert model_of(name).out_of_scope == ""
        before = version_of(name)

    own_registry.post(
        "registered-models/set-tag", name=name, key="regulated", value="no"
    )
    sync_now()
    with tenancy.acting_for(acme):
        assert model_of(name).out_of_scope == NOT_TAGGED
        assert ModelVersion.objects.get().pk == before.pk
        assert not ModelVersion.objects.present().exists()


def test_thirty_models_that_leave_the_scope_at_once_are_no_loss_to_doubt(
    acme: Organization, own_registry: Registry, server: TrackingServer, sync_now: Syncer
) -> None:
    prefix, kept = unique("crowd"), unique("kept")
    for number in range(30):
        name = own_registry.model(f"{prefix}-{number}")
        own_registry.version(name, source="s3://somewhere/model")
    trained(own_registry, kept)
    leave_all_but(server, f"{prefix}-*", kept)
    assert sync_now().count("versions") == 31

    leave_all_but(server, kept)
    run = sync_now()

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    with tenancy.acting_for(acme):
        assert ModelVersion.objects.present().count() == 1
        assert RegisteredModel.objects.present().filter(name__startswith=prefix).count()
        entry = AuditEvent.objects.get(action="sync.out_of_scope")
        assert len(entry.changes["versions"]) == 30
        pages = AuditEvent.objects.filter(action="registered_models.scoped")
        assert sum(len(each.changes["out_of_scope"]) for each in pages) == 30

    leave_all_but(server, f"{prefix}-*", kept)
    run = sync_now()
    assert (run.count("created"), run.count("updated")) == (0, 30)


def test_a_name_may_change_into_and_out_of_the_scope(
    acme: Organization, own_registry: Registry, server: TrackingServer, sync_now: Syncer
) -> None:
    name = unique("draft")
    trained(own_registry, name)
    scoped(server, exclude_names="draft *")
    sync_now()
    with tenancy.acting_for(acme):
        model = model_of(name)
        assert model.out_of_scope

    final = unique("final")
    own_registry.post("registered-models/rename", name=name, new_name=final)
    sync_now()
    with tenancy.acting_for(acme):
        assert model_of(final).pk == model.pk
        assert model_of(final).out_of_scope == ""
        version = version_of(final)

    own_registry.post("registered-models/rename", name=final, new_name=name)
    run = sync_now()
    assert run.count("absent") == 0
    with tenancy.acting_for(acme):
        assert model_of(name).pk == model.pk
        assert ModelVersion.objects.get(pk=version.pk).is_absent
        assert AuditEvent.objects.filter(action="registered_model.renamed").count() == 2


def test_a_name_made_again_out_of_scope_is_another_model(
    acme: Organization, own_registry: Registry, server: TrackingServer, sync_now: Syncer
) -> None:
    name = unique("sandbox")
    own_registry.model(name)
    scoped(server, exclude_names="sandbox *")
    sync_now()
    own_registry.send("DELETE", "registered-models/delete", name=name)
    own_registry.model(name)

    sync_now()

    with tenancy.acting_for(acme):
        old, new = RegisteredModel.objects.filter(name=name).order_by("pk")
        assert (old.is_absent, new.is_absent) == (True, False)
        assert old.out_of_scope == new.out_of_scope != ""
    own_registry.send("DELETE", "registered-models/delete", name=name)
    sync_now()
    with tenancy.acting_for(acme):
        assert not RegisteredModel.objects.present().filter(name=name).exists()


def test_a_scope_without_a_change_is_written_once_and_asks_for_no_run(
    acme: Organization, own_registry: Registry, faulty: Faulty
) -> None:
    own_registry.model(unique("bystander"))
    trained(own_registry, unique("unread"))
    asked: list[str] = []

    def note(request: Request, response: Response) -> Response:
        asked.append(request.path)
        return response

    faulty.fault = note
    with tenancy.acting_for(acme):
        server = save_server(
            TrackingServer(url=faulty.url, include_names="nothing at all"), name="Other"
        )
    sync_to_end(acme, server)
    with tenancy.acting_for(acme):
        before = set(RegisteredModel.objects.values_list("pk", "changed_at"))
        histories = RegisteredModel.history.count()

    run = sync_to_end(acme, server)

    assert run.count("out_of_scope") == run.count("models") > 0
    assert not [path for path in asked if path.endswith("runs/search")]
    with tenancy.acting_for(acme):
        assert set(RegisteredModel.objects.values_list("pk", "changed_at")) == before
        assert RegisteredModel.history.count() == histories


def test_a_scope_that_nothing_is_outside_of_costs_a_sync_no_query(
    acme: Organization, own_registry: Registry, server: TrackingServer, sync_now: Syncer
) -> None:
    trained(own_registry, unique("settled"))
    sync_now()
    everything = _queries(sync_now)

    scoped(server, exclude_names="no such name")

    assert _queries(sync_now) == everything


def _queries(sync_now: Syncer) -> int:
    with CaptureQueriesContext(connection) as captured:
        run = sync_now()
    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    assert run.count("updated") == run.count("created") == 0
    return len(captured)


def test_a_sync_in_slices_keeps_to_the_scope(
    acme: Organization, own_registry: Registry, server: TrackingServer, sync_now: Syncer
) -> None:
    wanted, other = unique("sliced in"), unique("sliced out")
    trained(own_registry, wanted)
    trained(own_registry, other)
    scoped(server, include_names="sliced in *")

    run = sync_now(patience=0)

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    with tenancy.acting_for(acme):
        assert not version_of(wanted).is_absent
        assert not model_of(other).versions.exists()


def test_the_preview_says_what_a_scope_means_for_what_is_known(
    acme: Organization, own_registry: Registry, server: TrackingServer, sync_now: Syncer
) -> None:
    with tenancy.acting_for(acme):
        assert preview(server) == (
            "No model of this server is known yet: the first sync tells."
        )
    for number in range(3):
        own_registry.model(unique(f"preview {number}"), tags={"team": "lending"})
    sync_now()
    with tenancy.acting_for(acme):
        total = RegisteredModel.objects.present().count()

        server.exclude_names = "preview [01] *"
        assert preview(server) == (
            f"Of {total} models known, 2 will be out of scope from the next sync on."
        )
        server.exclude_names, server.required_tags = "", "team=lending"
        assert preview(server) == (
            f"Of {total} models known, {total - 3} will be out of scope from the next "
            "sync on."
        )
    scoped(server, exclude_names="preview 0 *")
    sync_now()
    with tenancy.acting_for(acme):
        server.exclude_names, server.required_tags = "", "team=lending"
        assert preview(server).endswith(
            " Of 1 more their tags decide, which are not stored while they are out of "
            "scope."
        )
