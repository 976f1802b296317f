"""Saved views: what they may hold, whose they are, and the API of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.exceptions import ValidationError

from accounts import tenancy
from accounts.exceptions import NotAllowed
from accounts.models import AuditEvent, Organization, SavedView, User
from accounts.roles import Role
from accounts.saved_views import List, change_view, delete_view, save_view, views_of
from tests.callers import calling
from tests.rows import a_view

LIST = List(
    "things",
    "Things",
    "admin:index",
    {"size": frozenset({"big", "small"}), "q": None},
)


@pytest.fixture
def as_max(acme: Organization, max_: User) -> Iterator[None]:
    with tenancy.acting_for(acme, actor=max_, role=Role.ML_ENGINEER):
        yield


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("organization=2", "no filter “organization”, only q, size."),
        ("size=huge", "The filter “size” has no choice “huge”."),
        ("q=", "has no choice “”"),
        ("q=a%00b", "has no choice"),
        ("", "choose one first"),
        ("q=" + "x" * 500, "more than 500 characters"),
    ],
)
def test_a_list_refuses_what_it_does_not_know(query: str, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        LIST.checked(query)
    assert words in refused.value.message_dict["query"][0]


def test_a_query_is_brought_into_one_order() -> None:
    assert LIST.checked("?size=big&q=a b") == "q=a+b&size=big"
    assert LIST.known("size=big&p=2&size=huge&e=1") == "size=big"


def test_a_view_is_ones_own_until_it_is_shared(
    acme: Organization, as_max: None, max_: User, olga: User
) -> None:
    view = save_view(list_name="gaps", name=" Grave ", query="severity=critical")
    assert (view.name, view.user) == ("Grave", max_)
    with pytest.raises(ValidationError, match="named “Grave” already"):
        save_view(list_name="gaps", name="Grave", query="severity=low")
    with pytest.raises(ValidationError, match="Of “cats” no view can be saved"):
        save_view(list_name="cats", name="Cats", query="q=x")
    with pytest.raises(NotAllowed):
        save_view(list_name="gaps", name="Ours", query="q=x", is_shared=True)
    with pytest.raises(NotAllowed):
        change_view(view, name="Grave", is_shared=True)
    ours = a_view(olga, "Ours", is_shared=True)
    with pytest.raises(NotAllowed, match="Only Olga"):
        delete_view(ours)
    assert views_of("gaps") == [view, ours]

    with tenancy.acting_for(acme, actor=olga, role=Role.COMPLIANCE_OFFICER):
        assert views_of("gaps") == [ours]
        with pytest.raises(NotAllowed, match="Only Max"):
            change_view(view, name="Mine now", is_shared=False)
        change_view(ours, name="Everybody’s", is_shared=False)
    assert views_of("gaps") == [view]


def test_views_over_rest(acme: Organization, max_: User, olga: User) -> None:
    maxs, olgas = calling(max_), calling(olga)
    body = {
        "list_name": "gaps",
        "name": "Grave",
        "query": "severity=critical&gate=block",
    }
    status, told = maxs.post("saved-views/", body)
    assert (status, told["query"]) == (201, "gate=block&severity=critical")
    assert olgas.results("saved-views/") == []
    assert olgas.get(f"saved-views/{told['id']}/")[0] == 404
    assert (
        maxs.post("saved-views/", body | {"name": "All", "is_shared": True})[0] == 403
    )
    status, refused = maxs.post("saved-views/", body | {"name": "X", "query": "eat=1"})
    assert (status, refused["errors"][0]["field"]) == (400, "query")
    _, shared = olgas.post("saved-views/", body | {"is_shared": True})

    assert len(maxs.results("saved-views/", list_name="gaps")) == 2
    assert maxs.delete(f"saved-views/{shared['id']}/")[0] == 403
    path = f"saved-views/{told['id']}/"
    assert maxs.patch(path, {"name": "Worst"})[1]["name"] == "Worst"
    assert maxs.patch(path, {"is_shared": True})[0] == 403
    assert maxs.delete(path)[0] == 204
    with tenancy.acting_for(acme):
        assert [view.user for view in SavedView.objects.all()] == [olga]
        acts = AuditEvent.objects.filter(action__startswith="view.").order_by("pk")
        assert [event.action for event in acts] == [
            "view.saved",
            "view.saved",
            "view.changed",
            "view.deleted",
        ]
