"""Gaps as work: who may give them to whom, and that no judgement takes it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.utils.timezone import now

from accounts import tenancy
from accounts.exceptions import NotAllowed
from accounts.models import AuditEvent, Membership, Organization, User
from accounts.roles import Permission, Role, may
from compliance import gaps as reconciling
from compliance import work
from compliance.admin.happenings import happenings
from compliance.evaluation import evaluate_organization
from compliance.models import Gap, GapComment
from inventory.models import ModelVersion, Source
from tests.compliance.conftest import TODAY, TOMORROW, YESTERDAY, change
from tests.conftest import member
from tests.rows import a_gap, a_model, a_name, a_version

OWNER = "VW-INV-001"


def in_days(count: int) -> date:
    return now().date() + timedelta(days=count)


@pytest.fixture
def as_olga(acme: Organization, olga: User) -> Iterator[None]:
    with tenancy.acting_for(acme, actor=olga, role=Role.COMPLIANCE_OFFICER):
        yield


@pytest.fixture
def gap(version: ModelVersion) -> Gap:
    return a_gap(version)


def told(gap: Gap) -> tuple[str | None, date | None]:
    row = Gap.objects.select_related("owner").get(pk=gap.pk)
    return (row.owner.name if row.owner else None, row.due_on)


# What a person decides, no judgement takes back


def test_owner_due_date_and_comments_stay_through_closing_and_reopening(
    acme: Organization, as_olga: None, max_: User, version: ModelVersion
) -> None:
    def judge(owner: str, at: Any) -> Gap:
        change(version, at=at, owner=owner)
        evaluate_organization(acme, at=at)
        return Gap.objects.get(rule_id=OWNER)

    gap = judge("", YESTERDAY)
    work.assign([gap], owner=max_)
    work.set_due([gap], due_on=in_days(3))
    work.comment([gap], text=" Max is on it. ")

    assert judge("max@example.org", TODAY).is_closed
    assert told(gap) == ("Max", in_days(3))
    assert judge("", TOMORROW).is_open
    assert told(gap) == ("Max", in_days(3))
    assert [each.text for each in gap.comments.all()] == ["Max is on it."]


def test_what_is_assigned_between_the_reading_and_the_writing_of_a_judgement_stays(
    acme: Organization,
    as_olga: None,
    max_: User,
    version: ModelVersion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change(version, at=YESTERDAY, owner="")
    evaluate_organization(acme, at=YESTERDAY)
    gap = Gap.objects.get(rule_id=OWNER)
    covers = reconciling.covers_in_force

    def assigned_meanwhile(today: date) -> Any:
        """Run when the gaps have been read, and before they are written."""
        work.assign([gap], owner=max_)
        work.set_due([gap], due_on=in_days(3))
        return covers(today)

    monkeypatch.setattr(reconciling, "covers_in_force", assigned_meanwhile)
    change(version, at=TODAY, owner="max@example.org")
    evaluate_organization(acme, at=TODAY)

    assert Gap.objects.get(pk=gap.pk).is_closed
    assert told(gap) == ("Max", in_days(3))


# The acts


def test_many_gaps_are_given_to_a_member_and_to_nobody(
    as_olga: None,
    max_: User,
    version: ModelVersion,
    django_assert_num_queries: Callable[..., Any],
) -> None:
    gaps = [a_gap(version, rule_id=f"R-{number}") for number in range(9)]
    with django_assert_num_queries(4):
        assert len(work.assign(gaps, owner=max_).changed) == 9
    assert work.assign(gaps, owner=max_).changed == []
    assert Gap.objects.filter(owner=max_).count() == 9
    work.assign(gaps[:8], owner=None)
    assert Gap.objects.get(owner=max_).rule_id == "R-8"


def test_gaps_are_given_to_whom_the_owners_of_their_models_name(
    acme: Organization, as_olga: None, max_: User, source: Source
) -> None:
    nina = member(acme, "Nina", Role.ML_ENGINEER)
    member(acme, "Audrey", Role.AUDITOR)
    a_name(nina, "Team Lending")
    model = a_model(source)
    owners = [" MAX@example.org", "team  lending", "Branch", "Branch", ""]
    gaps = [
        a_gap(a_version(model, number, owner=owner))
        for number, owner in enumerate([*owners, "audrey@example.org"], start=1)
    ]
    gaps.append(a_gap(source=source))

    done = work.assign_to_model_owners(gaps)

    assert [told(gap)[0] for gap in gaps] == ["Max", "Nina", *[None] * 5]
    assert len(done.changed) == 2
    assert done.left == {"Branch": 2, "": 2, "audrey@example.org": 1}
    assert "2 of “Branch”, who is no member that could close them" in (
        done.left_in_words
    )


@pytest.mark.parametrize(
    ("act", "field", "words"),
    [
        (lambda gaps, who: work.assign(gaps, owner=who), "owner", "Max is not an"),
        (lambda gaps, _: work.set_due(gaps, due_on=in_days(-1)), "due_on", "passed"),
        (lambda gaps, _: work.comment(gaps, text=" "), "text", "not empty"),
        (lambda gaps, _: work.comment(gaps, text="x" * 10_001), "text", "10,000"),
        (lambda _, who: work.assign([], owner=who), "gaps", "Choose a gap"),
        (lambda gaps, _: work.set_due(gaps * 201, due_on=None), "gaps", "200 gaps"),
    ],
)
def test_a_fault_is_named_and_nothing_changes(
    as_olga: None,
    max_: User,
    gap: Gap,
    act: Callable[[list[Gap], User], Any],
    field: str,
    words: str,
) -> None:
    Membership.objects.get(user=max_).delete()
    with pytest.raises(ValidationError) as refused:
        act([gap], max_)
    assert words in refused.value.message_dict[field][0]
    assert told(gap) == (None, None)
    assert not GapComment.objects.exists()


def test_one_closed_gap_keeps_all_from_being_assigned_but_can_be_commented_on(
    as_olga: None, max_: User, version: ModelVersion, gap: Gap
) -> None:
    closed = a_gap(version, rule_id="R-2", status="closed", closed_at=TODAY)
    for act in (
        lambda gaps: work.assign(gaps, owner=max_),
        work.assign_to_model_owners,
        lambda gaps: work.set_due(gaps, due_on=in_days(0)),
    ):
        with pytest.raises(ValidationError, match="is closed: there is"):
            act([gap, closed])
    assert told(gap) == (None, None)
    assert work.comment([closed], text="It was the wrong tag.")


@pytest.mark.parametrize("role", Role)
def test_who_may_work_on_gaps(acme: Organization, gap: Gap, role: Role) -> None:
    somebody = member(acme, "Somebody", role)
    with tenancy.acting_for(acme, actor=somebody, role=role):
        for act in (
            lambda: work.assign([gap], owner=None),
            lambda: work.assign_to_model_owners([gap]),
            lambda: work.set_due([gap], due_on=None),
            lambda: work.comment([gap], text="Fine."),
        ):
            if may(role, Permission.WORK_ON_GAPS):
                act()
            else:
                with pytest.raises(NotAllowed):
                    act()
    workers = {each.user for each in work.workers()}
    assert (somebody in workers) == (role is not Role.AUDITOR)


def test_a_comment_is_never_changed(as_olga: None, gap: Gap) -> None:
    (comment,) = work.comment([gap], text="As it was said.")
    with pytest.raises(DatabaseError, match="stays as it was"), transaction.atomic():
        GapComment.objects.filter(pk=comment.pk).update(text="Otherwise.")


# What happened


@pytest.mark.django_db(transaction=True)
def test_acts_comments_and_judgements_are_told_in_the_order_of_time(
    acme: Organization, olga: User, max_: User
) -> None:
    with tenancy.acting_for(acme):
        source = Source.objects.create(name="MLflow")
        version = a_version(a_model(source), owner="")
        evaluate_organization(acme)
        gap = Gap.objects.get(rule_id=OWNER)
    for act in (
        lambda: work.assign([gap], owner=max_),
        lambda: work.set_due([gap], due_on=date(2099, 5, 4)),
        lambda: work.comment([gap], text="He is back on Monday."),
        lambda: work.set_due([gap], due_on=None),
        lambda: work.assign([gap], owner=None),
    ):
        with tenancy.acting_for(acme, actor=olga, role=Role.COMPLIANCE_OFFICER):
            act()
    with tenancy.acting_for(acme):
        change(version, at=now(), owner="max@example.org")
        evaluate_organization(acme, at=now())
        told = [
            each.words or each.comment or (each.change and each.change.event)
            for each in happenings(gap)
        ]
        assert told == [
            "closed",
            "took it from max@example.org",
            "took its due date away",
            "He is back on Monday.",
            "set its due date to 4 May 2099",
            "assigned it to max@example.org",
        ]
        event = AuditEvent.objects.get(action="gap.commented")
        assert event.changes == {"comment": "He is back on Monday."}
        assert event.actor == olga
