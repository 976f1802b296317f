"""What is measured, each time in a process of its own: a sync, a replay, a crawl.

Peak memory is the kernel's, which a child inherits from the parent that starts it: this
process stays small, and hands files on without reading them.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.registry import Registry
from verifywise import postgres

ROOT = Path(__file__).resolve().parent.parent

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How large the registries are, in models of ten versions, and how often they are read.

    `versions` and `many_versions` are judged without a registry.
    """

    repetitions: int
    models: int = 300
    many_models: int = 3000
    models_with_files: int = 30
    # Versions that a crawl reads which would take too long: one over stalling
    # connections, one with artifacts, and one with artifacts that only has to find what
    # we find.
    run_sample: int = 1000
    file_sample: int = 200
    file_check: int = 60
    versions: int = 1000
    many_versions: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A registry that is being served: `workers` MLflow workers at `url`."""

    registry: Registry
    workers: int
    url: str

    @property
    def told(self) -> str:
        return {1: "one worker", 2: "two workers"}[self.workers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """Who has synced a registry, and the file of the requests of its last sync."""

    slug: str
    requests: Path


@dataclass(slots=True, kw_only=True)
class Bench:
    """One run of the bench, with an empty database that is gone afterwards."""

    sizes: Sizes
    registries: Path
    home: Path  # the program's DATA_DIR
    crawls: dict[tuple[object, ...], Figures] = field(default_factory=dict)

    @classmethod
    def begin(cls, data: Path, sizes: Sizes) -> Bench:
        """Make the database, and keep it running until this process ends."""
        data.mkdir(parents=True, exist_ok=True)
        home = Path(tempfile.mkdtemp(prefix="run-", dir=data))
        home.chmod(0o711)  # PostgreSQL runs under another account where we are root
        # Handlers run last in, first out: the database is stopped before.
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        postgres.ensure_running(home / "postgres")
        bench = cls(sizes=sizes, registries=data / "registries", home=home)
        bench._run("manage.py", "migrate", "--verbosity", "0")
        return bench

    def first_sync(
        self, place: Place, *, artifacts: bool = False
    ) -> tuple[Organization, Figures]:
        """Let a new organization read the registry."""
        slug = f"bench-{uuid.uuid4().hex[:8]}"
        new = Organization(slug=slug, requests=self.home / f"{slug}.requests")
        found = self._sync(new, place, *(("--artifacts",) if artifacts else ()))
        assert found["created"] == place.registry.versions, found
        return new, found

    def sync_again(self, organization: Organization, place: Place) -> Figures:
        """Let an organization read the same registry once more."""
        found = self._sync(organization, place)
        assert found["created"] == 0, found
        return found

    def _sync(self, organization: Organization, place: Place, *options: str) -> Figures:
        found = self._child(
            "bench.ours",
            organization.slug,
            place.url,
            str(organization.requests),
            *options,
        )
        assert found["versions"] == place.registry.versions, found
        return found

    def replay(
        self, organization: Organization, place: Place, *, connections: int = 1
    ) -> Figures:
        """Send the requests of an organization's last sync over bare connections."""
        return self._child(
            "bench.replay", place.url, str(organization.requests), str(connections)
        )

    def crawl(
        self, place: Place, *, sample: int | None, artifacts: bool = False
    ) -> Figures:
        """Read the registry with `MlflowClient`, once for each kind of server.

        The figures hold `facts`, the file of what was found.
        """
        key = (place.registry, place.workers, sample, artifacts)
        if key not in self.crawls:
            facts = self.home / f"crawl-{len(self.crawls)}.json"
            found = self._child(
                "bench.crawl",
                place.url,
                str(facts),
                *(("--sample", str(sample)) if sample else ()),
                *(("--artifacts",) if artifacts else ()),
            )
            self.crawls[key] = found | {"facts": facts}
            _tell_crawl(place, found)
        return self.crawls[key]

    def judge(self, versions: int) -> Figures:
        """Judge the versions of a new organization under all packs, and once more."""
        return self._child("bench.judging", str(versions))

    def open_framework(self, versions: int) -> Figures:
        """Open a framework's page over the versions of a new organization."""
        return self._child("bench.framework_pages", str(versions))

    def check_equal(self, organization: Organization, crawl: Figures) -> None:
        """Stop the bench unless the inventory holds what the crawl has found."""
        found = self._child("bench.equality", organization.slug, str(crawl["facts"]))
        if different := found["differences"]:
            told = "\n".join(different[:5])
            sys.exit(f"{len(different)} results are not equal:\n{told}")

    def _child(self, module: str, *args: str) -> Figures:
        found: Figures = json.loads(self._run("-m", module, *args))
        return found

    def _run(self, *args: str) -> str:
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DATABASE_URL", "DATABASE_URL_FILE")
        }
        environment |= {
            "DATA_DIR": str(self.home),
            "VERIFYWISE_LOG_LEVEL": "WARNING",
        }
        done = subprocess.run(
            [sys.executable, *args],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{' '.join(args)} failed:\n{done.stderr[-2000:]}")
        return done.stdout


def _tell_crawl(place: Place, found: Figures) -> None:
    versions, sampled = found["versions"], found["sampled"]
    told = f"Crawl of {versions:,} versions, {place.told}: {found['seconds']:.1f} s"
    if found["downloading"]:
        told += f", {found['downloading']:.1f} s of it for downloads"
    if sampled < versions:
        told += f", extrapolated from {sampled:,} of them"
    note(f"{told} ({found['requests']:,} requests); made once, for all repetitions.")


def note(told: str) -> None:
    print(told, flush=True)
