"""How far a run is, told every few seconds: the proof that its worker lives."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from accounts.models import Organization
from mlflow_sync import lease
from mlflow_sync.models import SyncRun

BEAT = 2.0  # seconds between two updates

Watcher = Callable[[SyncRun], None]


class Counted(Protocol):
    """What counts its requests, and the bytes that came back."""

    @property
    def requests(self) -> int: ...
    @property
    def bytes(self) -> int: ...


@dataclass(slots=True)
class Progress:
    """The phase, counts and seconds of one slice of a run; those before are added to."""

    organization: Organization
    run: SyncRun
    watcher: Watcher | None = None
    _began: float = field(default_factory=time.monotonic)
    _beaten: float = 0.0
    _base: dict[str, int] = field(default_factory=dict)
    _worked: float = 0.0  # seconds, in the slices before

    def __post_init__(self) -> None:
        self._worked = self.run.seconds
        self._base = {name: self.run.count(name) for name in ("requests", "bytes")}

    @property
    def elapsed(self) -> float:
        """Seconds of work in this slice."""
        return time.monotonic() - self._began

    def phase(self, phase: str) -> None:
        if self.run.phase != phase:
            self.run.phase = phase
            self._beaten = 0.0
        self.beat()

    def add(self, **counts: int) -> None:
        for name, more in counts.items():
            self.run.counts[name] = self.run.count(name) + more

    def expect(self, versions: int) -> None:
        """Correct the estimate by what was listed: the last sync's may be too low."""
        self.run.expected_versions = max(self.run.expected_versions or 0, versions)

    def count(self, counted: Counted) -> None:
        """Bring requests, bytes and seconds up to date."""
        self.run.counts["requests"] = self._base["requests"] + counted.requests
        self.run.counts["bytes"] = self._base["bytes"] + counted.bytes
        self.run.seconds = self._worked + self.elapsed

    def beat(self) -> None:
        """Show the progress, at most every BEAT seconds. Raises LeaseLost."""
        if time.monotonic() - self._beaten < BEAT:
            return
        self._beaten = time.monotonic()
        lease.beat(self.organization, self.run)
        if self.watcher:
            self.watcher(self.run)
