"""What may follow the ? of a list."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from inventory.models import ModelVersion, Source
from tests.callers import Caller, calling
from tests.rows import (
    a_model,
    a_version,
)
from verifywise.api import ROUTES
from verifywise.parameters import known_parameters

LISTS = tuple(
    prefix
    for prefix, viewset in ROUTES
    if hasattr(viewset, "list") and prefix != "check-version"  # answers with one
)
PAGED = tuple(path for path in LISTS if path != "me")


@pytest.fixture
def alices(alice: User) -> Caller:
    return calling(alice)


@pytest.fixture
def version(source: Source) -> ModelVersion:
    return a_version(a_model(source))


@pytest.mark.parametrize("path", PAGED)
@pytest.mark.parametrize(
    "parameter", ["nonsense", "nam", "organization", "limit", "format", "page_sise"]
)
def test_no_list_ignores_a_parameter_that_it_does_not_know(
    path: str, parameter: str, alices: Caller
) -> None:
    faults = alices.fault(path, **{parameter: "1"})

    assert list(faults) == [parameter]
    assert "no such parameter" in faults[parameter]


@pytest.mark.parametrize(
    ("path", "parameters", "at"),
    [
        ("registered-models/", {"page": "0"}, "page"),
        ("registered-models/", {"page": "two"}, "page"),
        ("registered-models/", {"page": "last"}, "page"),
        ("registered-models/", {"page": "9" * 30}, "page"),
        ("registered-models/", {"page_size": "0"}, "page_size"),
        ("registered-models/", {"page_size": "-1"}, "page_size"),
        ("registered-models/", {"page_size": "501"}, "page_size"),
        ("registered-models/", {"page_size": "٣"}, "page_size"),
        ("registered-models/", {"ordering": "organization"}, "ordering"),
        ("registered-models/", {"ordering": "name,-secret__token"}, "ordering"),
        ("registered-models/", {"ordering": "name,"}, "ordering"),
        ("registered-models/", {"ordering": "--name"}, "ordering"),
        ("registered-models/", {"search": "a\x00b"}, "search"),
        ("registered-models/", {"source": "one"}, "source"),
        ("registered-models/", {"source": "1.5"}, "source"),
        ("registered-models/", {"source": "-1"}, "source"),
        ("registered-models/", {"name": ""}, "name"),
        ("registered-models/", {"name": "  "}, "name"),
        ("registered-models/", {"name": ["a", "b"]}, "name"),
        ("registered-models/", {"presence": "gone"}, "presence"),
        ("registered-models/", {"is_demo": "perhaps"}, "is_demo"),
        ("registered-models/", {"is_demo": "True"}, "is_demo"),
        ("registered-models/", {"lifecycle_stage": "production"}, "lifecycle_stage"),
        ("registered-models/", {"changed_since": "yesterday"}, "changed_since"),
        ("registered-models/", {"gaps": "terrible"}, "gaps"),
        ("modelInventory/", {"lifecycle_stage": ["Staging", "x"]}, "lifecycle_stage"),
        ("modelInventory/", {"version_number": "v3"}, "version_number"),
        ("gaps/", {"severity": "4"}, "severity"),
        ("gaps/", {"status": "lost"}, "status"),
        ("gaps/", {"opened_since": "2026-13-01"}, "opened_since"),
        ("sync-runs/", {"status": "done"}, "status"),
        ("tracking-servers/", {"auth_method": "kerberos"}, "auth_method"),
    ],
)
def test_a_bad_value_is_refused_under_the_name_of_its_parameter(
    path: str, parameters: dict[str, Any], at: str, alices: Caller
) -> None:
    assert list(alices.fault(path, **parameters)) == [at]


def test_all_bad_parameters_are_named_at_once(alices: Caller) -> None:
    faults = alices.fault("gaps/", severity="4", status="lost")

    assert set(faults) == {"severity", "status"}


def test_a_detail_takes_no_filter(alices: Caller, version: ModelVersion) -> None:
    path = f"modelInventory/{version.pk}/"

    assert list(alices.fault(path, owner="max")) == ["owner"]


@pytest.mark.parametrize(
    ("path", "orders"),
    [
        (prefix, viewset.ordering_fields)
        for prefix, viewset in ROUTES
        if getattr(viewset, "ordering_fields", None)
    ],
)
def test_every_order_that_is_offered_works_both_ways(
    path: str, orders: Any, alices: Caller
) -> None:
    for name in orders:
        assert alices.get(f"{path}/", ordering=name)[0] == 200
        assert alices.get(f"{path}/", ordering=f"-{name}")[0] == 200


def test_pages_never_overlap_and_miss_nothing(alices: Caller, source: Source) -> None:
    model = a_model(source)
    for number in range(1, 24):
        a_version(model, number, owner="max" if number % 2 else "")
    seen: list[int] = []
    path: str | None = "/api/modelInventory/?ordering=owner&page_size=5"

    while path:
        page = alices.client.get(path).json()
        seen += [entry["id"] for entry in page["results"]]
        path = page["next"]

    assert page["count"] == len(seen) == len(set(seen)) == 23
    assert page["previous"].endswith(
        "/api/modelInventory/?ordering=owner&page=4&page_size=5"
    )


def test_a_page_behind_the_last_is_not_found(alices: Caller) -> None:
    status, problem = alices.get("gaps/", page=7)

    assert (status, problem["detail"]) == (404, "There is no page 7 of this list.")


def test_a_page_holds_fifty_rows_and_up_to_five_hundred(
    alices: Caller, source: Source
) -> None:
    for number in range(51):
        a_model(source, f"model {number}")

    assert len(alices.results("registered-models/")) == 50
    assert len(alices.results("registered-models/", page_size=500)) == 51


JUNK = (
    "0",
    "-1",
    "1e400",
    "NaN",
    "9" * 40,
    "%_\\",
    "'; --",
    "ü" * 5_000,
    "null",
    "0001-01-01",
    "9999-12-31T23:59:59-14:00",
    "[1,",
)


@pytest.mark.parametrize("path", PAGED)
def test_no_value_of_any_parameter_is_a_crash(
    path: str, alices: Caller, version: ModelVersion
) -> None:
    viewset = dict(ROUTES)[path]
    known = known_parameters(viewset(detail=False))
    assert known
    for name in known:
        for value in JUNK:
            status, _ = alices.get(f"{path}/", **{name: value})
            assert status in (200, 400, 404), (name, value)
