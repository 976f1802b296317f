"""Who served when, and what an alias meant, on the pages of models and versions."""

from __future__ import annotations

import re

import pytest

from accounts import tenancy
from accounts.models import Organization, User
from inventory.admin.models import SPANS_SHOWN
from inventory.models import ModelVersion, RegisteredModel
from tests.pages import Visitor, words
from tests.rows import (
    a_model,
    a_source,
    a_stage_move,
    a_version,
    an_alias_move,
    days,
)

pytestmark = pytest.mark.django_db

PROMOTED = (days(10), days(10.5))
NASTY = '<script>alert("x")</script>'


@pytest.fixture
def credit(acme: Organization) -> RegisteredModel:
    """Version 2 took over from version 1, and both from nobody knows whom."""
    with tenancy.acting_for(acme):
        model = a_model(a_source())
        first = a_version(model, 1)
        second = a_version(model, 2, created_at=days(5), first_seen_at=days(6))
        a_stage_move(first, "", "Production", (None, days(1)), told_by="stage P")
        a_stage_move(second, "", "None", (days(4), days(6)), told_by="stage None")
        a_stage_move(first, "Production", "Archived", PROMOTED, told_by="stage A")
        a_stage_move(second, "None", "Production", PROMOTED)
        an_alias_move(model, "champion", None, 1, (None, days(1)))
        an_alias_move(model, "champion", 1, 2, PROMOTED)
        an_alias_move(model, "shadow", None, 2, (days(4), days(36)))
        return model


def section(visitor: Visitor, model: RegisteredModel, name: str, **asked: str) -> str:
    """Return the words of a section of a model's page."""
    page = visitor.page(f"inventory/registeredmodel/{model.pk}/change/", **asked)
    return words(page.partition(f'id="{name}">')[2].partition("</section>")[0])


def timeline(visitor: Visitor, version: ModelVersion) -> list[str]:
    """Return the words of each move on a version's page."""
    page = visitor.page(f"inventory/modelversion/{version.pk}/change/")
    moves = page.partition('id="timeline"')[2].partition("</section>")[0]
    return [words(move) for move in re.findall("<li>.*?</li>", moves, re.DOTALL)]


def version(model: RegisteredModel, number: int) -> ModelVersion:
    return model.versions.get(version_number=number)


def test_the_page_of_a_model_says_who_served_when(
    alice: User, credit: RegisteredModel
) -> None:
    served = section(Visitor(alice), credit, "served")

    assert (
        "Version 2 11 Jan 2026 between 00:00:00 and 12:00:00 UTC in production "
        "alias champion" in served
    )
    assert (
        "Version 1 2 Jan 2026 at the latest seen 00:00:00 UTC; since when is unknown "
        "11 Jan 2026 → Archived between 00:00:00 and 12:00:00 UTC stage P" in served
    )


def test_a_version_that_vanished_while_it_served_says_so(
    acme: Organization, alice: User, credit: RegisteredModel
) -> None:
    with tenancy.acting_for(acme):
        gone = (days(28), days(31.25))
        a_stage_move(version(credit, 2), "Production", "", gone, told_by="")

    assert (
        "29 Jan – 1 Feb 2026 → no longer told between 29 Jan, 00:00:00 and 1 Feb, "
        "06:00:00 UTC" in section(Visitor(alice), credit, "served")
    )


def test_the_champions_are_a_history_and_other_aliases_can_be_chosen(
    alice: User, credit: RegisteredModel
) -> None:
    visitor = Visitor(alice)

    champions = section(visitor, credit, "aliases")
    assert "Champion history @champion @shadow" in champions
    assert re.search(r"Version 2 .* still Version 1 .* → version 2", champions)

    shadow = section(visitor, credit, "aliases", alias="shadow")
    assert "History of @shadow" in shadow
    assert "5 Jan – 6 Feb 2026" in shadow
    assert "Champion history" in section(visitor, credit, "aliases", alias="nobody")


def test_without_a_champion_the_first_alias_is_shown(
    acme: Organization, alice: User
) -> None:
    with tenancy.acting_for(acme):
        model = a_model(a_source())
        an_alias_move(model, "baseline", None, 1, (None, days(1)))
        an_alias_move(model, "baseline", 1, None, PROMOTED)

    history = section(Visitor(alice), model, "aliases")

    assert "History of @baseline" in history
    assert "→ removed" in history


def test_a_model_without_a_history_says_so(acme: Organization, alice: User) -> None:
    with tenancy.acting_for(acme):
        model = a_model(a_source())

    visitor = Visitor(alice)

    assert "No version was seen in production." in section(visitor, model, "served")
    assert "No alias was seen" in section(visitor, model, "aliases")


def test_a_long_history_shows_the_latest_and_costs_no_more(
    acme: Organization, alice: User, credit: RegisteredModel
) -> None:
    path = f"inventory/registeredmodel/{credit.pk}/change/"
    few = Visitor(alice).queries(path)
    with tenancy.acting_for(acme):
        for number in range(3, SPANS_SHOWN + 10):
            later = (days(number + 20), days(number + 21))
            a_stage_move(a_version(credit, number), "", "Production", later)
            an_alias_move(credit, "champion", number - 1, number, later)
            an_alias_move(credit, f"alias {number}", None, number, later)

    assert Visitor(alice).queries(path) == few
    served = section(Visitor(alice), credit, "served")
    assert f"These are the latest {SPANS_SHOWN}; the API tells all." in served
    assert "Version 2 " not in served


def test_the_timeline_of_a_version_tells_its_stages_and_its_aliases(
    acme: Organization, alice: User, credit: RegisteredModel
) -> None:
    with tenancy.acting_for(acme):
        first, second = version(credit, 1), version(credit, 2)
        an_alias_move(credit, "shadow", 2, None, (days(36), days(37)))
        a_stage_move(second, "Production", "", (days(40), days(41)), told_by="")
        a_stage_move(second, "", "Production", (days(43), days(44)))

    told = [
        re.sub(r"^\d+ \w+ ago | observed .*", "", move)
        for move in timeline(Visitor(alice), second)
    ]

    assert told == [
        "Told again as Production alias champion",
        "Production → no longer told",
        "@shadow removed",
        "@shadow set",
        "None → Production alias champion",
        "@champion moved here from version 1",
        "First seen as None stage None",
    ]
    assert any(
        "@champion moved on to version 2 observed between 11 Jan 2026, 00:00:00 UTC "
        "and 11 Jan 2026, 12:00:00 UTC" in move
        for move in timeline(Visitor(alice), first)
    )


def test_the_aliases_of_versions_under_one_number_are_told_apart(
    acme: Organization, alice: User
) -> None:
    with tenancy.acting_for(acme):
        model = a_model(a_source())
        old = a_version(model, 3, absent_since=days(5))
        new = a_version(model, 3, created_at=days(4))
        a_stage_move(old, "", "Production", (None, days(1)))
        a_stage_move(old, "Production", "", (days(4), days(5)), told_by="")
        a_stage_move(new, "", "Production", (days(7), days(8)))
        an_alias_move(model, "first", None, 3, (None, days(1)))
        an_alias_move(model, "first", 3, None, (days(3), days(4)))
        an_alias_move(model, "second", None, 3, (days(7), days(8)))

    visitor = Visitor(alice)

    assert "@second" not in " ".join(timeline(visitor, old))
    assert sum("@first" in move for move in timeline(visitor, old)) == 2
    assert "@first" not in " ".join(timeline(visitor, new))
    assert sum("@second" in move for move in timeline(visitor, new)) == 1


def test_what_mlflow_told_of_aliases_is_escaped(
    acme: Organization, alice: User, credit: RegisteredModel
) -> None:
    with tenancy.acting_for(acme):
        an_alias_move(credit, NASTY, None, 2, PROMOTED)
        a_stage_move(
            version(credit, 2), "Staging", "Production", PROMOTED, told_by=NASTY
        )
        paths = (
            f"inventory/registeredmodel/{credit.pk}/change/",
            f"inventory/modelversion/{version(credit, 2).pk}/change/",
        )

    visitor = Visitor(alice)

    for path in paths:
        assert "<script>alert" not in visitor.page(path)
    page = visitor.page(paths[0], alias=NASTY)
    assert "History of @&lt;script&gt;" in page
    assert "?alias=%3Cscript%3E" in page
