"""The overview, and what is around every page of the console."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts import tenancy
from accounts.models import Membership, Organization, User
from accounts.roles import Role
from compliance.models import Gap, Waiver
from inventory.models import ModelVersion, Source
from inventory.records import Stage
from mlflow_sync.models import SyncRun
from tests.conftest import PASSWORD, signed_in
from tests.pages import MOST_QUERIES, Visitor, a_registry, judge, words
from tests.rows import (
    a_gap,
    a_model,
    a_server,
    a_source,
    a_stage_move,
    a_sync,
    a_version,
    days,
)

pytestmark = pytest.mark.django_db

TILE = re.compile(
    r'<a class="vw-tile([^"]*)" href="([^"]*)"><b>.*?>([\d,]+)<.*?<span>([^<]*)</span></a>'
)


@pytest.fixture
def mlflow(acme: Organization) -> Source:
    with tenancy.acting_for(acme):
        return a_source()


@pytest.fixture
def registry(acme: Organization, mlflow: Source, max_: User, alice: User) -> None:
    """Two models; three versions, two of them in production, one blocked.

    Two gaps are waived, one of them a missing field and one soon no longer; a third
    waiver is asked for, and what was waived of a version that is gone does not count.
    """
    with tenancy.acting_for(acme):
        a_sync(a_server(mlflow), queued_at=now(), counts={"versions": 4})
        credit, fraud = a_model(mlflow, "credit"), a_model(mlflow, "fraud")
        blocked = a_version(credit, 1, lifecycle_stage=Stage.PRODUCTION)
        judge(blocked, critical=2, high=1, missing_fields=6)
        judge(a_version(credit, 2, incomplete={"run": "It is gone."}), critical=1)
        judge(a_version(fraud, 1, lifecycle_stage=Stage.PRODUCTION), high=3)
        gone = a_version(
            fraud, 2, lifecycle_stage=Stage.PRODUCTION, absent_since=days(3)
        )
        judge(gone, critical=7)
        for version, missing, days_left in ((blocked, True, 9), (blocked, False, 90)):
            waived(version, missing, until=days_left, by=alice, asked_by=max_)
        waived(gone, True, until=200, by=alice, asked_by=max_)
        Waiver.objects.create(
            rule_id="VW-INV-001",
            scope=Waiver.Scope.ORGANIZATION,
            reason="We are moving.",
            ends_on=now().date() + timedelta(days=9),
            requested_by=max_,
        )


def waived(
    version: ModelVersion, is_missing: bool, *, until: int, by: User, asked_by: User
) -> None:
    """Let a gap of a version be waived for so many days."""
    ends_on = now().date() + timedelta(days=until)
    gap = a_gap(
        version,
        rule_id="VW-FIELD-OWNER" if is_missing else "VW-TEST-waived",
        kind=Gap.Kind.MISSING_FIELD if is_missing else Gap.Kind.RULE,
    )
    gap.waiver = Waiver.objects.create(
        gap=gap,
        rule_id=gap.rule_id,
        scope=Waiver.Scope.GAP,
        status=Waiver.Status.APPROVED,
        reason="We are moving.",
        ends_on=ends_on,
        requested_by=asked_by,
        decided_by=by,
        decided_at=now(),
    )
    gap.status, gap.waived_until = Gap.Status.WAIVED, ends_on
    gap.save()


def tiles(visitor: Visitor) -> dict[str, tuple[int, str, str]]:
    """Return the numbers: label -> (count, address, tone)."""
    return {
        words: (
            int(count.replace(",", "")),
            address.replace("&amp;", "&"),
            tone.strip(),
        )
        for tone, address, count, words in TILE.findall(visitor.page(""))
    }


def test_each_number_counts_what_is_there(olga: User, registry: None) -> None:
    numbers = tiles(Visitor(olga))

    assert {label: count for label, (count, _, _) in numbers.items()} == {
        "Models": 2,
        "Versions in production": 2,
        "In production with critical gaps": 1,
        "Open critical gaps": 3,
        "Open high gaps": 4,
        "Incomplete records": 1,
        "Waived gaps": 2,
        "Waivers to be decided on": 1,
        "Waivers expiring in 30 days": 1,
    }
    assert numbers["In production with critical gaps"][2] == "vw-alarm"
    assert numbers["Models"][2] == ""


def test_each_number_leads_to_the_rows_that_it_counts(
    olga: User, registry: None
) -> None:
    visitor = Visitor(olga)

    for label, (count, address, _) in tiles(visitor).items():
        rows = visitor.rows(address.removeprefix("/console/"))
        assert len(rows) == count, label


def test_a_number_that_is_zero_alarms_nobody(
    acme: Organization, olga: User, mlflow: Source
) -> None:
    with tenancy.acting_for(acme):
        a_server(mlflow)

    assert {tone for _, _, tone in tiles(Visitor(olga)).values()} == {""}


def test_the_overview_says_how_fresh_each_server_is(
    acme: Organization, olga: User, registry: None
) -> None:
    with tenancy.acting_for(acme):
        a_server(a_source("Research MLflow"))
        failed = a_server(a_source("Broken MLflow"))
        a_sync(failed, queued_at=days(2), started_at=days(2))
        a_sync(failed, status=SyncRun.Status.FAILED, error="It refused.")

    text = Visitor(olga).text("")

    assert "Production MLflow Succeeded synced just now · 2 models" in text
    assert "Research MLflow never synced" in text
    assert re.search(
        r"Broken MLflow Failed tried .* ago , last read .* ago · 0 models · It refused",
        text,
    )


def test_the_overview_says_what_changed(
    acme: Organization, olga: User, mlflow: Source
) -> None:
    with tenancy.acting_for(acme):
        a_server(mlflow)
        a_registry(mlflow, models=1)

    text = Visitor(olga).text("")

    assert "model-000 version 2 None → Production alias champion" in text
    assert "Opened model-000 version 1 VW-TEST-high-0" in text


def test_the_overview_says_that_a_serving_version_is_gone(
    acme: Organization, olga: User, mlflow: Source
) -> None:
    with tenancy.acting_for(acme):
        a_sync(a_server(mlflow))
        serving, idle = a_model(mlflow, "serving"), a_model(mlflow, "idle")
        for model, stage in ((serving, "Production"), (idle, "None")):
            bounds = (days(1), days(2))
            a_stage_move(a_version(model), stage, "", bounds, told_by="")

    moves = Visitor(olga).text("")

    assert "serving version 1 Production → no longer told" in moves
    assert "idle version 1" not in moves


def test_without_a_server_the_overview_says_what_to_do(alice: User, olga: User) -> None:
    assert "/console/mlflow_sync/trackingserver/add/" in Visitor(alice).page("")
    assert "An administrator of Acme Bank can add one." in Visitor(olga).text("")
    assert "trackingserver/add" not in Visitor(olga).page("")


def test_the_overview_of_another_organization_is_its_own(
    bob: User, registry: None
) -> None:
    assert "No tracking server yet" in Visitor(bob).text("")


def test_a_list_of_unregistered_models_says_whether_anybody_looks(
    acme: Organization, alice: User
) -> None:
    path, told = "inventory/unregisteredmodel/", "They are not looked for"
    with tenancy.acting_for(acme):
        server = a_server(a_source())
    assert told in Visitor(alice).text(path)

    with tenancy.acting_for(acme):
        server.find_unregistered = True
        server.save()
    assert told not in Visitor(alice).text(path)


def test_a_large_registry_takes_no_more_queries_than_a_small_one(
    acme: Organization, olga: User, mlflow: Source
) -> None:
    with tenancy.acting_for(acme):
        a_sync(a_server(mlflow))
        a_registry(mlflow, models=3)
    visitor = Visitor(olga)
    few = visitor.queries("")
    with tenancy.acting_for(acme):
        for number in range(20):
            a_sync(a_server(a_source(f"Source {number}")))
        a_registry(a_source("Other"), models=57)

    assert visitor.queries("") == few <= MOST_QUERIES


# Around every page


@pytest.mark.parametrize(
    "path", ["", "inventory/registeredmodel/", "mlflow_sync/syncrun/"]
)
def test_every_page_says_which_organization_it_is_about(
    olga: User, registry: None, path: str
) -> None:
    page = Visitor(olga).page(path)

    assert page.count("Acme Bank") >= 2  # in the menu, and in the bar of narrow screens
    assert "Compliance officer" in page
    assert "choose-organization" not in page
    assert "/console/organization/" not in page  # there is no other to choose


def test_who_is_in_several_organizations_chooses_one(
    acme: Organization, borealis: Organization, alice: User, registry: None
) -> None:
    with tenancy.acting_for(borealis):
        Membership.objects.create(user=alice, role=Role.AUDITOR)
    visitor = Visitor(alice)
    page = visitor.page("")
    assert re.search(
        rf'<form[^>]* action="/console/organization/">.*?'
        rf'name="organization" value="{borealis.pk}"',
        page,
        re.DOTALL,
    )

    visitor.post("organization/", organization=borealis.pk)

    text = words(visitor.page(""))
    assert "You are in Borealis Health now." in text
    assert "No tracking server yet" in text


@pytest.mark.parametrize(
    ("who", "offered"),
    [("alice", {"Members", "Audit trail"}), ("olga", {"Audit trail"}), ("max_", set())],
)
def test_the_menu_offers_what_the_role_may_see(
    request: pytest.FixtureRequest, registry: None, who: str, offered: set[str]
) -> None:
    page = Visitor(request.getfixturevalue(who)).page("")

    menu = set(re.findall(r"<span>([A-Z][\w ]+)</span>", page))
    assert {"Overview", "Models", "Versions", "Gaps", "Tracking servers"} <= menu
    assert menu & {"Members", "Audit trail"} == offered


def test_pages_have_a_main_part_and_a_way_past_the_menu(
    olga: User, registry: None
) -> None:
    page = Visitor(olga).page("inventory/registeredmodel/")

    assert page.count("<main") == 1
    assert 'href="#content">Skip to the content</a>' in page
    assert page.count("<h1") == 1


@pytest.mark.parametrize(
    "path", ["", "inventory/registeredmodel/", "mlflow_sync/trackingserver/add/"]
)
def test_nothing_comes_from_another_host_and_no_script_is_inline(
    alice: User, registry: None, path: str
) -> None:
    page = Visitor(alice).page(path)

    addresses = re.findall(r'(?:src|href|action)="([^"]+)"', page)
    assert not [a for a in addresses if a.startswith(("http:", "https:", "//"))]
    assert not re.search(r"<script(?![^>]* src=)", page)
    assert not re.search(r"\son\w+=", page)


def test_the_sign_in_page_asks_for_an_e_mail_address(alice: User) -> None:
    browser = Client()
    page = browser.get("/console/login/").content.decode()
    assert 'type="email" name="username"' in page
    assert "E-mail address" in page

    refused = browser.post(
        "/console/login/", {"username": "<b>alice", "password": "wrong"}
    )
    assert "&lt;b&gt;alice" in refused.content.decode()
    assert "<b>alice" not in refused.content.decode()
    assert 'role="alert"' in refused.content.decode()

    welcome = browser.post(
        "/console/login/?next=/console/compliance/gap/",
        {
            "username": "Alice@Example.org",
            "password": PASSWORD,
            "next": "/console/compliance/gap/",
        },
    )
    assert welcome["Location"] == "/console/compliance/gap/"


def test_who_tries_too_often_is_told_for_how_long_it_is_locked(
    alice: User, settings: Any
) -> None:
    settings.AXES_FAILURE_LIMIT = 2
    wrong = {"username": alice.email, "password": "wrong"}
    browser = Client()
    assert (
        "The e-mail address or the password is wrong."
        in browser.post("/console/login/", wrong).content.decode()
    )

    answer = browser.post("/console/login/", wrong)

    assert answer.status_code == 429
    page = answer.content.decode()
    assert "nobody can sign in to the account for 15 minutes" in page
    assert "verifywise/console" in page


def test_a_page_that_is_not_open_says_so_in_a_sentence(
    olga: User, registry: None
) -> None:
    visitor = Visitor(olga)

    refused = visitor.page("mlflow_sync/trackingserver/add/", answers=403)
    assert "<h1>Not open to you</h1>" in refused
    assert "not open to your role" in refused
    lost = visitor.page("nowhere/at/all/", answers=404)
    assert "<h1>Nothing here</h1>" in lost


def test_pages_of_the_console_are_for_members_only(registry: None) -> None:
    answer: Any = Client().get("/console/inventory/registeredmodel/")

    assert answer.status_code == 302
    assert answer["Location"].startswith("/console/login/")


def test_a_gap_is_found_by_its_model_and_its_words(
    acme: Organization, olga: User, registry: None
) -> None:
    visitor = Visitor(olga)
    with tenancy.acting_for(acme):
        credit = ModelVersion.objects.filter(registered_model__name="credit")[0]
        closed = Gap.objects.filter(version=credit)[0]
        closed.close(at=now())
        closed.save()
        model = credit.registered_model_id

    assert len(visitor.rows("compliance/gap/")) == 6
    assert len(visitor.rows("compliance/gap/", q="fraud")) == 3
    assert len(visitor.rows("compliance/gap/", model=model)) == 3
    assert len(visitor.rows("compliance/gap/", status="closed")) == 1
    assert len(visitor.rows("compliance/gap/", status="absent")) == 7
    assert len(visitor.rows("compliance/gap/", kind="missing_field")) == 6
    assert len(visitor.rows("compliance/gap/", severity="high", q="credit")) == 1
    assert len(visitor.rows("compliance/gap/", rule="VW-TEST-high-0")) == 2


def test_signing_out_leads_to_the_sign_in_page(olga: User) -> None:
    browser = signed_in(olga)
    browser.post("/console/logout/")

    assert browser.get("/console/").status_code == 302
