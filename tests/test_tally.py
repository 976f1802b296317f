"""The soak is long enough, or it fails."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.mlflow_sync.faulty import KINDS
from tests.tally import FAULTY_SYNCS, Tally


def report(kinds: Iterable[str], outcome: str) -> Any:
    """Return what pytest says of a test whose faulty syncs all ended alike."""
    told = [[kind, 1, outcome] for kind in kinds]
    return SimpleNamespace(when="call", user_properties=[(FAULTY_SYNCS, told)])


def finished(tally: Tally) -> int:
    """Return how a session ends in which all tests passed."""
    session = cast(pytest.Session, SimpleNamespace(exitstatus=pytest.ExitCode.OK))
    tally.pytest_sessionfinish(session)
    return session.exitstatus


def test_enough_faulty_syncs_of_each_kind_are_no_complaint() -> None:
    tally = Tally([2 * len(KINDS), 2])
    for outcome in ("succeeded", "failed"):
        tally.pytest_runtest_logreport(report(KINDS, outcome))

    assert tally.too_few() == []
    assert finished(tally) == pytest.ExitCode.OK


def test_too_few_of_a_kind_and_too_few_in_all_fail_the_session() -> None:
    tally = Tally([2 * len(KINDS), 2])
    tally.pytest_runtest_logreport(report(KINDS, "partial"))
    tally.pytest_runtest_logreport(report(KINDS.keys() - {"slow_drip"}, "failed"))

    assert tally.too_few() == [
        "slow_drip struck 1 syncs: at least 2 are wanted.",
        f"There were not {2 * len(KINDS)} faulty syncs.",
    ]
    assert finished(tally) == pytest.ExitCode.TESTS_FAILED


def test_nothing_is_asked_of_other_runs() -> None:
    assert Tally(None).too_few() == []
    assert finished(Tally(None)) == pytest.ExitCode.OK
