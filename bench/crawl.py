"""The plain opponent: what a program on `MlflowClient` does, with its default settings.

`python -m bench.crawl URL FACTS [--sample N] [--artifacts]` prints one JSON object and
writes what it found to the file FACTS, for the check that we found the same. With a
sample, runs and files of the first N versions are read and the time is extrapolated to
all. Importing mlflow, several seconds, is not counted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import FileInfo
from mlflow.entities.model_registry import ModelVersion

from bench import recording

TEXTS = ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt")


@dataclass(slots=True)
class Facts:
    """What is told of a registry, by the labels of its versions."""

    models: dict[str, dict[str, str]] = field(default_factory=dict)  # name -> tags
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)  # by version
    files: dict[str, dict[str, int | None]] = field(
        default_factory=dict
    )  # path -> bytes
    digests: dict[str, dict[str, str]] = field(default_factory=dict)  # path -> SHA-256


@dataclass(frozen=True, slots=True)
class Version:
    label: str  # name/number
    run_id: str
    source: str
    tags: dict[str, str]

    @classmethod
    def of(cls, told: ModelVersion) -> Version:
        return cls(
            label=f"{told.name}/{told.version}",
            run_id=told.run_id or "",
            source=told.source or "",
            tags=dict(told.tags),
        )

    @property
    def model_id(self) -> str:
        """The id of the logged model of MLflow 3, "" in the layout of MLflow 2."""
        is_logged = self.source.startswith("models:/m-")
        return self.source.removeprefix("models:/") if is_logged else ""

    def told(self, path: str) -> str:
        """Return a listed path as the inventory tells it: relative to the source."""
        _, _, base = self.source.partition(f"/{self.run_id}/artifacts/")
        return path.removeprefix(f"{base}/") if base else path


class Crawl:
    """One reading of the registry at `url`, and the seconds that its parts took."""

    def __init__(self, url: str) -> None:
        mlflow.set_tracking_uri(url)
        self.client = MlflowClient()
        self.facts = Facts()
        self.searching = self.reading = self.downloading = 0.0

    def read(self, *, sample: int | None, with_artifacts: bool) -> None:
        began = time.perf_counter()
        for model in _pages(self.client.search_registered_models):
            self.facts.models[model.name] = dict(model.tags)
        told = _pages(self.client.search_model_versions)
        versions = [Version.of(version) for version in told]
        for version in versions:
            self.facts.versions[version.label] = {
                "run_id": version.run_id,
                "tags": version.tags,
            }
        self.searching = time.perf_counter() - began
        for version in versions[:sample]:
            began = time.perf_counter()
            self._read_run(version)
            if with_artifacts:
                paths = self._list_files(version)
                self.reading += time.perf_counter() - began
                began = time.perf_counter()
                self._download(version, paths)
                self.downloading += time.perf_counter() - began
            else:
                self.reading += time.perf_counter() - began

    def _read_run(self, version: Version) -> None:
        data = self.client.get_run(version.run_id).data
        self.facts.runs[version.label] = {
            "tags": dict(data.tags),
            "params": dict(data.params),
            "metrics": dict(data.metrics),
        }

    def _list_files(self, version: Version) -> list[str]:
        """List the version's files, and return the paths that are worth reading.

        The list of the run is empty where the model is one of MLflow 3.
        """
        found = list(_walk(partial(self.client.list_artifacts, version.run_id)))
        if version.model_id:
            of_model = partial(
                self.client.list_logged_model_artifacts, version.model_id
            )
            found += _walk(of_model)
        self.facts.files[version.label] = {
            version.told(file.path): file.file_size for file in found
        }
        return [file.path for file in found if PurePosixPath(file.path).name in TEXTS]

    def _download(self, version: Version, paths: Iterable[str]) -> None:
        digests = self.facts.digests[version.label] = {}
        with tempfile.TemporaryDirectory() as folder:
            for path in paths:
                if version.model_id:
                    local = mlflow.artifacts.download_artifacts(
                        f"models:/{version.label}/{path}", dst_path=folder
                    )
                else:
                    local = self.client.download_artifacts(version.run_id, path, folder)
                digest = hashlib.sha256(Path(local).read_bytes()).hexdigest()
                digests[version.told(path)] = digest


def _pages(search: Callable[..., Any]) -> Iterator[Any]:
    token = None
    while True:
        page = search(page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _walk(
    listing: Callable[[str | None], list[FileInfo]], path: str | None = None
) -> Iterator[FileInfo]:
    for file in listing(path):
        if file.is_dir:
            yield from _walk(listing, file.path)
        else:
            yield file


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("facts", type=Path)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--artifacts", action="store_true")
    asked = parser.parse_args()
    requests = recording.record()
    crawl = Crawl(asked.url)
    crawl.read(sample=asked.sample, with_artifacts=asked.artifacts)
    facts = crawl.facts
    # Two readings that both find nothing would be equal.
    assert not asked.artifacts or all(
        found.keys() == set(TEXTS) for found in facts.digests.values()
    ), "a file that every version has was not found"
    asked.facts.write_text(json.dumps(asdict(facts)))
    factor = len(facts.versions) / len(facts.runs)
    print(
        json.dumps(
            {
                "seconds": crawl.searching
                + factor * (crawl.reading + crawl.downloading),
                "downloading": factor * crawl.downloading,
                "requests": len(requests),
                "versions": len(facts.versions),
                "sampled": len(facts.runs),
            }
        )
    )


if __name__ == "__main__":
    main()
