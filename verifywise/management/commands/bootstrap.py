"""Make an organization and its first administrator."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts import audit, tenancy
from accounts.members import add_member
from accounts.models import Membership, Organization, User
from accounts.roles import Role
from verifywise import env


class Command(BaseCommand):
    help = (
        "Make an organization and its first administrator. The password is taken from "
        "VERIFYWISE_ADMIN_PASSWORD, or generated and printed once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--email", required=True)
        parser.add_argument("--name", default="", help="Of the organization.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                self.bootstrap(options)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error

    def bootstrap(self, options: dict[str, Any]) -> None:
        slug, email = options["organization"], options["email"].strip().lower()
        organization = Organization.objects.filter(slug=slug).first()
        if organization is None:
            name = options["name"] or slug.replace("-", " ").title()
            organization = Organization(slug=slug, name=name)
            organization.full_clean()
            organization.save()
        if organization.closed_at:
            raise CommandError(f"{organization} is closed.")
        given = env.secret("VERIFYWISE_ADMIN_PASSWORD", default="")
        known = User.objects.filter(email=email).exists()
        password = None if known else given or secrets.token_urlsafe(15)
        if password and given:
            validate_password(password, User(email=email))
        with tenancy.acting_for(organization, origin="command"):
            if Membership.objects.filter(user__email=email).exists():
                self.stdout.write(f"{email} is a member of {organization} already.")
                return
            add_member(email, role=Role.ADMINISTRATOR, password=password)
        with tenancy.acting_for(Organization.installation(), origin="command"):
            audit.record("organization.bootstrapped", label=organization.name)
        self.stdout.write(f"{organization} has the administrator {email}.")
        if password and not given:
            self.stdout.write(f"Password, shown this once: {password}")
