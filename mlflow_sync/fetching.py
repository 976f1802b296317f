"""What a sync asks for, in the order in which it asks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from mlflow_sync.client import Client, Identity
from mlflow_sync.exceptions import FailureKind, SyncError
from mlflow_sync.normalize.text import clean_text
from mlflow_sync.scoping import Sieve
from mlflow_sync.snapshots import (
    ExperimentSnapshot,
    ModelSnapshot,
    RunSnapshot,
    VersionSnapshot,
)

# Said of these runs, not of the server as a whole: the versions are stored without.
ABOUT_THE_PAGE = frozenset(
    {
        FailureKind.SERVER_ERROR,
        FailureKind.BAD_BODY,
        FailureKind.BAD_REQUEST,
        FailureKind.TOO_LARGE,
    }
)


@dataclass(frozen=True, slots=True)
class Models:
    page: list[ModelSnapshot]


@dataclass(frozen=True, slots=True)
class Experiments:
    """A page of experiments. Before the first one all models have been told: what is
    not among them is gone or renamed.
    """

    page: list[ExperimentSnapshot]
    is_first: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of the list of versions, as far as no earlier slice has stored it."""

    page: list[VersionSnapshot]


Page = Identity | Models | Experiments | Listed


@dataclass(frozen=True, slots=True)
class Versions:
    """A part of the list of versions, with the runs that were asked for, by id.

    `failure` says why runs are missing. Of the versions whose run was not asked for,
    the stored run is as it was when it was their turn.
    """

    page: list[VersionSnapshot]
    asked: Collection[str] = frozenset()
    runs: dict[str, RunSnapshot] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """How far earlier slices came in the list of versions: how many, and to which."""

    count: int = 0
    name: str = ""
    version: str = ""

    def after(self, versions: Sequence[VersionSnapshot]) -> Place:
        """Return the place behind some more versions."""
        if not versions:
            return self
        last = versions[-1]
        count = self.count + len(versions)
        return Place(count, clean_text(last.name), last.version)

    def rest_of(
        self, page: list[VersionSnapshot], *, listed: int
    ) -> list[VersionSnapshot] | None:
        """Return what comes behind the place, of a page with `listed` versions before.

        The last version is the better mark: what is deleted or made before it moves the
        count. None where the whole page lies before the place.
        """
        for index, version in enumerate(page):
            if (clean_text(version.name), version.version) == (self.name, self.version):
                return page[index + 1 :]
        if listed + len(page) <= self.count:
            return None
        return page[self.count - listed :]


def pages(
    client: Client, *, targets: Sequence[str], place: Place, sieve: Sieve
) -> Iterator[Page]:
    """Yield who answers, then models, then experiments, then versions.

    With `targets` only models of these names, and their versions. Versions that are out
    of scope are left out, and those up to `place`, which an earlier slice has stored.
    """
    yield client.identify()
    names = targets or (None,)
    for name in names:
        for models in client.search_models(name=name):
            yield Models(sieve.models(models))
    for number, experiments in enumerate(client.search_experiments()):
        yield Experiments(experiments, is_first=number == 0)
    listed, is_behind = 0, not place.count
    for name in names:
        for page in client.search_versions(name=name):
            versions = sieve.versions(page)
            rest = versions if is_behind else place.rest_of(versions, listed=listed)
            listed += len(versions)
            is_behind = rest is not None
            if rest:
                yield Listed(rest)


def with_runs(
    client: Client,
    *,
    versions: list[VersionSnapshot],
    asked: Collection[str],
    experiment_ids: Collection[str],
) -> Versions:
    """Return the versions with the runs of these ids. Raises SyncError."""
    try:
        runs = client.fetch_runs(asked, experiment_ids=experiment_ids) if asked else []
    except SyncError as error:
        if error.kind not in ABOUT_THE_PAGE:
            raise
        return Versions(versions, asked, failure=str(error))
    told = {run.run_id: run for run in runs if run.run_id in asked}
    return Versions(versions, asked, told)
