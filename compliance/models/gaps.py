"""The gaps of versions and sources.

Opened and closed by `compliance.gaps`, waived by `compliance.waiving`, and worked on by
people through `compliance.work`.
"""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.walls import SameOrganization, TenantDetail
from compliance.catalogue import Entry, Gate, Severity, catalogue
from compliance.covers import Cover
from compliance.engine import Outcome, Verdict, rulebook
from compliance.models.evaluations import one_subject
from compliance.models.events import GapEvent
from compliance.models.work import Work
from compliance.remedies import Remedy, remedy_for
from inventory.models import ModelVersion, Source

SEVERITIES = [(severity.value, severity.label) for severity in Severity]
GATES = [(gate.value, gate.label) for gate in Gate]
VERDICTS = [(verdict.value, verdict.label) for verdict in Verdict]
COUNTED_AS = {severity.value: severity.name.lower() for severity in Severity}
RULE_ID_LENGTH = 60
OF_ABSENCE = "VW-OPS-003"  # the one rule that a version breaks by being gone


class GapQuerySet(models.QuerySet["Gap"]):
    """A waiver counts until the end of its last day, however late the job that ends it."""

    def of(self, *statuses: Gap.Status) -> GapQuerySet:
        """Return the gaps that have one of these statuses as of today."""
        over = Q(status=Gap.Status.WAIVED, waived_until__lt=now().date())
        found = Q(status__in=statuses)
        if Gap.Status.OPEN not in statuses:
            found &= ~over
        elif Gap.Status.WAIVED not in statuses:
            found |= over
        return self.filter(found)

    def open(self) -> GapQuerySet:
        return self.of(Gap.Status.OPEN)

    def waived(self) -> GapQuerySet:
        return self.of(Gap.Status.WAIVED)

    def live(self) -> GapQuerySet:
        """Return what is not closed: open, or waived."""
        return self.filter(status__in=(Gap.Status.OPEN, Gap.Status.WAIVED))

    def present(self) -> GapQuerySet:
        """Leave out the gaps of versions that their source no longer tells.

        That a version is no longer told is a gap of the present.
        """
        return self.filter(Q(version__absent_since=None) | Q(rule_id=OF_ABSENCE))


class Gap(Work, TenantDetail):
    """A rule that a version or a source does not meet.

    A gap is never deleted: a rule that passes again closes it, a relapse opens it
    anew, and its changes stay. While the rule cannot be decided it stays as it is.
    While a waiver is in force it is waived instead of open, and its rule still fails.
    """

    class Kind(models.TextChoices):
        RULE = "rule", "Rule"
        MISSING_FIELD = "missing_field", "Missing field"

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        WAIVED = "waived", "Waived"
        CLOSED = "closed", "Closed"

    # Without index and key of their own, as the organization: ten gaps are written for
    # each version.
    version = models.ForeignKey(
        ModelVersion,
        models.CASCADE,
        null=True,
        related_name="gaps",
        db_index=False,
        db_constraint=False,
    )
    source = models.ForeignKey(
        Source,
        models.CASCADE,
        null=True,
        related_name="gaps",
        db_index=False,
        db_constraint=False,
    )
    rule_id = models.CharField("rule", max_length=RULE_ID_LENGTH)
    rule_version = models.PositiveSmallIntegerField(default=1)
    kind = models.CharField(max_length=13, choices=Kind)
    severity = models.PositiveSmallIntegerField(choices=SEVERITIES)
    gate = models.CharField(
        max_length=6,
        choices=GATES,
        default=Gate.INFO.value,
        help_text="As the policy has it; so is the severity.",
    )
    status = models.CharField(max_length=6, choices=Status, default=Status.OPEN)
    detail = models.TextField(help_text="The sentence shown to people.")

    opened_at = models.DateTimeField(default=now)
    reopened_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    unknown_since = models.DateTimeField(
        "cannot be checked since", null=True, blank=True
    )
    waiver = models.ForeignKey(
        "compliance.Waiver",
        models.RESTRICT,
        null=True,
        related_name="waived_gaps",
        db_index=False,
        db_constraint=False,
    )
    waived_until = models.DateField(null=True, help_text="None: until it is revoked.")

    objects = GapQuerySet.as_manager()

    class Meta(TenantDetail.Meta):
        ordering = ("-severity", "opened_at", "id")
        constraints = (
            *TenantDetail.Meta.constraints,
            SameOrganization(field="version", name="same_compliance_gap_version"),
            SameOrganization(field="source", name="same_compliance_gap_source"),
            SameOrganization(field="waiver", name="same_compliance_gap_waiver"),
            one_subject("gap_of_version_or_source"),
            models.UniqueConstraint(
                fields=["organization", "version", "rule_id"],
                name="one_gap_per_version_and_rule",
            ),
            models.UniqueConstraint(
                fields=["organization", "source", "rule_id"],
                condition=~Q(source=None),
                name="one_gap_per_source_and_rule",
            ),
            models.CheckConstraint(
                condition=Q(status="closed") ^ Q(closed_at=None),
                name="gap_closed_at_iff_closed",
            ),
            models.CheckConstraint(
                condition=Q(status="waived") ^ Q(waiver=None),
                name="gap_waived_iff_waiver",
            ),
            models.CheckConstraint(
                condition=Q(severity__in=Severity), name="gap_severity_known"
            ),
            models.CheckConstraint(condition=Q(gate__in=Gate), name="gap_gate_known"),
        )
        indexes = (
            # The list of gaps: open and waived ones, worst first.
            models.Index(
                fields=["organization", "severity"],
                condition=Q(status__in=("open", "waived")),
                name="gap_live_by_severity",
            ),
            models.Index(
                fields=["organization", "owner"],
                condition=~Q(owner=None),
                name="gap_by_owner",
            ),
            # What a waiver covers. Most gaps have none, and are not in it.
            models.Index(
                fields=["waiver"], condition=~Q(waiver=None), name="gap_by_waiver"
            ),
        )

    def __str__(self) -> str:
        return f"{self.rule_id} on {self.version or self.source}"

    @property
    def counted_as(self) -> str:
        """The count of `Evaluation.COUNTS` that an open gap of this kind is part of."""
        if self.kind == Gap.Kind.MISSING_FIELD:
            return "missing_fields"
        return COUNTED_AS[self.severity]

    @property
    def is_closed(self) -> bool:
        return self.status == Gap.Status.CLOSED

    @property
    def is_waived(self) -> bool:
        if self.status != Gap.Status.WAIVED:
            return False
        return self.waived_until is None or self.waived_until >= now().date()

    @property
    def is_open(self) -> bool:
        return not (self.is_closed or self.is_waived)

    @property
    def current_status(self) -> Gap.Status:
        """The status as of today, even where the job that ends waivers is late."""
        return Gap.Status.OPEN if self.is_open else Gap.Status(self.status)

    def follow(
        self,
        entry: Entry,
        outcome: Outcome,
        *,
        at: datetime,
        cover: Cover | None = None,
    ) -> GapEvent:
        """Bring the gap in line with a new outcome of its rule, unsaved.

        `cover` is the waiver in force over it. An undecided rule leaves the gap open or
        waived, as grave as the policy has it, and marks it.
        """
        is_undecided = outcome.verdict.is_undecided
        if not is_undecided and outcome.verdict is not Verdict.FAIL:
            return GapEvent.NONE if self.is_closed else self.close(at=at)
        if not is_undecided:
            return self._fail(entry, outcome, at=at, cover=cover)
        if self.is_closed:
            return GapEvent.NONE
        told = (self.severity, self.gate)
        self._grade(entry)
        event = self.stand_under(cover)
        if self.unknown_since is None:
            self.unknown_since = at
            return GapEvent.UNDECIDED if event is GapEvent.NONE else event
        if event is GapEvent.NONE and told != (self.severity, self.gate):
            return GapEvent.REFRESHED
        return event

    def _fail(
        self, entry: Entry, outcome: Outcome, *, at: datetime, cover: Cover | None
    ) -> GapEvent:
        told = (self.detail, self.severity, self.gate, self.rule_version)
        self.detail, self.rule_version = outcome.detail, entry.version
        self._grade(entry)
        tells = (self.detail, self.severity, self.gate, self.rule_version)
        event = GapEvent.NONE
        if self.is_closed:
            self.status, self.closed_at, self.reopened_at = Gap.Status.OPEN, None, at
            event = GapEvent.REOPENED
        elif told != tells or self.unknown_since:
            event = GapEvent.REFRESHED
        covered = self.stand_under(cover)
        self.unknown_since = None
        return event if covered is GapEvent.NONE else covered

    def stand_under(self, cover: Cover | None) -> GapEvent:
        """Be waived by this waiver, or by none, unsaved; a closed gap is not asked."""
        formerly = self.status
        self.waiver_id = cover.waiver_id if cover else None
        self.waived_until = cover.until if cover else None
        self.status = Gap.Status.WAIVED if cover else Gap.Status.OPEN
        if self.status == formerly:
            return GapEvent.NONE
        return GapEvent.WAIVED if cover else GapEvent.UNWAIVED

    def _grade(self, entry: Entry) -> None:
        self.severity, self.gate = entry.severity.value, entry.gate.value

    def close(self, *, at: datetime) -> GapEvent:
        self.status, self.closed_at, self.unknown_since = Gap.Status.CLOSED, at, None
        self.waiver_id = self.waived_until = None
        return GapEvent.CLOSED

    @property
    def entry(self) -> Entry | None:
        """What the catalogue says of the rule; None where a plug-in has taken it away."""
        rule = rulebook.get(self.rule_id)
        return rule.entry if rule else catalogue().rules.get(self.rule_id)

    @property
    def title(self) -> str:
        return self.entry.title if self.entry else self.rule_id

    @property
    def remedy(self) -> Remedy | None:
        """Cost: two queries, unless version and registered model were selected along."""
        if self.entry is None:
            return None
        if self.version is None:
            return Remedy(text=self.entry.fix, code="")
        return remedy_for(
            self.entry,
            model_name=self.version.model_name,
            version_number=self.version.version_number,
        )
