"""Tell which training runs are captured, traced and reproducible."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import tenancy
from accounts.models import Organization
from inventory.verification import VerifiedRun, verify_runs


class Command(BaseCommand):
    help = (
        "Tell of every version whether its training run is captured, traced and "
        "reproducible, and what lacks."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="SLUG")
        parser.add_argument(
            "--json", action="store_true", help="One object a version, on its own line."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        organizations = Organization.objects.filter(closed_at=None)
        if slug := options["organization"]:
            organizations = organizations.filter(slug=slug)
            if not organizations:
                raise CommandError(f"There is no organization {slug!r}.")
        for organization in organizations:
            with tenancy.acting_for(organization, origin="command"):
                found = [
                    self.tell(run, as_json=options["json"]) for run in verify_runs()
                ]
            if not options["json"]:
                self.stdout.write(
                    f"{organization}: of {len(found)} versions, the runs of "
                    f"{sum(run.is_captured for run in found)} are captured, "
                    f"{sum(run.is_traced for run in found)} traced, "
                    f"{sum(run.is_reproducible for run in found)} reproducible."
                )

    def tell(self, run: VerifiedRun, *, as_json: bool) -> VerifiedRun:
        told = run.to_json()
        if as_json:
            self.stdout.write(json.dumps(told))
        elif told["lacks"]:
            self.stdout.write(f"{run.version} lacks {', '.join(told['lacks'])}.")
        return run
