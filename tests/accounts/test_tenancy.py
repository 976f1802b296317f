from __future__ import annotations

import pytest
from django.db import ProgrammingError, transaction
from django.db.utils import IntegrityError

from accounts import audit, tenancy
from accounts.models import AuditEvent, Organization
from inventory.models import RegisteredModel, Source


def test_a_query_outside_any_organization_sees_nothing(acme: Organization) -> None:
    with tenancy.acting_for(acme):
        Source.objects.create(name="Production")
        assert Source.objects.count() == 1

    assert Source.objects.count() == 0


def test_a_row_for_another_organization_is_refused(
    acme: Organization, borealis: Organization
) -> None:
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        tenancy.acting_for(acme),
    ):
        Source.objects.create(name="Planted", organization=borealis)


@pytest.mark.django_db(transaction=True)
def test_a_key_to_another_organizations_row_is_refused(
    acme: Organization, borealis: Organization
) -> None:
    with tenancy.acting_for(borealis):
        theirs = Source.objects.create(name="Theirs")

    with (
        pytest.raises(IntegrityError, match="same_inventory_model_source"),
        tenancy.acting_for(acme),
    ):
        RegisteredModel.objects.create(source=theirs, name="m", fingerprint="f")


@pytest.mark.django_db(transaction=True)
def test_an_act_and_its_entry_are_sealed_together(acme: Organization) -> None:
    with tenancy.acting_for(acme):
        audit.record("thing.done", label="one")
        audit.record("thing.done", label="two")

    with tenancy.acting_for(acme):
        assert audit.verify(acme).entries == 2
        assert audit.verify(acme).intact


@pytest.mark.django_db(transaction=True)
def test_an_act_that_was_rolled_back_leaves_no_entry(acme: Organization) -> None:
    with tenancy.acting_for(acme):
        audit.record("thing.done", label="kept")
        with pytest.raises(ValueError, match="no"), transaction.atomic():
            audit.record("thing.done", label="undone")
            raise ValueError("no")

    with tenancy.acting_for(acme):
        assert [event.object_label for event in AuditEvent.objects.all()] == ["kept"]
