"""Which training runs are captured, traced and reproducible, by what was ingested.

Each of the three is judged by facts that are there or not; what lacks is named, so that
the answer can be acted on. Only runs behind present versions count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inventory.models import ModelVersion
from inventory.records import is_known

_COMMIT = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRun:
    """One run behind one version, and what each of the three judgements lacks."""

    version: str
    run_id: str
    not_captured: tuple[str, ...]
    not_traced: tuple[str, ...]
    not_reproducible: tuple[str, ...]

    @property
    def is_captured(self) -> bool:
        """The run is stored, finished, with its parameters and metrics."""
        return not self.not_captured

    @property
    def is_traced(self) -> bool:
        """Code, data and experiment of a captured run are known."""
        return self.is_captured and not self.not_traced

    @property
    def is_reproducible(self) -> bool:
        """A traced run could be run again: clean code and its environment are known."""
        return self.is_traced and not self.not_reproducible

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "run_id": self.run_id,
            "captured": self.is_captured,
            "traced": self.is_traced,
            "reproducible": self.is_reproducible,
            "lacks": [*self.not_captured, *self.not_traced, *self.not_reproducible],
        }


def verify_runs() -> Iterator[VerifiedRun]:
    """Judge the run of every present version of the organization being acted for.

    Memory does not grow with the inventory: rows are read in chunks.
    """
    versions = (
        ModelVersion.objects.present()
        .select_related("registered_model", "run")
        .order_by("registered_model__name", "version_number")
    )
    for version in versions.iterator(chunk_size=500):
        yield _judge(version)


def _judge(version: ModelVersion) -> VerifiedRun:
    captured = {
        "a run": version.run is not None,
        "the run in MLflow": version.run_found,
        "an end in success": version.training_status == "FINISHED",
        "parameters": is_known(version.hyperparameters),
        "metrics": is_known(version.metrics),
    }
    traced = {
        "a code commit": bool(_COMMIT.fullmatch(version.code_commit)),
        "a training dataset": is_known(version.dataset_reference),
        "an experiment": is_known(version.experiment_name),
    }
    reproducible = {
        "a clean code tree": version.governance.get("code_dirty") is not True,
        "an environment": is_known(version.runtime_environment),
    }
    return VerifiedRun(
        version=str(version),
        run_id=version.source_run_id,
        not_captured=_lacking(captured),
        not_traced=_lacking(traced),
        not_reproducible=_lacking(reproducible),
    )


def _lacking(facts: dict[str, bool]) -> tuple[str, ...]:
    return tuple(name for name, is_there in facts.items() if not is_there)
