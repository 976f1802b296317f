"""What is out of scope, and what nobody registered, in the console and over REST."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import tenancy
from accounts.models import Organization, User
from compliance.evaluation import evaluate_organization
from inventory.models import ModelVersion, RegisteredModel, Source, UnregisteredModel
from inventory.records import Stage
from tests.callers import calling
from tests.pages import MOST_QUERIES, Visitor, judge
from tests.rows import (
    a_model,
    a_server,
    a_source,
    a_sync,
    a_version,
    an_unregistered_model,
    days,
)
from tests.verifywise.test_dashboard import tiles

pytestmark = pytest.mark.django_db

MODELS = "inventory/registeredmodel/"
VERSIONS = "inventory/modelversion/"
GAPS = "compliance/gap/"
UNREGISTERED = "inventory/unregisteredmodel/"
REASON = "Its name matches the exclude pattern “sandbox-*”."
NASTY = "<script>alert(1)</script>"


@pytest.fixture
def mlflow(acme: Organization) -> Source:
    with tenancy.acting_for(acme):
        return a_source()


@pytest.fixture
def outside(acme: Organization, mlflow: Source) -> RegisteredModel:
    """A model that was read, and judged, before it left the scope; and one that is in."""
    with tenancy.acting_for(acme):
        a_sync(a_server(mlflow))
        a_version(a_model(mlflow, "credit"))
        model = a_model(mlflow, "sandbox-1", out_of_scope=REASON)
        version = a_version(
            model, lifecycle_stage=Stage.PRODUCTION, absent_since=days(3)
        )
        judge(version, critical=2, missing_fields=1)
        return model


def names(rows: list[Any]) -> list[str]:
    return [row["name"] for row in rows]


# Out of scope, in the console


def test_models_out_of_scope_are_a_choice_of_the_list_with_their_reason(
    olga: User, outside: RegisteredModel
) -> None:
    visitor = Visitor(olga)

    assert [row.split()[0] for row in visitor.rows(MODELS)] == ["credit"]
    (row,) = visitor.rows(MODELS, scope="out")
    assert row.startswith("sandbox-1 out of scope – ")
    assert REASON in visitor.page(MODELS, scope="out")
    assert len(visitor.rows(MODELS, scope="all")) == 2


def test_the_page_of_such_a_model_says_why_and_shows_no_badge(
    olga: User, outside: RegisteredModel
) -> None:
    text = Visitor(olga).text(f"{MODELS}{outside.pk}/change/")

    assert f"Out of scope: its versions are not read. {REASON}" in text
    assert "What was read of them before stays, and counts in no gap." in text
    assert "Version 1 no longer read" in text
    for badge in ("critical", "missing field", "not judged yet", "carries no tag"):
        assert badge not in text


def test_the_page_of_such_a_model_without_a_version_says_that_none_was_read(
    acme: Organization, olga: User, mlflow: Source
) -> None:
    with tenancy.acting_for(acme):
        model = a_model(mlflow, "sandbox-2", out_of_scope=REASON)

    assert "No version was ever read." in Visitor(olga).text(
        f"{MODELS}{model.pk}/change/"
    )


def test_the_page_of_its_version_says_that_it_is_no_longer_read(
    acme: Organization, olga: User, outside: RegisteredModel
) -> None:
    with tenancy.acting_for(acme):
        version = ModelVersion.objects.get(registered_model=outside)

    text = Visitor(olga).text(f"{VERSIONS}{version.pk}/change/")

    assert f"No longer read: its model is out of scope. {REASON}" in text
    assert "In production, and blocked" not in text
    (row,) = Visitor(olga).rows(VERSIONS, presence="absent")
    assert "no longer read" in row
    assert "critical" not in row


def test_its_gaps_count_nowhere_and_it_is_not_judged(
    acme: Organization, olga: User, outside: RegisteredModel
) -> None:
    visitor = Visitor(olga)

    assert visitor.rows(GAPS) == []
    assert visitor.rows(GAPS, kind="all", status="open") == []
    counted = {label: count for label, (count, _, _) in tiles(visitor).items()}
    assert counted.pop("Models") == 1
    assert set(counted.values()) == {0}
    assert not [
        row
        for choice in ("critical", "missing_fields", "unjudged", "none")
        for row in visitor.rows(MODELS, severity=choice, scope="all")
        if row.startswith("sandbox")
    ]
    report = evaluate_organization(acme)
    assert report.evaluated == 1


def test_a_list_whose_models_are_all_out_of_scope_says_so(
    acme: Organization, olga: User, mlflow: Source
) -> None:
    with tenancy.acting_for(acme):
        a_sync(a_server(mlflow))
        a_model(mlflow, "sandbox-1", out_of_scope=REASON)

    visitor = Visitor(olga)

    assert "No model in scope" in visitor.text(MODELS)
    assert "?scope=out" in visitor.page(MODELS)


# Out of scope, over REST


def test_registered_models_say_why_they_are_out_of_scope(
    olga: User, outside: RegisteredModel
) -> None:
    caller = calling(olga)

    told = {
        row["name"]: row["out_of_scope"] for row in caller.results("registered-models/")
    }
    assert told == {"credit": "", "sandbox-1": REASON}
    path = "registered-models/"
    assert names(caller.results(path, in_scope="true")) == ["credit"]
    assert names(caller.results(path, in_scope="false")) == ["sandbox-1"]
    assert "in_scope" in caller.fault(path, in_scope="perhaps")
    status, model = caller.get(f"{path}{outside.pk}/")
    assert (status, model["gaps"], model["version_count"]) == (200, None, 0)
    assert caller.results("gaps/", model_name="sandbox-1") == []


# Unregistered


@pytest.fixture
def logged(acme: Organization, mlflow: Source) -> UnregisteredModel:
    with tenancy.acting_for(acme):
        an_unregistered_model(mlflow, "models:/m-2", registered_at=days(4))
        an_unregistered_model(mlflow, "models:/m-3", absent_since=days(4))
        return an_unregistered_model(
            mlflow, 'runs:/r1/a "b"', kind="run", name=NASTY, model_type="sklearn"
        )


def test_the_list_shows_what_is_unregistered_now(
    audrey: User, logged: UnregisteredModel
) -> None:
    visitor = Visitor(audrey)

    (row,) = visitor.rows(UNREGISTERED)
    assert row.startswith(f'{NASTY} runs:/r1/a "b" sklearn 7 r1 READY')
    assert NASTY not in visitor.page(UNREGISTERED)
    (row,) = visitor.rows(UNREGISTERED, state="registered")
    assert row.startswith("scorer registered since models:/m-2")
    (row,) = visitor.rows(UNREGISTERED, state="absent")
    assert row.startswith("scorer no longer told models:/m-3")
    assert len(visitor.rows(UNREGISTERED, state="all")) == 3
    assert len(visitor.rows(UNREGISTERED, state="all", kind="run")) == 1


def test_unregistered_models_are_searched_and_narrowed_to_a_server(
    acme: Organization, audrey: User, logged: UnregisteredModel
) -> None:
    with tenancy.acting_for(acme):
        other = a_source("Other")
        an_unregistered_model(other, name="elsewhere")
    visitor = Visitor(audrey)

    assert len(visitor.rows(UNREGISTERED)) == 2
    assert len(visitor.rows(UNREGISTERED, source=other.pk)) == 1
    assert len(visitor.rows(UNREGISTERED, q="SKLEARN")) == 1
    assert visitor.rows(UNREGISTERED, q="nothing like it") == []


def test_the_page_of_one_has_the_call_that_registers_it(
    audrey: User, logged: UnregisteredModel
) -> None:
    text = Visitor(audrey).text(f"{UNREGISTERED}{logged.pk}/change/")

    assert 'mlflow.register_model("runs:/r1/a \\"b\\"", "<name>")' in text
    assert "Scopes, which are of registered names, do not bear on it." in text
    assert "Kind Files of a run" in text


def test_a_registered_ones_page_says_since_when(
    acme: Organization, audrey: User, logged: UnregisteredModel
) -> None:
    with tenancy.acting_for(acme):
        registered = UnregisteredModel.objects.get(external_id="models:/m-2")

    text = Visitor(audrey).text(f"{UNREGISTERED}{registered.pk}/change/")

    assert "registered since" in text
    assert "register_model" not in text


def test_unregistered_models_over_rest(
    acme: Organization, audrey: User, logged: UnregisteredModel, mlflow: Source
) -> None:
    caller, path = calling(audrey), "unregistered-models/"

    (row,) = caller.results(path)
    assert row["address"] == 'runs:/r1/a "b"'
    assert (row["state"], row["kind"]) == ("unregistered", "run")
    assert (row["experiment_id"], row["experiment_name"]) == ("7", None)
    states = {row["state"] for row in caller.results(path, state="all")}
    assert states == {"unregistered", "registered", "absent"}
    assert len(caller.results(path, state="all", kind="logged_model")) == 2
    assert len(caller.results(path, search="sklearn")) == 1
    assert len(caller.results(path, source=mlflow.pk, run_id="r1")) == 1
    assert caller.results(path, experiment_id="8") == []
    assert "state" in caller.fault(path, state="lost")
    status, row = caller.get(f"{path}{logged.pk}/")
    assert (status, row["name"]) == (200, NASTY)


# What it costs


@pytest.mark.parametrize(
    "path",
    [
        f"{MODELS}?scope=out",
        f"{MODELS}?scope=all",
        f"{MODELS}%(model)s/change/",
        f"{VERSIONS}?presence=absent",
        UNREGISTERED,
        f"{UNREGISTERED}%(unregistered)s/change/",
    ],
)
def test_many_cost_no_more_queries_than_few(
    acme: Organization, audrey: User, mlflow: Source, path: str
) -> None:
    def more(first: int, last: int) -> dict[str, int]:
        for number in range(first, last):
            model = a_model(mlflow, f"sandbox-{number}", out_of_scope=REASON)
            for version in range(1, 3):
                a_version(model, version, absent_since=days(2))
            row = an_unregistered_model(mlflow, f"models:/m-{number}")
        return {"model": model.pk, "unregistered": row.pk}

    with tenancy.acting_for(acme):
        keys = more(0, 3)
        a_model(mlflow, "credit")
    visitor = Visitor(audrey)
    page, _, query = (path % keys).partition("?")
    parameters = dict([query.split("=")]) if query else {}
    few = visitor.queries(page, **parameters)
    with tenancy.acting_for(acme):
        more(3, 60)

    assert visitor.queries(page, **parameters) == few <= MOST_QUERIES


@pytest.mark.parametrize("path", ["registered-models/", "unregistered-models/"])
def test_lists_over_rest_cost_the_same_for_many(
    acme: Organization, audrey: User, mlflow: Source, path: str
) -> None:
    def more(first: int, last: int) -> None:
        with tenancy.acting_for(acme):
            for number in range(first, last):
                a_model(mlflow, f"sandbox-{number}", out_of_scope=REASON)
                an_unregistered_model(mlflow, f"models:/m-{number}")

    more(0, 3)
    few = calling(audrey).queries(path)
    more(3, 60)

    assert calling(audrey).queries(path) == few <= 12
