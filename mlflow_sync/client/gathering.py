"""What is gathered of the files of one version, and which failures are theirs alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mlflow_sync.client.batching import Listings
from mlflow_sync.client.locations import Folder, Place
from mlflow_sync.exceptions import FailureKind, SyncError
from mlflow_sync.snapshots import VersionSnapshot

ENVIRONMENT_FILES = ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt")
_REPORT = re.compile(
    r"(?is).*(model[_-]?card|evaluation|bias|fairness).*\.(md|json|txt)"
)

# The object store behind the server failed, as it does without its credentials: it
# will again, and each try may take the server a minute.
STORE_FAILED = frozenset({FailureKind.SERVER_ERROR, FailureKind.TIME_OUT})
# What is said of these files, not of the server as a whole.
ABOUT_FILES = frozenset(
    {
        *STORE_FAILED,
        FailureKind.NOT_FOUND,
        FailureKind.FORBIDDEN,
        FailureKind.REDIRECT,
        FailureKind.NOT_MLFLOW,
        FailureKind.BAD_REQUEST,
        FailureKind.BAD_BODY,
        FailureKind.CLOSED,
        FailureKind.TOO_LARGE,
    }
)


@dataclass(slots=True, kw_only=True)
class Gathered:
    """What is known so far of the files of one version, by the path that is told."""

    version: VersionSnapshot
    known: Listings
    roots: dict[str, str] = field(default_factory=dict)  # prefix -> root_uri
    places: dict[str, Place] = field(default_factory=dict)
    sizes: dict[str, int | None] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    store_failure: str = ""

    def add(self, place: Place, size: int | None) -> None:
        self.places[place.told] = place
        self.sizes[place.told] = size

    def stop(self, folder: Folder, *, after: int) -> None:
        """Note that a listing was not read to its end."""
        self.failures[folder.prefix] = f"The listing was stopped after {after:,} files."

    @contextmanager
    def noting(self, told: str) -> Iterator[None]:
        """Keep the reason why a file could not be had; let through what is graver."""
        try:
            yield
        except SyncError as error:
            if error.kind not in ABOUT_FILES:
                raise
            self.failures[told] = str(error)
            if not told and error.kind in STORE_FAILED:
                self.store_failure = str(error)

    def wanted(self) -> list[str]:
        """Return what is to be read, environment files first."""
        return sorted(
            (
                told
                for told, place in self.places.items()
                if told not in self.contents
                and (told in ENVIRONMENT_FILES or _REPORT.fullmatch(place.name))
            ),
            key=lambda told: (told not in ENVIRONMENT_FILES, told),
        )
