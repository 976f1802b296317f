"""Where a version stands, and who said so."""

from __future__ import annotations

import pytest

from inventory.records import Stage, Told
from tests.mlflow_sync.builders import (
    version_record,
    with_tags,
)


@pytest.mark.parametrize(
    ("native", "aliases", "tags", "stage", "status", "told"),
    [
        ("None", (), {}, Stage.NONE, "", "stage None"),
        (None, (), {}, Stage.NONE, "", "stage None"),
        ("Production", (), {}, Stage.PRODUCTION, "production", "stage Production"),
        ("Archived", ("champion",), {}, Stage.ARCHIVED, "archived", "stage Archived"),
        ("None", ("champion",), {}, Stage.PRODUCTION, "production", "alias champion"),
        (
            "",
            ("candidate", "Prod"),
            {},
            Stage.PRODUCTION,
            "production",
            "alias Prod",
        ),
        ("None", ("blue",), {}, Stage.NONE, "", "stage None"),
        (
            "None",
            ("challenger",),
            {"stage": "production"},
            Stage.STAGING,
            "staging",
            "alias challenger",
        ),
        (
            "None",
            (),
            {"deployment_status": "live"},
            Stage.PRODUCTION,
            "production",
            "version tag deployment_status",
        ),
        (
            "None",
            (),
            {"deployment_status": "blue-green"},
            Stage.NONE,
            "blue-green",
            "stage None",
        ),
        ("Unheard", (), {}, Stage.NONE, "Unheard", "stage Unheard"),
    ],
)
def test_the_stage_is_native_then_alias_then_tag(
    native: str | None,
    aliases: tuple[str, ...],
    tags: dict[str, str],
    stage: Stage,
    status: str,
    told: str,
) -> None:
    record = version_record(
        version={"current_stage": native, "tags": tags},
        model={"aliases": dict.fromkeys(aliases, "3")},
    )

    assert record.lifecycle_stage == stage
    assert record.deployment_status == status
    assert str(record.provenance["lifecycle_stage"]) == told


def test_stages_that_contradict_each_other_stay_visible() -> None:
    record = version_record(
        version={"current_stage": "Staging", "tags": {"stage": "prod"}}
    )

    assert record.lifecycle_stage == Stage.STAGING
    assert record.others["lifecycle_stage"] == (
        ("Production", Told("alias", "champion")),
        ("Production", Told("version tag", "stage", raw="prod")),
    )


def test_a_tag_of_the_model_makes_no_version_a_production_version() -> None:
    record = with_tags(model={"lifecycle": "production"})

    assert record.lifecycle_stage == Stage.NONE
    assert record.deployment_status == "production"
    assert record.provenance["deployment_status"] == Told(
        "model tag", "lifecycle", weak=True
    )


def test_where_a_run_ran_is_not_where_the_version_serves() -> None:
    record = with_tags(run={"environment": "production", "env": "prod"})

    assert record.lifecycle_stage == Stage.NONE
    assert record.deployment_status == ""


def test_the_stage_tells_the_target_weakly_if_nobody_does() -> None:
    record = version_record()
    assert record.value("deployment_target") == "production"
    assert record.provenance["deployment_target"].weak

    told = version_record(version={"tags": {"deployment_target": "Non-Production"}})
    assert told.value("deployment_target") == "non_production"
