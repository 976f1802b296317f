"""Each change of the table in `docs/reading.md`, made on a real MLflow and looked for.

Every model of the table has two versions, each from a run of its own, in an experiment
of its own. All first changes are made, and one sync has to find them all; then all
second ones. What is written is told by PostgreSQL, row by row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import pytest
from django.db.models.expressions import RawSQL

from accounts import tenancy
from accounts.models import Organization
from inventory.models import Experiment, ModelVersion, RegisteredModel, Run
from mlflow_sync.models import SyncRun, TrackingServer
from tests.mlflow_sync.conftest import Syncer
from tests.mlflow_sync.test_calm import read_only
from tests.mlflow_sync.test_sync import version_of
from tests.registry import Registry, unique

pytestmark = pytest.mark.django_db(transaction=True)


class Subject:
    """A model to change, with what it was made from."""

    def __init__(self, registry: Registry, title: str) -> None:
        self.registry = registry
        self.name = registry.model(unique(title))
        self.names = {self.name}  # all that it ever had
        self.experiment = registry.experiment()
        self.runs: list[str] = []
        self.register()
        self.register()

    def register(self) -> None:
        """Register one more version, from a run of its own."""
        run_id = self.registry.run(self.experiment, metrics={"auc": 0.9})
        self.runs.append(run_id)
        self.registry.version(self.name, source=f"runs:/{run_id}/model", run_id=run_id)

    def on_version(self, method: str, act: str, number: int = 1, **body: Any) -> None:
        self.registry.send(
            method, f"model-versions/{act}", name=self.name, version=str(number), **body
        )

    def on_model(self, method: str, act: str, **body: Any) -> None:
        self.registry.send(method, f"registered-models/{act}", name=self.name, **body)

    def on_run(self, act: str, **body: Any) -> None:
        self.registry.post(f"runs/{act}", run_id=self.runs[0], **body)

    def on_experiment(self, act: str, **body: Any) -> None:
        self.registry.post(f"experiments/{act}", experiment_id=self.experiment, **body)

    def move(self, number: int, stage: str, *, archive: bool) -> None:
        self.on_version(
            "POST", "transition-stage", number,
            stage=stage, archive_existing_versions=archive,
        )  # fmt: skip

    def alias(self, number: int) -> None:
        self.on_model("POST", "alias", alias="champion", version=str(number))

    def rename(self) -> None:
        name = unique("renamed")
        self.on_model("POST", "rename", new_name=name)
        self.name = name
        self.names.add(name)

    def make_again(self) -> None:
        self.on_model("DELETE", "delete")
        self.registry.model(self.name)
        self.register()


Step = tuple[Callable[[Subject], object], set[str]]

V1, V2, RUN, MODEL, EXPERIMENT = (
    "version 1",
    "version 2",
    "run 1",
    "model",
    "experiment",
)
BOTH = {V1, V2}
# Of each model: the changes one after the other, and the rows that each has written.
TABLE: dict[str, list[Step]] = {
    "new version": [(Subject.register, {MODEL, "version 3", "run 3"})],
    "version description": [
        (lambda it: it.on_version("PATCH", "update", description="Scores."), {V1}),
        (lambda it: it.on_version("PATCH", "update", description=""), {V1}),
    ],
    "model description": [
        (lambda it: it.on_model("PATCH", "update", description="All."), {MODEL, *BOTH}),
    ],
    "stage": [
        (lambda it: it.move(1, "Production", archive=False), {MODEL, V1}),
        (lambda it: it.move(2, "Production", archive=True), {MODEL, *BOTH}),
    ],
    "version tag": [
        (lambda it: it.on_version("POST", "set-tag", key="owner", value="a"), {V1}),
        (lambda it: it.on_version("POST", "set-tag", key="owner", value="b"), {V1}),
        (lambda it: it.on_version("DELETE", "delete-tag", key="owner"), {V1}),
    ],
    "alias": [
        (lambda it: it.alias(1), {MODEL, V1}),
        (lambda it: it.alias(2), {MODEL, *BOTH}),
        (lambda it: it.on_model("DELETE", "alias", alias="champion"), {MODEL, V2}),
    ],
    "model tag": [
        (lambda it: it.on_model("POST", "set-tag", key="owner", value="a"), {MODEL, *BOTH}),
        (lambda it: it.on_model("DELETE", "delete-tag", key="owner"), {MODEL, *BOTH}),
    ],
    "run tag": [
        (lambda it: it.on_run("set-tag", key="owner", value="a"), {RUN, V1}),
        (lambda it: it.on_run("set-tag", key="owner", value="b"), {RUN, V1}),
        (lambda it: it.on_run("delete-tag", key="owner"), {RUN, V1}),
    ],
    "metric": [
        (lambda it: it.on_run("log-metric", key="f1", value=0.5, timestamp=1), {RUN, V1}),
        (lambda it: it.on_run("log-metric", key="f1", value=0.6, timestamp=2), {RUN, V1}),
    ],
    "parameter": [
        (lambda it: it.on_run("log-parameter", key="depth", value="3"), {RUN, V1}),
    ],
    "run": [
        (lambda it: it.on_run("update", run_name="final"), {RUN, V1}),
        (lambda it: it.on_run("update", status="FAILED"), {RUN, V1}),
        (lambda it: it.on_run("delete"), {RUN, V1}),
        (lambda it: it.on_run("restore"), {RUN, V1}),
    ],
    "purged run": [
        (lambda it: it.registry.purge(it.runs[0]), {V1}),
    ],
    "experiment": [
        (lambda it: it.on_experiment("set-experiment-tag", key="t", value="a"), {EXPERIMENT, *BOTH}),
        (lambda it: it.on_experiment("update", new_name=unique("renamed")), {EXPERIMENT, *BOTH}),
        (lambda it: it.on_experiment("delete"), {EXPERIMENT, RUN, "run 2", *BOTH}),
        (lambda it: it.on_experiment("restore"), {EXPERIMENT, RUN, "run 2", *BOTH}),
    ],
    "renamed model": [(Subject.rename, {MODEL, *BOTH})],
    "deleted version": [
        (lambda it: it.on_version("DELETE", "delete"), {MODEL, "version 1, gone"}),
    ],
    "deleted model": [
        (
            lambda it: it.on_model("DELETE", "delete"),
            {"model, gone", "version 1, gone", "version 2, gone"},
        ),
    ],
    "name made again": [
        (
            Subject.make_again,
            {"model, gone", "version 1, gone", "version 2, gone", MODEL, V1, "run 3"},
        ),
    ],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A stored row: of which subject, what, and in which transaction last written."""

    subject: str
    label: str
    written_in: str


def stored(
    organization: Organization, subjects: dict[str, Subject]
) -> dict[tuple[str, int], Row]:
    """Return what is stored of the subjects, by table and key."""
    names = {name: title for title, it in subjects.items() for name in it.names}
    runs = {
        run_id: (title, f"run {number}")
        for title, it in subjects.items()
        for number, run_id in enumerate(it.runs, 1)
    }
    experiments = {it.experiment: title for title, it in subjects.items()}
    rows: dict[tuple[str, int], Row] = {}

    def add(row: Any, subject: str, label: str) -> None:
        gone = ", gone" if getattr(row, "absent_since", None) else ""
        table = row._meta.db_table
        rows[table, row.pk] = Row(subject, label + gone, row.written_in)

    with tenancy.acting_for(organization):
        for model in _with_transaction(RegisteredModel, name__in=names):
            add(model, names[model.name], MODEL)
        for version in _with_transaction(
            ModelVersion, registered_model__name__in=names
        ):
            title = names[version.registered_model.name]
            add(version, title, f"version {version.version_number}")
        for run in _with_transaction(Run, run_id__in=runs):
            add(run, *runs[run.run_id])
        for experiment in _with_transaction(Experiment, experiment_id__in=experiments):
            add(experiment, experiments[experiment.experiment_id], EXPERIMENT)
    return rows


def _with_transaction(model: Any, **wanted: Any) -> Iterator[Any]:
    xmin = RawSQL(f"{model._meta.db_table}.xmin::text", [])  # noqa: S611 - our own table
    yield from model.objects.filter(**wanted).annotate(written_in=xmin)


def written(
    before: dict[tuple[str, int], Row], after: dict[tuple[str, int], Row]
) -> dict[str, set[str]]:
    """Return what was written between two looks, subject by subject."""
    found: dict[str, set[str]] = defaultdict(set)
    for key, row in after.items():
        if key not in before or before[key].written_in != row.written_in:
            found[row.subject].add(row.label)
    return dict(found)


def test_each_change_is_found_by_the_next_sync_and_nothing_else_is_written(
    acme: Organization, own_registry: Registry, sync_now: Syncer
) -> None:
    subjects = {title: Subject(own_registry, title) for title in TABLE}
    sync_now()
    sync_now()
    before = stored(acme, subjects)
    for step in zip_longest(*TABLE.values()):
        expected = {}
        for title, change in zip(TABLE, step, strict=True):
            if change:
                act, expected[title] = change
                act(subjects[title])

        found = sync_now()

        after = stored(acme, subjects)
        assert written(before, after) == expected
        again = sync_now()
        assert written(after, stored(acme, subjects)) == {}
        assert found.has_read, found.error
        counts = [again.count(name) for name in ("created", "updated", "absent")]
        assert counts == [0, 0, 0]
        before = after


def test_files_that_were_added_to_a_run_that_has_ended_are_found_by_a_full_sync_alone(
    acme: Organization, own_registry: Registry, server: TrackingServer
) -> None:
    subject = Subject(own_registry, "files")
    where = f"{subject.experiment}/{subject.runs[0]}/artifacts/model"
    own_registry.put(f"{where}/MLmodel", b"flavors: {}")

    def paths(**wishes: Any) -> list[str]:
        run = read_only(acme, server, subject.name, **wishes)
        assert run.status == SyncRun.Status.SUCCEEDED, run.error
        with tenancy.acting_for(acme):
            return [file["path"] for file in version_of(subject.name).artifact_manifest]

    first = paths()
    own_registry.put(f"{where}/requirements.txt", b"scikit-learn==1.5.0")

    assert paths() == first
    assert len(paths(is_full=True)) == len(first) + 1
