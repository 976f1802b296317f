from __future__ import annotations

from compliance.badges import counts_by_model, with_counts
from compliance.evaluation import evaluate_organization
from inventory.models import ModelVersion, RegisteredModel
from tests.compliance.conftest import TODAY


def test_a_model_counts_the_open_gaps_of_its_present_versions(
    acme, credit, make_version, django_assert_num_queries
):
    make_version(1)
    make_version(2)
    absent = make_version(3)
    other = RegisteredModel.objects.create(
        source=credit.source, name="churn", fingerprint="m"
    )
    evaluate_organization(acme)
    ModelVersion.objects.filter(pk=absent.pk).update(absent_since=TODAY)

    with django_assert_num_queries(1):
        counts = counts_by_model([credit.pk, other.pk])
    assert set(counts) == {credit.pk}
    assert counts[credit.pk]["critical"] == 4
    assert counts[credit.pk]["missing_fields"] == 10
    assert counts[credit.pk]["low"] == 0

    with django_assert_num_queries(1):
        first, second = with_counts(RegisteredModel.objects.all()).order_by(
            "-gaps_critical"
        )
    assert (first.name, first.gaps_critical, first.gaps_missing_fields) == (
        "credit-scoring",
        4,
        10,
    )
    assert (second.name, second.gaps_critical) == ("churn", 0)


def test_a_list_of_versions_selects_its_counts_along(
    acme, version, django_assert_num_queries
):
    evaluate_organization(acme)
    with django_assert_num_queries(1):
        (found,) = ModelVersion.objects.select_related("evaluation").defer(
            "evaluation__results"
        )
        assert found.evaluation.critical == 2
