from __future__ import annotations

from django.apps import AppConfig


class MlflowSyncConfig(AppConfig):
    name = "mlflow_sync"
    verbose_name = "MLflow"

    def ready(self) -> None:
        from mlflow_sync import checks  # noqa: F401 - they register
