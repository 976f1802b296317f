"""Two people, or a person and an evaluation, at the same moment: with real transactions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils.timezone import now

from accounts.models import Organization, User
from accounts.roles import Role
from accounts.tenancy import acting_for
from compliance import waivers
from compliance.evaluation import evaluate_organization
from compliance.exceptions import WaiverSettled
from compliance.models import Evaluation, Gap, Waiver
from inventory.models import ModelVersion
from tests.conftest import member
from tests.rows import a_model, a_source, a_version

pytestmark = pytest.mark.django_db(transaction=True)
OWNER = "VW-INV-001"


@pytest.fixture
def gap(acme: Organization) -> Gap:
    with acting_for(acme):
        a_version(a_model(a_source()))
    evaluate_organization(acme)
    with acting_for(acme):
        return Gap.objects.get(rule_id=OWNER)


def terms() -> waivers.Terms:
    last_day = now().date() + timedelta(days=9)
    return waivers.Terms(kind=Waiver.Kind.WAIVER, reason="Moving.", ends_on=last_day)


def together(*acts: Callable[[], object]) -> list[Exception]:
    """Do all at the same moment, each on a connection of its own; return what failed."""
    start, failed = Barrier(len(acts)), []

    def do(act: Callable[[], object]) -> None:
        start.wait(30)
        try:
            act()
        except (WaiverSettled, ValidationError) as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [Thread(target=do, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failed


def test_of_two_who_decide_at_once_one_wins(
    acme: Organization, gap: Gap, max_: User, olga: User
) -> None:
    otto = member(acme, "Otto", Role.COMPLIANCE_OFFICER)
    with acting_for(acme, actor=max_, role=Role.ML_ENGINEER):
        waiver = waivers.ask_for_rule(OWNER, terms())

    def decide(user: User, act: Callable[..., Waiver]) -> Callable[[], object]:
        def decided() -> None:
            with acting_for(acme, actor=user, role=Role.COMPLIANCE_OFFICER):
                act(waiver, reason="Decided.")

        return decided

    (late,) = together(decide(olga, waivers.approve), decide(otto, waivers.refuse))

    assert isinstance(late, WaiverSettled)
    with acting_for(acme):
        decided = Waiver.objects.get()
        is_waived = Gap.objects.get(pk=gap.pk).is_waived
    assert is_waived == (decided.status == Waiver.Status.APPROVED)
    assert str(decided.decided_by) in str(late)


def test_of_two_who_ask_at_once_one_is_told_that_it_is_asked_for(
    acme: Organization, gap: Gap, max_: User, olga: User
) -> None:
    def ask(user: User, role: Role) -> Callable[[], object]:
        def asked() -> None:
            with acting_for(acme, actor=user, role=role):
                waivers.ask_for_rule(OWNER, terms())

        return asked

    (late,) = together(ask(max_, Role.ML_ENGINEER), ask(olga, Role.COMPLIANCE_OFFICER))

    assert "is asked for already" in str(late)
    with acting_for(acme):
        assert Waiver.objects.count() == 1


def test_an_approval_and_an_evaluation_at_once_agree_on_the_counts(
    acme: Organization, gap: Gap, max_: User, olga: User
) -> None:
    with acting_for(acme, actor=max_, role=Role.ML_ENGINEER):
        waiver = waivers.ask_for_rule(OWNER, terms())
    with acting_for(acme):
        ModelVersion.objects.update(changed_at=now(), data_sensitivity="personal")

    def approve() -> None:
        with acting_for(acme, actor=olga, role=Role.COMPLIANCE_OFFICER):
            waivers.approve(waiver, reason="Agreed.")

    assert together(approve, lambda: evaluate_organization(acme)) == []

    with acting_for(acme):
        evaluation = Evaluation.objects.get(version=gap.version_id)
        assert Gap.objects.get(pk=gap.pk).is_waived
        assert evaluation.waived == 1
        rules = Gap.objects.open().filter(kind=Gap.Kind.RULE)
        for name, severity in (("critical", 4), ("high", 3), ("medium", 2)):
            assert getattr(evaluation, name) == rules.filter(severity=severity).count()
