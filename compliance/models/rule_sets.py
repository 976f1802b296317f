"""What evaluations have in common. Written by `compliance.gaps` only."""

from __future__ import annotations

from django.db import models

from accounts.walls import TenantModel


class RuleSet(TenantModel):
    """The rules as they judged: `judgement.Measure.as_applied()`, kept once.

    A row is never changed: what a rule was shown, its version and its thresholds stay
    told of all that it judged, whatever later releases and policies say.
    """

    digest = models.CharField(max_length=64, help_text="SHA-256 of the rules.")
    rules = models.JSONField(
        help_text="rule -> version, facts shown, thresholds by name."
    )

    class Meta(TenantModel.Meta):
        constraints = (
            *TenantModel.Meta.constraints,
            models.UniqueConstraint(
                fields=["organization", "digest"], name="rule_set_kept_once"
            ),
        )

    def __str__(self) -> str:
        return f"rule set {self.digest[:8]}"
