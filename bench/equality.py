"""Is what the crawl found what the inventory holds?

`python -m bench.equality ORGANIZATION FACTS` prints a JSON list of differences. Names,
numbers, run ids and tags are compared for all versions; runs and files for those that
the crawl has read.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "verifywise.settings")
django.setup()

from accounts import tenancy
from accounts.models import Organization
from inventory.models import ModelVersion, RegisteredModel

Facts = dict[str, dict[str, Any]]

NOTHING = "(nothing)"


def inventory(organization: Organization) -> Facts:
    """Return what is stored, in the shape of `bench.crawl.Facts`."""
    found: Facts = {
        "models": {}, "versions": {}, "runs": {}, "files": {}, "digests": {},
    }  # fmt: skip
    with tenancy.acting_for(organization):
        for name, tags in RegisteredModel.objects.present().values_list("name", "tags"):
            found["models"][name] = tags
        rows = ModelVersion.objects.present().select_related("registered_model", "run")
        for row in rows:
            label = f"{row.model_name}/{row.version_number}"
            manifest = row.artifact_manifest
            found["versions"][label] = {"run_id": row.source_run_id, "tags": row.tags}
            if row.run:
                found["runs"][label] = {
                    "tags": row.run.tags,
                    "params": row.run.params,
                    "metrics": row.run.metrics,
                }
            found["files"][label] = {file["path"]: file["size"] for file in manifest}
            found["digests"][label] = {
                file["path"]: file["sha256"] for file in manifest if "sha256" in file
            }
    return found


def differences(told: Facts, stored: Facts) -> list[str]:
    """Return a sentence for each value of the crawl that is stored otherwise."""
    found = [
        difference
        for part, values in told.items()
        for name, value in values.items()
        for difference in _compare(f"{part} {name}", value, stored[part].get(name))
    ]
    found += [
        f"{part} {name}: it is stored, and MLflow did not tell it."
        for part in ("models", "versions")
        for name in sorted(stored[part].keys() - told[part].keys())
    ]
    return found


def _compare(where: str, told: Any, stored: Any) -> Iterator[str]:
    if isinstance(told, dict) and isinstance(stored, dict):
        for key in sorted(told.keys() | stored.keys()):
            yield from _compare(
                f"{where}, {key}", told.get(key, NOTHING), stored.get(key, NOTHING)
            )
    elif told != stored:
        yield f"{where}: MLflow told {told!r}, stored is {stored!r}."


def main(slug: str, path: str) -> None:
    organization = Organization.objects.get(slug=slug)
    told = json.loads(Path(path).read_text())
    print(json.dumps({"differences": differences(told, inventory(organization))}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
