"""An organization's words on a real MLflow: what a sync makes of them."""

from __future__ import annotations

import pytest

from accounts import tenancy
from accounts.models import Organization
from mlflow_sync.mapping.acts import add_entry, remove_entry
from mlflow_sync.models import SyncRun, TrackingServer, VocabularyEntry
from tests.mlflow_sync.conftest import Syncer
from tests.mlflow_sync.test_sync import trained, version_of
from tests.registry import Registry, unique

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_mapped_key_fills_its_field_by_the_next_sync_and_empties_it_again(
    acme: Organization, own_registry: Registry, server: TrackingServer, sync_now: Syncer
) -> None:
    """Nothing changed in MLflow, where the address was redacted at first."""
    name = unique("credit")
    _, run_id = trained(own_registry, name)
    own_registry.tag_run(run_id, "data.steward", "olga@example.org")
    sync_now()
    with tenancy.acting_for(acme):
        assert version_of(name).owner != "olga@example.org"
        entry = add_entry(
            VocabularyEntry(
                kind=VocabularyEntry.Kind.KEY, field="owner", told="data.steward"
            )
        )
        SyncRun.objects.filter(status=SyncRun.Status.QUEUED).delete()

    sync_now()

    with tenancy.acting_for(acme):
        version = version_of(name)
        assert version.owner == "olga@example.org"
        assert version.provenance["owner"]["key"] == "data.steward"
        remove_entry(entry)
        SyncRun.objects.filter(status=SyncRun.Status.QUEUED).delete()

    assert sync_now().count("updated") == 1

    with tenancy.acting_for(acme):
        assert version_of(name).owner != "olga@example.org"
