"""Tell a pipeline whether a version may go to production."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import tenancy
from accounts.models import Organization
from compliance.check_formats import CheckedVersion, junit, plain, sarif
from compliance.check_version import check_version, versions_called
from compliance.checking import Answer
from inventory.models import ModelVersion

EXIT = {
    Answer.PASS: 0,
    Answer.BLOCKED: 2,
    Answer.NEEDS_REVIEW: 3,
    Answer.UNDECIDED: 4,
}
NOT_UNDERSTOOD = 2  # argparse's own exit code


class Command(BaseCommand):
    help = (
        "Tell whether a version may go to production. Exit code 0: it may, 2: blocked, "
        "3: a person has to decide, 4: cannot be decided, 1: error, or no such version."
    )
    has_answered = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model")
        parser.add_argument("version", help="Its number.")
        parser.add_argument("--organization", metavar="SLUG")
        parser.add_argument("--server", metavar="N", help="The server of this name.")
        parser.add_argument("--json", action="store_true", help="One object.")
        parser.add_argument("--junit", metavar="FILE", help="Write a JUnit file.")
        parser.add_argument("--sarif", metavar="FILE", help="Write a SARIF 2.1.0 file.")

    def run_from_argv(self, argv: list[str]) -> None:
        """End a call that is not understood with 1: here 2 says that it is blocked."""
        try:
            super().run_from_argv(argv)
        except SystemExit as ended:
            if ended.code == NOT_UNDERSTOOD and not self.has_answered:
                raise SystemExit(1) from ended
            raise

    def handle(self, *args: Any, **options: Any) -> None:
        organization, version = _the_one(options)
        with tenancy.acting_for(organization, origin="command"):
            checked = check_version(version)
        _write(options["junit"], junit, checked)
        _write(options["sarif"], sarif, checked)
        if options["json"]:
            self.stdout.write(json.dumps(plain(checked)))
        else:
            self.tell(checked)
        self.has_answered = True
        if code := EXIT[checked.check.answer]:
            sys.exit(code)

    def tell(self, checked: CheckedVersion) -> None:
        """Say the verdict, and what it rests on, a line a rule."""
        self.stdout.write(
            f"{checked.model} version {checked.version}: {checked.check.sentence}"
        )
        for rule in checked.check.rules:
            if rule.hinders or rule.leaves_open:
                self.stdout.write(f"  {rule.entry.id}: {rule.detail}")
                self.stdout.write(f"    {checked.remedy(rule).text}")


def _the_one(options: dict[str, Any]) -> tuple[Organization, ModelVersion]:
    """Return the version that is meant. Never guesses: two of a name are an error."""
    model, number = options["model"], options["version"]
    if not (number.isascii() and number.isdecimal()):
        raise CommandError(f"version: {number!r} is not the number of a version.")
    found = [
        (organization, version)
        for organization in _organizations(options["organization"])
        for version in _versions(organization, model, int(number), options["server"])
    ]
    if not found:
        raise CommandError(f"There is no version {number} of a model {model!r}.")
    if len(found) > 1:
        places = ", ".join(
            f"{version.source.name} of {organization.slug}"
            for organization, version in found
        )
        raise CommandError(
            f"There are several of this name: {places}. Say which one, by "
            "--organization and --server."
        )
    return found[0]


def _versions(
    organization: Organization, model: str, number: int, server: str | None
) -> list[ModelVersion]:
    with tenancy.acting_for(organization, origin="command"):
        return versions_called(model, number, server=server or "")


def _organizations(slug: str | None) -> list[Organization]:
    found = Organization.objects.filter(closed_at=None).order_by("slug")
    if slug:
        found = found.filter(slug=slug)
        if not found:
            raise CommandError(f"There is no organization {slug!r}.")
    return list(found)


def _write(path: str | None, text_of: Any, checked: CheckedVersion) -> None:
    if path is None:
        return
    try:
        Path(path).write_text(text_of(checked), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from error
