"""Attesting over REST, and the files that are brought as evidence."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts import tenancy
from accounts.models import Organization, User
from accounts.roles import Role
from compliance.evaluation import evaluate_organization
from compliance.models import Gap
from inventory import evidence
from inventory.effective import note_contradictions
from inventory.models import Attestation, EvidenceFile, ModelVersion
from inventory.models.attestations import today
from tests.callers import Caller, calling
from tests.conftest import member
from tests.rows import a_model, a_source, a_version, an_attestation, days

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def files(tmp_path: Path, settings: Any) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def olgas(olga: User) -> Caller:
    return calling(olga)


@pytest.fixture
def version(acme: Organization) -> ModelVersion:
    with tenancy.acting_for(acme):
        return a_version(a_model(a_source()), owner="nina")


def wanted(version: ModelVersion, **more: Any) -> dict[str, Any]:
    told = {"field": "owner", "value": "max@example.org", "reason": "He told me so."}
    return {"model_versions": [version.pk], **told, **more}


def faults(answer: tuple[int, Any]) -> dict[str, str]:
    status, body = answer
    assert status == 400, body
    return {error["field"]: error["detail"] for error in body.get("errors", ())}


def test_what_is_attested_is_told_and_judged_at_once(
    olgas: Caller, version: ModelVersion, acme: Organization
) -> None:
    with tenancy.acting_for(acme):
        ModelVersion.objects.update(owner="")
    evaluate_organization(acme)
    with tenancy.acting_for(acme):
        assert Gap.objects.open().filter(rule_id="VW-INV-001").exists()

    status, body = olgas.post("attestations/", wanted(version))

    assert status == 201, body
    assert body["message"].startswith("1 version judged again: ")
    (made,) = body["attestations"]
    assert (made["state"], made["attested_by"]["name"]) == ("in_force", "Olga")
    assert made["subject"] == "credit-scoring version 1"
    with tenancy.acting_for(acme):
        assert not Gap.objects.open().filter(rule_id="VW-INV-001").exists()
    record = olgas.results("modelInventory/", owner="max@example.org")[0]
    assert record["provenance"]["owner"]["attestation"] == made["id"]
    assert record["ingested"]["owner"] == {
        "value": "",
        "told": None,
        "seen": "",
        "attestation": made["id"],
    }


def test_many_are_attested_at_once_or_none(
    olgas: Caller, version: ModelVersion, acme: Organization
) -> None:
    with tenancy.acting_for(acme):
        other = a_version(a_model(version.source, "fraud"))
    both = {
        "model_versions": [version.pk],
        "registered_models": [other.registered_model_id],
    }

    missing = olgas.post("attestations/", wanted(version, model_versions=[10**9]))
    assert faults(missing) == {
        "model_versions": "There is none with the id 1000000000."
    }
    wrong = olgas.post("attestations/", wanted(version, **both, value=7))
    assert "Owner (owner) cannot be “7”" in faults(wrong)["value"]
    with tenancy.acting_for(acme):
        assert not Attestation.objects.exists()

    status, body = olgas.post("attestations/", wanted(version, **both))

    assert status == 201
    assert len(body["attestations"]) == 2
    assert len(olgas.results("modelInventory/", owner="max@example.org")) == 2


def test_an_attestation_is_withdrawn_with_a_reason(
    olgas: Caller, version: ModelVersion
) -> None:
    _, body = olgas.post("attestations/", wanted(version))
    place = f"attestations/{body['attestations'][0]['id']}"

    assert "reason" in faults(olgas.post(f"{place}/withdraw/"))
    status, body = olgas.post(f"{place}/withdraw/", {"reason": "A mistake."})

    assert status == 200
    assert body["attestations"][0]["state"] == "withdrawn"
    assert olgas.results("modelInventory/")[0]["owner"] == "nina"
    status, body = olgas.post(f"{place}/withdraw/", {"reason": "A mistake."})
    assert (status, body["detail"]) == (
        400,
        "Owner of credit-scoring version 1 is withdrawn already.",
    )


def test_what_is_contradicted_is_found_told_and_kept(
    olgas: Caller, version: ModelVersion, acme: Organization
) -> None:
    _, body = olgas.post("attestations/", wanted(version))
    pk = body["attestations"][0]["id"]
    with tenancy.acting_for(acme):
        row = ModelVersion.objects.get()
        row.ingested["owner"] |= {"value": "zoe", "told": {"source": "version tag"}}
        row.save()
        note_contradictions(Attestation.objects.all(), at=days(9))

    (found,) = olgas.results("attestations/", is_contradicted="true")
    _, detail = olgas.get(f"attestations/{pk}/")
    assert found["id"] == pk
    (said,) = detail["contradictions"]
    assert (said["model_version"], said["value"], said["seen"]) == (
        version.pk,
        "zoe",
        "nina",
    )
    status, body = olgas.post(f"attestations/{pk}/keep/", {"reason": "On leave."})

    assert status == 200, body
    assert body["attestations"][0]["kept_by"]["name"] == "Olga"
    assert olgas.results("attestations/", is_contradicted="true") == []


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 3),
        ({"state": "in_force"}, 1),
        ({"state": "expired"}, 1),
        ({"state": "withdrawn"}, 1),
        ({"state": "replaced"}, 0),
        ({"field": "owner"}, 1),
        ({"expires_before": str(today())}, 0),
        ({"expires_before": str(today() + timedelta(days=1))}, 1),
        ({"search": "credit"}, 3),
        ({"search": "fraud"}, 0),
    ],
)
def test_a_list_is_narrowed(
    olgas: Caller,
    version: ModelVersion,
    acme: Organization,
    asked: dict[str, str],
    count: int,
) -> None:
    with tenancy.acting_for(acme):
        an_attestation(version)
        an_attestation(version, field="intended_use", expires_on=today())
        an_attestation(
            registered_model=version.registered_model,
            field="domain",
            ending="withdrawn",
            ended_at=days(3),
        )

    assert len(olgas.results("attestations/", **asked)) == count


def test_only_roles_that_may_attest_do(
    audrey: User, max_: User, acme: Organization, version: ModelVersion
) -> None:
    editor = member(acme, "Edda", Role.EDITOR)

    status, body = calling(audrey).post("attestations/", wanted(version))
    assert (status, "Auditor" in body["detail"]) == (403, True)
    for user in (max_, editor):
        assert calling(user).post("attestations/", wanted(version))[0] == 201
    (made, _) = calling(audrey).results("attestations/")
    status, _ = calling(audrey).post(
        f"attestations/{made['id']}/withdraw/", {"reason": "I may not."}
    )
    assert status == 403


def test_charlie_and_strangers_attest_nothing(
    charlie: User, bob: User, version: ModelVersion, acme: Organization
) -> None:
    with tenancy.acting_for(acme):
        theirs = an_attestation(version)

    assert calling(charlie).post("attestations/", wanted(version))[0] == 403
    assert calling(charlie).get("attestations/")[0] == 403
    assert "model_versions" in faults(
        calling(bob).post("attestations/", wanted(version))
    )
    for act in ("withdraw", "keep"):
        place = f"attestations/{theirs.pk}/{act}/"
        assert calling(bob).post(place, {"reason": "It is mine."})[0] == 404


# Evidence files


def upload(caller: Caller, content: bytes, name: str = "report.pdf") -> Any:
    file = SimpleUploadedFile(name, content, content_type="text/html")
    return caller.client.post("/api/evidence-files/", {"file": file})


def test_a_file_is_kept_named_by_an_attestation_and_downloaded(
    olgas: Caller, version: ModelVersion, files: Path
) -> None:
    content = b"<script>alert(1)</script>"

    kept = upload(olgas, content, "../../Bericht 1.html").json()

    assert kept["name"] == "Bericht 1.html"
    assert kept["sha256"] == hashlib.sha256(content).hexdigest()
    status, body = olgas.post(
        "attestations/", wanted(version, evidence_file=kept["id"])
    )
    assert status == 201
    assert body["attestations"][0]["evidence_file"]["id"] == kept["id"]
    answer: Any = olgas.client.get(f"/api/evidence-files/{kept['id']}/download/")
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == 'attachment; filename="Bericht 1.html"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert b"".join(answer.streaming_content) == content
    (stored,) = [path for path in files.rglob("*") if path.is_file()]
    assert "Bericht" not in str(stored)


def test_a_file_too_large_empty_or_nameless_is_refused(
    olgas: Caller, monkeypatch: pytest.MonkeyPatch, files: Path
) -> None:
    monkeypatch.setattr(evidence, "LARGEST", 10)

    for content, sentence in ((b"x" * 11, "has 11 bytes"), (b"", "is empty")):
        answer = upload(olgas, content)
        assert answer.status_code == 400
        assert sentence in answer.json()["errors"][0]["detail"]
    assert not any(path.is_file() for path in files.rglob("*"))
    status, body = olgas.post("evidence-files/", {"file": "text"})
    assert (status, body["status"]) == (415, 415)


def test_files_are_for_their_organization_and_roles(
    olgas: Caller, audrey: User, bob: User, charlie: User, client: Client
) -> None:
    kept = upload(olgas, b"proof").json()
    place = f"/api/evidence-files/{kept['id']}/download/"

    assert upload(calling(audrey), b"proof").status_code == 403
    assert calling(audrey).client.get(place).status_code == 200
    assert calling(bob).client.get(place).status_code == 404
    assert calling(charlie).client.get(place).status_code == 403
    assert client.get(place).status_code == 401


def test_a_file_that_is_gone_from_the_store_is_said_to_be(
    olgas: Caller, acme: Organization, files: Path
) -> None:
    kept = upload(olgas, b"proof").json()
    with tenancy.acting_for(acme):
        Path(EvidenceFile.objects.get().file.path).unlink()

    status, body = olgas.get(f"evidence-files/{kept['id']}/download/")

    assert (status, body["detail"]) == (
        404,
        "“report.pdf” is not in the store of files any more.",
    )
