"""What the list of gaps is narrowed by."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import now

from accounts.filters import ChoiceFilter
from compliance import work
from compliance.catalogue import Gate, Severity
from compliance.markup import title
from compliance.models import Gap, GapQuerySet
from compliance.models.waivers import SOON
from compliance.models.work import due, owned_by
from inventory.admin.filters import ModelFilter as VersionsModelFilter
from inventory.records import Stage


class SeverityFilter(ChoiceFilter):
    title = "severity"
    parameter_name = "severity"
    choices_offered = tuple(
        (level.name.lower(), level.label) for level in sorted(Severity, reverse=True)
    )

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(severity=Severity[choice.upper()])


class RuleFilter(ChoiceFilter):
    """The rules of which there are gaps. Costs one query."""

    title = "rule"
    parameter_name = "rule"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        ids = Gap.objects.order_by("rule_id").values_list("rule_id", flat=True)
        return [
            (rule_id, f"{title(rule_id)} ({rule_id})") for rule_id in ids.distinct()
        ]

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(rule_id=choice)


class StatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status"
    default = "open"
    choices_offered = (
        ("open", "Open"),
        ("unknown", "Open, cannot be checked now"),
        ("waived", "Waived"),
        ("ending", "Waived, ending within 30 days"),
        ("closed", "Closed"),
        ("absent", "Open, of versions no longer told"),
    )

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        gaps = cast(GapQuerySet, rows)
        if choice == "closed":
            return rows.filter(status=Gap.Status.CLOSED)
        if choice == "waived":
            return gaps.waived().present()
        if choice == "ending":
            last = now().date() + SOON
            return gaps.waived().present().filter(waived_until__lte=last)
        rows = gaps.open()
        if choice == "absent":
            return rows.filter(version__absent_since__isnull=False)
        rows = gaps.open().present()
        return rows.filter(unknown_since__isnull=False) if choice == "unknown" else rows


class KindFilter(ChoiceFilter):
    title = "kind"
    parameter_name = "kind"
    default = Gap.Kind.RULE.value
    choices_offered = tuple((kind.value, str(kind.label)) for kind in Gap.Kind)

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(kind=choice)


class ModelFilter(VersionsModelFilter):
    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(version__registered_model_id=choice)


class StageFilter(ChoiceFilter):
    title = "stage"
    parameter_name = "stage"
    choices_offered = tuple((stage.value, stage.value) for stage in Stage)

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(version__lifecycle_stage=choice)


class GateFilter(ChoiceFilter):
    title = "gate"
    parameter_name = "gate"
    choices_offered = tuple((gate.value, gate.label) for gate in Gate)

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(gate=choice)


class OwnerFilter(ChoiceFilter):
    """Whose work a gap is. Costs one query: the members who may work on gaps."""

    title = "owner"
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        members = ((str(each.user_id), str(each.user)) for each in work.workers())
        return [("me", "Me"), ("nobody", "Nobody"), *members]

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(owned_by(choice))


class DueFilter(ChoiceFilter):
    title = "due"
    parameter_name = "due"
    choices_offered = (
        ("overdue", "Overdue"),
        ("week", "Within 7 days"),
        ("none", "No day is set"),
    )

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(due(choice))
