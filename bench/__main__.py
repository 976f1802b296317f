"""`make bench`: print each target beside its ratio, three repetitions with their spread.

Ratios are taken within one repetition, ours against the opponent's a moment before, so
that a machine which is slow today makes both slow. Exit code 1 when one is missed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.registry import Registry, served

ROOT = Path(__file__).resolve().parent.parent
REPETITIONS = 3
LARGE, SMALL = 300, 30  # registered models


@dataclass(slots=True)
class Target:
    """A bound on a figure that is measured once a repetition."""

    name: str
    most: float
    unit: str = "×"
    found: list[float] = field(default_factory=list)

    @property
    def is_met(self) -> bool:
        return statistics.median(self.found) <= self.most

    def __str__(self) -> str:
        middle = statistics.median(self.found)
        spread = f"{min(self.found):.2f}–{max(self.found):.2f}"
        verdict = "met" if self.is_met else "MISSED"
        return (
            f"{self.name:<58} at most {self.most:>6g} {self.unit:<2} "
            f"{middle:>8.2f} ({spread}) {verdict}"
        )


def child(module: str, *args: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", module, *args],
        cwd=ROOT,
        env=os.environ | {"VERIFYWISE_LOG_LEVEL": "WARNING"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{module} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    data = Path(os.environ.get("DATA_DIR", ROOT / "var" / "bench")).absolute()
    os.environ["DATA_DIR"] = str(data)
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        check=True,
    )
    first = Target("First sync of 3,000 versions, against the bare download", 2)
    badges = Target("The same with judging, until the badges show", 3.5)
    requests = Target("Requests of the first sync", 30, "")
    peak = Target("Peak memory of that sync", 250, "MB")
    growth = Target("Peak memory, 3,000 against 300 versions", 1.2)
    again = Target("Sync without a change, against the bare download", 1.3)
    writes = Target("Rows it wrote apart from run and trail", 0, "")
    targets = (first, badges, requests, peak, growth, again, writes)

    def repeat(large: Registry, small: Registry) -> None:
        slug = f"bench-{uuid.uuid4().hex[:8]}"
        bare = child("bench.opponent", large.url)
        new = child("bench.ours", slug, large.url)
        assert new["created"] == large.versions
        first.found.append(new["seconds"] / bare["seconds"])
        badges.found.append(new["judged_seconds"] / bare["seconds"])
        requests.found.append(new["requests"])
        peak.found.append(new["peak_mb"])
        bare_again = child("bench.opponent", large.url)
        same = child("bench.ours", slug, large.url)
        assert same["created"] == 0
        again.found.append(same["seconds"] / bare_again["seconds"])
        writes.found.append(sum(same["unexpected_writes"].values()))
        few = child("bench.ours", f"{slug}-small", small.url)
        growth.found.append(new["peak_mb"] / few["peak_mb"])
        print(
            f"bare {bare['seconds']:.1f} s in {bare['requests']} requests of "
            f"{bare['median_ms']:.0f} ms; sync {new['seconds']:.1f} s, judged "
            f"{new['judged_seconds']:.1f} s, {new['peak_mb']:.0f} MB; "
            f"again {same['seconds']:.1f} s",
            flush=True,
        )

    with (
        served(data / "bench", models=LARGE) as large,
        served(data / "bench", models=SMALL) as small,
    ):
        for _ in range(REPETITIONS):
            repeat(large, small)
    for target in targets:
        print(target)
    sys.exit(not all(target.is_met for target in targets))


if __name__ == "__main__":
    main()
