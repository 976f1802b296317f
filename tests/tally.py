"""Count what the seeded suites did, over all test processes, and print it at the end."""

from __future__ import annotations

from collections import Counter
from typing import cast

import pytest

from tests.mlflow_sync.faulty import KINDS

FAULTY_SYNCS = "faulty syncs"  # [kind, times that it struck, outcome] of each
OUTCOMES = ("succeeded", "partial", "failed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--least-faulty-syncs",
        nargs=2,
        type=int,
        metavar=("ALL", "KIND"),
        help="fail unless there were so many faulty syncs, and so many of each kind",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the reports of all come to one process
        tally = Tally(config.getoption("least_faulty_syncs"))
        config.pluginmanager.register(tally, "tally")


class Tally:
    """What the tests of this run told of their faulty syncs, and the least of them.

    `least` has two numbers, for all and for each kind, or is None.
    """

    def __init__(self, least: list[int] | None) -> None:
        self._least = least
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._strikes: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for name, told in report.user_properties:
            if name == FAULTY_SYNCS:
                for kind, struck, outcome in cast(list[tuple[str, int, str]], told):
                    self._outcomes[kind, outcome] += 1
                    self._strikes[kind] += struck

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.too_few():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        if not self._outcomes and self._least is None:
            return
        write = terminalreporter.write_line
        terminalreporter.section(f"{self._outcomes.total()} faulty syncs")
        write(f"{'kind':16}{'syncs':>10}{'strikes':>10}" + _row(OUTCOMES))
        for kind in KINDS:
            ended = [self._outcomes[kind, outcome] for outcome in OUTCOMES]
            write(f"{kind:16}{sum(ended):>10}{self._strikes[kind]:>10}" + _row(ended))
        for sentence in self.too_few():
            write(sentence, red=True)

    def too_few(self) -> list[str]:
        """Say what falls short of the least that was asked for."""
        if self._least is None:
            return []
        least, least_of_kind = self._least
        counts = {
            kind: sum(self._outcomes[kind, outcome] for outcome in OUTCOMES)
            for kind in KINDS
        }
        found = [
            f"{kind} struck {count} syncs: at least {least_of_kind} are wanted."
            for kind, count in counts.items()
            if count < least_of_kind
        ]
        if sum(counts.values()) < least:
            found.append(f"There were not {least} faulty syncs.")
        return found


def _row(cells: tuple[str, ...] | list[int]) -> str:
    return "".join(f"{cell:>11}" for cell in cells)
