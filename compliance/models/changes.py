"""How results became what they are, and what that did to gaps.

Written by `compliance.gaps` and `compliance.waiving` only; people read them.
"""

from __future__ import annotations

from django.db import models

from accounts.walls import SameOrganization, TenantModel
from compliance.models.evaluations import one_subject
from compliance.models.events import GapEvent
from compliance.models.gaps import RULE_ID_LENGTH, VERDICTS, Gap
from inventory.models import ModelVersion, Source


class ResultChange(TenantModel):
    """A rule's answer became another one: the history of results, and of their gaps.

    The first results of a version leave none; a failure whose sentence changes does.
    """

    version = models.ForeignKey(
        ModelVersion, models.CASCADE, null=True, related_name="result_changes"
    )
    source = models.ForeignKey(
        Source, models.CASCADE, null=True, related_name="result_changes"
    )
    gap = models.ForeignKey(Gap, models.CASCADE, null=True, related_name="changes")
    rule_id = models.CharField("rule", max_length=RULE_ID_LENGTH)
    before = models.CharField(max_length=14, choices=VERDICTS)
    after = models.CharField(max_length=14, choices=VERDICTS)
    event = models.CharField(max_length=9, choices=GapEvent)
    detail = models.TextField(blank=True)
    policy = models.PositiveIntegerField(
        default=0, help_text="Number of the policy under which it became so."
    )
    at = models.DateTimeField()

    class Meta(TenantModel.Meta):
        ordering = ("-at", "-id")
        constraints = (
            *TenantModel.Meta.constraints,
            SameOrganization(field="version", name="same_compliance_change_version"),
            SameOrganization(field="source", name="same_compliance_change_source"),
            SameOrganization(field="gap", name="same_compliance_change_gap"),
            one_subject("change_of_version_or_source"),
        )

    def __str__(self) -> str:
        return f"{self.rule_id}: {self.get_event_display()}"
