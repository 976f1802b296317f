"""Prove that the audit trails are whole, or name the first entry that is not."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit, tenancy
from accounts.models import Organization


class Command(BaseCommand):
    help = (
        "Recompute the audit trail of every organization, one line each. Exits 1 if one "
        "is broken, naming its first broken entry."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="SLUG")

    def handle(self, *args: Any, **options: Any) -> None:
        organizations = Organization.objects.order_by("slug")
        if slug := options["organization"]:
            organizations = organizations.filter(slug=slug)
            if not organizations:
                raise CommandError(f"There is no organization {slug}.")
        broken = 0
        for organization in organizations:
            with tenancy.acting_for(organization, origin="command"):
                found = audit.verify(organization)
            broken += not found.intact
            self.stdout.write(f"{found.sentence()} Head {found.entries} {found.head}")
        if broken:
            raise CommandError(f"{broken} of the audit trails named above is broken.")
