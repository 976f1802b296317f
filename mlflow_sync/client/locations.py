"""Where MLflow lists the files of a version, and by which routes it hands them out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from mlflow_sync.client.transport import API, Query, quoted
from mlflow_sync.snapshots import RunSnapshot, VersionSnapshot

_LOGGED_MODEL = re.compile(r"(?:models:/|.*/models/)(m-[0-9a-zA-Z]+)(?:/artifacts)?")
_RUN = re.compile(r"runs:/+([\w-]+)(?:/(.*))?", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of a logged model (MLflow 3), of a run, or one that MLflow cannot list.

    `base` is its path below the model or run, and paths in listings start with it.
    Snapshots tell its files under `prefix`, which is "" for the version's own.
    """

    endpoint: str = ""
    query: tuple[tuple[str, str], ...] = ()
    path_key: str = "path"
    base: str = ""
    run_id: str = ""
    prefix: str = ""

    @classmethod
    def of_logged_model(cls, model_id: str) -> Folder:
        return cls(
            endpoint=f"{API}/logged-models/{model_id}/artifacts/directories",
            path_key="artifact_directory_path",
        )

    @classmethod
    def of_run(cls, run_id: str, *, base: str = "", prefix: str = "") -> Folder:
        return cls(
            endpoint=f"{API}/artifacts/list",
            query=(("run_id", run_id),),
            base=base.strip("/"),
            run_id=run_id,
            prefix=prefix,
        )

    def listing(self, path: str) -> Query:
        """Return the query that lists one level below `path`."""
        return (*self.query, *([(self.path_key, path)] if path else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A file or folder, by the path that MLflow lists it under."""

    folder: Folder
    path: str

    @property
    def name(self) -> str:
        """The path below the folder."""
        return self.path[len(self.folder.base) :].lstrip("/")

    @property
    def told(self) -> str:
        """The path as the snapshot tells it."""
        return self.folder.prefix + self.name


def needs_resolving(source: str) -> bool:
    """Tell whether a source names another version, whose place only MLflow knows."""
    return source.startswith("models:/") and not _LOGGED_MODEL.fullmatch(source)


def locate(source: str, version: VersionSnapshot, *, run: RunSnapshot | None) -> Folder:
    """Find the folder that a version's source means."""
    source = source.rstrip("/")
    if match := _LOGGED_MODEL.fullmatch(source):
        return Folder.of_logged_model(match[1])
    if match := _RUN.fullmatch(source):
        return Folder.of_run(match[1], base=match[2] or "")
    if not version.run_id:
        return Folder()
    root = run.artifact_uri if run else None
    if not root:  # as every MLflow lays it out, unless an experiment says otherwise
        before, marker, _ = source.partition(f"/{version.run_id}/artifacts")
        root = before + marker if marker else ""
    if root and (source == root or source.startswith(f"{root}/")):
        return Folder.of_run(version.run_id, base=source.removeprefix(root))
    return Folder()


def lies_below(path: str, parent: str) -> bool:
    """Tell whether a listed path is what it should be: clean, and below its folder."""
    is_clean = not {"", ".", ".."} & set(path.split("/"))
    return is_clean and (not parent or path.startswith(f"{parent}/"))


def routes(
    place: Place, version: VersionSnapshot, *, root: str
) -> Mapping[str, tuple[str, Query]]:
    """Return the ways to a file, the best first: route -> path and query of a request.

    MLflow's own page has one for all layouts, which outlives the run but cannot resolve
    `runs:/`, and one for runs. The artifact proxy's is part of the API, so that it is
    open where a proxy in front of MLflow lets only the API through.
    """
    folder = place.folder
    found: dict[str, tuple[str, Query]] = {}
    if not folder.prefix and not (version.source or "").startswith("runs:/"):
        query = [("name", version.name), ("version", version.version)]
        target = "/model-versions/get-artifact"
        found[target] = target, [*query, ("path", place.name)]
    if folder.run_id:
        target = "/get-artifact"
        found[target] = target, [("run_uuid", folder.run_id), ("path", place.path)]
    if root.startswith("mlflow-artifacts:"):
        target = "/api/2.0/mlflow-artifacts/artifacts"
        path = f"{urlsplit(root).path.strip('/')}/{place.path}"
        found[target] = f"{target}/{quoted(path)}", ()
    return found
