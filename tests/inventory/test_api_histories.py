"""Who served when, and which version an alias meant, over REST."""

from __future__ import annotations

import pytest

from accounts.models import User
from inventory.models import ModelVersion, RegisteredModel, Source
from mlflow_sync.models import SyncRun
from tests.callers import Caller, calling
from tests.rows import (
    a_model,
    a_server,
    a_stage_move,
    a_sync,
    a_version,
    an_alias_move,
    days,
)

PROMOTED = (days(10), days(11))  # the second version took over from the first


@pytest.fixture
def credit(source: Source) -> RegisteredModel:
    """Its champion was version 1, and is version 2."""
    model = a_model(source)
    first = a_version(model, 1)
    second = a_version(model, 2, created_at=days(5))
    a_stage_move(first, "", "Production", (None, days(1)), told_by="stage Production")
    a_stage_move(second, "", "None", (days(4), days(6)), told_by="stage None")
    a_stage_move(first, "Production", "Archived", PROMOTED, told_by="stage Archived")
    a_stage_move(second, "None", "Production", PROMOTED)
    an_alias_move(model, "champion", None, 1, (None, days(1)))
    an_alias_move(model, "champion", 1, 2, PROMOTED)
    an_alias_move(model, "shadow", None, 2, (days(4), days(6)))
    an_alias_move(model, "shadow", 2, None, PROMOTED)
    return model


def version(model: RegisteredModel, number: int) -> ModelVersion:
    return model.versions.get(version_number=number)


@pytest.fixture
def alices(alice: User) -> Caller:
    return calling(alice)


def test_the_versions_that_served_are_told_with_honest_bounds(
    alices: Caller, credit: RegisteredModel
) -> None:
    assert alices.results(f"registered-models/{credit.pk}/serving/") == [
        {
            "model_version": version(credit, 2).pk,
            "version_number": 2,
            "told_by": "alias champion",
            "since": {
                "observed_after": "2026-01-11T00:00:00Z",
                "observed_before": "2026-01-12T00:00:00Z",
            },
            "until": None,
            "followed_by": None,
            "certainty": None,
        },
        {
            "model_version": version(credit, 1).pk,
            "version_number": 1,
            "told_by": "stage Production",
            "since": {
                "observed_after": None,
                "observed_before": "2026-01-02T00:00:00Z",
            },
            "until": {
                "observed_after": "2026-01-11T00:00:00Z",
                "observed_before": "2026-01-12T00:00:00Z",
            },
            "followed_by": "Archived",
            "certainty": None,
        },
    ]


@pytest.mark.parametrize(
    ("at", "found"),
    [
        ("2025-12-31T23:59Z", {}),  # version 1 was not made yet
        ("2026-01-01T12:00Z", {1: "possible"}),
        ("2026-01-08T00:00Z", {1: "certain"}),
        ("2026-01-08T02:00:00+02:00", {1: "certain"}),
        ("2026-01-11T12:00Z", {1: "possible", 2: "possible"}),
        ("2026-01-20T00:00Z", {2: "certain"}),
        ("2026-02-01T00:00Z", {2: "possible"}),  # nobody has looked since
    ],
)
def test_at_a_moment_it_is_certain_or_possible_who_served(
    alices: Caller, credit: RegisteredModel, at: str, found: dict[int, str]
) -> None:
    server = a_server(credit.source)
    a_sync(server, started_at=days(20))
    a_sync(server, started_at=days(40), status=SyncRun.Status.FAILED)

    told = alices.results(f"registered-models/{credit.pk}/serving/", at=at)

    assert {each["version_number"]: each["certainty"] for each in told} == found


@pytest.mark.parametrize(
    ("at", "found"),
    [("2026-01-04T00:00Z", []), ("2026-01-07T00:00Z", ["possible"])],
)
def test_a_version_that_came_back_may_have_served_since_it_was_hidden(
    alices: Caller, source: Source, at: str, found: list[str]
) -> None:
    model = a_model(source)
    back = a_version(model)
    a_stage_move(back, "", "None", (None, days(1)))
    a_stage_move(back, "None", "", (days(4), days(5)))
    a_stage_move(back, "", "Production", (days(7), days(8)))

    told = alices.results(f"registered-models/{model.pk}/serving/", at=at)

    assert [each["certainty"] for each in told] == found


def test_a_version_that_was_never_read_again_is_certain_when_it_was_seen(
    alices: Caller, credit: RegisteredModel
) -> None:
    def certainty(at: str) -> str:
        path = f"registered-models/{credit.pk}/serving/"
        found: str = alices.results(path, at=at)[0]["certainty"]
        return found

    assert certainty("2026-01-12T00:00Z") == "certain"
    assert certainty("2026-01-12T00:01Z") == "possible"


@pytest.mark.parametrize(
    ("at", "word"),
    [
        ("yesterday", "wrong format"),
        ("9999-12-31T00:00Z", "has not come yet"),
    ],
)
def test_a_moment_that_is_none_is_refused(
    alices: Caller, credit: RegisteredModel, at: str, word: str
) -> None:
    path = f"registered-models/{credit.pk}/serving/"

    assert word in alices.fault(path, at=at)["at"]


def test_the_history_of_an_alias_is_told_with_bounds(
    alices: Caller, credit: RegisteredModel
) -> None:
    path = f"registered-models/{credit.pk}/aliases/"
    told = [
        (each["alias"], each["version_number"], each["until"] is None)
        for each in alices.results(path)
    ]

    assert told == [("champion", 2, True), ("shadow", 2, False), ("champion", 1, False)]
    assert alices.results(path, alias="shadow") == [
        {
            "alias": "shadow",
            "model_version": version(credit, 2).pk,
            "version_number": 2,
            "since": {
                "observed_after": "2026-01-05T00:00:00Z",
                "observed_before": "2026-01-07T00:00:00Z",
            },
            "until": {
                "observed_after": "2026-01-11T00:00:00Z",
                "observed_before": "2026-01-12T00:00:00Z",
            },
            "followed_by": None,
        }
    ]
    assert alices.results(path, alias="nobody") == []


def test_an_alias_meant_the_version_that_had_the_number_then(
    alices: Caller, source: Source
) -> None:
    model = a_model(source)
    old = a_version(model, 3, absent_since=days(5))
    new = a_version(model, 3, created_at=days(4))
    an_alias_move(model, "champion", None, 3, (None, days(1)))
    an_alias_move(model, "champion", 3, None, (days(3), days(5)))
    an_alias_move(model, "champion", None, 3, (days(5), days(6)))
    an_alias_move(model, "ghost", None, 9, (days(5), days(6)))

    told = alices.results(f"registered-models/{model.pk}/aliases/", alias="champion")
    (ghost,) = alices.results(f"registered-models/{model.pk}/aliases/", alias="ghost")

    assert [each["model_version"] for each in told] == [new.pk, old.pk]
    assert (ghost["model_version"], ghost["version_number"]) == (None, 9)


@pytest.mark.parametrize("history", ["serving", "aliases"])
def test_bob_of_another_organization_finds_no_history(
    bob: User, credit: RegisteredModel, history: str
) -> None:
    assert calling(bob).get(f"registered-models/{credit.pk}/{history}/")[0] == 404


@pytest.mark.parametrize(
    ("history", "parameter"), [("serving", "alias"), ("aliases", "at")]
)
def test_a_parameter_of_the_other_history_is_refused(
    alices: Caller, credit: RegisteredModel, history: str, parameter: str
) -> None:
    path = f"registered-models/{credit.pk}/{history}/"

    assert parameter in alices.fault(path, **{parameter: "x"})


@pytest.mark.parametrize("history", ["serving", "aliases"])
def test_a_long_history_has_pages_and_costs_no_more(
    alices: Caller, credit: RegisteredModel, history: str
) -> None:
    path = f"registered-models/{credit.pk}/{history}/"
    few = alices.queries(path, page_size=1)
    for number in range(3, 40):
        later = (days(number + 20), days(number + 21))
        a_stage_move(a_version(credit, number), "", "Production", later)
        an_alias_move(credit, "champion", number - 1, number, later)

    assert alices.queries(path, page_size=1) == few
    _, page = alices.get(path, page=2, page_size=10)
    assert len(page["results"]) == 10
    assert page["count"] > 37
