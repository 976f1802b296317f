"""The console's page of a version: its record, its gaps, its history."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.utils.timezone import now

from accounts import tenancy
from accounts.models import Organization, User
from compliance.models import Gap, RuleSet
from inventory import store, store_files
from inventory.models import ModelVersion, Run, Source
from inventory.records import (
    ModelRecord,
    Redaction,
    RunRecord,
    Stage,
    Told,
    VersionRecord,
)
from mlflow_sync.models import SyncRun
from tests.pages import Visitor, judge, words
from tests.rows import a_server, a_source, a_sync, an_evaluation, days

pytestmark = pytest.mark.django_db

VERSIONS = "inventory/modelversion/"


@pytest.fixture
def mlflow(acme: Organization) -> Source:
    with tenancy.acting_for(acme):
        return a_source()


def stored(source: Source, **fields: Any) -> ModelVersion:
    """Store a version as a sync does."""
    model = ModelRecord(name="fraud", tags={"team": "Risk"}, fingerprint="m")
    models = store.store_models(source, [model], at=days(1), previous_sync=days(0.5))
    run = RunRecord(
        run_id="r1",
        metrics={"auc": 0.91234567, "rows": 120000.0},
        unusable_metrics={"loss": "NaN"},
        metric_points={
            "auc": {"step": 1200, "at": "2026-01-01T00:00:00Z"},
            "loss": {"step": 3},
        },
        fingerprint="r",
    )
    runs: dict[str, Run] = {}
    store.store_runs(source, [run], rows=runs, at=days(1))
    told: dict[str, Any] = {
        "model_name": "fraud",
        "version_number": 4,
        "created_at": days(0),
        "lifecycle_stage": Stage.PRODUCTION,
        "native_stage": "None",
        "aliases": ("champion",),
        "owner": "nina",
        "risk_category": "high",
        "data_sensitivity": "Secret",
        "source_run_id": "r1",
        "metrics": {"auc": 0.91234567, "rows": 120000.0},
        "hyperparameters": {"depth": "7"},
        "tags": {"risk_tier": "HIGH"},
        "provenance": {
            "owner": Told("run info", "user_id", weak=True),
            "risk_category": Told("version tag", "risk_tier", raw="HIGH"),
            "lifecycle_stage": Told("alias", "champion"),
            "metrics": Told("run metrics"),
        },
        "others": {"owner": (("max", Told("run tag", "mlflow.user")),)},
        "artifact_manifest": (
            {
                "path": "MLmodel",
                "size": 1300,
                "type": "model description",
                "state": "hashed",
                "sha256": "ab" * 32,
            },
            {
                "path": "model.pkl",
                "size": None,
                "type": "model",
                "state": "not_asked",
                "unsafe": True,
                "format": "pickle",
            },
        ),
        "runtime_environment": {
            "python": "3.11.7",
            "dependencies": ("scikit-learn==1.9.1", "numpy", "-e ."),
            "packages": (
                {
                    "manager": "pip",
                    "name": "scikit-learn",
                    "specifier": "==1.9.1",
                    "version": "1.9.1",
                    "purl": "pkg:pypi/scikit-learn@1.9.1",
                },
                {
                    "manager": "pip",
                    "name": "numpy",
                    "specifier": ">=2",
                    "purl": "pkg:pypi/numpy",
                    "extras": ("fast",),
                    "marker": 'os_name == "nt"',
                },
                {"manager": "pip", "scope": "build", "told": "-e ."},
            ),
        },
        "flavors": ("sklearn",),
        "mlmodel": {
            "flavors": {"sklearn": {"version": "1.9.1", "serialization": "pickle"}},
            "logged_at": "2026-01-01T00:00:00Z",
            "model_size_bytes": 1300,
            "unsafe": True,
        },
        "source_artifact_uri": "models:/m-1",
        "artifact_root": "s3://models/1/m-1/artifacts",
        "artifact_uri": "abfss://runs@acme.dfs.core.windows.net/r1",
        "signature": {"inputs": ({"name": "income", "type": "double"},)},
        "artifacts_fingerprint": "a",
        "redactions": (Redaction("version tag", "pw", "AWS access key", True),),
        "fingerprint": "v",
    }
    store.store_versions(
        source,
        [VersionRecord(**(told | fields))],
        models=models,
        run_ids={run_id: row.pk for run_id, row in runs.items()},
        rows=[],
        at=days(1),
        previous_sync=days(0.5),
    )
    return ModelVersion.objects.get()


@pytest.fixture
def fraud(acme: Organization, mlflow: Source) -> ModelVersion:
    with tenancy.acting_for(acme):
        return stored(mlflow)


def panel(page: str, name: str) -> str:
    _, _, rest = page.partition(f'id="{name}"')
    return words("<div " + rest.partition('<div class="vw-panel"')[0])


def test_the_page_of_a_version_says_what_it_is_and_how_it_stands(
    acme: Organization, alice: User, fraud: ModelVersion
) -> None:
    with tenancy.acting_for(acme):
        judge(fraud, critical=2, high=1, missing_fields=3)

    text = Visitor(alice).text(f"{VERSIONS}{fraud.pk}/change/")

    assert "fraud @4 Production @champion" in text
    assert "In production with 2 critical gaps" not in text
    assert "3 missing fields apart" in text
    assert "Stage told by alias champion" in text


def test_each_value_says_who_told_it(alice: User, fraud: ModelVersion) -> None:
    page = Visitor(alice).page(f"{VERSIONS}{fraud.pk}/change/")

    record = panel(page, "record")
    assert "Owner nina max run tag mlflow.user run info user_id weak" in record
    assert "Risk category high version tag risk_tier told as “HIGH”" in record
    assert "Data sensitivity Secret not in the vocabulary" in record
    assert "Privacy assessment not told" in record
    assert "2 metrics run metrics" in record


def test_documents_are_tables(alice: User, fraud: ModelVersion) -> None:
    page = Visitor(alice).page(f"{VERSIONS}{fraud.pk}/change/")

    assert "auc 0.912346 1,200" in panel(page, "training")
    assert "rows 120,000 – –" in panel(page, "training")
    assert 'title="0.91234567"' in page
    artifacts = panel(page, "artifacts")
    assert f"MLmodel model description 1.3 kB hashed {'ab' * 32} Copy" in artifacts
    assert "model.pkl unsafe: pickle model – listed –" in artifacts
    assert "Inputs income double" in artifacts
    assert not re.search(r"[{\[]['\"]", artifacts)  # no document as Python or JSON


def test_packages_say_their_version_and_their_package_url(
    alice: User, fraud: ModelVersion
) -> None:
    artifacts = panel(Visitor(alice).page(f"{VERSIONS}{fraud.pk}/change/"), "artifacts")

    assert "scikit-learn 1.9.1 pip pkg:pypi/scikit-learn@1.9.1" in artifacts
    assert (
        'numpy [fast] >=2 not pinned where os_name == "nt" pip pkg:pypi/numpy'
        in artifacts
    )
    assert "-e . not pinned pip, to build –" in artifacts
    assert "Dependencies" not in artifacts  # they are the packages


def test_mlmodel_says_what_the_model_is_and_that_loading_it_runs_code(
    alice: User, fraud: ModelVersion
) -> None:
    artifacts = panel(Visitor(alice).page(f"{VERSIONS}{fraud.pk}/change/"), "artifacts")

    assert "MLmodel runs code when loaded Flavors sklearn 1.9.1, pickle" in artifacts
    assert "1 Jan 2026, 00:00:00 UTC Size 1.3 kB" in artifacts


def test_a_uri_of_artifacts_names_its_backend(alice: User, fraud: ModelVersion) -> None:
    page = Visitor(alice).page(f"{VERSIONS}{fraud.pk}/change/")

    assert "2 files Amazon S3 s3://models/1/m-1/artifacts" in panel(page, "artifacts")
    record = panel(page, "record")
    assert "Source artifact URI models:/m-1 MLflow logged model" in record
    assert "abfss://runs@acme.dfs.core.windows.net/r1 Azure Data Lake Storage" in record


def test_a_metric_says_where_and_when_it_was_logged_and_whether_it_counts(
    alice: User, fraud: ModelVersion
) -> None:
    page = Visitor(alice).page(f"{VERSIONS}{fraud.pk}/change/")

    assert "Name Last value Step Logged auc" in panel(page, "training")
    assert "loss NaN 3 – rows" in panel(page, "training")
    assert re.search(r">auc</th>.*?1 Jan 2026, 00:00:00 UTC", page, re.DOTALL)
    assert 'title="Left out of the record: it is no finite number."' in page


def test_a_dataset_says_what_it_was_used_for_and_where_it_came_from(
    acme: Organization, alice: User, mlflow: Source
) -> None:
    dataset = {
        "name": "loans",
        "digest": "d1",
        "context": "training",
        "source_type": "s3",
        "source": '{"uri": "s3://b/loans.csv"}',
    }
    with tenancy.acting_for(acme):
        fraud = stored(mlflow, dataset_inputs=(dataset,))

    training = panel(Visitor(alice).page(f"{VERSIONS}{fraud.pk}/change/"), "training")

    assert "Name Used for Digest Source type Source" in training
    assert "loans training d1 s3 s3://b/loans.csv" in training


def test_a_move_is_observed_between_two_syncs(alice: User, fraud: ModelVersion) -> None:
    timeline = panel(Visitor(alice).page(f"{VERSIONS}{fraud.pk}/change/"), "timeline")

    assert (
        "First seen as Production alias champion observed between "
        "1 Jan 2026, 12:00:00 UTC and 2 Jan 2026, 00:00:00 UTC" in timeline
    )


def test_raw_tags_and_redactions_are_shown(alice: User, fraud: ModelVersion) -> None:
    raw = panel(Visitor(alice).page(f"{VERSIONS}{fraud.pk}/change/"), "raw")

    assert "pw (version tag, AWS access key)" in raw
    assert "Version 1 tag risk_tier HIGH" in raw
    assert "Registered model 1 tag team Risk" in raw


def test_a_value_is_as_of_the_sync_that_read_it(
    acme: Organization, alice: User, mlflow: Source, fraud: ModelVersion
) -> None:
    with tenancy.acting_for(acme):
        a_sync(a_server(mlflow), started_at=days(8))

    page = Visitor(alice).page(f"{VERSIONS}{fraud.pk}/change/")

    assert re.search(r"As of</dt><dd><time [^>]*9 Jan 2026, 00:00:00 UTC", page)


def test_a_section_that_could_not_be_read_is_said_with_the_reason(
    acme: Organization, alice: User, fraud: ModelVersion
) -> None:
    with tenancy.acting_for(acme):
        ModelVersion.objects.filter(pk=fraud.pk).update(
            incomplete={"run": "MLflow answered 500."}
        )

    text = Visitor(alice).text(f"{VERSIONS}{fraud.pk}/change/")

    assert "Not read: run. Shown is what was last known. MLflow answered 500." in text


def test_an_open_gap_shows_all_that_is_needed_to_close_it(
    acme: Organization, alice: User, fraud: ModelVersion
) -> None:
    with tenancy.acting_for(acme):
        judge(fraud)
        Gap.objects.create(
            version=fraud,
            rule_id="VW-FAIR-002",
            kind=Gap.Kind.RULE,
            severity=3,
            detail="demographic_parity_difference is 0.24; it has to be below 0.1.",
        )
        fraud.evaluation.results = {
            "VW-FAIR-002": {
                "verdict": "fail",
                "inputs": {"demographic_parity_difference": 0.24},
            },
            "VW-INV-001": {"verdict": "pass"},
        }
        fraud.evaluation.facts = {"owner": "olga@example.org", "domain": "finance"}
        fraud.evaluation.rule_set = RuleSet.objects.create(
            digest="d",
            rules={
                "VW-FAIR-002": {
                    "shown": ["affected_groups"],
                    "thresholds": {"demographic_parity_max": 0.1},
                    "version": 1,
                },
                "VW-INV-001": {"shown": ["owner"], "thresholds": {}, "version": 1},
            },
        )
        fraud.evaluation.save()

    page = Visitor(alice).page(f"{VERSIONS}{fraud.pk}/change/")

    gaps = panel(page, "gaps")
    assert 'id="VW-FAIR-002"' in page
    assert "High Demographic parity below 10% VW-FAIR-002" in gaps
    assert "demographic_parity_difference is 0.24" in gaps
    assert "What was checked" in gaps
    assert "Demographic parity difference 0.24" in gaps
    assert "Threshold less than 0.1 absolute" in gaps
    assert "Why it matters: evidence for NISTRMF-" in gaps
    assert "Pass Model has an owner VW-INV-001" in gaps
    assert "Owner olga@example.org" in gaps
    assert "finance" not in gaps
    assert "How it is closed" in gaps


def test_a_gap_leads_to_where_its_fields_are_attested(
    acme: Organization, alice: User, audrey: User, fraud: ModelVersion
) -> None:
    """By the name of the field, where the remedy names another key, or none."""
    with tenancy.acting_for(acme):
        gaps = {
            rule_id: Gap.objects.create(
                version=fraud, rule_id=rule_id, kind=kind, severity=1, detail="Missing."
            )
            for rule_id, kind in (
                ("VW-PRIV-001", Gap.Kind.RULE),
                ("VW-EVAL-001", Gap.Kind.RULE),
                ("VW-LIN-002", Gap.Kind.RULE),
                ("VW-REG-008", Gap.Kind.RULE),
                ("VW-FIELD-RISK_CATEGORY", Gap.Kind.MISSING_FIELD),
            )
        }
        seen = {"owner": "zoe", "code_commit": "3f2a1b9c"}
        evaluation = an_evaluation(fraud)
        evaluation.results["VW-REG-008"] = {"verdict": "fail", "inputs": seen}
        evaluation.save()
    link = re.compile(rf'attest/\?versions={fraud.pk}&amp;field=(\w+)"')

    def led_to(path: str) -> list[str]:
        assert "Or attest" not in Visitor(audrey).page(path)
        return link.findall(Visitor(alice).page(path).partition("What happened")[0])

    def of(rule_id: str) -> list[str]:
        return led_to(f"compliance/gap/{gaps[rule_id].pk}/change/")

    version = led_to(f"{VERSIONS}{fraud.pk}/change/")
    assert {"privacy_assessment_status", "baseline_ref", "risk_category"} <= {*version}
    assert of("VW-PRIV-001") == ["privacy_assessment_status", "dpia_ref"]
    assert of("VW-EVAL-001") == ["baseline_ref"]
    assert of("VW-LIN-002") == []
    assert "limitations" in of("VW-REG-008")
    assert not {"owner", "code_commit"} & {*of("VW-REG-008")}


def test_a_missing_field_is_a_row_with_the_call_that_fills_it(
    acme: Organization, alice: User, fraud: ModelVersion
) -> None:
    with tenancy.acting_for(acme):
        judge(fraud)
        Gap.objects.create(
            version=fraud,
            rule_id="VW-FIELD-DATA_SENSITIVITY",
            kind=Gap.Kind.MISSING_FIELD,
            severity=1,
            detail="Data sensitivity is not recorded.",
        )

    page = Visitor(alice).page(f"{VERSIONS}{fraud.pk}/change/")

    assert "No rule that is switched on finds a gap." in panel(page, "gaps")
    assert re.search(
        r'id="VW-FIELD-DATA_SENSITIVITY">.*?Data sensitivity.*?'
        r"set_model_version_tag\(&quot;fraud&quot;, &quot;4&quot;, "
        r"&quot;data_sensitivity&quot;",
        page,
        re.DOTALL,
    )


# History


def test_the_changes_of_a_version_are_told_field_by_field(
    acme: Organization, alice: User, mlflow: Source, fraud: ModelVersion
) -> None:
    with tenancy.acting_for(acme):
        record = VersionRecord(
            model_name="fraud",
            version_number=4,
            created_at=days(0),
            owner="grace@example.org",
            metrics={"auc": 0.95},
            fingerprint="v2",
        )
        models = {"fraud": fraud.registered_model}
        store.store_versions(
            mlflow,
            [record],
            models=models,
            run_ids={},
            rows=[fraud],
            at=days(2),
            previous_sync=days(1),
        )

    text = Visitor(alice).text(f"{VERSIONS}{fraud.pk}/history/")

    assert "Changed" in text
    assert "by a sync" in text
    assert "Owner nina grace@example.org" in text
    assert "Metrics auc 0.912346 0.95" in text
    assert "Metrics rows 120,000 –" in text
    assert "Risk category high –" in text
    assert "Fingerprint" not in text


def test_a_file_that_is_no_longer_what_it_was_is_a_critical_note(
    acme: Organization, alice: User, fraud: ModelVersion
) -> None:
    with tenancy.acting_for(acme):
        first, *others = fraud.artifact_manifest
        changed = {
            "sha256": "cd" * 32,
            "size": 1400,
            "found_at": days(40).isoformat(),
        }
        known = {"hashed_at": days(1).isoformat(), "verified_at": days(40).isoformat()}
        store_files.store_manifest(
            fraud,
            [first | known | {"changed": changed}, *others],
            due_at=None,
            at=now(),
        )

    page = Visitor(alice).page(f"{VERSIONS}{fraud.pk}/change/")

    note = words(
        re.findall(r'(?s)<div class="vw-note vw-bad">.*?</div>\s*</div>', page)[0]
    )
    assert note.startswith("MLmodel is no longer the file that was first read, ")
    assert f"Its digest was {'ab' * 8} … , and is {'cd' * 8} …" in note.replace(
        "…", " … "
    ).replace("  ", " ")
    assert "changed hashed" in panel(page, "artifacts")
    assert "cd" * 32 in page


def test_files_are_verified_by_those_who_may_sync(
    acme: Organization, alice: User, audrey: User, fraud: ModelVersion
) -> None:
    path = f"{VERSIONS}{fraud.pk}/verify-files/"
    assert "Verify files now" not in Visitor(alice).text(
        f"{VERSIONS}{fraud.pk}/change/"
    )
    with tenancy.acting_for(acme):
        a_server(fraud.source)
    assert "Verify files now" in Visitor(alice).text(f"{VERSIONS}{fraud.pk}/change/")
    assert "Verify files now" not in Visitor(audrey).text(
        f"{VERSIONS}{fraud.pk}/change/"
    )
    assert Visitor(audrey).post(path).status_code == 403

    answer = Visitor(alice).post(path)

    with tenancy.acting_for(acme):
        run = SyncRun.objects.get()
        assert answer.headers["Location"] == run.get_absolute_url()
        assert (run.reach, run.version) == (SyncRun.Reach.FILES, fraud)
        assert run.requested_by == alice
    text = Visitor(alice).text(f"mlflow_sync/syncrun/{run.pk}/change/")
    assert "Files of Production MLflow" in text
    assert "Only those of fraud version 4" in text
    assert Visitor(alice).post(path).status_code == 302  # it is queued already
    with tenancy.acting_for(acme):
        assert SyncRun.objects.count() == 1
