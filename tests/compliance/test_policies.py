"""Drafting, publishing and discarding policies: who may, what stays, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Barrier, Thread
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction
from django_q.models import OrmQ

from accounts import audit, tenancy
from accounts.exceptions import NotAllowed
from accounts.models import AuditEvent, Membership, Organization, User
from accounts.roles import Role
from compliance import policies
from compliance.exceptions import PolicyConflict
from compliance.models import Policy
from compliance.policy import DEFAULTS, read
from tests.rows import a_policy

PRIVACY = "VW-PRIV-001"
STRICTER = read(
    {"packs": ["starter", "eu_ai_act"], "parameters": {"demographic_parity_max": 0.05}}
)


@contextmanager
def acting(user: User, organization: Organization) -> Iterator[None]:
    with tenancy.acting_for(organization):
        role = Role(Membership.objects.get(user=user).role)
    with tenancy.acting_for(organization, actor=user, role=role):
        yield


@pytest.fixture
def draft(acme: Organization, olga: User) -> Policy:
    """A draft that Olga made."""
    with acting(olga, acme):
        return policies.start_draft(title="Stricter", content=STRICTER)


def told(error: pytest.ExceptionInfo[ValidationError]) -> str:
    return " ".join(error.value.messages)


# Drafting


def test_before_anything_is_published_the_defaults_are_in_force(in_acme):
    assert policies.in_force() == policies.InForce(0, DEFAULTS)
    assert str(policies.in_force()) == "the project’s defaults"
    assert not Policy.objects.exists()


def test_a_draft_begins_with_what_is_in_force(acme, in_acme, olga):
    a_policy(1, packs=["practice"])
    with acting(olga, acme):
        draft = policies.start_draft()
    assert draft.said == read({"packs": ["practice"]})
    assert (draft.number, draft.revision, draft.changes) == (None, 1, [])
    assert draft.drafted_by == olga


def test_a_draft_tells_what_it_changes(acme, olga, draft):
    assert draft.changes == [
        "The pack “EU AI Act” is switched on.",
        "demographic_parity_max: 0.1 (as catalogued) → 0.05 absolute.",
    ]
    with acting(olga, acme):
        draft = policies.save_draft(draft, revision=1, content=DEFAULTS)
        assert (draft.changes, draft.revision) == ([], 2)
        assert draft.digest == DEFAULTS.digest
        assert policies.in_force().number == 0


def test_a_second_draft_is_refused_naming_who_began_the_first(acme, alice, draft):
    with (
        acting(alice, acme),
        pytest.raises(PolicyConflict) as refusal,
    ):
        policies.start_draft()
    assert str(refusal.value) == (
        "There is a draft already, begun by Olga: publish or discard that one first."
    )
    with tenancy.acting_for(acme):
        assert Policy.objects.get() == draft


def test_the_database_itself_has_no_room_for_a_second_draft(in_acme):
    a_policy()
    with pytest.raises(IntegrityError, match="one_draft"), transaction.atomic():
        a_policy()


def test_who_saves_what_somebody_else_saved_meanwhile_is_refused(
    acme, alice, olga, draft
):
    with acting(olga, acme):
        policies.save_draft(draft, revision=1, title="By Olga")
    with acting(alice, acme), pytest.raises(PolicyConflict) as refusal:
        policies.save_draft(draft, revision=1, title="By Alice", content=DEFAULTS)
    assert str(refusal.value).startswith("The draft was saved meanwhile by Olga")
    with tenancy.acting_for(acme):
        kept = Policy.objects.get()
        assert (kept.title, kept.said, kept.revision) == ("By Olga", STRICTER, 2)


def test_saving_what_is_there_already_writes_nothing(acme, olga, draft):
    with acting(olga, acme):
        saved = policies.save_draft(draft, revision=1, content=STRICTER)
    assert saved.revision == 1


def test_a_discarded_draft_is_gone_and_on_the_trail(acme, olga, draft):
    with acting(olga, acme):
        policies.discard_draft(draft, revision=1)
        assert not Policy.objects.exists()
        with pytest.raises(PolicyConflict, match="was discarded meanwhile"):
            policies.save_draft(draft, revision=1, title="Too late")


# Publishing


def publish(acme: Organization, user: User, draft: Policy, **more: Any) -> Policy:
    with acting(user, acme):
        return policies.publish(
            draft, **({"revision": draft.revision, "reason": "Agreed."} | more)
        )


def test_numbers_have_no_gaps_and_the_latest_is_in_force(acme, alice, olga, draft):
    first = publish(acme, alice, draft)
    assert (first.number, first.published_by, first.reason) == (1, alice, "Agreed.")
    with acting(olga, acme):
        gone = policies.start_draft(content=DEFAULTS)
        policies.discard_draft(gone, revision=1)
        second = policies.start_draft(content=DEFAULTS)
    assert publish(acme, alice, second).number == 2
    with tenancy.acting_for(acme):
        assert policies.in_force() == policies.InForce(2, DEFAULTS)


def test_publishing_puts_a_job_onto_the_queue_that_judges_what_is_due(
    acme, alice, draft
):
    before = OrmQ.objects.count()
    publish(acme, alice, draft)
    assert OrmQ.objects.count() == before + 1
    task = OrmQ.objects.latest("pk").task
    assert (task["func"], task["args"]) == ("verifywise.jobs.evaluate_due", (acme.pk,))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE compliance_policy SET content = '{}'",
        "UPDATE compliance_policy SET reason = 'another'",
        "UPDATE compliance_policy SET number = NULL, published_at = NULL",
        "DELETE FROM compliance_policy",
    ],
)
def test_the_database_refuses_to_change_what_is_published(in_acme, statement):
    a_policy(1)
    with (
        pytest.raises(DatabaseError, match="Policy 1 is published and stays as it is"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert Policy.objects.get().number == 1


def test_a_published_policy_is_saved_and_discarded_no_more(acme, alice, olga, draft):
    publish(acme, alice, draft)
    with acting(olga, acme):
        with pytest.raises(PolicyConflict) as refusal:
            policies.save_draft(draft, revision=1, title="Late")
        with pytest.raises(PolicyConflict):
            policies.discard_draft(draft, revision=1)
    assert str(refusal.value) == (
        "The draft is published, as policy 1 by Alice; nothing was changed. Start "
        "another draft."
    )


def test_a_draft_that_changes_nothing_is_not_published(acme, alice, olga, draft):
    with acting(olga, acme):
        policies.save_draft(draft, revision=1, content=DEFAULTS)
    with pytest.raises(ValidationError) as refusal:
        publish(acme, alice, draft, revision=2)
    assert told(refusal) == (
        "The draft changes nothing about the project’s defaults: there is nothing to "
        "publish."
    )


def test_a_policy_is_published_with_a_reason(acme, alice, draft):
    with pytest.raises(ValidationError) as refusal:
        publish(acme, alice, draft, reason="  ")
    assert refusal.value.message_dict == {
        "reason": ["Say why the policy is published."]
    }


def test_what_a_plug_in_took_away_is_left_out_and_told(acme, in_acme, alice):
    stored = Policy.objects.create(
        content={
            "packs": ["starter", "gone"],
            "rules": {"ACME-001": {"severity": "low"}, PRIVACY: {"gate": "info"}},
            "parameters": {"stale_staging_days": 9999},
        },
        digest="0",
    )
    assert stored.said == read(
        {"packs": ["starter"], "rules": {PRIVACY: {"gate": "info"}}}
    )
    assert stored.forgotten[1:] == [
        "There is no rule “ACME-001”.",
        "stale_staging_days goes from 1 to 3650 (days): 9999 is out of range.",
    ]
    with pytest.raises(ValidationError, match="ACME-001"):
        publish(acme, alice, stored)


# Four eyes


def test_an_editor_of_the_draft_does_not_publish_it(acme, alice, olga, draft):
    with pytest.raises(ValidationError) as refusal:
        publish(acme, olga, draft)
    assert told(refusal) == (
        "Four eyes are on: a draft is published by somebody who did not edit it, and "
        "Olga did."
    )
    with acting(alice, acme):
        draft = policies.save_draft(draft, revision=1, title="Alice had a hand in it")
    for editor in (alice, olga):
        with pytest.raises(ValidationError, match=f"{editor} did"):
            publish(acme, editor, draft)
    with tenancy.acting_for(acme):
        assert Policy.objects.get().is_draft


def test_without_four_eyes_the_editor_publishes(acme, alice, olga, draft):
    with acting(alice, acme):
        policies.set_four_eyes(is_on=False)
    assert publish(acme, olga, draft).published_by == olga


def test_nobody_in_person_does_not_publish_where_it_takes_two(in_acme, draft):
    with pytest.raises(ValidationError, match="a person has to publish"):
        policies.publish(draft, revision=1, reason="By a program.")


def test_only_administrators_say_whether_it_takes_two(acme, olga):
    with acting(olga, acme), pytest.raises(NotAllowed):
        policies.set_four_eyes(is_on=False)
    with tenancy.acting_for(acme):
        assert policies.four_eyes()


# Roles, tenancy, the trail


@pytest.mark.parametrize("name", ["max_", "audrey"])
def test_engineers_and_auditors_neither_draft_nor_publish(acme, draft, name, request):
    user = request.getfixturevalue(name)
    with acting(user, acme):
        for act in (
            policies.start_draft,
            lambda: policies.save_draft(draft, revision=1, title="Mine"),
            lambda: policies.import_draft("packs: []"),
            lambda: policies.discard_draft(draft, revision=1),
            lambda: policies.publish(draft, revision=1, reason="Because."),
        ):
            with pytest.raises(NotAllowed):
                act()
        assert Policy.objects.get().title == "Stricter"


def test_a_policy_is_nobody_elses(acme, borealis, alice, bob, draft):
    publish(acme, alice, draft)
    with acting(bob, borealis):
        assert policies.in_force().number == 0
        assert not Policy.objects.exists()
        with pytest.raises(PolicyConflict):
            policies.save_draft(draft, revision=1, title="Bob's")


@pytest.mark.django_db(transaction=True)
def test_every_act_is_on_the_trail(acme, alice, olga):
    with acting(olga, acme):
        gone = policies.start_draft(title="First try")
        policies.discard_draft(gone, revision=1)
        draft = policies.start_draft(title="Stricter", content=STRICTER)
        draft = policies.save_draft(draft, revision=1, title="Stricter still")
    with pytest.raises(ValidationError):
        publish(acme, olga, draft)
    publish(acme, alice, draft)
    with acting(alice, acme):
        policies.set_four_eyes(is_on=False)
    with tenancy.acting_for(acme):
        entries = AuditEvent.objects.order_by("sequence")
        assert [(entry.action, entry.actor_name) for entry in entries] == [
            ("policy.drafted", "Olga"),
            ("policy.discarded", "Olga"),
            ("policy.drafted", "Olga"),
            ("policy.changed", "Olga"),
            ("policy.refused", "Olga"),
            ("policy.published", "Alice"),
            ("organization.changed", "Alice"),
        ]
        published = entries.get(action="policy.published")
        assert published.reason == "Agreed."
        assert published.changes["number"] == {"from": 0, "to": 1}
        assert published.changes["digest"] == STRICTER.digest
        assert audit.verify(acme).intact


# Files


def test_what_is_exported_can_be_imported(acme, alice, olga, draft):
    published = publish(acme, alice, draft)
    with acting(olga, acme):
        text = policies.export(published)
        assert text.startswith(
            "# Policy 1 of Acme Bank: Stricter\n# Published by Alice"
        )
        copy = policies.import_draft(text, title="A copy")
    assert (copy.said, copy.title, copy.changes) == (STRICTER, "A copy", [])


def test_a_file_becomes_the_content_of_the_draft_there_is(acme, olga, draft):
    with acting(olga, acme):
        changed = policies.import_draft(b"packs: [practice]")
    assert changed.pk == draft.pk
    assert (changed.title, changed.revision) == ("Stricter", 2)
    assert changed.said == read({"packs": ["practice"]})


def test_a_bad_file_changes_nothing(acme, olga, draft):
    with acting(olga, acme), pytest.raises(ValidationError) as refusal:
        policies.import_draft("packs: [startr]\nrules: {VW-X: {}}")
    assert set(refusal.value.message_dict) == {"packs", "rules.VW-X"}
    with tenancy.acting_for(acme):
        assert Policy.objects.get().said == STRICTER


# At once


def at_once(*acts: Any) -> list[str]:
    """Run acts in threads of their own, together; return what each came to."""
    start = Barrier(len(acts))
    outcomes: list[str] = []

    def run(act: Any) -> None:
        start.wait()
        try:
            act()
        except (PolicyConflict, ValidationError) as error:
            outcomes.append(str(error))
        else:
            outcomes.append("done")
        finally:
            connection.close()

    threads = [Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_publish_at_once_one_is_refused(acme, alice, olga):
    with acting(olga, acme):
        draft = policies.start_draft(content=STRICTER)
    with acting(alice, acme):
        policies.set_four_eyes(is_on=False)

    refused, done = at_once(
        lambda: publish(acme, alice, draft), lambda: publish(acme, olga, draft)
    )

    assert done == "done"
    assert refused.startswith("The draft is published, as policy 1 by ")
    with tenancy.acting_for(acme):
        assert Policy.objects.get().number == 1
        assert AuditEvent.objects.filter(action="policy.published").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_save_or_begin_at_once_one_is_refused(acme, alice, olga):
    def begin(user: User) -> None:
        with acting(user, acme):
            policies.start_draft(title=str(user), content=STRICTER)

    refused, done = at_once(lambda: begin(alice), lambda: begin(olga))
    assert done == "done"
    assert refused.startswith("There is a draft already, begun by ")
    with tenancy.acting_for(acme):
        draft = Policy.objects.get()

    def save(user: User) -> None:
        with acting(user, acme):
            policies.save_draft(draft, revision=1, title=f"{user} saved it")

    refused, done = at_once(lambda: save(alice), lambda: save(olga))
    assert done != refused
    assert "The draft was saved meanwhile by " in refused
    with tenancy.acting_for(acme):
        assert Policy.objects.get().revision == 2
