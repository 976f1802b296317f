"""Make the demo's organizations, people and tracking servers; `make demo` calls it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts import audit, tenancy
from accounts.members import add_member
from accounts.models import Membership, Organization, User
from accounts.roles import Role
from inventory.models import Source
from mlflow_sync.models import TrackingServer
from mlflow_sync.servers import save_server, test_server
from verifywise import env
from verifywise.demo import models as demo
from verifywise.demo.cases import ORGANIZATIONS


class Command(BaseCommand):
    help = (
        "Make the organizations of the demo, with people and tracking servers; what is "
        "there already is left as it is. Everybody's password is that of "
        "VERIFYWISE_ADMIN_PASSWORD."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--server",
            action="append",
            required=True,
            metavar="SLUG=URL",
            help="The MLflow of an organization of the demo; repeatable.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        urls = dict(told.partition("=")[::2] for told in options["server"])
        told = [
            organization for organization in ORGANIZATIONS if organization.slug in urls
        ]
        password = _hashed_password()
        for organization in told:
            with transaction.atomic():
                row = _organization(organization)
                with tenancy.acting_for(row, origin="command"):
                    _people(organization, password)
                    server = _tracking_server(organization, urls[organization.slug])
            if server is not None:
                with tenancy.acting_for(row, origin="command"):
                    test_server(server)


def _hashed_password() -> str:
    """Return one hash for all: hashing is slow, and nothing is secret among them."""
    password = env.secret("VERIFYWISE_ADMIN_PASSWORD")
    first = User.objects.filter(email=ORGANIZATIONS[0].people[0].email).first()
    if first and check_password(password, first.password):
        return first.password
    return make_password(password)


def _organization(organization: demo.Organization) -> Organization:
    row = Organization.objects.filter(slug=organization.slug).first()
    if row is None:
        row = Organization(slug=organization.slug, name=organization.name, is_demo=True)
        row.full_clean()
        row.save()
        action = "organization.bootstrapped"
    elif not row.is_demo:
        raise CommandError(
            f"There is an organization {row.slug!r} which is not the demo's: the demo "
            "wants a database of its own."
        )
    elif row.closed_at is not None:
        row.closed_at = None
        row.save()
        action = "organization.reopened"
    else:
        return row
    with tenancy.acting_for(Organization.installation(), origin="command"):
        audit.record(action, label=row.name, reason="The demo was set up.")
    return row


def _people(organization: demo.Organization, password: str) -> None:
    for person in organization.people:
        if not Membership.objects.filter(user__email=person.email).exists():
            add_member(person.email, role=Role(person.role), name=person.name)
        user = User.objects.get(email=person.email)
        if user.password != password or not user.is_active:
            user.password, user.is_active = password, True
            user.save()


def _tracking_server(
    organization: demo.Organization, url: str
) -> TrackingServer | None:
    """Return the server, None where nothing about it changed."""
    server = TrackingServer.objects.filter(source__name=organization.server).first()
    if server and server.url == url:
        return None
    server = server or TrackingServer()
    server.url = url
    server = save_server(server, name=organization.server)
    Source.objects.filter(pk=server.source_id).update(is_demo=True)
    return server
