"""Whatever the console and the API show, they show of one's own organization only.

Every registered admin class and every route is walked: a new one without a row to try
it with fails here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Model
from django.urls import reverse

from accounts import audit, tenancy
from accounts.members import issue_token
from accounts.models import (
    ApiToken,
    AuditEvent,
    Membership,
    Organization,
    SavedView,
    User,
)
from compliance.models import Framework, Gap, Policy, Waiver
from inventory.models import (
    Attestation,
    EvidenceFile,
    ModelVersion,
    PersonName,
    RegisteredModel,
    Source,
    UnregisteredModel,
)
from mlflow_sync.models import SyncRun, TrackingServer, VocabularyEntry
from tests import rows
from tests.conftest import signed_in
from verifywise.api import ROUTES

pytestmark = pytest.mark.django_db(transaction=True)


def a_run() -> SyncRun:
    return rows.a_sync(rows.a_server(rows.a_source()))


def a_waiver() -> Waiver:
    gap = rows.a_gap(rows.a_version(rows.a_model(rows.a_source())))
    return rows.a_waiver(gap, User.objects.get(name="Bob"))


ROWS: dict[type[Model], Callable[[], Model]] = {
    ApiToken: lambda: issue_token("CI", user=User.objects.get(name="Bob")),
    Attestation: lambda: rows.an_attestation(
        rows.a_version(rows.a_model(rows.a_source()))
    ),
    AuditEvent: lambda: AuditEvent.objects.latest("sequence"),
    EvidenceFile: rows.an_evidence_file,
    Gap: lambda: rows.a_gap(rows.a_version(rows.a_model(rows.a_source()))),
    Membership: Membership.objects.get,
    SavedView: lambda: rows.a_view(User.objects.get(name="Bob")),
    PersonName: lambda: rows.a_name(User.objects.get(name="Bob")),
    Policy: lambda: rows.a_policy(1),
    ModelVersion: lambda: rows.a_version(rows.a_model(rows.a_source())),
    RegisteredModel: lambda: rows.a_model(rows.a_source()),
    Source: rows.a_source,
    SyncRun: a_run,
    TrackingServer: lambda: rows.a_server(rows.a_source()),
    VocabularyEntry: rows.a_word,
    UnregisteredModel: lambda: rows.an_unregistered_model(rows.a_source()),
    Waiver: a_waiver,
}
OF_NOBODY = {
    "me": "is about the caller",
    "rules": "are the same for everybody",
    "coverage": "counts rows, of which test_coverage shows that they are one's own",
    "frameworks": "count rows; test_frameworks_console shows that they are one's own",
    "check-version": "answers for one version; its own tests ask for a foreign one",
}
WITHOUT_ROWS = {Framework}  # its pages count; test_frameworks_console looks at them
CONSOLE = sorted(
    admin.site._registry.keys() - WITHOUT_ROWS, key=lambda model: model._meta.label
)
API = [
    (prefix, viewset.queryset.model, viewset.lookup_field)
    for prefix, viewset in ROUTES
    if prefix not in OF_NOBODY
]


@pytest.fixture
def bobs(borealis: Organization, bob: User) -> Callable[[type[Model]], Model]:
    """Return how to make, or find, a row of a model in Borealis."""

    def make(model: type[Model]) -> Model:
        with tenancy.acting_for(borealis):
            audit.record("thing.done")
        with tenancy.acting_for(borealis):
            return ROWS[model]()

    return make


@pytest.mark.parametrize("model", CONSOLE, ids=lambda model: model.__name__)
def test_the_console_has_no_page_of_a_foreign_row(
    alice: User, bobs: Callable[[type[Model]], Model], model: type[Model]
) -> None:
    row = bobs(model)
    client = signed_in(alice)
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    may_delete = admin.site._registry[model].permissions.get("delete")  # type: ignore[attr-defined]

    def answer(what: str) -> Any:
        return client.get(reverse(f"{name}_{what}", args=[row.pk]))

    assert answer("change").status_code == 302
    assert answer("delete").status_code == (302 if may_delete else 403)
    assert answer("history").status_code == 404
    listed = client.get(reverse(f"{name}_changelist"))
    assert row.pk not in {shown.pk for shown in listed.context["cl"].result_list}


@pytest.mark.parametrize("model", CONSOLE, ids=lambda model: model.__name__)
def test_the_console_shows_that_row_to_its_own(
    bob: User, bobs: Callable[[type[Model]], Model], model: type[Model]
) -> None:
    """Or the test above would pass where a page shows nothing to anybody."""
    row = bobs(model)
    client = signed_in(bob)
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"

    page = client.get(reverse(f"{name}_change", args=[row.pk]))
    listed = client.get(reverse(f"{name}_changelist"))

    assert page.status_code == 200
    assert row.pk in {shown.pk for shown in listed.context["cl"].result_list}


@pytest.mark.parametrize(("prefix", "model", "key"), API, ids=str)
def test_the_api_tells_a_row_to_its_own_only(
    alice: User,
    bob: User,
    bobs: Callable[[type[Model]], Model],
    prefix: str,
    model: type[Model],
    key: str,
) -> None:
    row = bobs(model)
    value = getattr(row, key)
    if model is AuditEvent:  # its number is Acme's too: another one that Acme has not
        value = 1
    theirs, ours = signed_in(bob), signed_in(alice)

    if prefix != "model-inventory-change-history":  # a list below one version
        assert theirs.get(f"/api/{prefix}/").json()["results"]
        told = ours.get(f"/api/{prefix}/").json()["results"]
        assert all(entry.get("id") != row.pk for entry in told)
    if model is AuditEvent:
        assert theirs.get(f"/api/{prefix}/{value}/").json()["action"] == "thing.done"
        assert ours.get(f"/api/{prefix}/{value}/").json()["action"] == "session.started"
    else:
        assert theirs.get(f"/api/{prefix}/{value}/").status_code == 200
        assert ours.get(f"/api/{prefix}/{value}/").status_code == 404


def test_routes_that_belong_to_nobody_are_still_there() -> None:
    assert OF_NOBODY.keys() <= {prefix for prefix, _ in ROUTES}
