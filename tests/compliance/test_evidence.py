"""From rows to facts."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import date
from pathlib import Path

import pytest
from django.test.utils import CaptureQueriesContext

import compliance.rules  # noqa: F401 - registers the rules
from accounts.models import User
from compliance.catalogue import control_data
from compliance.company import Company
from compliance.engine import rulebook
from compliance.evidence import compliance_officers, gather_facts
from compliance.facts import ModelFacts
from inventory.fields import ATTESTABLE, OBSERVED
from inventory.models import Experiment, ModelVersion
from inventory.records import FIELDS, GOVERNANCE_FIELDS, Redaction, Stage
from mlflow_sync.normalize.vocabulary import default_vocabulary

DAY = date(2026, 1, 10)
SECRET = {"place": "run tag", "key": "aws", "kind": "AWS access key", "is_secret": True}


def facts_of(version: ModelVersion) -> ModelFacts:
    return gather_facts([version.pk], today=DAY)[version.pk]


def test_a_fact_bears_the_name_and_the_value_of_its_column(make_version):
    facts = facts_of(
        make_version(
            3,
            regulatory_scope=["gdpr", "eu_ai_act"],
            metrics={"auc": 0.9},
            artifact_manifest=[{"path": "conda.yaml"}],
            incomplete={"experiment": "404 Not Found."},
            aliases=["champion"],
        )
    )
    assert (facts.model_name, facts.version_number) == ("credit-scoring", 3)
    assert facts.today == DAY
    assert facts.lifecycle_stage == Stage.PRODUCTION
    assert facts.regulatory_scope == ("gdpr", "eu_ai_act")
    assert facts.metrics == {"auc": 0.9}
    assert facts.artifact_manifest == ({"path": "conda.yaml"},)
    assert facts.incomplete == {"experiment": "404 Not Found."}
    assert facts.aliases == ("champion",)
    assert facts.run_found
    assert not facts.run_deleted
    assert not facts.approvals_set_up


def test_governance_fields_become_facts_of_their_own(make_version):
    facts = facts_of(
        make_version(
            governance={
                "financial_impact_usd": 1200000.0,
                "customer_facing": False,
                "affected_groups": ["applicants"],
                "fairness_metrics": {"dpd": 0.2},
                "domain": "finance",
                "no_such_field": "ignored",
            }
        )
    )
    assert facts.financial_impact_usd == 1_200_000
    assert facts.customer_facing is False
    assert facts.affected_groups == ("applicants",)
    assert facts.fairness_metrics == {"dpd": 0.2}
    assert facts.domain == "finance"
    assert facts.criticality is None


def test_a_value_that_its_field_cannot_hold_is_unknown_to_the_rules(make_version):
    facts = facts_of(
        make_version(
            governance={
                "financial_impact_usd": "lots",
                "unit_tests_pass_rate": True,
                "customer_facing": "maybe",
                "affected_groups": "everybody",
                "fairness_metrics": ["dpd"],
                "primary_metric": "",
            }
        )
    )
    for name in (
        "financial_impact_usd",
        "unit_tests_pass_rate",
        "customer_facing",
        "affected_groups",
        "fairness_metrics",
        "primary_metric",
    ):
        assert getattr(facts, name) is None, name


def test_every_governance_field_reaches_the_rules(make_version):
    told = dict.fromkeys(GOVERNANCE_FIELDS, "told")
    facts = facts_of(make_version(governance=told))
    texts = {name for name in GOVERNANCE_FIELDS if getattr(facts, name, None) == "told"}
    others = set(GOVERNANCE_FIELDS) - texts
    assert all(getattr(facts, name) is None for name in others)
    assert {"domain", "baseline_ref", "declared_tier"} <= texts


def test_redactions_of_all_that_a_version_came_from_are_joined_once(
    source, make_version
):
    Experiment.objects.create(
        source=source,
        experiment_id="7",
        name="e",
        lifecycle_stage="active",
        fingerprint="e",
        redactions=[SECRET | {"place": "experiment tag"}],
    )
    version = make_version(experiment_id="7", redactions=[SECRET])
    version.run.redactions = [SECRET]
    version.run.save()
    version.registered_model.redactions = [SECRET | {"place": "model tag"}]
    version.registered_model.save()

    assert facts_of(version).redactions == tuple(
        Redaction(place, "aws", "AWS access key", is_secret=True)
        for place in ("run tag", "model tag", "experiment tag")
    )


def test_a_deleted_run_and_a_weak_owner_are_seen(make_version):
    version = make_version(
        provenance={"owner": {"source": "run info", "key": "user_id", "weak": True}}
    )
    version.run.lifecycle_stage = "deleted"
    version.run.save()
    facts = facts_of(version)
    assert facts.run_deleted
    assert facts.owner_is_weak


def test_a_version_without_a_run_is_no_error(make_version):
    facts = facts_of(make_version(run=None, source_run_id="", run_found=False))
    assert not facts.run_deleted
    assert facts.redactions == ()


def test_only_an_active_compliance_officer_is_an_approver(
    make_version, olga, max_, alice
):
    def is_member(told: str) -> bool | None:
        return facts_of(version(told)).approver_is_member

    numbers = iter(range(1, 10))

    def version(told: str) -> ModelVersion:
        return make_version(next(numbers), compliance_approver=told)

    assert compliance_officers() == {"olga@example.org"}
    assert is_member(" Olga@Example.org ") is True
    assert is_member("max@example.org") is False
    assert is_member("Risk Board") is False
    assert is_member("") is None
    User.objects.filter(pk=olga.pk).update(is_active=False)
    assert is_member("olga@example.org") is False


@pytest.mark.parametrize("number", [1, 12])
@pytest.mark.parametrize(
    ("told", "queries"),
    [
        ({"lifecycle_stage": Stage.NONE.value}, 2),
        ({}, 3),
        ({"governance": {"baseline_ref": "1", "dpia_date": "2025-12-01"}}, 3),
        ({"governance": {"baseline_ref": "a" * 32}}, 4),
    ],
)
def test_facts_cost_so_many_queries_however_many_versions(
    make_version, number, told, queries, django_assert_num_queries
):
    ids = [make_version(count, **told).pk for count in range(2, number + 2)]
    with django_assert_num_queries(queries) as captured:
        assert len(gather_facts(ids, today=DAY)) == number
    assert isinstance(captured, CaptureQueriesContext)


# Sources that disagree


def test_a_dispute_shows_what_each_source_says(make_version):
    version_tag = {"source": "version tag", "key": "owner"}
    model_tag = {"source": "model tag", "key": "model_owner"}
    weak = {"source": "run info", "key": "user_id", "weak": True}
    version = make_version(
        owner="olga",
        regulatory_scope=["gdpr", "hipaa"],
        governance={"domain": "finance"},
        provenance={
            "owner": version_tag,
            "domain": version_tag,
            "regulatory_scope": version_tag,
        },
        others={
            "owner": [["max", model_tag], ["root", weak]],
            "regulatory_scope": [[None, model_tag | {"raw": "everything"}]],
            "domain": [["retail", weak]],
        },
    )
    assert facts_of(version).disputes == {
        "owner": ("olga (version tag owner)", "max (model tag model_owner)"),
        "regulatory_scope": (
            "gdpr, hipaa (version tag owner)",
            "everything (model tag model_owner)",
        ),
    }


# No fact without somebody who can tell it

# What decisions and model cards will tell, once there are any.
LATER = {
    "approvals_set_up", "approved_at", "previous_approved_version", "approved_types",
    "material_digest", "approved_digest", "approved_files", "override_signed",
    "annex_iv_not_applicable", "cards_set_up", "card_sections", "card_digest",
    "record_digest",
}  # fmt: skip


def test_every_fact_is_a_field_a_column_or_worked_out_of_rows():
    """What only rows together tell is shown above, and in test_company."""
    columns = {column.name for column in ModelVersion._meta.concrete_fields}
    worked_out = {
        "today", "model_name", "artifacts_read", "run_deleted", "owner_is_weak",
        "approver_is_member", "production_since", "disputes",
    } | {item.name for item in fields(Company)}  # fmt: skip
    told_by_nobody = {item.name for item in fields(ModelFacts)} - (
        set(FIELDS) | columns | worked_out
    )
    assert told_by_nobody == LATER


READ = {
    name for rule in rulebook if rule.entry.kind.judges_versions for name in rule.reads
}
ATTESTING = Path(__file__).parents[2] / "docs" / "attesting.md"


def test_every_stated_fact_can_be_told_by_a_tag():
    """A field that rules read answers to its own name, or is read off the registry."""
    vocabulary = default_vocabulary()
    for name in READ & set(ATTESTABLE) - {"description"}:
        claims = vocabulary.registry_tags.of(name)
        assert name in {claim.field for claim in claims}, name


def test_every_fact_that_a_rule_reads_is_attestable_or_the_docs_say_why_not():
    rows = re.findall(r"^\| (`.+`) \| (.+) \|$", ATTESTING.read_text("utf-8"), re.M)
    reasons = {
        name: reason for names, reason in rows for name in re.findall(r"`(\w+)`", names)
    }
    assert set(reasons) == (READ | set(FIELDS)) - set(ATTESTABLE)
    for name, reason in OBSERVED.items():
        assert reasons[name].startswith(reason), name
    assert set(control_data()["extension_fields"]) <= set(ATTESTABLE)
