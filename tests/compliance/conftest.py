"""A production version with personal data, as the inventory stores it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from inventory.models import ModelVersion, RegisteredModel, Run, Source
from inventory.records import Stage

LAST_WEEK = datetime(2026, 1, 3, tzinfo=UTC)
YESTERDAY = datetime(2026, 1, 9, tzinfo=UTC)
TODAY = datetime(2026, 1, 10, tzinfo=UTC)
TOMORROW = datetime(2026, 1, 11, tzinfo=UTC)


@pytest.fixture
def credit(source: Source) -> RegisteredModel:
    return RegisteredModel.objects.create(
        source=source, name="credit-scoring", fingerprint="m"
    )


@pytest.fixture
def make_version(
    source: Source, credit: RegisteredModel
) -> Callable[..., ModelVersion]:
    """Return a function that stores a version, with a run, and what else it is told."""

    def make(number: int = 1, **fields: Any) -> ModelVersion:
        run = Run.objects.create(
            source=source,
            run_id=f"r{number}",
            lifecycle_stage="active",
            fingerprint="r",
        )
        told = {
            "registered_model": credit,
            "run": run,
            "run_found": True,
            "source_run_id": run.run_id,
            "lifecycle_stage": Stage.PRODUCTION.value,
            "owner": "max@example.org",
            "data_sensitivity": "personal",
            "created_at": LAST_WEEK,
            "changed_at": LAST_WEEK,
            "fingerprint": "v",
        }
        return ModelVersion.objects.create(
            source=source, version_number=number, **(told | fields)
        )

    return make


@pytest.fixture
def version(make_version: Callable[..., ModelVersion]) -> ModelVersion:
    return make_version()


def change(version: ModelVersion, *, at: datetime, **fields: Any) -> None:
    """Change a version as a sync does it."""
    ModelVersion.objects.filter(pk=version.pk).update(changed_at=at, **fields)
