"""The pages of the frameworks, and the same over REST."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from django.utils.timezone import now

from accounts.models import AuditEvent, Organization, User
from accounts.tenancy import acting_for
from compliance.evaluation import evaluate_organization
from compliance.frameworks.exports.formats import FORMATS
from compliance.frameworks.moments import moment_of
from inventory.models import ModelVersion
from inventory.records import Stage
from tests.callers import Caller
from tests.conftest import signed_in
from tests.pages import Visitor

PAGE = "compliance/framework/"
OWNERSHIP = f"{PAGE}ISO42001/ISO42001-A.3.2/"
NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def judged(
    acme: Organization, make_version: Callable[..., ModelVersion]
) -> list[ModelVersion]:
    """Two versions: one owned and in production, one that nobody owns."""
    versions = [
        make_version(1),
        make_version(2, owner="", lifecycle_stage=Stage.NONE.value),
    ]
    evaluate_organization(acme)
    return versions


@pytest.mark.usefixtures("judged")
def test_the_list_tells_each_framework_and_whether_it_is_in_force(olga: User) -> None:
    told = Visitor(olga).text(PAGE)
    assert "EU AI Act in force Regulation (EU) 2024/1689 (AI Act) 2" in told
    assert "SR 11-7 superseded on 17 April 2026" in told
    assert "evidence for a control, never proof of compliance" in told


@pytest.mark.usefixtures("judged")
def test_a_framework_tells_numerators_and_denominators_of_each_control(
    olga: User,
) -> None:
    told = Visitor(olga).text(f"{PAGE}ISO42001/")
    assert "A.3.2 AI roles and responsibilities assigned" in told
    assert "1 of 2" in told
    assert "A.2.2 Have an AI policy Outside what a registry can show." in told

    outside = Visitor(olga).text(f"{PAGE}ISO42001/", kind="outside")
    assert "A.2.2 Have an AI policy" in outside
    assert "A.3.2 AI roles" not in outside

    in_production = Visitor(olga).text(f"{PAGE}ISO42001/", in_production="1")
    assert "Versions 1 versions in production" in in_production


@pytest.mark.usefixtures("judged")
def test_a_control_leads_down_to_the_very_values(olga: User) -> None:
    visitor = Visitor(olga)
    told = visitor.text(OWNERSHIP)
    assert "AI roles and responsibilities assigned." in told
    assert "Owner Direct 1 of 2" in told
    assert "credit-scoring version 1 Production max@example.org" in told
    assert "credit-scoring version 2 None not told" in told

    bare = visitor.text(OWNERSHIP, evidence="none")
    assert "credit-scoring version 2" in bare
    assert "credit-scoring version 1" not in bare
    met = visitor.text(OWNERSHIP, state="met")
    assert "credit-scoring version 2" not in met


def test_as_of_a_day_the_page_tells_what_was(
    acme: Organization, olga: User, judged: list[ModelVersion]
) -> None:
    before = quote(now().isoformat())
    with acting_for(acme):
        judged[1].owner, judged[1].changed_at = "alice@example.org", now()
        judged[1].save()
        evaluate_organization(acme, only_due=True)

    visitor = Visitor(olga)
    assert "Owner Direct 2 of 2" in visitor.text(OWNERSHIP)
    past = visitor.text(f"{OWNERSHIP}?as_of={before}")
    assert "Owner Direct 1 of 2" in past
    assert "credit-scoring version 2 None not told" in past

    long_ago = visitor.text(f"{PAGE}ISO42001/", as_of="2020-01-01")
    assert "Nothing can be told of before." in long_ago
    future = visitor.page(f"{PAGE}ISO42001/", as_of="2999-01-01")
    assert "As of: 2999-01-01 is in the future. This is as of now." in future


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("", None),
        ("2026-03-31", None),
        ("2026-03-30", datetime(2026, 3, 30, 23, 59, 59, 999999, UTC)),
        ("2026-03-31T11:00:00Z", NOON - timedelta(hours=1)),
        ("2026-03-31T11:00:00", NOON - timedelta(hours=1)),
    ],
)
def test_a_day_means_its_end(told: str, meant: datetime | None) -> None:
    assert moment_of(told, now=NOON) == meant


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ("2026-04-01", "is in the future"),
        ("2026-03-31T12:00:01Z", "is in the future"),
        ("yesterday", "neither a day"),
        ("2026-02-30", "neither a day"),
        ("2026-03-31T99:00:00Z", "neither a day"),
    ],
)
def test_what_is_no_past_moment_is_refused_by_name(told: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as refused:
        moment_of(told, now=NOON)
    assert told in str(refused.value)


@pytest.mark.usefixtures("judged")
def test_a_file_is_handed_over_and_the_trail_keeps_who_took_it(
    acme: Organization, olga: User
) -> None:
    browser = signed_in(olga)
    page = Visitor(olga).page(f"{PAGE}GDPR/")
    for key in FORMATS:
        assert f"{PAGE}GDPR/export/{key}/" in page
    answer = browser.get(f"/console/{PAGE}GDPR/export/json/", {"in_production": "1"})
    told = json.loads(b"".join(answer.streaming_content))
    assert told["version_count"] == len(told["versions"]) == 1
    over_rest = browser.get("/api/frameworks/GDPR/export/", {"format": "xlsx"})
    assert b"".join(over_rest.streaming_content).startswith(b"PK")
    day = now().date()
    assert answer["Content-Disposition"] == (
        f'attachment; filename="acme-GDPR-{day}.json"'
    )
    with acting_for(acme):
        events = AuditEvent.objects.filter(action="framework.exported")
        files = [event.changes["file"] for event in events.order_by("sequence")]
    assert files == [f"acme-GDPR-{day}.json", f"acme-GDPR-{day}.xlsx"]

    Visitor(olga).page(f"{PAGE}GDPR/export/pdf/", answers=404)
    caller = Caller(olga, browser)
    assert "format" in caller.fault("frameworks/GDPR/export/")
    assert "format" in caller.fault("frameworks/GDPR/export/", format="pdf")


@pytest.mark.usefixtures("judged")
def test_the_role_table_says_who_takes_a_file(
    acme: Organization, audrey: User, max_: User
) -> None:
    path = f"{PAGE}GDPR/export/json/"
    assert path in Visitor(audrey).page(f"{PAGE}GDPR/")
    assert signed_in(audrey).get(f"/console/{path}").status_code == 200

    assert path not in Visitor(max_).page(f"{PAGE}GDPR/")
    caller = Caller(max_, signed_in(max_))
    assert signed_in(max_).get(f"/console/{path}").status_code == 403
    status, told = caller.get("frameworks/GDPR/export/", format="json")
    assert status == 403
    assert told["detail"] == "“Export” is not open to the role “ML engineer”."
    with acting_for(acme):
        taken = AuditEvent.objects.filter(action="framework.exported")
        assert taken.count() == 1
        refused = AuditEvent.objects.filter(action="act.refused")
        assert refused.count() == 2


@pytest.mark.usefixtures("judged")
def test_nobody_else_sees_the_frameworks(charlie: User, bob: User) -> None:
    assert signed_in(charlie).get(f"/console/{PAGE}").status_code in (302, 403)
    assert "0 versions as of now" in Visitor(bob).text(PAGE)
    told = Caller(bob, signed_in(bob)).results("frameworks/")
    assert {row["versions"] for row in told} == {0}
    for path in (f"{PAGE}NOPE/", f"{PAGE}GDPR/EUAIA-9.8/"):
        Visitor(bob).page(path, answers=404)


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}EUAIA/", OWNERSHIP])
def test_a_page_costs_the_same_for_one_version_and_for_many(
    acme: Organization,
    olga: User,
    make_version: Callable[..., ModelVersion],
    path: str,
) -> None:
    visitor = Visitor(olga)
    make_version(1)
    evaluate_organization(acme)
    visitor.page(path)
    cost = visitor.queries(path)
    for number in range(2, 30):
        make_version(number, owner="")
    evaluate_organization(acme)
    visitor.page(path)
    assert visitor.queries(path) == cost
    assert cost <= (15 if path != OWNERSHIP else 22)


# Over REST


@pytest.mark.usefixtures("judged")
def test_the_api_tells_the_same(olga: User) -> None:
    caller = Caller(olga, signed_in(olga))
    rows = {row["id"]: row for row in caller.results("frameworks/")}
    assert rows["ISO42001"]["versions"] == 2
    assert rows["ISO42001"]["with_gaps"] > 0

    _, told = caller.get("frameworks/ISO42001/")
    (ownership,) = [c for c in told["controls"] if c["id"] == "ISO42001-A.3.2"]
    assert ownership["evidence"] == {"direct": 1, "partial": 0, "context": 0, "none": 1}
    assert ownership["fields"] == [
        {"field": "owner", "title": "Owner", "strength": "direct", "known": 1}
    ]
    (line,) = caller.results(
        "frameworks/ISO42001/versions/", control="ISO42001-A.3.2", evidence="none"
    )
    assert (line["model"], line["version"]) == ("credit-scoring", 2)
    assert line["values"] == {"owner": {"value": None, "told_by": ""}}
    assert {gap["rule_id"] for gap in line["gaps"]} >= {"VW-INV-001"}


@pytest.mark.usefixtures("judged")
def test_the_api_names_what_it_cannot_use(olga: User) -> None:
    caller = Caller(olga, signed_in(olga))
    assert caller.fault("frameworks/", as_of="2999-01-01") == {
        "as_of": "2999-01-01 is in the future."
    }
    assert "neither a day" in caller.fault("frameworks/GDPR/", as_of="soon")["as_of"]
    assert "page" in caller.fault("frameworks/GDPR/", page="1")
    path = "frameworks/GDPR/versions/"
    assert caller.fault(path, control="EUAIA-9.8") == {
        "control": "GDPR has no control EUAIA-9.8."
    }
    assert "control" in caller.fault(path, evidence="none")
    assert "state" in caller.fault(path, control="GDPR-5.2", state="green")
    assert caller.get("frameworks/NOPE/")[0] == 404
