"""What the other versions of a model tell of one, and the runs that it names."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from compliance.evidence import gather_facts
from compliance.facts import PRODUCTION_ALIASES, ModelFacts
from inventory.models import LifecycleEvent, ModelVersion, Run
from inventory.records import Stage
from mlflow_sync.normalize.vocabulary import default_vocabulary
from tests.compliance.conftest import change

DAY = date(2026, 1, 10)
GONE = datetime(2026, 1, 9, tzinfo=UTC)
INPUTS = {"inputs": [{"name": "income", "type": "double"}], "outputs": []}


def facts_of(version: ModelVersion) -> ModelFacts:
    return gather_facts([version.pk], today=DAY)[version.pk]


def test_the_words_for_production_are_those_of_the_vocabulary():
    stages = default_vocabulary().stages
    assert {
        word for word, stage in stages.items() if stage is Stage.PRODUCTION
    } == PRODUCTION_ALIASES


def test_versions_in_production_and_champions_are_counted(credit, make_version):
    first, second = make_version(1), make_version(2)
    make_version(3, lifecycle_stage=Stage.STAGING.value)
    credit.aliases = {"champion": 2, "best": 1}
    credit.save()
    for version in (first, second):
        facts = facts_of(version)
        assert (facts.production_versions, facts.champions) == (2, 1)
        assert not facts.traffic_declared


def test_a_split_of_the_traffic_is_declared_by_all_or_it_is_not(make_version):
    told = {"governance": {"deployment_traffic_percent": 50}}
    first = make_version(1, **told)
    assert facts_of(first).traffic_declared
    make_version(2)
    assert not facts_of(first).traffic_declared


def test_an_absent_version_is_no_company(make_version):
    first, gone = make_version(1), make_version(2)
    change(gone, at=GONE, absent_since=GONE)
    assert facts_of(first).production_versions == 1
    assert facts_of(gone).absent_since is not None


def test_the_signature_in_service_is_that_of_the_champion(credit, make_version):
    champion = make_version(1, signature=INPUTS)
    challenger = make_version(2, lifecycle_stage=Stage.STAGING.value)
    credit.aliases = {"Champion": 1}
    credit.save()
    assert facts_of(challenger).serving_signature == INPUTS
    assert facts_of(champion).serving_signature == {}


def test_without_an_alias_it_is_that_of_the_latest_in_production(credit, make_version):
    make_version(1, signature=INPUTS)
    challenger = make_version(2, lifecycle_stage=Stage.STAGING.value)
    credit.latest_versions = {"Production": 1, "Staging": 2}
    credit.save()
    assert facts_of(challenger).serving_signature == INPUTS


@pytest.mark.parametrize(
    "reference",
    ["1", "v1", "version 1", "models:/credit-scoring/1", "credit-scoring@1", "a" * 32],
)
def test_a_baseline_names_a_version_or_a_run(source, make_version, reference):
    make_version(1, metrics={"auc": 0.8})
    Run.objects.create(
        source=source,
        run_id="a" * 32,
        lifecycle_stage="active",
        fingerprint="r",
        metrics={"auc": 0.8},
    )
    version = make_version(2, governance={"baseline_ref": reference})
    assert facts_of(version).baseline_metrics == {"auc": 0.8}


@pytest.mark.parametrize("reference", ["9", "the one of last year", "b" * 32, ""])
def test_a_baseline_that_is_not_there_has_no_metrics(make_version, reference):
    make_version(1, metrics={"auc": 0.8})
    version = make_version(2, governance={"baseline_ref": reference})
    assert facts_of(version).baseline_metrics == {}


def test_production_began_when_a_sync_first_saw_it(make_version):
    version = make_version(1)
    for day in (9, 3, 6):
        LifecycleEvent.objects.create(
            version=version,
            to_stage=Stage.PRODUCTION.value,
            observed_before=datetime(2026, 1, day, tzinfo=UTC),
        )
    assert facts_of(version).production_since == datetime(2026, 1, 3, tzinfo=UTC)


def test_dataset_and_purpose_are_so_since_the_first_version_that_names_them(
    make_version,
):
    told = ("a@1", "b@1", "b@1", "a@1")
    versions = [
        make_version(
            number,
            dataset_reference=dataset,
            created_at=datetime(2025, number, 1, tzinfo=UTC),
            governance={"dpia_date": "2025-12-01"},
        )
        for number, dataset in enumerate(told, start=1)
    ]
    since = [facts_of(version).purpose_or_data_since for version in versions]
    assert since == [date(2025, month, 1) for month in (1, 2, 2, 4)]
