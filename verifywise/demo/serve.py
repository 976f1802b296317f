"""Runs the demo (`make demo`): two MLflow servers with models, the console, a worker.

Loads nothing of Django: this process only starts programs, says in a line each what
they do, and ends them all when it is told to, or when one of them ends by itself.
"""

from __future__ import annotations

import asyncio
import shutil
import sys

from verifywise.demo.cases import ORGANIZATIONS
from verifywise.demo.decisions import DECISIONS
from verifywise.demo.models import Organization
from verifywise.demo.site import Site
from verifywise.programs import (
    HOST,
    ProgramError,
    run_until_told,
    say,
    wait_until_answering,
)

SYNC_PARTIAL = 3  # exit code of `manage.py sync` when some section could not be read


async def serve(site: Site) -> None:
    """Run the demo until cancelled. Raises ProgramErrors in an ExceptionGroup."""
    async with asyncio.TaskGroup() as running:
        say("Starting two MLflow servers and the database …")
        async with asyncio.TaskGroup() as preparing:
            for organization, port in site.servers():
                _forget_unfinished(site, organization)
                mlflow = site.mlflow(organization, port=port)
                running.create_task(mlflow.keep_running())
                preparing.create_task(_fill(site, organization, port=port))
            preparing.create_task(site.command("migrate").run())
        servers = (
            f"--server={organization.slug}=http://{HOST}:{port}"
            for organization, port in site.servers()
        )
        await site.command("demo_setup", *servers).run()

        say("Reading what is on them, and judging it …")
        async with asyncio.TaskGroup() as reading:
            for slug in (organization.slug for organization in ORGANIZATIONS):
                sync = site.command("sync", "--organization", slug, log=f"sync-{slug}")
                reading.create_task(sync.run(expected=(0, SYNC_PARTIAL)))

        say("Letting its people attest, waive and publish …")
        await site.command("demo_decide").run()
        async with asyncio.TaskGroup() as moving:
            for organization, port in site.servers():
                moving.create_task(_move_on(site, organization, port=port))

        say("Starting the console and a worker …")
        running.create_task(site.console().keep_running())
        running.create_task(site.command("qcluster").keep_running())
        await wait_until_answering("The console", port=site.port, path="/healthz")
        say(_welcome(site))


def _forget_unfinished(site: Site, organization: Organization) -> None:
    """Throw a server away that was not filled to the end, so that it begins anew."""
    folder = site.mlflow_folder(organization)
    if folder.exists() and not (folder / "filled").exists():
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)


async def _fill(site: Site, organization: Organization, *, port: int) -> None:
    await wait_until_answering(organization.server, port=port, path="/health")
    filled = site.mlflow_folder(organization) / "filled"
    if not filled.exists():
        say(f"Training and logging the models of {organization.name} …")
        await site.seeder(organization, port=port).run()
        filled.touch()


async def _move_on(site: Site, organization: Organization, *, port: int) -> None:
    """Once: let MLflow say otherwise than what was attested, and read that."""
    moved = site.mlflow_folder(organization) / "moved-on"
    drifts = any(told.drifts_to for told in DECISIONS[organization.slug].attested)
    if not drifts or moved.exists():
        return
    slug = organization.slug
    await site.seeder(organization, "--later", port=port).run()
    sync = site.command("sync", "--organization", slug, log=f"sync-{slug}-later")
    await sync.run(expected=(0, SYNC_PARTIAL))
    moved.touch()


def _welcome(site: Site) -> str:
    lines = ["", f"VerifyWise is ready at http://{HOST}:{site.port}/", ""]
    for organization, port in site.servers():
        lines.append(f"{organization.name}, whose MLflow is at http://{HOST}:{port}/")
        lines += (
            f"  {person.email:25} {person.role.replace('_', ' ').replace('ml', 'ML')}"
            for person in organization.people
        )
    lines += ["", f"Everybody's password: {site.password()}", "Ctrl-C stops the demo."]
    return "\n".join(lines)


def main() -> None:
    try:
        site = Site.from_environment()
        with site.taken():
            run_until_told(
                lambda: serve(site), goodbye="Stopped. `make demo` goes on from here."
            )
    except ProgramError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
