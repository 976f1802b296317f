"""How versions and sources were judged last.

Written by `compliance.gaps`; `compliance.evaluation` marks what changed in nothing, and
`compliance.waiving` moves the counts.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q

from accounts.walls import OneToOneInOrganization, SameOrganization, TenantDetail
from compliance.models.rule_sets import RuleSet
from inventory.models import ModelVersion, Source


def one_subject(name: str) -> models.CheckConstraint:
    """Judged is either a version or a source."""
    return models.CheckConstraint(
        condition=Q(version=None) ^ Q(source=None),
        name=name,
    )


class EvaluationQuerySet(models.QuerySet["Evaluation"]):
    def without_documents(self) -> EvaluationQuerySet:
        """Bring the counts alone, which lists show."""
        return self.defer("results", "facts")

    def told(self) -> EvaluationQuerySet:
        """Bring along what each `result` is joined from."""
        return self.select_related("rule_set")


class Evaluation(TenantDetail):
    """The latest result of every rule that is on, for one version or one source.

    `results` maps a rule's id to `engine.Result.to_json()` and, where the verdict is
    younger than the first evaluation, the time `since` which it is so. What rules have
    in common stands once: the facts in the row, their versions and thresholds in the
    rule set; `result` joins them. The counts are of open gaps, and of waived ones
    apart. A row is rewritten only when a result differs, or what it was judged by; where a
    new policy changes neither, its number alone is.
    """

    COUNTS = ("critical", "high", "medium", "low", "missing_fields", "waived")

    # Without index and key of their own, as the organization.
    version = OneToOneInOrganization(
        ModelVersion,
        models.CASCADE,
        null=True,
        related_name="evaluation",
        db_index=False,
        db_constraint=False,
    )
    source = OneToOneInOrganization(
        Source,
        models.CASCADE,
        null=True,
        related_name="evaluation",
        db_index=False,
        db_constraint=False,
    )
    results = models.JSONField(default=dict)
    facts = models.JSONField(
        default=dict, help_text="What the rules were shown and is known, by name."
    )
    rule_set = models.ForeignKey(
        RuleSet,
        models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    fingerprint = models.CharField(
        max_length=64,
        help_text="Digest of results, facts, rule set, and of how grave gaps are.",
    )
    judged = models.DateTimeField(
        null=True, help_text="`changed_at` of the version as it was judged."
    )
    policy = models.PositiveIntegerField(
        default=0, help_text="Number of the policy under which the results are so."
    )
    created_at = models.DateTimeField(help_text="The first evaluation.")
    changed_at = models.DateTimeField(help_text="When a result last changed.")

    critical = models.PositiveSmallIntegerField(default=0)
    high = models.PositiveSmallIntegerField(default=0)
    medium = models.PositiveSmallIntegerField(default=0)
    low = models.PositiveSmallIntegerField(default=0)
    missing_fields = models.PositiveSmallIntegerField(default=0)
    waived = models.PositiveSmallIntegerField(default=0)

    objects = EvaluationQuerySet.as_manager()

    class Meta(TenantDetail.Meta):
        constraints = (
            *TenantDetail.Meta.constraints,
            SameOrganization(
                field="version", name="same_compliance_evaluation_version"
            ),
            SameOrganization(field="source", name="same_compliance_evaluation_source"),
            SameOrganization(
                field="rule_set", name="same_compliance_evaluation_rule_set"
            ),
            one_subject("evaluation_of_version_or_source"),
            models.UniqueConstraint(
                fields=["organization", "version"], name="one_evaluation_per_version"
            ),
            models.UniqueConstraint(
                fields=["organization", "source"], name="one_evaluation_per_source"
            ),
        )

    def __str__(self) -> str:
        return f"evaluation of {self.version or self.source}"

    def result(self, rule_id: str) -> dict[str, Any]:
        """Return what a rule said, which version of it, on which inputs and thresholds.

        Nothing if it did not judge. A fact that it reads and `inputs` does not name was
        unknown. Costs one query for all results, unless the evaluation was `told`.
        """
        if rule_id not in self.results:
            return {}
        applied = self.rule_set.rules.get(rule_id, {}) if self.rule_set else {}
        # What was judged before there were rule sets tells all by itself.
        told = {"detail": "", "thresholds": {}, **applied, **self.results[rule_id]}
        facts = {
            name: self.facts[name]
            for name in told.pop("shown", ())
            if name in self.facts
        }
        return {
            **told,
            "inputs": facts | told.get("inputs", {}),
            "since": self.since(rule_id),
        }

    def since(self, rule_id: str) -> datetime:
        """Return when the verdict of a rule became what it is."""
        since = self.results[rule_id].get("since")
        return datetime.fromisoformat(since) if since else self.created_at
