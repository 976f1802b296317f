"""`make bench`: print each target beside its ratio, repetitions with their spread.

Ratios are taken within one run on one machine, so that a machine which is slow today
makes both sides slow. Exit code 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from bench.measuring import ROOT, Bench, Sizes, note
from bench.parts import PARTS
from bench.targets import HEADING

REPETITIONS = 3
# Enough to go through everything once: fixed costs outweigh all, so nothing is judged.
SMALL = {
    "models": 3,
    "many_models": 6,
    "models_with_files": 2,
    "run_sample": 10,
    "file_sample": 5,
    "file_check": 3,
    "versions": 20,
    "many_versions": 60,
}


def main() -> None:
    asked = _arguments()
    sizes = Sizes(
        repetitions=1 if asked.quick else REPETITIONS, **(SMALL if asked.small else {})
    )
    began = time.monotonic()
    data = Path(os.environ.get("DATA_DIR", ROOT / "var" / "bench")).absolute()
    bench = Bench.begin(data, sizes)
    targets = [
        target
        for name, measure in PARTS.items()
        if name in (asked.parts or PARTS)
        for target in measure(bench, asked.workers)
    ]
    note(f"\n{HEADING}")
    for target in targets:
        verdict = "" if asked.small else "met" if target.is_met else "MISSED"
        note(f"{target.row()} {verdict}".rstrip())
    note(
        f"\nMedian and spread of {sizes.repetitions} repetitions; "
        f"{(time.monotonic() - began) / 60:.0f} minutes in all."
    )
    if asked.small:
        note("Too small to be judged: this only shows that everything runs.")
        return
    sys.exit(not all(target.is_met for target in targets))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="one repetition")
    parser.add_argument("--small", action="store_true", help="tiny, and not judged")
    parser.add_argument(
        "--workers",
        type=int,
        nargs=1,
        choices=(1, 2),
        default=(1, 2),
        help="of the MLflow servers; else each kind in turn",
    )
    asked = parser.parse_args()
    if unknown := set(asked.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return asked


if __name__ == "__main__":
    main()
