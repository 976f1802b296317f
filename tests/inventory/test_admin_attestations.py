"""Attesting at the console: from a field, from a model, from what is selected in a list."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts import tenancy
from accounts.models import Organization, User
from inventory.effective import note_contradictions
from inventory.fields import FIELDS
from inventory.models import Attestation, EvidenceFile, ModelVersion, RegisteredModel
from inventory.models.attestations import today
from tests.pages import MOST_QUERIES, Visitor, a_registry, words
from tests.rows import a_source, an_attestation, days

pytestmark = pytest.mark.django_db

ATTEST = "inventory/attestation/attest/"
LIST = "inventory/attestation/"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, settings: Any) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def models(acme: Organization) -> list[RegisteredModel]:
    with tenancy.acting_for(acme):
        return a_registry(a_source(), models=2)


@pytest.fixture
def version(acme: Organization, models: list[RegisteredModel]) -> ModelVersion:
    with tenancy.acting_for(acme):
        return (
            models[0].versions.select_related("registered_model").get(version_number=2)
        )


@pytest.fixture
def olgas(olga: User) -> Visitor:
    return Visitor(olga)


def filled(version: ModelVersion, **more: Any) -> dict[str, Any]:
    return {
        "versions": str(version.pk),
        "models": "",
        "field": "data_sensitivity",
        "value": "phi",
        "reason": "It reads patients' letters.",
        "expires_on": "",
        "attest": "1",
        **more,
    }


def contradicted(version: ModelVersion, told: str = "public") -> Attestation:
    """Let the source tell something else than what was seen."""
    made = Attestation.objects.get()
    row = ModelVersion.objects.get(pk=version.pk)
    row.ingested[made.field] |= {"value": told, "told": {"source": "version tag"}}
    row.save()
    note_contradictions([made], at=days(9))
    return made


def test_a_field_of_a_version_leads_to_its_form_and_back(
    olgas: Visitor, version: ModelVersion
) -> None:
    page = olgas.page(f"inventory/modelversion/{version.pk}/change/")
    assert f"{ATTEST}?versions={version.pk}&amp;field=data_sensitivity" in page
    assert "field=metrics" not in page

    form = olgas.page(ATTEST, versions=version.pk, field="data_sensitivity")
    assert '<option value="special_category">' in form
    answer = olgas.post(ATTEST, **filled(version))

    assert answer["Location"] == (
        f"/console/inventory/modelversion/{version.pk}/change/#record"
    )
    text = words(olgas.page(f"inventory/modelversion/{version.pk}/change/"))
    assert "Data sensitivity phi MLflow tells nothing attested by Olga on" in text
    assert "Attested: Data sensitivity of model-000 version 2." in text
    assert "judged again" in text


@pytest.mark.parametrize(
    ("field", "widget", "value", "stored"),
    [
        ("legal_hold", "<select", "false", False),
        ("financial_impact_usd", "<input", "12.5", 12.5),
        ("jurisdictions", "<input", "DE, FR,, DE", ["DE", "FR"]),
        ("fairness_metrics", "<textarea", '{"gap": 0.1}', {"gap": 0.1}),
        ("intended_use", "<textarea", " Loans. ", "Loans."),
        ("declared_tier", "<select", "low", "low"),
        ("approval_claim", "<textarea", "none", "none"),
    ],
)
def test_the_widget_fits_the_kind(
    olgas: Visitor,
    acme: Organization,
    version: ModelVersion,
    field: str,
    widget: str,
    value: str,
    stored: Any,
) -> None:
    form = olgas.page(ATTEST, versions=version.pk, field=field)
    assert re.search(rf'{widget}[^>]*name="value"', form)
    assert FIELDS[field].caution in words(form)

    olgas.post(ATTEST, **filled(version, field=field, value=value))

    with tenancy.acting_for(acme):
        assert Attestation.objects.get().value == stored
        assert ModelVersion.objects.get(pk=version.pk).value(field) == stored


def test_what_the_act_objects_to_is_shown_and_no_file_is_kept(
    olgas: Visitor, acme: Organization, version: ModelVersion, files: Path
) -> None:
    wrong = filled(
        version,
        field="unit_tests_pass_rate",
        value="98",
        expires_on=str(today()),
        evidence=SimpleUploadedFile("proof.pdf", b"proof"),
    )

    answer = olgas.post(ATTEST, **wrong)

    text = words(answer.content.decode())
    assert "Unit tests pass rate (unit_tests_pass_rate) cannot be “98.0”" in text
    assert f"{today()} is not in the future." in text
    assert not any(path.is_file() for path in files.rglob("*"))
    with tenancy.acting_for(acme):
        assert not Attestation.objects.exists()
        assert not EvidenceFile.objects.exists()


def test_an_evidence_file_goes_along(
    olgas: Visitor, acme: Organization, version: ModelVersion
) -> None:
    olgas.post(
        ATTEST,
        **filled(version, evidence=SimpleUploadedFile("proof.pdf", b"proof")),
    )

    with tenancy.acting_for(acme):
        made = Attestation.objects.get()
    page = olgas.page(f"{LIST}{made.pk}/change/")
    assert f"/api/evidence-files/{made.evidence_file_id}/download" in page
    assert "proof.pdf" in page


def test_what_is_selected_in_a_list_is_attested_at_once(
    olgas: Visitor, acme: Organization, models: list[RegisteredModel]
) -> None:
    with tenancy.acting_for(acme):
        chosen = [model.versions.get(version_number=2).pk for model in models]
    selected = {"action": "attest_selected", "_selected_action": chosen}

    page = olgas.post("inventory/modelversion/", **selected).content.decode()

    hidden = re.search(r'name="versions" value="([\d,]+)"', page)
    assert hidden is not None
    assert sorted(map(int, hidden[1].split(","))) == sorted(chosen)
    assert "Attest of 2 versions" in words(page)
    asked = {"versions": hidden[1], "models": "", "field": "domain"}
    assert 'name="value"' in olgas.post(ATTEST, **asked).content.decode()
    answer = olgas.post(ATTEST, **asked, value="credit", reason="So.", attest="1")
    assert answer["Location"] == "/console/inventory/attestation/"
    assert len(olgas.rows(LIST)) == 2
    with tenancy.acting_for(acme):
        holding = ModelVersion.objects.filter(governance__domain="credit")
        assert set(holding.values_list("pk", flat=True)) == set(chosen)


def test_a_model_is_attested_for_all_its_versions(
    olgas: Visitor, acme: Organization, models: list[RegisteredModel]
) -> None:
    place = f"inventory/registeredmodel/{models[0].pk}/change/"
    assert f"{ATTEST}?models={models[0].pk}" in olgas.page(place)
    selected = {"action": "attest_selected", "_selected_action": [models[0].pk]}
    page = olgas.post("inventory/registeredmodel/", **selected).content.decode()
    assert "Attest of all versions of model-000" in words(page)

    olgas.post(
        ATTEST,
        models=models[0].pk,
        versions="",
        field="owner",
        value="max",
        reason="So it is.",
        attest="1",
    )

    with tenancy.acting_for(acme):
        owners = models[0].versions.values_list("owner", flat=True)
        assert list(owners) == ["max"] * 3
    assert "Attested for all versions" in olgas.text(place)


def test_what_mlflow_says_otherwise_is_shown_found_and_decided(
    olgas: Visitor, acme: Organization, version: ModelVersion
) -> None:
    olgas.post(ATTEST, **filled(version))
    with tenancy.acting_for(acme):
        made = contradicted(version)

    record = olgas.text(f"inventory/modelversion/{version.pk}/change/")
    assert "MLflow tells public by version tag MLflow says otherwise" in record
    assert len(olgas.rows(LIST, attention="contradicted")) == 1
    place = f"{LIST}{made.pk}/"
    assert "model-000 version 2 public version tag" in olgas.text(f"{place}change/")
    olgas.post(f"{place}keep/", reason="")
    assert "Say why" in olgas.page(f"{place}change/")
    olgas.post(f"{place}keep/", reason="The tag is wrong.")
    assert olgas.rows(LIST, attention="contradicted") == []
    assert "The tag is wrong." in olgas.text(f"{place}change/")

    olgas.post(f"{place}withdraw/", reason="It was I who was wrong.")

    with tenancy.acting_for(acme):
        assert ModelVersion.objects.get(pk=version.pk).data_sensitivity == "public"
    assert olgas.rows(LIST) == []
    assert len(olgas.rows(LIST, state="withdrawn")) == 1
    assert "Decide" not in olgas.text(f"{place}change/")


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 2),
        ({"state": "all"}, 3),
        ({"state": "expired"}, 1),
        ({"field": "owner"}, 1),
        ({"attention": "expiring"}, 1),
        ({"q": "model-001"}, 0),
        ({"q": "model-000"}, 2),
    ],
)
def test_the_list_is_narrowed(
    olgas: Visitor,
    acme: Organization,
    version: ModelVersion,
    asked: dict[str, str],
    count: int,
) -> None:
    with tenancy.acting_for(acme):
        an_attestation(version, expires_on=today() + timedelta(days=90))
        an_attestation(version, field="domain", expires_on=today() + timedelta(days=9))
        an_attestation(version, field="legal_hold", expires_on=today())

    assert len(olgas.rows(LIST, **asked)) == count


def test_an_auditor_sees_attestations_and_makes_none(
    audrey: User, acme: Organization, version: ModelVersion
) -> None:
    with tenancy.acting_for(acme):
        made = an_attestation(version)
    visitor = Visitor(audrey)

    assert len(visitor.rows(LIST)) == 1
    assert "Withdraw" not in visitor.page(f"{LIST}{made.pk}/change/")
    assert ATTEST not in visitor.page(f"inventory/modelversion/{version.pk}/change/")
    assert "attest_selected" not in visitor.page("inventory/modelversion/")
    assert "not open to your role" in visitor.page(
        ATTEST, answers=403, versions=version.pk, field="owner"
    )
    assert visitor.post(ATTEST, **filled(version)).status_code == 403
    assert visitor.post(f"{LIST}{made.pk}/withdraw/", reason="No.").status_code == 403


def test_strangers_attest_nothing_of_ours(
    bob: User, charlie: User, acme: Organization, version: ModelVersion
) -> None:
    with tenancy.acting_for(acme):
        made = an_attestation(version, field="domain")

    assert Visitor(bob).post(ATTEST, **filled(version)).status_code == 302
    assert Visitor(bob).post(
        f"{LIST}{made.pk}/withdraw/", reason="So."
    ).status_code == (404)
    assert Visitor(charlie).post(ATTEST, **filled(version)).status_code in (302, 403)
    with tenancy.acting_for(acme):
        assert Attestation.objects.in_force().get() == made


@pytest.mark.parametrize(
    "path", [LIST, f"{ATTEST}?field=owner", "inventory/modelversion/"]
)
def test_pages_cost_the_same_however_much_is_attested(
    olgas: Visitor, acme: Organization, models: list[RegisteredModel], path: str
) -> None:
    page, _, _ = path.partition("?")
    asked: dict[str, Any] = {}

    def cost(count: int) -> int:
        with tenancy.acting_for(acme):
            versions = list(ModelVersion.objects.order_by("pk")[:count])
            for version in versions:
                if not version.attestations.exists():
                    an_attestation(version)
        if page == ATTEST:
            chosen = ",".join(str(version.pk) for version in versions)
            asked.update(versions=chosen, field="owner")
        return olgas.queries(page, **asked)

    cost(1)  # the first request of all fills caches
    few = cost(1)
    assert cost(6) == few <= MOST_QUERIES
