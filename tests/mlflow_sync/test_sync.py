"""A sync, from a real MLflow to the inventory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from accounts import tenancy
from accounts.models import AuditEvent, Organization
from inventory.models import (
    LifecycleEvent,
    ModelVersion,
    RegisteredModel,
    Run,
)
from inventory.records import Section, Stage
from mlflow_sync.models import SyncFailure, SyncRun, TrackingServer
from tests.mlflow_sync.conftest import Syncer
from tests.registry import Registry, unique

pytestmark = pytest.mark.django_db(transaction=True)

AWS_KEY = "AKIA" + "ABCDEFGHIJKLMNOP"


@pytest.fixture
def inside(acme: Organization) -> Iterator[None]:
    """Look at Acme's rows after the syncs, each of which has transactions of its own."""
    with tenancy.acting_for(acme):
        yield


def trained(registry: Registry, name: str, **run: object) -> tuple[str, str]:
    """Register a model with one version from one run; return the number and the run."""
    experiment = registry.experiment()
    run_id = registry.run(experiment, **run)  # type: ignore[arg-type]
    registry.model(name, description="Scores applications.")
    number = registry.version(name, source=f"runs:/{run_id}/model", run_id=run_id)
    return number, run_id


def version_of(name: str, number: str = "1") -> ModelVersion:
    return (
        ModelVersion.objects.present()
        .select_related("registered_model")
        .get(registered_model__name=name, version_number=int(number))
    )


def test_a_version_arrives_with_its_run_its_data_and_where_each_value_came_from(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name = unique("credit")
    number, run_id = trained(
        own_registry,
        name,
        tags={"owner": "nina@example.org", "mlflow.source.git.commit": "a" * 40},
        params={"depth": "3"},
        metrics={"auc": 0.91, "broken": "NaN"},
        datasets=[
            {
                "dataset": {
                    "name": "loans",
                    "digest": "d1g3st",
                    "source_type": "s3",
                    "source": "{}",
                },
                "tags": [{"key": "mlflow.data.context", "value": "training"}],
            }
        ],
    )
    own_registry.post(
        "model-versions/set-tag",
        name=name, version=number, key="data_sensitivity", value="PII",
    )  # fmt: skip
    own_registry.post(
        "registered-models/alias", name=name, alias="champion", version=number
    )

    run = sync_now()

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    with tenancy.acting_for(acme):
        version = version_of(name)
        assert version.owner == "nina@example.org"
        assert version.provenance["owner"] == {"source": "run tag", "key": "owner"}
        assert version.data_sensitivity == "personal"
        assert version.provenance["data_sensitivity"]["source"] == "version tag"
        assert version.code_commit == "a" * 40
        assert version.metrics == {"auc": 0.91}
        assert version.hyperparameters == {"depth": "3"}
        assert "d1g3st" in version.dataset_reference
        assert version.aliases == ["champion"]
        assert version.lifecycle_stage == Stage.PRODUCTION
        assert version.description == "Scores applications."
        assert version.run is not None
        assert version.run.run_id == run_id
        assert version.run.unusable_metrics == {"broken": "NaN"}
        assert version.run_found


def test_a_sync_without_a_change_writes_no_inventory_row_and_no_history(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    trained(own_registry, unique("steady"), metrics={"auc": 0.9})
    sync_now(artifacts=True)
    before = _written()

    run = sync_now(artifacts=True)

    assert run.count("unchanged") == run.count("versions") > 0
    assert run.count("created") == run.count("updated") == 0
    changed = {table for table, rows in _written().items() if rows != before[table]}
    assert changed <= {"mlflow_sync_syncrun"} | {
        table for table in changed if table.startswith("accounts_audit")
    }


def _written() -> dict[str, int]:
    """Return the rows written so far per table, by PostgreSQL's own statistics."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables"
        )
        return dict(cursor.fetchall())


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        (
            ("model-versions/set-tag", {"key": "owner", "value": "new@example.org"}),
            "owner",
            "new@example.org",
        ),
        (
            ("registered-models/set-tag", {"key": "purpose", "value": "Scoring"}),
            "business_purpose",
            "Scoring",
        ),
        (
            ("registered-models/alias", {"alias": "champion"}),
            "aliases",
            ["champion"],
        ),
        (
            ("runs/set-tag", {"key": "git_commit", "value": "b" * 40}),
            "code_commit",
            "b" * 40,
        ),
        (
            ("runs/log-metric", {"key": "late", "value": 0.5, "timestamp": 1}),
            "metrics",
            {"late": 0.5},
        ),
    ],
)
def test_changes_that_move_no_timestamp_of_mlflow_are_found(
    acme: Organization,
    own_registry: Registry,
    sync_now: Syncer,
    change: tuple[str, dict[str, object]],
    field: str,
    value: object,
) -> None:
    name = unique("changing")
    number, run_id = trained(own_registry, name)
    sync_now()
    path, body = change
    where = {"run_id": run_id} if path.startswith("runs/") else {"name": name}
    if path.startswith("model-versions/") or path.endswith("/alias"):
        where["version"] = number

    own_registry.post(path, **where, **body)
    run = sync_now()

    assert run.count("updated") == 1
    with tenancy.acting_for(acme):
        version = version_of(name)
        assert version.value(field) == value
        assert version.history.count() == 2


def test_a_move_between_stages_is_an_event_observed_between_two_syncs(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name = unique("promoted")
    number, _ = trained(own_registry, name)
    first = sync_now()

    own_registry.post(
        "model-versions/transition-stage",
        name=name, version=number, stage="Production", archive_existing_versions=False,
    )  # fmt: skip
    sync_now()

    with tenancy.acting_for(acme):
        moved, born = LifecycleEvent.objects.filter(version=version_of(name))
        assert (born.from_stage, born.to_stage) == ("", Stage.NONE)
        assert (moved.from_stage, moved.to_stage) == (Stage.NONE, Stage.PRODUCTION)
        assert moved.observed_after is not None
        assert first.started_at is not None
        assert moved.observed_after == SyncRun.objects.get(pk=first.pk).started_at
        assert moved.observed_before > moved.observed_after


def test_a_deleted_version_is_marked_absent_and_keeps_its_evidence(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name = unique("dropped")
    number, _ = trained(own_registry, name, tags={"owner": "nina@example.org"})
    sync_now()

    own_registry.send("DELETE", "model-versions/delete", name=name, version=number)
    run = sync_now()

    assert run.count("absent") == 1
    with tenancy.acting_for(acme):
        version = ModelVersion.objects.get(registered_model__name=name)
        assert version.is_absent
        assert version.owner == "nina@example.org"
        assert version.history.count() == 2


def test_a_name_that_was_deleted_and_made_again_is_a_new_record(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name = unique("reborn")
    trained(own_registry, name, tags={"owner": "old@example.org"})
    sync_now()
    own_registry.send("DELETE", "registered-models/delete", name=name)
    trained(own_registry, name, tags={"owner": "new@example.org"})

    sync_now()

    with tenancy.acting_for(acme):
        old, new = RegisteredModel.objects.filter(name=name).order_by("pk")
        assert old.is_absent
        assert not new.is_absent
        assert [each.owner for each in old.versions.all()] == ["old@example.org"]
        assert old.versions.get().is_absent
        assert version_of(name).owner == "new@example.org"


def test_a_renamed_model_keeps_its_record_its_history_and_its_versions(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name, name_now = unique("before"), unique("after")
    trained(own_registry, name)
    sync_now()
    with tenancy.acting_for(acme):
        model = RegisteredModel.objects.get(name=name)
        version = version_of(name)

    own_registry.post("registered-models/rename", name=name, new_name=name_now)
    run = sync_now()

    assert run.count("created") == run.count("absent") == 0
    with tenancy.acting_for(acme):
        model.refresh_from_db()
        assert model.name == name_now
        assert version_of(name_now).pk == version.pk
        assert AuditEvent.objects.filter(action="registered_model.renamed").exists()


def test_a_purged_run_leaves_what_was_known_and_the_record_incomplete(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name = unique("purged")
    _, run_id = trained(own_registry, name, tags={"owner": "nina@example.org"})
    sync_now()

    own_registry.purge(run_id)
    run = sync_now()

    assert run.status == SyncRun.Status.PARTIAL
    with tenancy.acting_for(acme):
        version = version_of(name)
        assert version.owner == "nina@example.org"
        assert not version.run_found
        assert run_id in version.incomplete[Section.RUN]
        failure = SyncFailure.objects.get(sync_run=run)
        assert (failure.model_name, failure.section) == (name, Section.RUN)
    own_registry.send("DELETE", "registered-models/delete", name=name)


def test_a_deleted_run_is_still_read(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name = unique("deleted run")
    _, run_id = trained(own_registry, name)
    own_registry.post("runs/delete", run_id=run_id)

    sync_now()

    with tenancy.acting_for(acme):
        run = version_of(name).run
        assert run is not None
        assert run.lifecycle_stage == "deleted"


def test_prompts_are_left_out(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name = unique("greeting")
    own_registry.model(name, tags={"mlflow.prompt.is_prompt": "true"})

    sync_now()

    with tenancy.acting_for(acme):
        assert not RegisteredModel.objects.filter(name=name).exists()


def test_a_secret_in_a_tag_is_never_stored(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name = unique("leaky")
    trained(own_registry, name, tags={"aws": AWS_KEY})

    sync_now()

    with tenancy.acting_for(acme), connection.cursor() as cursor:
        run = version_of(name).run
        assert run is not None
        assert run.redactions[0]["key"] == "aws"
        for table in connection.introspection.table_names(cursor):
            cursor.execute(
                f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s",  # noqa: S608
                [f"%{AWS_KEY}%"],
            )
            assert cursor.fetchone() == (0,), table


@pytest.mark.parametrize(
    "name",
    ["bob's model", 'the "best"', "a%2Fb", "Größe ✓", "<script>alert(1)"],
)
def test_odd_names_survive(
    acme: Organization, own_registry: Registry, sync_now: Syncer, name: str
) -> None:
    name = unique(name)
    trained(own_registry, name, params={"long": "x" * 6000})
    own_registry.post(
        "model-versions/set-tag",
        name=name,
        version="1",
        key="note",
        value="y" * 5000,
    )

    sync_now(artifacts=True)

    with tenancy.acting_for(acme):
        version = version_of(name)
        assert version.hyperparameters["long"] == "x" * 6000
        assert version.tags["note"] == "y" * 5000


@pytest.mark.mlflow3
def test_a_tag_longer_than_mlflow_2_allows_is_stored_whole(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name = unique("long")
    trained(own_registry, name)
    told = {"key": "note", "value": "y" * 100_000}
    own_registry.post("model-versions/set-tag", name=name, version="1", **told)

    sync_now()

    with tenancy.acting_for(acme):
        assert version_of(name).tags["note"] == "y" * 100_000


def test_every_sync_is_on_the_trail_with_its_identity_and_counts(
    acme: Organization, own_registry: Registry, server: TrackingServer, sync_now: Syncer
) -> None:
    trained(own_registry, unique("told"))

    run = sync_now()

    with tenancy.acting_for(acme):
        entry = AuditEvent.objects.get(action="sync.succeeded")
        assert entry.changes["source_uri"] == server.url
        assert entry.changes["identity"] == "No user name and no token"
        assert entry.changes["mlflow_version"].startswith(("2.", "3."))
        assert entry.changes["versions"] == run.count("versions")
        stored = AuditEvent.objects.filter(action="sync.stored").latest("sequence")
        assert stored.changes["created"] >= 1
        assert Run.objects.exists()
