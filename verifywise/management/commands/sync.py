"""Sync tracking servers and evaluate what changed, in the foreground."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts import tenancy
from accounts.models import Organization
from mlflow_sync.exceptions import SyncAlreadyActive
from mlflow_sync.files.runs import read_due_files
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.queueing import confirm_absence, request_sync
from verifywise import pipeline

EXIT = {SyncRun.Status.SUCCEEDED: 0, SyncRun.Status.PARTIAL: 3}
FAILED = 1


class Command(BaseCommand):
    help = (
        "Sync tracking servers and evaluate what changed. Exit code 0 when all "
        "succeeded, 3 when some record is incomplete, 1 when a sync failed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="SLUG")
        parser.add_argument(
            "--server", metavar="N", help="Only the server of this name."
        )
        parser.add_argument(
            "--full", action="store_true", help="Read every run and list files anew."
        )
        parser.add_argument("--without-artifacts", action="store_true")
        parser.add_argument(
            "--files",
            action="store_true",
            help="Instead of the registry, read the files whose digests are due.",
        )
        parser.add_argument(
            "--confirm-absence",
            action="store_true",
            help="What the last sync found gone was deleted: mark it so.",
        )
        parser.add_argument("--json", action="store_true", help="One object a server.")

    def handle(self, *args: Any, **options: Any) -> None:
        codes = [
            self.sync(organization, server, options)
            for organization in _organizations(options["organization"])
            for server in self.servers(organization, options["server"])
        ]
        if not codes:
            raise CommandError("There is no tracking server to sync.")
        if worst := (FAILED if FAILED in codes else max(codes)):
            sys.exit(worst)

    def servers(
        self, organization: Organization, name: str | None
    ) -> list[TrackingServer]:
        with tenancy.acting_for(organization, origin="command"):
            found = TrackingServer.objects.select_related("source").filter(
                removed_at=None
            )
            return list(found.filter(source__name=name) if name else found)

    def sync(
        self,
        organization: Organization,
        server: TrackingServer,
        options: dict[str, Any],
    ) -> int:
        try:
            run = self.request(organization, server, options)
        except (SyncAlreadyActive, ValidationError) as error:
            told = {
                "server": server.source.name,
                "status": "failed",
                "error": " ".join(getattr(error, "messages", [str(error)])),
            }
            self.tell(told, as_json=options["json"])
            return FAILED
        if run is None:
            nothing = SyncRun(
                organization=organization,
                server=server,
                status=SyncRun.Status.SUCCEEDED,
            )
            self.tell(nothing.summary(), as_json=options["json"], files=True)
            return EXIT[SyncRun.Status.SUCCEEDED]
        with tqdm(
            desc=server.source.name,
            unit=" versions",
            disable=options["json"] or not sys.stderr.isatty(),
        ) as bar:

            def show(active: SyncRun) -> None:
                bar.total = active.expected_versions
                bar.update(active.count("versions") - bar.n)

            finished = pipeline.advance(
                organization, run.pk, patience=float("inf"), watcher=show
            )
        if finished is None:
            raise CommandError(f"Another worker took over the sync of {server}.")
        is_of_files = finished.reach == SyncRun.Reach.FILES
        self.tell(finished.summary(), as_json=options["json"], files=is_of_files)
        return EXIT.get(SyncRun.Status(finished.status), FAILED)

    def request(
        self,
        organization: Organization,
        server: TrackingServer,
        options: dict[str, Any],
    ) -> SyncRun | None:
        """Return a run to work on: a new one, or the one that waits for a worker.

        None where files are to be read, and none are due.
        """
        with tenancy.acting_for(organization, origin="command"):
            runs = SyncRun.objects.filter(server=server)
            if options["confirm_absence"]:
                doubted = runs.exclude(vanished=None).first()
                if doubted is None:
                    raise ValidationError("No sync found that too much disappeared.")
                return confirm_absence(
                    doubted, trigger=SyncRun.Trigger.COMMAND, enqueue=False
                )
            try:
                if options["files"]:
                    return read_due_files(
                        server, trigger=SyncRun.Trigger.COMMAND, enqueue=False
                    )
                return request_sync(
                    server,
                    trigger=SyncRun.Trigger.COMMAND,
                    is_full=options["full"],
                    with_artifacts=not options["without_artifacts"],
                    enqueue=False,
                )
            except SyncAlreadyActive:
                waiting = runs.filter(status=SyncRun.Status.QUEUED).first()
                if waiting is None:
                    raise
                self.stderr.write(f"{server}: a sync is queued already; working on it.")
                return waiting

    def tell(
        self, summary: dict[str, Any], *, as_json: bool, files: bool = False
    ) -> None:
        if as_json:
            self.stdout.write(json.dumps(summary))
            return
        if "versions" not in summary:
            self.stdout.write(f"{summary['server']}: {summary['error']}")
            return
        if files:
            self.tell_files(summary)
            return
        line = (
            f"{summary['server']}: {summary['status']}, {summary['models']} models, "
            f"{summary['versions']} versions ({summary['created']} new, "
            f"{summary['updated']} changed, {summary['unchanged']} unchanged, "
            f"{summary['incomplete']} incomplete, {summary['absent']} gone) in "
            f"{summary['seconds']:.1f} s and {summary['requests']} requests."
        )
        self.stdout.write(f"{line} {summary['error']}".rstrip())

    def tell_files(self, summary: dict[str, Any]) -> None:
        line = (
            f"{summary['server']}: {summary['status']}, {summary['files']} files read "
            f"({summary['changed_files']} changed, {summary['unavailable_files']} "
            f"unavailable) of {summary['versions']} versions in "
            f"{summary['seconds']:.1f} s and {summary['bytes']:,} bytes."
        )
        self.stdout.write(f"{line} {summary['error']}".rstrip())


def _organizations(slug: str | None) -> list[Organization]:
    found = Organization.objects.filter(closed_at=None)
    if slug is None:
        return list(found)
    organizations = list(found.filter(slug=slug))
    if not organizations:
        raise CommandError(f"There is no organization {slug!r}.")
    return organizations
