"""The inventory over REST, as each app below the roof offers it."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import tenancy
from accounts.models import Organization, User
from inventory.models import LifecycleEvent, ModelVersion, RegisteredModel, Run, Source
from inventory.records import FIELDS
from tests.callers import Caller, calling, schema_told_to
from tests.rows import a_model, a_run, a_version, days

LISTS = ("sources/", "registered-models/", "modelInventory/")


@pytest.fixture
def credit(source: Source) -> RegisteredModel:
    return a_model(
        source,
        description="Scores applicants.",
        tags={"team": "risk"},
        aliases={"champion": 2},
    )


@pytest.fixture
def version(credit: RegisteredModel) -> ModelVersion:
    found = a_version(
        credit,
        2,
        owner="max@example.org",
        lifecycle_stage="Production",
        metrics={"auc": 0.91},
        regulatory_scope=["EU AI Act"],
        governance={"intended_use": "Rank applicants.", "code_dirty": False},
        provenance={
            "owner": {"source": "version tag", "key": "owner"},
            "risk_category": {"source": "run tag", "key": "risk", "weak": True},
        },
        others={"owner": [["eve", {"source": "run tag", "key": "owner"}]]},
        incomplete={"artifacts": "The listing timed out."},
        known_fields=7,
    )
    LifecycleEvent.objects.create(
        version=found,
        from_stage="Staging",
        to_stage="Production",
        told_by="alias champion",
        observed_after=days(1),
        observed_before=days(2),
    )
    return found


@pytest.fixture
def alices(alice: User) -> Caller:
    return calling(alice)


# Who sees what


@pytest.mark.parametrize("path", LISTS)
def test_charlie_without_membership_sees_nothing(path: str, charlie: User) -> None:
    status, problem = calling(charlie).get(path)

    assert status == 403
    assert "results" not in problem


@pytest.mark.parametrize("path", LISTS)
def test_bob_of_another_organization_sees_an_empty_list(
    path: str, bob: User, version: ModelVersion
) -> None:
    assert calling(bob).results(path) == []


def test_bob_of_another_organization_finds_nothing_by_id(
    bob: User, version: ModelVersion
) -> None:
    for path in (
        f"sources/{version.source_id}/",
        f"registered-models/{version.registered_model_id}/",
        f"modelInventory/{version.pk}/",
        f"model-inventory-change-history/{version.pk}/",
    ):
        assert calling(bob).get(path)[0] == 404, path


@pytest.mark.parametrize("path", LISTS)
def test_an_auditor_reads_and_writes_nothing(path: str, audrey: User) -> None:
    caller = calling(audrey)

    assert caller.get(path)[0] == 200
    assert caller.post(path)[0] == 405
    assert caller.delete(f"{path}1/")[0] == 405


# Sources and registered models


def test_a_source_says_where_models_come_from(alices: Caller, source: Source) -> None:
    assert alices.results("sources/") == [
        {
            "id": source.pk,
            "name": "Production MLflow",
            "kind": "mlflow",
            "is_demo": False,
            "created_at": source.created_at.isoformat().replace("+00:00", "Z"),
        }
    ]


def test_a_registered_model_tells_its_newest_version_in_each_stage(
    alices: Caller, credit: RegisteredModel
) -> None:
    for number, stage in ((1, "Archived"), (2, "Production"), (3, "Production")):
        a_version(credit, number, lifecycle_stage=stage)
    a_version(credit, 4, lifecycle_stage="Production", absent_since=days(5))

    status, told = alices.get(f"registered-models/{credit.pk}/")

    assert status == 200
    assert told["latest_versions"] == {"Archived": 1, "Production": 3}
    assert told["version_count"] == 3
    assert told["tags"] == {"team": "risk"}
    assert told["aliases"] == {"champion": 2}
    assert told["description"] == "Scores applicants."
    assert told["source"]["name"] == "Production MLflow"


def test_a_model_without_versions_has_none(
    alices: Caller, credit: RegisteredModel
) -> None:
    (told,) = alices.results("registered-models/")

    assert (told["latest_versions"], told["version_count"]) == ({}, 0)


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({}, ["churn", "credit"]),
        ({"ordering": "-name"}, ["credit", "churn"]),
        ({"search": "scores"}, ["credit"]),
        ({"name": "churn"}, ["churn"]),
        ({"lifecycle_stage": "Production"}, ["credit"]),
        ({"presence": "absent"}, ["fraud"]),
        ({"presence": "all", "ordering": "-created_at"}, ["fraud", "churn", "credit"]),
        ({"changed_since": "2026-01-05T00:00:00Z"}, ["churn"]),
        ({"is_demo": "true"}, []),
    ],
)
def test_registered_models_are_filtered_searched_and_ordered(
    alices: Caller, source: Source, parameters: dict[str, str], names: list[str]
) -> None:
    credit = a_model(source, "credit", description="Scores applicants.")
    a_version(credit, lifecycle_stage="Production")
    a_model(source, "churn", created_at=days(1), changed_at=days(6))
    a_model(source, "fraud", created_at=days(2), absent_since=days(4))

    found = alices.results("registered-models/", **parameters)

    assert [model["name"] for model in found] == names


# The canonical record


def test_an_entry_holds_every_field_of_the_record(
    alices: Caller, version: ModelVersion
) -> None:
    status, entry = alices.get(f"modelInventory/{version.pk}/")

    assert status == 200
    assert set(FIELDS) <= set(entry)
    assert entry["model_name"] == "credit-scoring"
    assert entry["version_number"] == 2
    assert entry["metrics"] == {"auc": 0.91}
    assert entry["regulatory_scope"] == ["EU AI Act"]
    assert entry["intended_use"] == "Rank applicants."
    assert entry["created_at"] == "2026-01-01T00:00:00Z"


def test_what_is_unknown_is_null_or_empty_and_false_is_known(
    alices: Caller, version: ModelVersion
) -> None:
    _, entry = alices.get(f"modelInventory/{version.pk}/")

    assert entry["risk_category"] is None
    assert entry["training_started_at"] is None
    assert entry["financial_impact_usd"] is None
    assert entry["code_dirty"] is False
    assert entry["hyperparameters"] == {}
    assert entry["jurisdictions"] == entry["artifact_manifest"] == []


def test_an_entry_tells_who_told_it_what_and_what_could_not_be_read(
    alices: Caller, version: ModelVersion
) -> None:
    _, entry = alices.get(f"modelInventory/{version.pk}/")

    told = {"source": "version tag", "key": "owner", "weak": False, "raw": ""}
    assert entry["provenance"]["owner"] == told
    assert entry["provenance"]["risk_category"]["weak"] is True
    assert entry["others"] == {"owner": [{"value": "eve", **told, "source": "run tag"}]}
    assert entry["incomplete"] == {"artifacts": "The listing timed out."}
    assert entry["completeness"] == {"known": 7, "applicable": 32}
    assert entry["lifecycle_events"] == [
        {
            "from_stage": "Staging",
            "to_stage": "Production",
            "told_by": "alias champion",
            "observed_after": "2026-01-02T00:00:00Z",
            "observed_before": "2026-01-03T00:00:00Z",
        }
    ]


def test_an_entry_tells_what_stores_the_files(
    alices: Caller, credit: RegisteredModel
) -> None:
    a_version(credit, 1)
    a_version(credit, 2, source_artifact_uri="models:/m-1")
    a_version(credit, 3, source_artifact_uri="models:/m-1", artifact_root="gs://b/1")

    asked = {"fields": "artifact_backend,artifact_root", "ordering": "version_number"}

    assert alices.results("modelInventory/", **asked) == [
        {"artifact_backend": "", "artifact_root": ""},
        {"artifact_backend": "MLflow logged model", "artifact_root": ""},
        {"artifact_backend": "Google Cloud Storage", "artifact_root": "gs://b/1"},
    ]


def test_documents_come_as_they_are_stored(
    alices: Caller, credit: RegisteredModel
) -> None:
    documents = {
        "mlmodel": {"flavors": {"sklearn": {"version": "1.5.2"}}, "unsafe": True},
        "runtime_environment": {
            "files": ["conda.yaml"],
            "packages": [{"manager": "conda", "told": "x[y]"}],
        },
        "artifact_manifest": [
            {
                "path": "model.pkl",
                "size": None,
                "type": "model",
                "state": "not_asked",
                "unsafe": True,
                "format": "pickle",
            }
        ],
        "dataset_inputs": [
            {
                "name": "loans",
                "digest": "d1",
                "context": "training",
                "source_type": "s3",
                "source": '{"uri": "s3://b/x"}',
            }
        ],
    }
    found = a_version(credit, **documents)

    _, entry = alices.get(f"modelInventory/{found.pk}/")

    assert {name: entry[name] for name in documents} == documents


def test_the_schema_says_what_documents_hold(alices: Caller) -> None:
    schema = schema_told_to(alices)

    parts = schema["components"]["schemas"]
    entry = parts["Version"]["properties"]
    assert "/Environment" in str(entry["runtime_environment"])
    assert entry["artifact_manifest"]["items"]["$ref"].endswith("/ManifestRow")
    assert "purl" in parts["Package"]["properties"]
    assert "step" in parts["MetricPoint"]["properties"]


@pytest.fixture
def run(version: ModelVersion) -> Run:
    found = a_run(version.source)
    ModelVersion.objects.filter(pk=version.pk).update(run=found)
    return found


def test_an_entry_tells_where_and_when_its_run_logged_the_metrics(
    alices: Caller, version: ModelVersion, run: Run
) -> None:
    _, entry = alices.get(f"modelInventory/{version.pk}/")

    assert entry["metrics"] == {"auc": 0.91}
    assert entry["unusable_metrics"] == {"loss": "NaN"}
    assert entry["metric_points"] == {
        "auc": {"step": 7, "at": "2026-01-01T00:00:00Z"},
        "loss": {"step": 8},
    }
    asked = {"fields": "metric_points"}
    assert alices.results("modelInventory/", **asked) == [
        {"metric_points": entry["metric_points"]}
    ]


def test_an_entry_without_a_run_tells_no_step_and_no_time(
    alices: Caller, version: ModelVersion
) -> None:
    _, entry = alices.get(f"modelInventory/{version.pk}/")

    assert (entry["metric_points"], entry["unusable_metrics"]) == ({}, {})


def test_the_address_works_without_the_slash_too(
    alices: Caller, version: ModelVersion
) -> None:
    assert alices.get(f"modelInventory/{version.pk}")[0] == 200
    assert alices.get("modelInventory")[0] == 200


def test_fields_narrows_entries_to_what_is_asked_for(
    alices: Caller, version: ModelVersion
) -> None:
    asked = {"fields": "model_name,intended_use,metrics"}
    entry = {
        "model_name": "credit-scoring",
        "intended_use": "Rank applicants.",
        "metrics": {"auc": 0.91},
    }

    assert alices.results("modelInventory/", **asked) == [entry]
    assert alices.get(f"modelInventory/{version.pk}/", **asked) == (200, entry)


@pytest.mark.parametrize("fields", ["owner,password", "organization", "owner,"])
def test_fields_names_the_key_that_no_entry_has(alices: Caller, fields: str) -> None:
    assert "has no key" in alices.fault("modelInventory/", fields=fields)["fields"]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, [("churn", 1), ("credit", 3), ("credit", 2)]),
        ({"ordering": "version_number"}, [("churn", 1), ("credit", 2), ("credit", 3)]),
        ({"ordering": "-completeness"}, [("credit", 2), ("churn", 1), ("credit", 3)]),
        ({"model_name": "credit"}, [("credit", 3), ("credit", 2)]),
        ({"lifecycle_stage": "Staging"}, [("credit", 3)]),
        (
            {"lifecycle_stage": ["Staging", "Production"]},
            [("credit", 3), ("credit", 2)],
        ),
        ({"lifecycle_stage": "None"}, [("churn", 1)]),
        ({"owner": "MAX@example.org"}, [("credit", 2)]),
        ({"is_incomplete": "true"}, [("churn", 1)]),
        ({"is_incomplete": "false"}, [("credit", 3), ("credit", 2)]),
        ({"presence": "absent"}, [("credit", 1)]),
        ({"search": "churn"}, [("churn", 1)]),
        ({"search": "max credit"}, [("credit", 2)]),
        ({"version_number": "3"}, [("credit", 3)]),
        ({"source": "999999999999999999999"}, []),
    ],
)
def test_versions_are_filtered_searched_and_ordered(
    alices: Caller,
    source: Source,
    parameters: dict[str, Any],
    found: list[tuple[str, int]],
) -> None:
    credit, churn = a_model(source, "credit"), a_model(source, "churn")
    a_version(credit, 1, absent_since=days(4))
    a_version(
        credit,
        2,
        lifecycle_stage="Production",
        owner="max@example.org",
        known_fields=9,
    )
    a_version(credit, 3, lifecycle_stage="Staging")
    a_version(churn, 1, known_fields=5, incomplete={"run": "It was deleted."})

    entries = alices.results("modelInventory/", **parameters)

    assert [(each["model_name"], each["version_number"]) for each in entries] == found


# Changes


def test_the_change_history_tells_each_field_the_newest_first(
    acme: Organization, alice: User, max_: User, version: ModelVersion
) -> None:
    with tenancy.acting_for(acme, actor=max_):
        version.owner = "olga@example.org"
        version.metrics = {"auc": 0.93}
        version.governance = {"code_dirty": False}
        version.save()

    changes = calling(alice).results(f"model-inventory-change-history/{version.pk}/")

    newest = [each for each in changes if each["action"] == "updated"]
    assert newest == changes[:3]
    assert {
        (each["field"], each["key"]): (each["old"], each["new"]) for each in newest
    } == {
        ("owner", ""): ("max@example.org", "olga@example.org"),
        ("metrics", "auc"): (0.91, 0.93),
        ("intended_use", ""): ("Rank applicants.", None),
    }
    assert {each["changed_by"]["name"] for each in newest} == {"Max"}
    first = {each["field"]: each for each in changes if each["action"] == "created"}
    assert first["owner"]["old"] is None
    assert first["owner"]["new"] == "max@example.org"
    assert first["owner"]["changed_by"] is None
    assert "risk_category" not in first


def test_the_change_history_has_pages(alices: Caller, version: ModelVersion) -> None:
    path = f"model-inventory-change-history/{version.pk}/"
    everything = alices.results(path)

    _, page = alices.get(path, page=2, page_size=3)

    assert page["count"] == len(everything) > 6
    assert page["results"] == everything[3:6]


def test_a_change_history_of_nothing_is_not_found(alices: Caller) -> None:
    assert alices.get("model-inventory-change-history/4711/")[0] == 404


# Cost


@pytest.mark.parametrize("asked", ["intended_use", "owner,metrics", "provenance"])
def test_a_list_of_some_fields_costs_no_more_than_all_of_them(
    asked: str, alices: Caller, source: Source
) -> None:
    for number in range(5):
        a_version(a_model(source, f"model {number}"), governance={"intended_use": "x"})

    everything = alices.queries("modelInventory/")
    assert alices.queries("modelInventory/", fields=asked) < everything


@pytest.mark.parametrize("path", LISTS)
def test_a_list_of_sixty_costs_no_more_than_one_of_three(
    path: str, alices: Caller, source: Source
) -> None:
    def add(first: int, last: int) -> None:
        for number in range(first, last):
            Source.objects.create(name=f"source {number}")
            run = a_run(source, str(number))
            a_version(a_model(source, f"model {number}"), run=run)

    add(0, 3)
    few = alices.queries(path, page_size=100)
    add(3, 60)

    assert alices.queries(path, page_size=100) == few
    assert len(alices.results(path, page_size=100)) >= 60
