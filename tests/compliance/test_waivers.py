"""The life of a waiver: asked for, decided on by somebody else, over; and its gaps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts import audit
from accounts.exceptions import NotAllowed
from accounts.models import AuditEvent, Membership, Organization, User
from accounts.roles import MAY, Permission, Role
from accounts.tenancy import acting_for
from compliance import catalogue, waivers
from compliance.engine import Rulebook, rulebook
from compliance.evaluation import evaluate_organization
from compliance.exceptions import WaiverSettled
from compliance.models import Evaluation, Gap, ResultChange, Waiver
from compliance.waivers import Terms
from inventory.models import ModelVersion, RegisteredModel
from tests.compliance.conftest import TODAY, TOMORROW, change
from tests.conftest import member
from tests.rows import a_model, a_source, a_version

OWNER = "VW-INV-001"
Kind, Status = Waiver.Kind, Waiver.Status


def in_days(count: int) -> date:
    return now().date() + timedelta(days=count)


def terms(**told: Any) -> Terms:
    usual = {"kind": Kind.WAIVER, "reason": "We are moving.", "ends_on": in_days(90)}
    return Terms(**(usual | told))


@contextmanager
def acting(user: User) -> Iterator[None]:
    membership = Membership.objects.get(user=user)
    organization = membership.organization
    with acting_for(organization, actor=user, role=Role(membership.role)):
        yield


@pytest.fixture
def gap(acme: Organization, make_version: Callable[..., ModelVersion]) -> Gap:
    """An open gap: nobody owns the version."""
    make_version(owner="")
    evaluate_organization(acme, at=TODAY)
    return Gap.objects.get(rule_id=OWNER)


def asked(gap: Gap, by: User, **told: Any) -> Waiver:
    with acting(by):
        return waivers.ask_for_gaps([gap], terms(**told))[0]


def approved(gap: Gap, by: User, of: User, **told: Any) -> Waiver:
    waiver = asked(gap, of, **told)
    with acting(by):
        return waivers.approve(waiver, reason="Until the move is over.")


def everywhere(by: User, decided_by: User, rule_id: str = OWNER, **of: Any) -> Waiver:
    with acting(by):
        waiver = waivers.ask_for_rule(rule_id, terms(), **of)
    with acting(decided_by):
        return waivers.approve(waiver, reason="Agreed.")


def over(waiver: Waiver) -> None:
    """Let the last day of a waiver be yesterday, as time does it."""
    Waiver.objects.filter(pk=waiver.pk).update(ends_on=in_days(-1))
    Gap.objects.filter(waiver=waiver).update(waived_until=in_days(-1))


def counts(version: ModelVersion) -> dict[str, int]:
    evaluation = Evaluation.objects.get(version=version)
    return {name: getattr(evaluation, name) for name in Evaluation.COUNTS}


def again(gap: Gap) -> Gap:
    return Gap.objects.get(pk=gap.pk)


def told(gap: Gap) -> list[tuple[str, str]]:
    changes = ResultChange.objects.filter(gap=gap).order_by("id")
    return [(change.event, change.detail) for change in changes]


# The life of a waiver


def test_an_approved_waiver_takes_the_gap_out_of_the_open_ones_and_counts_it_apart(
    gap: Gap, max_: User, olga: User
) -> None:
    before = counts(gap.version)

    waiver = approved(gap, olga, max_)

    assert waiver.is_in_force
    assert (waiver.requested_by, waiver.decided_by) == (max_, olga)
    assert again(gap).is_waived
    assert not Gap.objects.open().filter(pk=gap.pk).exists()
    assert Gap.objects.waived().get() == gap
    assert counts(gap.version) == before | {"high": before["high"] - 1, "waived": 1}
    ends = f"{waiver.ends_on:%-d %B %Y}"
    assert told(gap) == [
        ("waived", f"Waived until {ends}, approved by Olga: We are moving.")
    ]


def test_the_rule_of_a_waived_gap_still_fails(
    acme: Organization, gap: Gap, max_: User, olga: User
) -> None:
    approved(gap, olga, max_)
    evaluate_organization(acme)

    evaluation = Evaluation.objects.get(version=gap.version)
    assert evaluation.results[OWNER]["verdict"] == "fail"
    assert again(gap).is_waived


def test_a_request_waives_nothing_yet(gap: Gap, max_: User) -> None:
    assert asked(gap, max_).is_requested
    assert again(gap).is_open


def test_each_act_is_one_entry_of_the_trail_with_its_reason(
    acme: Organization, gap: Gap, max_: User, olga: User
) -> None:
    waiver = approved(gap, olga, max_)
    with acting(olga):
        waivers.revoke(waiver, reason="The move is off.")
    with acting_for(acme):
        audit.seal()
    entries = AuditEvent.objects.filter(action__startswith="waiver.")

    assert [
        (entry.action, entry.actor_name, entry.reason)
        for entry in entries.order_by("sequence")
    ] == [
        ("waiver.requested", "Max", "We are moving."),
        ("waiver.approved", "Olga", "Until the move is over."),
        ("waiver.revoked", "Olga", "The move is off."),
    ]
    approval = entries.get(action="waiver.approved")
    assert approval.changes["waived"] == 1
    assert approval.object_label == "Waiver for VW-INV-001 on credit-scoring version 1"


def test_a_revoked_waiver_opens_the_gap_again_and_says_who_and_why(
    gap: Gap, max_: User, olga: User
) -> None:
    before = counts(gap.version)
    waiver = approved(gap, olga, max_)
    with acting(olga):
        waiver = waivers.revoke(waiver, reason="The move is off.")

    assert waiver.status == Status.REVOKED
    assert again(gap).is_open
    assert again(gap).waiver is None
    assert counts(gap.version) == before
    assert told(gap)[-1] == (
        "unwaived",
        "The waiver was revoked by Olga: The move is off.",
    )


def test_a_refused_request_and_a_withdrawn_one_waive_nothing(
    gap: Gap, max_: User, olga: User
) -> None:
    first = asked(gap, max_)
    with acting(olga):
        first = waivers.refuse(first, reason="It is a day's work.")
    second = asked(gap, max_)
    with acting(max_):
        second = waivers.withdraw(second, reason="We did it.")

    assert (first.status, first.decided_by) == (Status.REFUSED, olga)
    assert (second.status, second.ended_by) == (Status.WITHDRAWN, max_)
    assert again(gap).is_open


def test_not_applicable_needs_a_reason_and_no_end(
    gap: Gap, max_: User, olga: User
) -> None:
    approved(gap, olga, max_, kind=Kind.NOT_APPLICABLE, ends_on=None)

    assert again(gap).is_waived
    assert again(gap).waived_until is None
    assert told(gap)[-1][1] == "Not applicable, approved by Olga: We are moving."
    with pytest.raises(ValidationError) as refused:
        asked(gap, max_, kind=Kind.NOT_APPLICABLE, reason=" ")
    assert set(refused.value.message_dict) == {"reason"}


def test_a_waiver_is_renewed_by_another_that_takes_over(
    gap: Gap, max_: User, olga: User
) -> None:
    first = approved(gap, olga, max_, ends_on=in_days(10))
    with acting(max_):
        renewal = waivers.renew(first, reason="It takes longer.", ends_on=in_days(60))
    with acting(olga):
        waivers.approve(renewal, reason="Once more.")
    assert renewal.renews == first
    assert again(gap).waived_until == in_days(60)

    over(first)
    assert waivers.lapse() == 1

    assert again(gap).is_waived
    assert [event for event, _ in told(gap)] == ["waived"]


def test_only_what_is_in_force_or_expired_can_be_renewed(
    gap: Gap, max_: User, olga: User
) -> None:
    waiver = asked(gap, max_)
    with acting(max_), pytest.raises(WaiverSettled, match="is asked for, and not"):
        waivers.renew(waiver, reason="Longer.", ends_on=in_days(60))
    with acting(olga):
        waivers.refuse(waiver, reason="No.")
    with (
        acting(max_),
        pytest.raises(WaiverSettled, match="is refused already, by Olga"),
    ):
        waivers.renew(waiver, reason="Longer.", ends_on=in_days(60))


# Who may


def test_nobody_decides_on_what_they_asked_for(
    acme: Organization, gap: Gap, olga: User
) -> None:
    waiver = asked(gap, olga)
    for act in (waivers.approve, waivers.refuse):
        with acting(olga), pytest.raises(NotAllowed, match="asked for themselves"):
            act(waiver, reason="I say so.")
    assert again(gap).is_open
    with pytest.raises(IntegrityError), transaction.atomic():
        Waiver.objects.filter(pk=waiver.pk).update(
            status=Status.APPROVED, decided_by=olga, decided_at=now(), decision="Mine."
        )


@pytest.mark.parametrize("role", Role)
def test_the_role_table_says_who_asks_and_who_approves(
    acme: Organization, gap: Gap, max_: User, role: Role
) -> None:
    rita = member(acme, "Rita", role)
    if role in MAY[Permission.ASK_WAIVER]:
        with acting(rita):
            waivers.withdraw(asked(gap, rita), reason="Never mind.")
    else:
        with pytest.raises(NotAllowed, match="“Ask for a waiver” is not open"):
            asked(gap, rita)
    waiver = asked(gap, max_)
    with acting(rita):
        if role in MAY[Permission.APPROVE_WAIVER]:
            waivers.approve(waiver, reason="Agreed.")
            return
        for act in (waivers.approve, waivers.refuse, waivers.revoke):
            with pytest.raises(NotAllowed, match="“Approve a waiver” is not open"):
                act(waiver, reason="Agreed.")


def test_only_who_asked_withdraws(gap: Gap, max_: User, olga: User) -> None:
    waiver = asked(gap, max_)
    with acting(olga), pytest.raises(NotAllowed, match="Only Max can withdraw"):
        waivers.withdraw(waiver, reason="Tidying up.")


def test_work_without_a_person_neither_asks_nor_approves(
    acme: Organization, gap: Gap, max_: User
) -> None:
    waiver = asked(gap, max_)
    for act in (
        lambda: waivers.ask_for_gaps([gap], terms()),
        lambda: waivers.approve(waiver, reason="Agreed."),
    ):
        with acting_for(acme), pytest.raises(NotAllowed, match="by a person"):
            act()


def test_of_two_who_decide_at_once_the_second_is_told_so(
    acme: Organization, gap: Gap, max_: User, olga: User
) -> None:
    otto = member(acme, "Otto", Role.COMPLIANCE_OFFICER)
    waiver = asked(gap, max_)
    stale = Waiver.objects.get(pk=waiver.pk)
    with acting(olga):
        waivers.approve(waiver, reason="Agreed.")
    with (
        acting(otto),
        pytest.raises(WaiverSettled, match="is approved already, by Olga"),
    ):
        waivers.refuse(stale, reason="No.")
    assert Waiver.objects.get().decided_by == olga


# What is asked for


@pytest.mark.parametrize(
    ("fault", "field", "words"),
    [
        ({"reason": "  "}, "reason", "Say why"),
        ({"ends_on": None}, "ends_on", "say until when"),
        ({"ends_on": in_days(-1)}, "ends_on", "has to be after today"),
        ({"ends_on": in_days(0)}, "ends_on", "has to be after today"),
        ({"ends_on": in_days(367)}, "ends_on", "366 days at most"),
        (
            {"kind": Kind.NOT_APPLICABLE, "ends_on": in_days(-1)},
            "ends_on",
            "has to be after today",
        ),
    ],
)
def test_a_fault_is_named_by_its_field_and_nothing_is_asked_for(
    gap: Gap, max_: User, fault: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(ValidationError, match=words) as refused:
        asked(gap, max_, **fault)
    assert set(refused.value.message_dict) == {field}
    assert not Waiver.objects.exists()


def test_how_long_a_waiver_may_last_is_a_setting(
    gap: Gap, max_: User, settings: Any
) -> None:
    settings.WAIVER_MAX_DAYS = 30
    assert asked(gap, max_, ends_on=in_days(30)).is_requested
    with pytest.raises(ValidationError, match="30 days at most"):
        asked(gap, max_, ends_on=in_days(31))


@pytest.mark.parametrize(
    ("rule_id", "words"),
    [
        ("", "Name the rule"),
        ("VW-NOPE-001", "There is no rule VW-NOPE-001"),
    ],
)
def test_a_rule_that_there_is_not_cannot_be_waived(
    gap: Gap, max_: User, rule_id: str, words: str
) -> None:
    with acting(max_), pytest.raises(ValidationError, match=words) as refused:
        waivers.ask_for_rule(rule_id, terms())
    assert set(refused.value.message_dict) == {"rule_id"}


def test_a_rule_that_makes_no_gaps_cannot_be_waived(
    gap: Gap, max_: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = rulebook[OWNER]
    book = Rulebook()
    book.add(replace(rule, entry=replace(rule.entry, kind=catalogue.Kind.TRIGGER)))
    monkeypatch.setattr(waivers, "rulebook", book)
    with acting(max_), pytest.raises(ValidationError, match="makes no gaps"):
        waivers.ask_for_rule(OWNER, terms())


def test_a_rule_about_sources_is_waived_on_no_model(
    gap: Gap, credit: RegisteredModel, max_: User
) -> None:
    with acting(max_), pytest.raises(ValidationError, match="judges sources"):
        waivers.ask_for_rule("VW-OPS-002", terms(), registered_model=credit)


def test_a_closed_gap_is_not_waived(
    acme: Organization, gap: Gap, max_: User, olga: User
) -> None:
    waiver = asked(gap, max_)
    change(gap.version, at=TOMORROW, owner="max@example.org")
    evaluate_organization(acme, at=TOMORROW)

    with pytest.raises(ValidationError, match="is closed: there is nothing"):
        asked(again(gap), max_)
    with acting(olga), pytest.raises(ValidationError, match="is closed: there is"):
        waivers.approve(waiver, reason="Agreed.")


def test_the_same_is_asked_for_once(gap: Gap, max_: User, olga: User) -> None:
    waiver = asked(gap, max_)
    with pytest.raises(ValidationError, match="is asked for already"):
        asked(gap, olga)
    with acting(olga):
        waivers.approve(waiver, reason="Agreed.")
    with pytest.raises(ValidationError, match="is in force already: renew it"):
        asked(gap, max_)
    everywhere(max_, olga)
    with acting(max_), pytest.raises(ValidationError, match="is in force already"):
        waivers.ask_for_rule(OWNER, terms())


def test_each_act_wants_a_reason(gap: Gap, max_: User, olga: User) -> None:
    waiver = asked(gap, max_)
    for user, act in (
        (olga, waivers.approve),
        (olga, waivers.refuse),
        (max_, waivers.withdraw),
    ):
        with acting(user), pytest.raises(ValidationError, match="Say why"):
            act(waiver, reason="")
    with acting(olga):
        waivers.approve(waiver, reason="Agreed.")
        with pytest.raises(ValidationError, match="Say why"):
            waivers.revoke(waiver, reason=" ")


def test_a_waiver_has_one_scope_says_the_database(
    gap: Gap, credit: RegisteredModel, max_: User
) -> None:
    for wrong in (
        {"scope": "gap"},
        {"scope": "model", "gap": gap},
        {"scope": "organization", "registered_model": credit},
        {"scope": "gap", "gap": gap, "registered_model": credit},
    ):
        with pytest.raises(IntegrityError, match="one_scope"), transaction.atomic():
            Waiver.objects.create(
                **wrong,
                rule_id=OWNER,
                reason="x",
                ends_on=in_days(9),
                requested_by=max_,
            )


# The end


def test_a_waiver_that_is_over_does_not_count_even_before_the_job_comes(
    acme: Organization, gap: Gap, max_: User, olga: User
) -> None:
    waiver = approved(gap, olga, max_)
    over(waiver)
    waiver.refresh_from_db()

    assert waiver.status == Status.APPROVED
    assert waiver.current_status == Status.EXPIRED
    assert not Waiver.objects.in_force().exists()
    assert Waiver.objects.ended().get() == waiver
    assert again(gap).is_open
    assert again(gap).current_status == Gap.Status.OPEN
    assert Gap.objects.open().filter(pk=gap.pk).exists()
    assert not Gap.objects.waived().exists()


def test_the_job_ends_it_and_opens_the_gap_again(
    gap: Gap, max_: User, olga: User
) -> None:
    before = counts(gap.version)
    waiver = approved(gap, olga, max_)
    assert waivers.lapse() == 0
    over(waiver)

    assert waivers.lapse() == 1
    assert waivers.lapse() == 0

    waiver.refresh_from_db()
    assert (waiver.status, waiver.ended_by) == (Status.EXPIRED, None)
    assert again(gap).status == Gap.Status.OPEN
    assert counts(gap.version) == before
    event, words = told(gap)[-1]
    assert event == "unwaived"
    assert words == f"The waiver ended by itself on {in_days(-1):%-d %B %Y}."


def test_an_evaluation_that_comes_before_the_job_opens_the_gap_too(
    acme: Organization, gap: Gap, max_: User, olga: User
) -> None:
    before = counts(gap.version)
    over(approved(gap, olga, max_))
    change(gap.version, at=now(), data_sensitivity="public")
    evaluate_organization(acme)

    assert again(gap).status == Gap.Status.OPEN
    assert counts(gap.version)["waived"] == 0
    assert counts(gap.version)["high"] <= before["high"]
    assert told(gap)[-1][0] == "unwaived"
    assert "ended by itself" in told(gap)[-1][1]
    assert waivers.lapse() == 1
    assert counts(gap.version)["waived"] == 0


def test_a_request_that_nobody_decided_on_in_time_expires(
    gap: Gap, max_: User, olga: User
) -> None:
    waiver = asked(gap, max_)
    over(waiver)
    with acting(olga), pytest.raises(ValidationError, match="has passed"):
        waivers.approve(waiver, reason="Agreed.")
    assert waivers.lapse() == 1
    waiver.refresh_from_db()
    assert waiver.status == Status.EXPIRED


def test_the_last_day_still_counts(gap: Gap, max_: User, olga: User) -> None:
    waiver = approved(gap, olga, max_)
    Waiver.objects.update(ends_on=in_days(0))
    Gap.objects.filter(waiver=waiver).update(waived_until=in_days(0))
    assert waivers.lapse() == 0
    assert again(gap).is_waived
    assert Waiver.objects.expiring().get() == waiver


# Relapse, and what a wider scope covers


def test_a_gap_that_is_met_closes_and_a_relapse_is_waived_again(
    acme: Organization, gap: Gap, max_: User, olga: User
) -> None:
    approved(gap, olga, max_)
    change(gap.version, at=TODAY, owner="max@example.org")
    evaluate_organization(acme)
    assert again(gap).is_closed
    assert counts(gap.version)["waived"] == 0

    change(gap.version, at=TOMORROW, owner="")
    report = evaluate_organization(acme)

    assert again(gap).is_waived
    assert again(gap).reopened_at is not None
    assert counts(gap.version)["waived"] == 1
    assert (report.waived, report.reopened) == (1, 0)
    assert [event for event, _ in told(gap)] == ["waived", "closed", "waived"]


def test_a_waiver_of_a_rule_covers_all_models_and_what_comes_later(
    acme: Organization,
    gap: Gap,
    credit: RegisteredModel,
    make_version: Callable[..., ModelVersion],
    max_: User,
    olga: User,
) -> None:
    make_version(2, owner="")
    fraud = a_version(a_model(credit.source, "fraud"))
    evaluate_organization(acme)
    waiver = everywhere(max_, olga)
    assert Gap.objects.waived().count() == 3

    late = make_version(3, owner="")
    report = evaluate_organization(acme)

    assert report.waived == 1
    assert Gap.objects.get(version=late, rule_id=OWNER).is_waived
    assert counts(late)["waived"] == 1
    assert counts(fraud)["waived"] == 1
    with acting(olga):
        waivers.revoke(waiver, reason="Enough.")
    assert not Gap.objects.filter(status=Gap.Status.WAIVED).exists()
    assert counts(late)["waived"] == 0
    assert Gap.objects.open().filter(rule_id=OWNER).count() == 4


def test_a_waiver_on_a_model_covers_that_model_only(
    acme: Organization, gap: Gap, credit: RegisteredModel, max_: User, olga: User
) -> None:
    fraud = a_version(a_model(credit.source, "fraud"))
    evaluate_organization(acme)
    waiver = everywhere(max_, olga, registered_model=credit)

    assert str(waiver) == "Waiver for VW-INV-001 on credit-scoring"
    assert Gap.objects.waived().get() == gap
    assert Gap.objects.get(version=fraud, rule_id=OWNER).is_open


def test_a_missing_field_that_is_waived_is_no_missing_field(
    gap: Gap, max_: User, olga: User
) -> None:
    missing = Gap.objects.filter(kind=Gap.Kind.MISSING_FIELD).first()
    assert missing is not None
    before = counts(gap.version)
    approved(missing, olga, max_)
    after = counts(gap.version)
    assert after["missing_fields"] == before["missing_fields"] - 1
    assert (after["low"], after["waived"]) == (before["low"], 1)


def test_counts_kept_by_waivers_are_those_an_evaluation_counts(
    acme: Organization, gap: Gap, max_: User, olga: User
) -> None:
    for each in Gap.objects.open():
        approved(each, olga, max_)
    kept = {name: count for name, count in counts(gap.version).items() if count}
    change(gap.version, at=TODAY, owner="max@example.org")
    assert evaluate_organization(acme).closed == 1
    assert kept == {"waived": counts(gap.version)["waived"] + 1}
    assert counts(gap.version)["waived"] == Gap.objects.waived().count()


def test_a_waiver_in_force_and_no_change_write_nothing(
    acme: Organization, gap: Gap, max_: User, olga: User
) -> None:
    everywhere(max_, olga)
    evaluate_organization(acme)
    with CaptureQueriesContext(connection) as queries:
        report = evaluate_organization(acme)
    assert report.changed == 0
    assert not [
        query for query in queries if query["sql"].startswith(("INSERT", "UPDATE"))
    ]


# What it costs


def queries_of(act: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)


def test_an_evaluation_reads_all_waivers_at_once(
    acme: Organization,
    make_version: Callable[..., ModelVersion],
    max_: User,
    olga: User,
) -> None:
    versions = [make_version(number, owner="") for number in range(1, 4)]
    evaluate_organization(acme)

    def with_change(at: Any, *, reads: int) -> int:
        for version in versions:
            change(version, at=at, description=f"At {at}.", owner="")
        owners = {"owner": "max@example.org"} if at == TODAY else {"owner": ""}
        for version in versions:
            change(version, at=at, **owners)
        with CaptureQueriesContext(connection) as captured:
            evaluate_organization(acme, only_due=True)
        read = [
            query["sql"] for query in captured if "compliance_waiver" in query["sql"]
        ]
        assert len([sql for sql in read if sql.startswith("SELECT")]) == reads
        return len(captured)

    without = with_change(TODAY, reads=1)  # those in force
    for rule_id in (OWNER, "VW-PRIV-001", "VW-LIN-001"):
        everywhere(max_, olga, rule_id)
    # And what they say, for how the versions stand.
    assert with_change(TOMORROW, reads=2) == without + 1


def test_putting_a_waiver_in_force_costs_the_same_for_many_gaps(
    acme: Organization,
    make_version: Callable[..., ModelVersion],
    max_: User,
    olga: User,
) -> None:
    def cost() -> int:
        evaluate_organization(acme)
        with acting(max_):
            waiver = waivers.ask_for_rule(OWNER, terms())
        with acting(olga):
            count = queries_of(lambda: waivers.approve(waiver, reason="Agreed."))
            waivers.revoke(waiver, reason="Again.")
        return count

    make_version(1, owner="")
    for_one = cost()
    for number in range(2, 8):
        make_version(number, owner="")
    assert cost() == for_one
    assert for_one <= 20  # eight of them for how the versions stand


def test_asking_for_many_gaps_costs_the_same(gap: Gap, max_: User) -> None:
    gaps = list(Gap.objects.open().select_related("version__registered_model"))
    assert len(gaps) > 3
    with acting(max_):
        for_one = queries_of(lambda: waivers.ask_for_gaps(gaps[:1], terms()))
        assert queries_of(lambda: waivers.ask_for_gaps(gaps[1:], terms())) == for_one
    assert Waiver.objects.requested().count() == len(gaps)


def test_a_source_goes_with_its_waivers_when_the_demo_is_removed(
    gap: Gap, max_: User, olga: User
) -> None:
    first = approved(gap, olga, max_)
    with acting(max_):
        waivers.renew(first, reason="Longer.", ends_on=in_days(100))
    gap.version.source.delete()
    assert not Waiver.objects.exists()


# Other organizations


def test_a_waiver_covers_nothing_of_another_organization(
    borealis: Organization, gap: Gap, max_: User, olga: User
) -> None:
    everywhere(max_, olga)
    with acting_for(borealis):
        assert not Waiver.objects.exists()
        theirs = a_version(a_model(a_source()))
        evaluate_organization(borealis)
        assert Gap.objects.get(version=theirs, rule_id=OWNER).is_open
