"""Times are compared only where the results are equal: one fault at a time is found."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from bench.equality import differences

RUN = {"tags": {"a": "1"}, "params": {"p": "2"}, "metrics": {"m": 0.5}}
FACTS: dict[str, dict[str, Any]] = {
    "models": {"credit": {"domain": "finance"}},
    "versions": {"credit/1": {"run_id": "r1", "tags": {"t": "3"}}},
    "runs": {"credit/1": RUN},
    "files": {"credit/1": {"MLmodel": 7}},
    "digests": {"credit/1": {"MLmodel": "d1"}},
}


def test_equal_results_differ_in_nothing() -> None:
    assert differences(FACTS, deepcopy(FACTS)) == []


@pytest.mark.parametrize(
    ("part", "name", "value", "told"),
    [
        ("models", "credit", {}, "models credit, domain"),
        (
            "versions",
            "credit/1",
            {"run_id": "r2", "tags": {"t": "3"}},
            "versions credit/1, run_id",
        ),
        (
            "versions",
            "credit/1",
            {"run_id": "r1", "tags": {}},
            "versions credit/1, tags, t",
        ),
        ("runs", "credit/1", RUN | {"tags": {}}, "runs credit/1, tags, a"),
        ("runs", "credit/1", RUN | {"params": {"p": "9"}}, "runs credit/1, params, p"),
        (
            "runs",
            "credit/1",
            RUN | {"metrics": {"m": 0.4999}},
            "runs credit/1, metrics, m",
        ),
        (
            "runs",
            "credit/1",
            RUN | {"params": {"p": "2", "q": "3"}},
            "runs credit/1, params, q",
        ),
        ("files", "credit/1", {"MLmodel": 8}, "files credit/1, MLmodel"),
        ("files", "credit/1", {}, "files credit/1, MLmodel"),
        ("digests", "credit/1", {"MLmodel": "d2"}, "digests credit/1, MLmodel"),
    ],
)
def test_the_value_that_is_stored_otherwise_is_named_alone(
    part: str, name: str, value: dict[str, Any], told: str
) -> None:
    stored = deepcopy(FACTS)
    stored[part][name] = value

    assert [line.split(":")[0] for line in differences(FACTS, stored)] == [told]


def test_a_version_too_few_or_too_many_is_told() -> None:
    less, more = deepcopy(FACTS), deepcopy(FACTS)
    del less["versions"]["credit/1"]
    more["versions"]["credit/2"] = {"run_id": "r2", "tags": {}}

    assert len(differences(FACTS, less)) == 1
    assert len(differences(FACTS, more)) == 1


def test_runs_that_the_crawl_did_not_read_are_not_compared() -> None:
    assert differences(FACTS | {"runs": {}}, FACTS) == []
