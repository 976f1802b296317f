"""A target tells what was found, and whether it is good enough."""

from __future__ import annotations

import pytest

from bench.targets import Target, Unit


@pytest.mark.parametrize(
    ("found", "is_met"),
    [([1.4, 1.5, 1.6], True), ([1.5, 1.6, 9.0], True), ([1.5, 1.7, 1.7], False)],
)
def test_of_times_the_median_decides(found: list[float], is_met: bool) -> None:
    assert Target("Sync", 1.6, found=found).is_met is is_met


def test_a_count_has_to_be_met_each_time() -> None:
    assert Target("Rows written", 0, Unit.COUNT, found=[0, 0, 0]).is_met
    assert not Target("Rows written", 0, Unit.COUNT, found=[0, 0, 1]).is_met


def test_a_share_is_written_as_one_in_so_many_with_its_spread() -> None:
    target = Target("Sync", 1 / 15, Unit.ONE_IN, found=[1 / 20, 1 / 18, 1 / 21.3])

    words = " ".join(target.row().split())
    assert words == "Sync 1/15 1/20 (1/21.3 to 1/18)"
