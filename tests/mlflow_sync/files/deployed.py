"""Versions in production with files of any size, and runs that read those."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.utils.timezone import now

from accounts import tenancy
from accounts.models import Organization
from inventory.models import ModelVersion
from mlflow_sync import sync
from mlflow_sync.files import runs as file_runs
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.queueing import request_sync
from tests.registry import Registry, unique

MIB = 2**20


class Layout(StrEnum):
    RUN = "run"  # MLflow 2: below the run
    LOGGED_MODEL = "logged model"  # MLflow 3


class Deployed:
    """A model with one version in production, and where its files lie on the disk."""

    def __init__(
        self,
        registry: Registry,
        files: Mapping[str, bytes | int],
        *,
        layout: Layout = Layout.LOGGED_MODEL,
        stage: str = "Production",
    ) -> None:
        self.registry = registry
        self.name = registry.model(unique("deployed"))
        experiment = registry.experiment()
        self.run_id = registry.run(experiment)
        if layout is Layout.RUN:
            root = f"{experiment}/{self.run_id}/artifacts/model"
            source = f"mlflow-artifacts:/{root}"
        else:
            model_id = registry.logged_model(experiment, self.run_id)
            root = f"{experiment}/models/{model_id}/artifacts"
            source = f"models:/{model_id}"
        self.folder = registry.server.folder / "artifacts" / root
        self.run_folder = (
            registry.server.folder
            / "artifacts"
            / experiment
            / self.run_id
            / "artifacts"
        )
        for path, content in files.items():
            self.write(path, content)
        self.number = registry.version(self.name, source=source, run_id=self.run_id)
        self.move(stage)

    def write(self, path: str, content: bytes | int) -> Path:
        """Write a file behind MLflow's back; a number is the size of one of zeros."""
        below_run = path.startswith("runs:/")
        file = (
            self.run_folder / path.removeprefix("runs:/")
            if below_run
            else self.folder / path
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as opened:
            if isinstance(content, int):
                opened.truncate(content)
            else:
                opened.write(content)
        return file

    def move(self, stage: str) -> None:
        self.registry.post(
            "model-versions/transition-stage",
            name=self.name, version=self.number, stage=stage,
            archive_existing_versions=False,
        )  # fmt: skip

    def version(self) -> ModelVersion:
        """Return the row; call inside `acting_for`."""
        return (
            ModelVersion.objects.present()
            .select_related("registered_model")
            .get(registered_model__name=self.name)
        )

    def manifest(self) -> dict[str, dict[str, Any]]:
        return {row["path"]: row for row in self.version().artifact_manifest}


def sync_model(
    organization: Organization,
    server: TrackingServer,
    *models: Deployed,
    full: bool = False,
) -> SyncRun:
    """Read these models alone, with their files."""
    with tenancy.acting_for(organization):
        queued = request_sync(
            server,
            trigger=SyncRun.Trigger.MANUAL,
            targets=[model.name for model in models],
            is_full=full,
            enqueue=False,
        )
    finished = sync.advance(organization, queued.pk)
    assert finished is not None
    assert finished.has_read, finished.error
    return finished


def read_files(
    organization: Organization,
    server: TrackingServer,
    *,
    version: ModelVersion | None = None,
    patience: float = float("inf"),
) -> SyncRun:
    """Read what is due, or the files of a version, to the end; return the run."""
    trigger = SyncRun.Trigger.MANUAL
    with tenancy.acting_for(organization):
        server = TrackingServer.objects.select_related("source").get(pk=server.pk)
        queued = (
            file_runs.verify_files(version, trigger=trigger, enqueue=False)
            if version
            else file_runs.read_due_files(server, trigger=trigger, enqueue=False)
        )
    assert queued is not None, "Nothing is due."
    return to_end(organization, queued, patience=patience)


def to_end(
    organization: Organization, run: SyncRun, *, patience: float = float("inf")
) -> SyncRun:
    finished = sync.advance(organization, run.pk, patience=patience)
    assert finished is not None
    while finished.is_active:  # slices
        following = sync.advance(organization, run.pk, patience=patience)
        assert following is not None
        finished = following
    return finished


def sha256(content: bytes | int) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    for _ in range(content // MIB):
        digest.update(bytes(MIB))
    return digest.hexdigest()


def age(organization: Organization, model: Deployed, *, days: int) -> None:
    """Make all that is known of a version's files so many days older."""

    def older(row: dict[str, Any]) -> dict[str, Any]:
        at = (now() - timedelta(days=days)).isoformat()
        return row | {name: at for name in ("verified_at", "asked_at") if name in row}

    with tenancy.acting_for(organization):
        version = model.version()
        ModelVersion.objects.filter(pk=version.pk).update(
            artifact_manifest=[older(row) for row in version.artifact_manifest],
            files_due_at=now(),
        )
