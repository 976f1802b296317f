"""The soak is long enough, or it fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.mlflow_sync.faulty import KINDS
from tests.tally import FAULTY_SYNCS, Tally


def report(*told: list[object]) -> Any:
    """Return what pytest says of a test that told of these faulty syncs."""
    return SimpleNamespace(when="call", user_properties=[(FAULTY_SYNCS, told)])


def finished(tally: Tally) -> int:
    session = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    tally.pytest_sessionfinish(cast(pytest.Session, session))
    return session.exitstatus


def test_enough_faulty_syncs_of_each_kind_are_no_complaint() -> None:
    tally = Tally([2 * len(KINDS), 2])
    for outcome in ("succeeded", "failed"):
        tally.pytest_runtest_logreport(report(*([k, 1, outcome] for k in KINDS)))

    assert tally.too_few() == []
    assert finished(tally) == pytest.ExitCode.OK


def test_too_few_of_a_kind_and_too_few_in_all_fail_the_session() -> None:
    rarely = "slow_drip"
    tally = Tally([2 * len(KINDS), 2])
    tally.pytest_runtest_logreport(
        report(
            *([k, 9, "partial"] for k in KINDS),
            *([k, 9, "partial"] for k in KINDS if k != rarely),
        )
    )

    assert tally.too_few() == [
        "slow_drip struck 1 syncs: at least 2 are wanted.",
        f"There were not {2 * len(KINDS)} faulty syncs.",
    ]
    assert finished(tally) == pytest.ExitCode.TESTS_FAILED


def test_nothing_is_asked_of_other_runs() -> None:
    assert Tally(None).too_few() == []
    assert finished(Tally(None)) == pytest.ExitCode.OK
