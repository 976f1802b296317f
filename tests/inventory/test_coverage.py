"""Which fields can be seen at all, counted in the database as the record counts them."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from accounts import tenancy
from accounts.models import Organization, User
from inventory.coverage import (
    OBSERVED,
    VALUES_SHOWN,
    FieldCoverage,
    Scope,
    coverage,
    known,
    models_lacking,
    told_values,
)
from inventory.models import ModelVersion, RegisteredModel, Source
from inventory.records import FIELDS, is_known
from tests.callers import calling
from tests.pages import Visitor
from tests.rows import a_model, a_source, a_version, days
from verifywise import navigation

pytestmark = pytest.mark.django_db

COVERAGE = "inventory/modelversion/coverage/"
TOLD = {"source": "version tag", "key": "owner"}


@pytest.fixture
def credit(source: Source) -> RegisteredModel:
    """Two versions that tell much, and one that is no longer told."""
    model = a_model(source)
    a_version(
        model,
        1,
        owner="max@example.org",
        lifecycle_stage="Production",
        metrics={"auc": 0.9},
        regulatory_scope=["gdpr", "hipaa"],
        data_sensitivity="secret",
        training_ended_at=days(0),
        governance={"domain": "finance", "customer_facing": False},
        provenance={"owner": TOLD, "domain": TOLD | {"weak": True}},
        others={"owner": [["nina", {"source": "run info", "key": "user_id"}]]},
    )
    a_version(model, 2, owner="max@example.org", data_sensitivity="personal")
    a_version(model, 3, owner="gone", absent_since=days(2))
    return model


def covered(scope: Scope | None = None) -> dict[str, FieldCoverage]:
    return {item.field.name: item for item in coverage(scope or Scope())}


def test_every_field_is_counted_as_the_record_counts_it(
    credit: RegisteredModel,
) -> None:
    versions = list(ModelVersion.objects.present())
    found = covered()
    assert set(found) == set(FIELDS)
    for name, item in found.items():
        values = [version.value(name) for version in versions]
        assert item.versions_known == sum(map(is_known, values)), name
        assert (item.versions, item.models) == (2, 1)


def test_who_told_a_field_is_told(credit: RegisteredModel) -> None:
    found = covered()
    assert dict(found["owner"].told_by) == {"version tag": 1, OBSERVED: 1}
    assert (found["owner"].disputed, found["owner"].weak) == (1, 0)
    assert found["domain"].weak == 1
    assert found["limitations"].told_by == ()


def test_a_model_counts_once_however_many_versions_know(
    source: Source, credit: RegisteredModel
) -> None:
    a_version(a_model(source, "fraud"), 1)
    owner = covered()["owner"]
    assert (owner.versions_known, owner.versions) == (2, 3)
    assert (owner.models_known, owner.models) == (1, 2)


def test_a_stage_or_a_source_narrows(credit: RegisteredModel) -> None:
    assert covered(Scope(lifecycle_stage="Production"))["owner"].versions == 1
    other = a_source("Another MLflow")
    a_version(a_model(other, "fraud"), 1)
    found = covered(Scope(source_id=other.pk))["owner"]
    assert (found.versions, found.versions_known) == (1, 0)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("owner", [("max@example.org", 2, True)]),
        ("data_sensitivity", [("personal", 1, True), ("secret", 1, False)]),
        ("regulatory_scope", [("gdpr, hipaa", 1, True)]),
        ("domain", [("finance", 1, True)]),
        ("customer_facing", [("false", 1, True)]),
        ("model_name", [("credit-scoring", 2, True)]),
        ("metrics", []),
    ],
)
def test_values_are_told_with_their_counts(
    credit: RegisteredModel, name: str, told: list[tuple[str, int, bool]]
) -> None:
    found = told_values(FIELDS[name], Scope())
    assert [(v.value, v.versions, v.is_in_vocabulary) for v in found] == told


def test_of_many_values_the_most_frequent_are_shown(credit: RegisteredModel) -> None:
    for number in range(10, 12 + VALUES_SHOWN):
        a_version(credit, number, owner=f"owner {number}")
    found = told_values(FIELDS["owner"], Scope())
    assert len(found) == VALUES_SHOWN
    assert (found[0].value, found[0].versions) == ("max@example.org", 2)


@pytest.mark.parametrize("name", FIELDS)
def test_the_models_that_lack_a_field_are_counted_alike(
    source: Source, credit: RegisteredModel, name: str
) -> None:
    bare = a_model(source, "bare")
    a_version(bare, 1)
    a_model(source, "without versions")
    for model in models_lacking(FIELDS[name], Scope()):
        versions = model.versions.present()
        assert model.versions_all == versions.count()
        assert model.versions_known == versions.filter(known(name)).count()
    assert models_lacking(FIELDS["owner"], Scope())[0] == bare


def test_the_counts_are_of_ones_own_organization(
    acme: Organization, borealis: Organization, bob: User, alice: User
) -> None:
    with tenancy.acting_for(borealis):
        a_version(a_model(a_source()), 1, owner="bob")
    for user, versions in ((bob, 1), (alice, 0)):
        (found, *_) = calling(user).results("coverage/", page_size=100)
        assert found["versions"] == versions
        status, body = calling(user).get("coverage/owner/")
        assert (status, len(body["values"])) == (200, versions)


def test_a_page_leads_from_a_field_to_the_versions_that_lack_it(
    alice: User, acme: Organization
) -> None:
    with tenancy.acting_for(acme):
        model = a_model(a_source())
        a_version(model, 1, owner="max@example.org")
        a_version(model, 2)
    visitor = Visitor(alice)
    assert "Owner 1 of 2 1 of 1" in visitor.text(COVERAGE)
    page = visitor.text(f"{COVERAGE}owner/")
    assert "max@example.org 1" in page
    assert "credit-scoring 1 of 2" in page
    (row,) = visitor.rows("inventory/modelversion/", lacking="owner")
    assert "version 2" in row


def test_a_field_leads_to_where_it_is_mapped_and_attested(
    alice: User, audrey: User, acme: Organization
) -> None:
    with tenancy.acting_for(acme):
        model = a_model(a_source())
        a_version(model, 1, owner="max@example.org")
        bare = a_version(model, 2)
    page = Visitor(alice).page(f"{COVERAGE}owner/")
    attest = (
        f"/console/inventory/attestation/attest/?field=owner&amp;versions={bare.pk}"
    )
    assert f'href="{attest}"' in page
    assert "/console/mlflow_sync/vocabularyentry/add/?field=owner" in page
    assert "Attest it of 1 version that lacks it" in page
    assert "attestation/attest" not in Visitor(audrey).page(f"{COVERAGE}owner/")
    assert "attestation/attest" not in Visitor(alice).page(f"{COVERAGE}metrics/")


@pytest.mark.parametrize("versions", [1, 30])
def test_the_pages_cost_few_queries(
    alice: User, acme: Organization, versions: int
) -> None:
    with tenancy.acting_for(acme):
        model = a_model(a_source())
        for number in range(1, versions + 1):
            a_version(model, number)
    visitor = Visitor(alice)
    empty = visitor.queries("compliance/gap/")
    assert visitor.queries(COVERAGE) <= empty
    assert visitor.queries(f"{COVERAGE}owner/") <= empty + 2


def test_what_is_no_field_is_not_there(alice: User, acme: Organization) -> None:
    Visitor(alice).page(f"{COVERAGE}ownr/", answers=404)
    assert calling(alice).get("coverage/ownr/")[0] == 404


def test_what_cannot_narrow_is_refused_by_name(alice: User, acme: Organization) -> None:
    faults = calling(alice).fault("coverage/", lifecycle_stage="Live", source="x")
    assert set(faults) == {"lifecycle_stage", "source"}


@pytest.mark.parametrize(
    ("path", "is_about_versions"),
    [
        ("inventory/modelversion/", True),
        ("inventory/modelversion/3/change/", True),
        (COVERAGE, False),
        (f"{COVERAGE}owner/", False),
        ("inventory/registeredmodel/", False),
    ],
)
def test_the_sidebar_marks_coverage_and_not_the_versions_too(
    rf: RequestFactory, path: str, is_about_versions: bool
) -> None:
    request = rf.get(f"/console/{path}")
    assert navigation.is_about_versions(request) is is_about_versions
