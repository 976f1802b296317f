"""By what the list of tracking servers can be narrowed."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from accounts.filters import ChoiceFilter


class UseFilter(ChoiceFilter):
    title = "use"
    parameter_name = "use"
    default = "used"
    choices_offered = (("used", "In use"), ("removed", "Removed"))

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        return rows.filter(removed_at__isnull=choice == "used")


class TestFilter(ChoiceFilter):
    title = "connection"
    parameter_name = "test"
    choices_offered = (
        ("passed", "Reachable"),
        ("failed", "Not reachable"),
        ("never", "Not tested"),
    )

    def narrow(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:
        passed = {"passed": True, "failed": False, "never": None}[choice]
        return rows.filter(last_test_passed=passed)
