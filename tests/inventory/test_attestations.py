"""What people attest counts at once, whatever a sync tells; and what they refuse, stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts import audit, tenancy
from accounts.exceptions import NotAllowed
from accounts.models import AuditEvent, Membership, Organization, User
from accounts.roles import Role
from compliance.evidence import gather_facts
from inventory import attestations
from inventory.attestations import attest, keep, lapse, withdraw
from inventory.models import Attestation, ModelVersion, RegisteredModel, Source
from inventory.models.attestations import today
from inventory.records import Told, VersionRecord
from inventory.writing import StoreReport
from tests.inventory.test_store import (
    AT,
    LATER,
    MODEL,
    VERSION,
    numbered,
    put_models,
    put_versions,
)
from tests.rows import a_model, a_source, a_version

TOMORROW = timedelta(days=1)
State = Attestation.State


@pytest.fixture
def as_olga(acme: Organization, olga: User, source: Source) -> Iterator[None]:
    """Act as the compliance officer, in a registry of one model with one version."""
    membership = Membership.objects.get(user=olga)
    put_models(source, MODEL)
    put_versions(source, [VERSION])
    with tenancy.acting_for(acme, actor=olga, role=Role(membership.role)):
        yield


@pytest.fixture
def version(as_olga: None) -> ModelVersion:
    return ModelVersion.objects.get()


def told(source: Source, owner: str, **more: Any) -> StoreReport:
    """Let a sync tell another owner."""
    record = replace(
        VERSION,
        owner=owner,
        provenance={"owner": Told("version tag", "owner")} if owner else {},
        fingerprint=f"v of {owner}",
        **more,
    )
    return put_versions(source, [record], at=LATER, previous=AT)


def attested(
    version: ModelVersion, field: str = "owner", value: Any = "max"
) -> Attestation:
    done = attest(field=field, value=value, reason="He told me so.", versions=[version])
    return done.attestations[0]


def fresh(version: ModelVersion) -> ModelVersion:
    return ModelVersion.objects.get(pk=version.pk)


def age(attestation: Attestation) -> None:
    """Let the last day of an attestation be over."""
    Attestation.objects.filter(pk=attestation.pk).update(expires_on=today())


def test_what_is_attested_counts_and_what_was_told_stays_visible(
    version: ModelVersion,
) -> None:
    made = attested(version)

    row = fresh(version)
    assert row.owner == "max"
    assert row.provenance["owner"] == {
        "source": "attested",
        "key": f"by Olga on {now():%-d %B %Y}",
        "attestation": made.pk,
    }
    assert row.ingested["owner"]["value"] == "nina@example.org"
    assert row.ingested["owner"]["told"]["source"] == "run tag"
    assert row.changed_at > AT
    (facts,) = gather_facts([row.pk], today=today()).values()
    assert facts.owner == "max"
    assert not facts.owner_is_weak


def test_the_history_of_the_row_tells_who_attested(
    version: ModelVersion, olga: User
) -> None:
    attested(version)

    latest = version.history.first()
    assert (latest.owner, latest.history_user) == ("max", olga)


def test_the_trail_has_field_old_and_new_value_and_reason(
    version: ModelVersion,
) -> None:
    withdraw(attested(version), reason="A mistake.")

    audit.seal()
    made, withdrawn = AuditEvent.objects.filter(action__startswith="attestation.")
    if made.sequence > withdrawn.sequence:
        made, withdrawn = withdrawn, made
    assert made.changes["owner"] == {"from": "nina@example.org", "to": "max"}
    assert (made.reason, made.actor_name) == ("He told me so.", "Olga")
    assert withdrawn.action == "attestation.withdrawn"
    assert withdrawn.changes["owner"] == {"from": "max", "to": "nina@example.org"}


def test_a_later_sync_with_another_value_leaves_what_is_attested_and_is_shown(
    version: ModelVersion, source: Source
) -> None:
    made = attested(version)

    told(source, "zoe")

    row = fresh(version)
    assert row.owner == "max"
    assert row.ingested["owner"]["value"] == "zoe"
    assert row.ingested["owner"]["told"] == {"source": "version tag", "key": "owner"}
    made.refresh_from_db()
    assert made.contradicted_since == LATER
    assert made.state == State.IN_FORCE


@pytest.mark.parametrize("owner", ["nina@example.org", "max", ""])
def test_what_was_seen_what_agrees_and_silence_contradict_nothing(
    version: ModelVersion, source: Source, owner: str
) -> None:
    made = attested(version)

    told(source, owner, description="Something else has changed.")

    made.refresh_from_db()
    assert made.contradicted_since is None
    assert fresh(version).owner == "max"


def test_a_contradiction_is_over_when_the_source_takes_it_back(
    version: ModelVersion, source: Source
) -> None:
    made = attested(version)
    told(source, "zoe")

    told(source, "nina@example.org")

    made.refresh_from_db()
    assert made.contradicted_since is None


def test_keeping_takes_note_of_what_was_told(
    version: ModelVersion, source: Source
) -> None:
    made = attested(version)
    told(source, "zoe")
    made.refresh_from_db()

    keep(made, reason="Zoe is on leave.")

    made.refresh_from_db()
    assert made.contradicted_since is None
    assert made.kept_reason == "Zoe is on leave."
    assert fresh(version).ingested["owner"]["seen"] == "zoe"
    told(source, "zoe", description="Something else has changed.")
    made.refresh_from_db()
    assert made.contradicted_since is None
    told(source, "yan")
    made.refresh_from_db()
    assert made.contradicted_since == LATER


def test_where_nothing_is_contradicted_there_is_nothing_to_keep(
    version: ModelVersion,
) -> None:
    made = attested(version)

    with pytest.raises(ValidationError, match="nothing that was not seen"):
        keep(made, reason="For no reason.")


def test_withdrawing_brings_back_what_the_source_tells_by_now(
    version: ModelVersion, source: Source
) -> None:
    made = attested(version)
    told(source, "zoe")

    withdraw(made, reason="A mistake.")

    row = fresh(version)
    assert row.owner == "zoe"
    assert row.provenance["owner"] == {"source": "version tag", "key": "owner"}
    assert row.ingested == {}
    made.refresh_from_db()
    assert (made.state, made.end_reason) == (State.WITHDRAWN, "A mistake.")
    with pytest.raises(ValidationError, match="is withdrawn already"):
        withdraw(made, reason="Once more.")


def test_a_sync_without_a_change_writes_nothing_of_what_is_attested(
    version: ModelVersion, source: Source
) -> None:
    attested(version)
    attested(version, "data_sensitivity", "phi")
    before = fresh(version)

    with CaptureQueriesContext(connection) as captured:
        report = put_versions(source, [VERSION], at=LATER, previous=AT)

    assert (report.updated, report.unchanged) == (0, 1)
    assert all(query["sql"].startswith("SELECT") for query in captured)
    assert fresh(version).changed_at == before.changed_at


def test_a_field_that_nobody_told_is_filled_and_emptied_again(
    version: ModelVersion,
) -> None:
    made = attested(version, "intended_use", "Scoring of retail loans.")
    sensitivity = attested(version, "data_sensitivity", "phi")
    known = fresh(version).known_fields

    assert fresh(version).governance == {"intended_use": "Scoring of retail loans."}
    withdraw(made, reason="A mistake.")
    withdraw(sensitivity, reason="A mistake.")
    row = fresh(version)
    assert row.governance == {}
    assert row.data_sensitivity == ""
    assert row.known_fields == known - 1
    assert "intended_use" not in row.provenance


def test_one_of_a_model_holds_for_all_versions_and_one_of_a_version_wins(
    version: ModelVersion, source: Source
) -> None:
    put_versions(source, numbered(2), at=LATER)
    one, two = ModelVersion.objects.order_by("version_number")
    model = one.registered_model

    attest(field="owner", value="all", reason="So it is.", models=[model])
    own = attested(two, value="own")
    put_versions(source, numbered(3, fingerprint="w"), at=LATER, previous=AT)

    owners = ModelVersion.objects.order_by("version_number").values_list("owner")
    assert [owner for (owner,) in owners] == ["all", "own", "all"]
    withdraw(own, reason="A mistake.")
    assert fresh(two).owner == "all"
    assert fresh(two).ingested["owner"]["value"] == "nina@example.org"


def test_what_a_new_version_tells_contradicts_its_model_until_somebody_has_seen_it(
    version: ModelVersion, source: Source
) -> None:
    done = attest(
        field="owner", value="all", reason="So.", models=[version.registered_model]
    )
    (made,) = done.attestations

    put_versions(source, numbered(2, fingerprint="w"), at=LATER, previous=AT)

    made.refresh_from_db()
    assert made.contradicted_since == LATER
    keep(made, reason="They copied the tag.")
    made.refresh_from_db()
    assert made.contradicted_since is None


def test_a_version_made_again_has_its_models_attestation_and_not_its_own(
    version: ModelVersion, source: Source
) -> None:
    attested(version)
    attest(
        field="business_purpose",
        value="Lending",
        reason="So it is.",
        models=[version.registered_model],
    )

    again = replace(VERSION, created_at=LATER, fingerprint="again")
    put_versions(source, [again], at=LATER, previous=AT)

    anew = ModelVersion.objects.present().get()
    assert anew.pk != version.pk
    assert (anew.owner, anew.business_purpose) == ("nina@example.org", "Lending")
    assert (fresh(version).owner, fresh(version).is_absent) == ("max", True)


def test_attesting_again_replaces_what_was_attested(
    version: ModelVersion, source: Source
) -> None:
    first = attested(version, value="one")
    second = attested(version, value="two")

    first.refresh_from_db()
    assert (first.state, second.state) == (State.REPLACED, State.IN_FORCE)
    row = fresh(version)
    assert row.owner == "two"
    assert row.ingested["owner"]["value"] == "nina@example.org"


def test_the_database_lets_one_attestation_live(version: ModelVersion) -> None:
    attested(version)

    with pytest.raises(IntegrityError), transaction.atomic():
        Attestation.objects.create(
            version=version, field="owner", value="zoe", reason="So it is."
        )


def test_an_attestation_expires_by_itself_and_only_once(version: ModelVersion) -> None:
    done = attest(
        field="owner",
        value="max",
        reason="Until she is back.",
        versions=[version],
        expires_on=today() + TOMORROW,
    )
    (made,) = done.attestations
    assert lapse() is None
    age(made)
    made.refresh_from_db()
    assert made.state == State.EXPIRED  # before the job has come, too

    assert lapse() is not None

    row = fresh(version)
    assert (row.owner, row.ingested) == ("nina@example.org", {})
    made.refresh_from_db()
    assert (made.state, made.ended_by) == (State.EXPIRED, None)
    assert lapse() is None


def test_what_expired_does_not_count_when_the_version_is_stored_before_the_job(
    version: ModelVersion, source: Source
) -> None:
    age(attested(version))

    told(source, "zoe")

    assert fresh(version).owner == "zoe"
    assert fresh(version).ingested == {}


def test_an_expired_one_can_be_attested_anew_before_the_job(
    version: ModelVersion,
) -> None:
    former = attested(version)
    age(former)

    attested(version, value="zoe")

    former.refresh_from_db()
    assert former.state == State.EXPIRED
    assert fresh(version).owner == "zoe"


@pytest.mark.parametrize(
    ("given", "field", "sentence"),
    [
        ({"field": "colour"}, "field", "There is no field “colour”"),
        ({"field": "version_number"}, "field", "(version_number) is observed"),
        (
            {"field": "metrics"},
            "field",
            "(metrics) is observed, not attested. It is what the training run logged",
        ),
        (
            {"field": "data_sensitivity", "value": "secret"},
            "value",
            "Data sensitivity (data_sensitivity) cannot be “secret”: "
            "it is one of public,",
        ),
        ({"value": 7}, "value", "Owner (owner) cannot be “7”: it is a text"),
        ({"value": "  "}, "value", "it is a text that is not empty"),
        ({"value": "a\x00b"}, "value", "none of them NUL"),
        ({"field": "legal_hold", "value": "yes"}, "value", "it is true or false"),
        ({"field": "regulatory_scope", "value": "GDPR"}, "value", "a list of texts"),
        ({"field": "financial_impact_usd", "value": True}, "value", "it is a number"),
        (
            {"field": "financial_impact_usd", "value": float("nan")},
            "value",
            "it is a number",
        ),
        (
            {"field": "unit_tests_pass_rate", "value": 98},
            "value",
            "at least 0 and at most 1",
        ),
        ({"field": "fairness_metrics", "value": [1]}, "value", "a JSON object"),
        ({"reason": " "}, "reason", "needs a reason"),
        ({"expires_on": today()}, "expires_on", "is not in the future"),
        ({"versions": []}, "model_versions", "at least one"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_changes(
    version: ModelVersion, given: dict[str, Any], field: str, sentence: str
) -> None:
    told = {"field": "owner", "value": "max", "reason": "So.", "versions": [version]}

    with pytest.raises(ValidationError) as refused:
        attest(**(told | given))

    assert sentence in refused.value.message_dict[field][0]
    assert not Attestation.objects.exists()
    assert fresh(version).changed_at == AT


def test_all_that_is_wrong_is_said_at_once(version: ModelVersion) -> None:
    with pytest.raises(ValidationError) as refused:
        attest(field="owner", value="", reason="", versions=[], expires_on=today())

    assert set(refused.value.message_dict) == {
        "value",
        "reason",
        "expires_on",
        "model_versions",
    }


def test_an_auditor_attests_nothing_and_an_engineer_may(
    version: ModelVersion, acme: Organization, audrey: User, max_: User
) -> None:
    made = attested(version)
    for user, allowed in ((audrey, False), (max_, True)):
        role = Membership.objects.get(user=user).role
        with tenancy.acting_for(acme, actor=user, role=Role(role)):
            acts: Sequence[Callable[[], Any]] = (
                lambda: attested(version, "intended_use", "Loans"),
                lambda: withdraw(made, reason="A mistake."),
            )
            for act in acts:
                if allowed:
                    act()
                else:
                    with pytest.raises(NotAllowed):
                        act()
            if not allowed:
                with pytest.raises(NotAllowed):
                    keep(made, reason="So.")


@pytest.mark.parametrize("count", [1, 60])
def test_a_chunk_with_attestations_costs_the_same_queries_whatever_its_size(
    as_olga: None,
    source: Source,
    count: int,
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    put_versions(source, numbered(count))
    versions = list(ModelVersion.objects.all())
    attest(field="owner", value="max", reason="So it is.", versions=versions)

    def changed(mark: str, owner: str) -> list[VersionRecord]:
        records = numbered(count, fingerprint=mark)
        return [replace(record, owner=owner) for record in records]

    put_versions(source, changed("w", "nina@example.org"), at=LATER, previous=AT)
    # models, rows; then lock, attested, ingested, rows, history
    with django_assert_num_queries(7):
        put_versions(source, changed("x", "nina@example.org"), at=LATER, previous=AT)
    # and, where contradicted: versions, noted, taken back
    with django_assert_num_queries(10):
        put_versions(source, changed("y", "zoe"), at=LATER, previous=AT)
    assert Attestation.objects.filter(contradicted_since=LATER).count() == count


@pytest.mark.parametrize("count", [1, 60])
def test_attesting_costs_the_same_queries_however_many_versions(
    as_olga: None,
    source: Source,
    count: int,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    monkeypatch.setattr(attestations, "_followers", [])
    put_versions(source, numbered(count))
    versions = list(ModelVersion.objects.select_related("registered_model"))

    # a savepoint and its end; lock, former, values, expired, replaced, made;
    # then lock, ids, rows, attested, written, history
    with django_assert_num_queries(14):
        attest(field="owner", value="max", reason="So it is.", versions=versions)


def test_who_follows_is_told_the_versions_that_changed(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Sequence[int]] = []

    def follow(ids: Sequence[int]) -> str:
        heard.append(ids)
        return "Noted."

    monkeypatch.setattr(attestations, "_followers", [follow])

    done = attest(field="owner", value="max", reason="So.", versions=[version])
    again = attest(
        field="owner", value="max", reason="So.", models=[version.registered_model]
    )

    assert heard == [[version.pk]]
    assert (done.told, again.told) == ("Noted.", "")


def test_a_foreign_version_cannot_be_attested(
    version: ModelVersion, borealis: Organization, bob: User
) -> None:
    with tenancy.acting_for(borealis):
        theirs = a_version(a_model(a_source()))

    def attest_theirs() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            attested(theirs)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(IntegrityError, match="same_inventory_attestation_version"):
        attest_theirs()
    assert not RegisteredModel.objects.filter(pk=theirs.registered_model_id).exists()
