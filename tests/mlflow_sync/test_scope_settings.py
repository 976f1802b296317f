"""The scope of a server as people set it: in the console, over REST, on the command line."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from accounts import tenancy
from accounts.models import AuditEvent, Organization, User
from mlflow_sync.models import TrackingServer
from mlflow_sync.scope import Scope
from mlflow_sync.servers import save_server
from tests.callers import calling
from tests.mlflow_sync.test_admin import FILLED, SERVERS
from tests.pages import Visitor
from tests.rows import a_model, a_sync, an_unregistered_model

pytestmark = pytest.mark.django_db(transaction=True)

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def research(acme: Organization) -> TrackingServer:
    with tenancy.acting_for(acme):
        server = save_server(TrackingServer(url=NOWHERE), name="Research")
        for number in range(3):
            a_model(server.source, f"credit-{number}", tags={"team": "lending"})
        a_model(server.source, "sandbox-1")
        return server


# The act


def test_a_scope_is_kept_without_its_blanks_and_is_on_the_trail(
    acme: Organization, research: TrackingServer
) -> None:
    with tenancy.acting_for(acme):
        research.include_names = " credit-* \r\n\nfraud-*\n"
        research.required_tags = "team = lending"
        research.find_unregistered = True
        save_server(research)

    with tenancy.acting_for(acme):
        server = TrackingServer.objects.get()
        assert server.include_names == "credit-*\nfraud-*"
        assert server.scope == Scope(
            include=("credit-*", "fraud-*"), tags=("team=lending",)
        )
        assert str(server.scope) == "named credit-* or fraud-*, tagged team=lending"
        entry = AuditEvent.objects.get(action="tracking_server.changed")
        assert entry.changes == {
            "include_names": {"from": "", "to": "credit-*\nfraud-*"},
            "required_tags": {"from": "", "to": "team=lending"},
            "find_unregistered": {"from": False, "to": True},
        }


def test_all_that_is_no_pattern_is_named_with_its_field_and_line(
    acme: Organization,
) -> None:
    with tenancy.acting_for(acme), pytest.raises(ValidationError) as refusal:
        save_server(
            TrackingServer(
                url=NOWHERE,
                include_names="credit-*\ncredit[",
                exclude_names="ok",
                required_tags="=high",
            ),
            name="Wrong",
        )

    assert refusal.value.message_dict == {
        "include_names": [
            "Line 2: “credit[” opens a bracket that is not closed. The sign itself is "
            "written “[[]”."
        ],
        "required_tags": ["Line 1: “=high” names no tag: write “key” or “key=value”."],
    }


# The console


def test_the_form_has_the_scope_and_says_what_a_change_of_it_means(
    acme: Organization, alice: User, research: TrackingServer
) -> None:
    visitor, page = Visitor(alice), f"{SERVERS}{research.pk}/change/"
    assert "Patterns of names, one a line" in visitor.text(page, settings="")

    answer = visitor.client.post(
        f"/console/{page}",
        FILLED | {"url": NOWHERE, "exclude_names": "sandbox-*\r\ncredit-0"},
        follow=True,
    )

    told = answer.content.decode()
    assert "Of 4 models known, 2 will be out of scope from the next sync on." in told
    with tenancy.acting_for(acme):
        server = TrackingServer.objects.get()
        assert server.exclude_names == "sandbox-*\ncredit-0"


def test_a_form_that_leaves_the_scope_alone_says_nothing_of_it(
    alice: User, research: TrackingServer
) -> None:
    answer = Visitor(alice).client.post(
        f"/console/{SERVERS}{research.pk}/change/",
        FILLED | {"url": NOWHERE},
        follow=True,
    )

    assert "was saved" in answer.content.decode()
    assert "out of scope from" not in answer.content.decode()


def test_a_wrong_pattern_is_shown_at_its_field_and_nothing_is_lost(
    acme: Organization, alice: User, research: TrackingServer
) -> None:
    answer = Visitor(alice).client.post(
        f"/console/{SERVERS}{research.pk}/change/",
        FILLED | {"url": NOWHERE, "include_names": "good-*\r\nbad["},
    )

    form = answer.context["adminform"].form
    assert form.errors.keys() == {"include_names"}
    assert "Line 2" in form.errors["include_names"][0]
    assert "bad[" in answer.content.decode()
    with tenancy.acting_for(acme):
        assert TrackingServer.objects.get().include_names == ""


def test_the_servers_page_tells_its_scope_and_leads_to_what_is_outside(
    acme: Organization, olga: User, research: TrackingServer
) -> None:
    visitor, page = Visitor(olga), f"{SERVERS}{research.pk}/change/"
    assert "Scope all models Models 4 " in visitor.text(page)
    with tenancy.acting_for(acme):
        research.exclude_names = "sandbox-*"
        research.find_unregistered = True
        save_server(research)
        a_model(research.source, "sandbox-2", out_of_scope="It is.")
        an_unregistered_model(research.source)
        a_sync(research)

    text, html = visitor.text(page), visitor.page(page)

    assert (
        "Scope all, without sandbox-* Models 5 , 1 out of scope Unregistered 1" in text
    )
    models = "/console/inventory/registeredmodel/"
    assert f"{models}?source={research.source_id}&scope=out" in html
    unregistered = "/console/inventory/unregisteredmodel/"
    assert f"{unregistered}?source={research.source_id}" in html
    assert "5 1 out of scope" in visitor.rows(SERVERS)[0]
    assert "5 models, 1 out of scope" in visitor.text("")


# REST


def test_the_scope_is_set_and_told_over_rest(
    alice: User, research: TrackingServer
) -> None:
    path = f"tracking-servers/{research.pk}/"

    status, told = calling(alice).patch(
        path, {"exclude_names": "a*\nb*", "find_unregistered": True}
    )

    assert status == 200
    assert (told["exclude_names"], told["find_unregistered"]) == ("a*\nb*", True)
    status, problem = calling(alice).patch(path, {"required_tags": "ok\n[x"})
    assert status == 400
    assert problem["errors"] == [
        {
            "field": "required_tags",
            "detail": "Line 2: “[x” opens a bracket that is not closed. The sign itself "
            "is written “[[]”.",
        }
    ]


# The command line


def add(*args: str) -> None:
    call_command(
        "add_tracking_server",
        "--organization=acme",
        "--name=Research",
        f"--url={NOWHERE}",
        *args,
        stdout=StringIO(),
        stderr=StringIO(),
    )


def test_options_set_the_scope_and_keep_what_is_not_given(acme: Organization) -> None:
    add(
        "--include=credit-*",
        "--include=fraud-*",
        "--tag=team=l*",
        "--find-unregistered",
    )
    add("--exclude=*-old")

    with tenancy.acting_for(acme):
        server = TrackingServer.objects.get()
        assert server.scope == Scope(
            include=("credit-*", "fraud-*"), exclude=("*-old",), tags=("team=l*",)
        )
        assert server.find_unregistered

    add("--include=", "--no-find-unregistered")
    with tenancy.acting_for(acme):
        server = TrackingServer.objects.get()
        assert server.scope == Scope(exclude=("*-old",), tags=("team=l*",))
        assert not server.find_unregistered


def test_a_wrong_pattern_on_the_command_line_is_named(acme: Organization) -> None:
    with pytest.raises(CommandError, match=r"^exclude_names: Line 1: “x\[” opens"):
        add("--exclude=x[")
