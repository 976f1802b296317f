"""What models and versions tell of the apps above the inventory."""

from __future__ import annotations

import pytest

from accounts.models import User
from compliance.models import RuleSet
from inventory.models import ModelVersion, Source
from tests.callers import Caller, calling
from tests.rows import (
    a_model,
    a_server,
    a_sync,
    a_version,
    an_evaluation,
    days,
)


@pytest.fixture
def alices(alice: User) -> Caller:
    return calling(alice)


@pytest.fixture
def version(source: Source) -> ModelVersion:
    return a_version(a_model(source))


def test_models_and_versions_tell_their_open_gaps(
    alices: Caller, source: Source
) -> None:
    model = a_model(source)
    first, second = a_version(model, 1), a_version(model, 2)
    gone = a_version(model, 3, absent_since=days(9))
    an_evaluation(first, critical=1, low=2)
    an_evaluation(second, high=1, low=1, missing_fields=4)
    an_evaluation(gone, critical=9)
    unjudged = a_model(source, "unjudged")

    (told, other) = alices.results("registered-models/")

    assert told["gaps"] == {
        "critical": 1,
        "high": 1,
        "medium": 0,
        "low": 3,
        "missing_fields": 4,
        "waived": 0,
    }
    assert (other["id"], other["gaps"]) == (unjudged.pk, None)
    entries = alices.results("modelInventory/", fields="version_number,gaps")
    assert [entry["gaps"]["low"] for entry in entries] == [1, 2]
    assert [
        entry["version_number"]
        for entry in alices.results("modelInventory/", gaps=["critical", "medium"])
    ] == [1]
    assert [
        entry["name"] for entry in alices.results("registered-models/", gaps="critical")
    ] == ["credit-scoring"]
    assert alices.results("registered-models/", gaps="medium") == []


def test_a_version_tells_the_latest_answer_of_every_rule(
    alices: Caller, version: ModelVersion
) -> None:
    an_evaluation(
        version,
        results={
            "VW-INV-001": {"verdict": "fail", "detail": "No owner."},
            "ACME-001": {"verdict": "pass", "inputs": {"seen": 3}},
        },
        facts={"domain": "finance"},
        rule_set=RuleSet.objects.create(
            digest="d",
            rules={
                "VW-INV-001": {"shown": ["owner"], "thresholds": {}, "version": 1},
                "ACME-001": {
                    "shown": ["domain", "owner"],
                    "thresholds": {"most": 4},
                    "version": 2,
                },
            },
        ),
    )

    first, second = alices.results(f"modelInventory/{version.pk}/results/")

    assert (first["rule_id"], first["verdict"]) == ("VW-INV-001", "fail")
    assert first["detail"] == "No owner."
    assert first["inputs"] == first["thresholds"] == {}
    assert (second["title"], second["version"]) == ("ACME-001", 2)
    assert second["inputs"] == {"domain": "finance", "seen": 3}
    assert second["thresholds"] == {"most": 4}
    assert second["since"] == "2026-01-03T00:00:00Z"


def test_a_version_that_was_not_judged_has_no_results(
    alices: Caller, version: ModelVersion
) -> None:
    assert alices.results(f"modelInventory/{version.pk}/results/") == []


def test_a_version_tells_as_of_when_each_section_was_read(
    alices: Caller, source: Source
) -> None:
    model = a_model(source)
    listed = a_version(model, 1, artifacts_fingerprint="a", incomplete={"run": "gone"})
    absent = a_version(model, 2, absent_since=days(8))
    server = a_server(source)
    a_sync(server, started_at=days(2), is_full=True)
    a_sync(server, started_at=days(5), status="partial")
    a_sync(server, started_at=days(6), status="failed")

    _, entry = alices.get(f"modelInventory/{listed.pk}/")

    read = "2026-01-06T00:00:00Z"
    assert entry["as_of"] == {
        "version": read,
        "run": None,
        "experiment": read,
        "artifacts": "2026-01-03T00:00:00Z",
        "environment": "2026-01-03T00:00:00Z",
    }
    _, entry = alices.get(f"modelInventory/{absent.pk}/")
    assert set(entry["as_of"].values()) == {None}
    (told,) = alices.results("registered-models/")
    assert told["as_of"] == read


def test_the_files_of_a_version_are_verified_by_who_may_sync(
    alices: Caller, audrey: User, source: Source
) -> None:
    row = {"path": "model.pkl", "size": 5, "type": "model", "state": "not_asked"}
    version = a_version(a_model(source), artifact_manifest=[row], files_waiting=1)
    path = f"modelInventory/{version.pk}/verify-files/"

    status, problem = alices.post(path)
    assert status == 400
    assert problem["detail"].startswith("No tracking server is read for this version")
    a_server(source)
    assert calling(audrey).post(path)[0] == 403

    status, run = alices.post(path)

    assert status == 202
    assert (run["reach"], run["version"]) == ("files", version.pk)
    assert alices.post(path)[0] == 409


def test_versions_tell_what_is_known_of_their_files(
    alices: Caller, source: Source
) -> None:
    model = a_model(source)
    a_version(model, 1, files_hashed=2, files_waiting=1)
    a_version(model, 2, files_hashed=3, files_changed=1)
    a_server(source)

    (told,) = alices.results("modelInventory/", has_changed_files="true")

    assert told["version_number"] == 2
    assert told["files"] == {"hashed": 3, "waiting": 0, "too_large": 0, "changed": 1}
    (other,) = alices.results("modelInventory/", has_changed_files="false")
    assert other["files"]["waiting"] == 1
    (server,) = alices.results("tracking-servers/")
    assert server["files"] is None  # nothing is in production
