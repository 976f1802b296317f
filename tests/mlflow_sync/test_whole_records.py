"""All that a real MLflow tells of a version arrives in its record."""

from __future__ import annotations

import pytest

from accounts import tenancy
from accounts.models import Organization
from mlflow_sync.models import SyncRun
from tests.mlflow_sync.conftest import Syncer
from tests.mlflow_sync.test_sync import version_of
from tests.registry import Registry, unique

pytestmark = pytest.mark.django_db(transaction=True)

JANUARY = 1_767_225_600_000  # 1 January 2026, in milliseconds

FILES = {
    "MLmodel": """
flavors:
  python_function: {loader_module: mlflow.sklearn, model_path: model.pkl, python_version: 3.11.7}
  sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle, sklearn_version: 1.5.2}
mlflow_version: 3.17.2
model_size_bytes: 1234
model_uuid: 0a1b2c
signature:
  inputs: '[{"type": "double", "name": "income", "required": true}]'
  outputs: '[{"type": "long", "required": true}]'
utc_time_created: '2026-01-01 00:00:00.5'
""",
    "conda.yaml": "dependencies: [python=3.11.7, {pip: [mlflow==3.17.2]}]",
    "python_env.yaml": "python: 3.11.7\nbuild_dependencies: [pip==24.0]\n",
    "requirements.txt": "mlflow==3.17.2\nrisk @ git+https://ci:hunter2@github.com/a/risk",
    "model.pkl": "never loaded",
    "model_card.md": "# Card",
}


def test_metrics_datasets_and_files_arrive_whole(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    name = own_registry.model(unique("whole"))
    experiment = own_registry.experiment()
    run_id = own_registry.run(
        experiment,
        datasets=[
            {
                "dataset": {
                    "name": "loans",
                    "digest": "d1g3st",
                    "source_type": "s3",
                    "source": '{"uri": "s3://bucket/loans.csv"}',
                },
                "tags": [{"key": "mlflow.data.context", "value": "training"}],
            }
        ],
        status="RUNNING",
    )
    for key, value, step, at in (
        ("auc", 0.7, 1, JANUARY),
        ("auc", 0.9, 20, JANUARY + 1500),
        ("loss", "NaN", -2, JANUARY),
    ):
        own_registry.post(
            "runs/log-metric",
            run_id=run_id, key=key, value=value, step=step, timestamp=at,
        )  # fmt: skip
    model_id = own_registry.logged_model(experiment, run_id)
    for path, content in FILES.items():
        own_registry.put(
            f"{experiment}/models/{model_id}/artifacts/{path}", content.encode()
        )
    own_registry.version(name, source=f"models:/{model_id}", run_id=run_id)

    run = sync_now(artifacts=True)

    assert run.status == SyncRun.Status.SUCCEEDED, run.error
    with tenancy.acting_for(acme):
        version = version_of(name)
        assert version.run is not None
        assert version.metrics == version.run.metrics == {"auc": 0.9}
        assert version.run.unusable_metrics == {"loss": "NaN"}
        assert version.run.metric_points == {
            "auc": {"step": 20, "at": "2026-01-01T00:00:01.500000Z"},
            "loss": {"step": -2, "at": "2026-01-01T00:00:00Z"},
        }
        assert version.dataset_inputs == [
            {
                "name": "loans",
                "digest": "d1g3st",
                "context": "training",
                "source_type": "s3",
                "source": '{"uri": "s3://bucket/loans.csv"}',
            }
        ]

        assert version.incomplete == {}
        assert version.source_artifact_uri == f"models:/{model_id}"
        assert version.artifact_root == (
            f"mlflow-artifacts:/{experiment}/models/{model_id}/artifacts"
        )
        assert version.artifact_backend == "MLflow artifact proxy"
        assert version.flavors == ["python_function", "sklearn"]
        assert version.signature["outputs"] == [{"type": "long", "required": True}]
        assert version.mlmodel == {
            "flavors": {
                "python_function": {"loader": "mlflow.sklearn"},
                "sklearn": {"version": "1.5.2", "serialization": "cloudpickle"},
            },
            "python": "3.11.7",
            "mlflow_version": "3.17.2",
            "logged_at": "2026-01-01T00:00:00.500000Z",
            "model_size_bytes": 1234,
            "model_uuid": "0a1b2c",
            "serialization": ["cloudpickle"],
            "unsafe": True,
        }
        environment = version.runtime_environment
        assert environment["python"] == "3.11.7"
        assert [
            (row["manager"], row["name"], row.get("version"), row["purl"])
            for row in environment["packages"]
        ] == [
            ("pip", "mlflow", "3.17.2", "pkg:pypi/mlflow@3.17.2"),
            ("pip", "risk", None, "pkg:github/a/risk"),
            ("conda", "python", "3.11.7", "pkg:conda/python@3.11.7"),
            ("pip", "pip", "24.0", "pkg:pypi/pip@24.0"),
        ]
        manifest = {row["path"]: row for row in version.artifact_manifest}
        assert manifest.keys() == FILES.keys()
        assert manifest["model.pkl"] == {
            "path": "model.pkl",
            "size": 12,
            "type": "model",
            "state": "not_asked",
            "unsafe": True,
            "format": "cloudpickle",
        }
        assert {row["path"]: row["kind"] for row in version.evidence_files} == {
            "MLmodel": "signature",
            "conda.yaml": "environment",
            "python_env.yaml": "environment",
            "requirements.txt": "environment",
            "model_card.md": "model card",
        }
        assert version.redactions == [
            {
                "place": "artifact",
                "key": "requirements.txt",
                "kind": "URL with credentials",
                "is_secret": True,
            }
        ]

    again = sync_now(artifacts=True)

    assert again.count("updated") == again.count("created") == 0
