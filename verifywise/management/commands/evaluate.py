"""Judge all versions of the organizations as of today."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Organization
from verifywise import pipeline


class Command(BaseCommand):
    help = "Judge all versions by the rules, as of today."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="SLUG")

    def handle(self, *args: Any, **options: Any) -> None:
        organizations = Organization.objects.filter(closed_at=None)
        if slug := options["organization"]:
            organizations = organizations.filter(slug=slug)
            if not organizations:
                raise CommandError(f"There is no organization {slug!r}.")
        for organization in organizations:
            report = pipeline.judge(organization)
            self.stdout.write(
                f"{organization}: {report.evaluated} versions judged; gaps: "
                f"{report.opened} opened, {report.reopened} reopened, "
                f"{report.closed} closed."
            )
