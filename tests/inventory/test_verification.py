"""Captured, traced, reproducible: each fault moves its own judgement and those after it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts import tenancy
from inventory.models import ModelVersion, RegisteredModel, Run, Source
from inventory.verification import verify_runs

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(source: Source) -> ModelVersion:
    """A faultless version."""
    model = RegisteredModel.objects.create(
        source=source, name="credit", fingerprint="m"
    )
    run = Run.objects.create(source=source, run_id="r1", fingerprint="r")
    return ModelVersion.objects.create(
        source=source,
        registered_model=model,
        run=run,
        fingerprint="v",
        version_number=1,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        source_run_id="r1",
        run_found=True,
        training_status="FINISHED",
        hyperparameters={"depth": "3"},
        metrics={"auc": 0.9},
        code_commit="a" * 40,
        dataset_reference="loans@1",
        experiment_name="credit",
        runtime_environment={"python": "3.11"},
    )


def test_a_faultless_run_is_all_three(version: ModelVersion) -> None:
    (run,) = verify_runs()

    assert (run.is_captured, run.is_traced, run.is_reproducible) == (True, True, True)


@pytest.mark.parametrize(
    ("fault", "lacks", "verdicts"),
    [
        ({"run": None}, "a run", (False, False, False)),
        ({"run_found": False}, "the run in MLflow", (False, False, False)),
        ({"training_status": "FAILED"}, "an end in success", (False, False, False)),
        ({"metrics": {}}, "metrics", (False, False, False)),
        ({"code_commit": "HEAD"}, "a code commit", (True, False, False)),
        ({"dataset_reference": ""}, "a training dataset", (True, False, False)),
        ({"runtime_environment": {}}, "an environment", (True, True, False)),
        (
            {"governance": {"code_dirty": True}},
            "a clean code tree",
            (True, True, False),
        ),
    ],
)
def test_what_lacks_is_named(
    version: ModelVersion, fault: dict[str, Any], lacks: str, verdicts: tuple[bool, ...]
) -> None:
    for name, value in fault.items():
        setattr(version, name, value)
    version.save()

    (run,) = verify_runs()

    assert (run.is_captured, run.is_traced, run.is_reproducible) == verdicts
    assert run.to_json()["lacks"] == [lacks]


def test_an_absent_version_does_not_count(version: ModelVersion) -> None:
    version.absent_since = version.created_at
    version.save()

    assert list(verify_runs()) == []


def test_the_command_counts_and_names(
    version: ModelVersion, in_acme: tenancy.Acting
) -> None:
    version.code_commit = ""
    version.save()
    out = StringIO()

    call_command("verify_runs", "--organization=acme", stdout=out)

    lines = out.getvalue().splitlines()
    assert lines[0] == "credit version 1 lacks a code commit."
    assert lines[1].endswith("1 are captured, 0 traced, 0 reproducible.")


def test_the_command_speaks_json(version: ModelVersion) -> None:
    out = StringIO()

    call_command("verify_runs", "--json", stdout=out)

    assert json.loads(out.getvalue())["reproducible"] is True


def test_the_command_names_an_unknown_organization(db: None) -> None:
    with pytest.raises(CommandError, match="'nobody'"):
        call_command("verify_runs", "--organization=nobody")
