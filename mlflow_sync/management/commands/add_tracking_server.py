"""Add an MLflow tracking server, or change the one of that name, and test it."""

from __future__ import annotations

import os
from argparse import BooleanOptionalAction
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import tenancy
from accounts.models import Organization
from inventory.models import Source
from mlflow_sync.models import TrackingServer
from mlflow_sync.servers import Credentials, save_server, test_server

SCOPE = {  # option -> field, what is given, and what it says
    "--include": ("include_names", "PATTERN", "Models to read, by name"),
    "--exclude": ("exclude_names", "PATTERN", "Models to leave out, by name"),
    "--tag": ("required_tags", "KEY[=PATTERN]", "Read models with such a tag only"),
}


class Command(BaseCommand):
    help = (
        "Add an MLflow tracking server, or change the one of that name; test it and "
        "print its id. Secrets are read from environment variables, never from the "
        "command line, where other users of the machine could see them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--name", required=True)
        parser.add_argument("--url", required=True)
        parser.add_argument(
            "--auth-method", choices=TrackingServer.AuthMethod.values, default=None
        )
        parser.add_argument("--username")
        parser.add_argument("--password-env", metavar="V", help="Variable holding it.")
        parser.add_argument("--token-env", metavar="V", help="Variable holding it.")
        parser.add_argument(
            "--header",
            action="append",
            default=[],
            metavar="NAME=ENV",
            help="A header to send, and the variable holding its value; repeatable.",
        )
        parser.add_argument("--workspace")
        parser.add_argument("--ca-bundle", metavar="FILE", help="Certificates (PEM).")
        parser.add_argument("--no-verify-tls", action="store_true")
        parser.add_argument("--connect-timeout", type=int, metavar="SECONDS")
        parser.add_argument("--read-timeout", type=int, metavar="SECONDS")
        parser.add_argument("--concurrency", type=int, metavar="REQUESTS")
        parser.add_argument("--request-budget", type=int, metavar="PER_MINUTE")
        parser.add_argument("--reread-within", type=int, metavar="SYNCS")
        parser.add_argument("--without-artifacts", action="store_true")
        parser.add_argument("--no-schedule", action="store_true")
        for option, (field, metavar, told) in SCOPE.items():
            parser.add_argument(
                option,
                action="append",
                dest=field,
                metavar=metavar,
                help=f"{told}; repeatable, and an empty one takes all of them back.",
            )
        parser.add_argument(
            "--find-unregistered",
            action=BooleanOptionalAction,
            help="List models that runs logged and nobody registered.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        slug, name = options["organization"], options["name"]
        organization = Organization.objects.filter(slug=slug).first()
        if organization is None:
            raise CommandError(f"There is no organization {slug!r}.")
        with tenancy.acting_for(organization, origin="command"):
            source = Source.objects.filter(name=name).first()
            server = getattr(source, "tracking_server", None) or TrackingServer()
            try:
                self.fill(server, options)
                save_server(server, name=name, credentials=self.credentials(options))
            except ValidationError as error:
                raise CommandError(_sentence(error)) from error
        with tenancy.acting_for(organization, origin="command"):
            result = test_server(server)
        style = self.style.SUCCESS if result.passed else self.style.WARNING
        self.stderr.write(style(result.message))
        self.stdout.write(str(server.pk))

    def fill(self, server: TrackingServer, options: dict[str, Any]) -> None:
        """Set what was given; what was not keeps its value, or its default."""
        server.url = options["url"]
        for field in (
            "workspace",
            "connect_timeout",
            "read_timeout",
            "concurrency",
            "request_budget",
            "reread_within",
        ):
            if options[field] is not None:
                setattr(server, field, options[field])
        if options["ca_bundle"]:
            try:
                server.ca_bundle = Path(options["ca_bundle"]).read_text(
                    encoding="ascii"
                )
            except (OSError, UnicodeDecodeError) as error:
                raise CommandError(
                    f"--ca-bundle: {options['ca_bundle']} cannot be read as PEM: {error}"
                ) from error
        server.verify_tls = server.verify_tls and not options["no_verify_tls"]
        server.read_artifacts = (
            server.read_artifacts and not options["without_artifacts"]
        )
        server.is_enabled = server.is_enabled and not options["no_schedule"]
        for field, *_ in SCOPE.values():
            if options[field] is not None:
                setattr(server, field, "\n".join(options[field]))
        if options["find_unregistered"] is not None:
            server.find_unregistered = options["find_unregistered"]
        if options["auth_method"]:
            server.auth_method = options["auth_method"]
        elif options["token_env"]:
            server.auth_method = TrackingServer.AuthMethod.TOKEN
        elif options["password_env"]:
            server.auth_method = TrackingServer.AuthMethod.BASIC

    def credentials(self, options: dict[str, Any]) -> Credentials:
        headers = None
        if options["header"]:
            headers = {}
            for told in options["header"]:
                name, separator, variable = told.partition("=")
                if not separator:
                    raise CommandError(f"--header {told}: write NAME=VARIABLE.")
                headers[name.strip()] = _variable(variable.strip(), "--header")
        return Credentials(
            username=options["username"],
            password=_variable(options["password_env"], "--password-env"),
            token=_variable(options["token_env"], "--token-env"),
            headers=headers,
        )


def _variable(name: str | None, option: str) -> Any:
    if name is None:
        return None
    value = os.environ.get(name)
    if not value:
        raise CommandError(f"{option}: the variable {name} is not set.")
    return value


def _sentence(error: ValidationError) -> str:
    if hasattr(error, "message_dict"):
        return "; ".join(
            f"{field}: {' '.join(messages)}"
            if field != "__all__"
            else " ".join(messages)
            for field, messages in error.message_dict.items()
        )
    return " ".join(error.messages)
