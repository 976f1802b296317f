"""What a sync makes of the registry that `fill.py` fills, whichever MLflow 2 tells it."""

from __future__ import annotations

from collections.abc import Callable

from accounts import tenancy
from accounts.models import Organization
from inventory.models import Experiment, ModelVersion, RegisteredModel
from inventory.records import Section, Stage
from mlflow_sync.models import SyncFailure, SyncRun

CREDIT = "credit-scoring"
ODD = "churn: ünïcode #1?"
RETIRED = "retired-scoring"
VENDOR = "vendor-embedding"


class WholeRegistry:
    """Tests of one sync, end to end. `sync_filled` syncs the filled server once."""

    OUT_OF_REACH = "The tracking server failed (500)"

    def test_a_version_arrives_with_all_that_its_run_logged(
        self, acme: Organization, sync_filled: Callable[[], SyncRun]
    ) -> None:
        run = sync_filled()

        assert run.mlflow_version.startswith("2.")
        with tenancy.acting_for(acme):
            version = version_of(CREDIT, 2)
            assert version.owner == "nina@example.org"
            assert version.provenance["owner"] == {"source": "run tag", "key": "owner"}
            assert version.native_stage == "Production"
            assert version.lifecycle_stage == Stage.PRODUCTION
            assert version.aliases == ["champion"]
            assert version.data_sensitivity == "personal"
            assert version.business_purpose == "lending"
            assert version.description == "Scores applications."
            assert version.version_description == "Trained."
            assert version.code_commit == "4f2a" * 10
            assert version.training_entrypoint == "train.py"
            assert version.training_status == "FINISHED"
            assert version.experiment_name == "credit scoring"
            assert version.metrics == {"auc": 0.93, "recall": 0.5}
            assert version.hyperparameters == {"depth": "3"}
            assert "d1g3st" in version.dataset_reference
            assert version.dataset_inputs[0]["context"] == "training"
            assert version.run is not None
            assert set(version.run.unusable_metrics) == {"broken", "endless"}
            assert "mlflow.parentRunId" in version.run.tags
            experiment = Experiment.objects.get(name="credit scoring")
            assert experiment.tags == {"project": "risk"}

    def test_the_files_of_a_run_are_listed_and_the_telling_ones_read(
        self, acme: Organization, sync_filled: Callable[[], SyncRun]
    ) -> None:
        sync_filled()

        with tenancy.acting_for(acme):
            version = version_of(CREDIT, 2)
            report = f"runs:/{version.source_run_id}/reports/fairness_report.md"
            states = {row["path"]: row["state"] for row in version.artifact_manifest}
            assert states == {
                "MLmodel": "hashed",
                "conda.yaml": "hashed",
                "model_card.md": "hashed",
                "python_env.yaml": "hashed",
                "python_model.pkl": "not_asked",
                "requirements.txt": "hashed",
                report: "hashed",
            }
            kinds = {row["path"]: row["kind"] for row in version.evidence_files}
            assert kinds["model_card.md"] == "model card"
            assert kinds[report] == "bias report"
            assert version.runtime_environment["dependencies"] == [
                "mlflow",
                "pandas==2.3.3",
            ]
            assert version.runtime_environment["python"].startswith("3.")
            assert version.mlmodel["mlflow_version"].startswith("2.")
            assert [column["name"] for column in version.signature["inputs"]] == [
                "income",
                "age",
            ]
            assert version.flavors == ["python_function"]
            # The same files, told by a source in the words of a run.
            assert version_of(ODD, 1).artifact_manifest == version.artifact_manifest

    def test_what_was_deleted_is_still_read_and_prompts_are_left_out(
        self, acme: Organization, sync_filled: Callable[[], SyncRun]
    ) -> None:
        sync_filled()

        with tenancy.acting_for(acme):
            names = set(RegisteredModel.objects.values_list("name", flat=True))
            assert names == {CREDIT, ODD, RETIRED, VENDOR}
            deleted = version_of(CREDIT, 1)
            assert deleted.native_stage == "Archived"
            assert deleted.run is not None
            assert deleted.run.lifecycle_stage == "deleted"
            assert deleted.artifact_manifest
            retired = version_of(RETIRED, 1)
            assert retired.run is not None
            assert retired.run.lifecycle_stage == "deleted"
            experiment = Experiment.objects.get(name="retired")
            assert experiment.lifecycle_stage == "deleted"
            assert retired.training_status == "FAILED"
            assert version_of(CREDIT, 3).aliases == ["challenger"]

    def test_a_store_out_of_reach_leaves_one_section_of_one_version_out(
        self, acme: Organization, sync_filled: Callable[[], SyncRun]
    ) -> None:
        run = sync_filled()

        assert run.status == SyncRun.Status.PARTIAL
        assert run.count("versions") == run.count("created") == 6
        assert run.count("incomplete") == 1
        with tenancy.acting_for(acme):
            failure = SyncFailure.objects.get(sync_run=run)
            assert (failure.model_name, failure.section) == (VENDOR, Section.ARTIFACTS)
            assert self.OUT_OF_REACH in failure.reason
            assert set(version_of(VENDOR, 1).incomplete) == {Section.ARTIFACTS}

    def test_reading_again_changes_nothing(
        self, sync_filled: Callable[[], SyncRun]
    ) -> None:
        sync_filled()
        again = sync_filled()

        assert again.count("unchanged") == again.count("versions") == 6
        assert again.count("updated") == again.count("created") == 0


def version_of(name: str, number: int) -> ModelVersion:
    return (
        ModelVersion.objects.present()
        .select_related("run")
        .get(registered_model__name=name, version_number=number)
    )
