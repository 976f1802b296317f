"""An organization's own words: what they mean, what they would change, who adds them."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from accounts import tenancy
from accounts.exceptions import NotAllowed
from accounts.models import AuditEvent, Organization, User
from accounts.roles import Role
from inventory.models import Experiment, ModelVersion, Source
from mlflow_sync.mapping.acts import add_entry, preview_entry, remove_entry
from mlflow_sync.mapping.own import MAPPABLE, extended, own_vocabulary
from mlflow_sync.mapping.preview import EXAMPLES
from mlflow_sync.mapping.seen import seen_keys
from mlflow_sync.models import SyncRun, TrackingServer, VocabularyEntry
from mlflow_sync.normalize.vocabulary import default_vocabulary
from mlflow_sync.servers import save_server
from tests.callers import calling
from tests.pages import Visitor
from tests.rows import a_model, a_run, a_source, a_version

pytestmark = pytest.mark.django_db
KEY, WORD = VocabularyEntry.Kind.KEY, VocabularyEntry.Kind.WORD
LIST = "mlflow_sync/vocabularyentry/"


def key(told: str, field: str) -> VocabularyEntry:
    return VocabularyEntry(kind=KEY, field=field, told=told)


def word(told: str, means: str, field: str) -> VocabularyEntry:
    return VocabularyEntry(kind=WORD, field=field, told=told, word=means)


@pytest.fixture
def source(in_acme: tenancy.Acting) -> Source:
    return a_source()


@pytest.fixture
def versions(source: Source) -> list[ModelVersion]:
    """Three versions: one tells a steward, one a class of its own, one nothing."""
    model = a_model(source, tags={"Steward": "olga"})
    run = a_run(source, tags={"info.class": "C3", "mlflow.user": "nina"})
    return [
        a_version(model, 1, tags={"steward": "max"}),
        a_version(model, 2, run=run, run_found=True),
        a_version(a_model(source, "churn"), 1, tags={"data_sensitivity": "C3"}),
    ]


# What they mean


def test_without_words_of_its_own_the_vocabulary_is_the_projects(
    in_acme: tenancy.Acting,
) -> None:
    assert own_vocabulary() is default_vocabulary()


@pytest.mark.parametrize("place", ["registry_tags", "run_tags", "params"])
def test_a_key_states_its_field_wherever_it_is_told(place: str) -> None:
    own = extended(((KEY, "owner", "Data.Steward", ""),))
    claims = getattr(own, place).of("data-steward")
    assert [(claim.field, claim.weak) for claim in claims] == [("owner", False)]
    assert own.fingerprint != default_vocabulary().fingerprint


def test_a_key_that_is_distrusted_is_vouched_for() -> None:
    before = default_vocabulary().run_tags.of("risk_level")
    assert all(claim.weak or claim.in_company for claim in before)
    own = extended(((KEY, "declared_tier", "risk_level", ""),))
    (claim,) = own.run_tags.of("risk_level")
    assert (claim.field, claim.weak, claim.in_company) == (
        "declared_tier",
        False,
        False,
    )


def test_a_word_means_one_of_the_fields_words() -> None:
    own = extended(((WORD, "data_sensitivity", "C3", "personal"),))
    assert own.readings["data_sensitivity"].read("c3", key="") == "personal"
    assert default_vocabulary().readings["data_sensitivity"].read("c3", key="") == "c3"


def test_the_fields_that_keys_can_state_are_stated_and_not_observed() -> None:
    assert {"owner", "license", "regulatory_scope"} <= set(MAPPABLE)
    assert not {"created_at", "metrics", "model_name", "lifecycle_stage"} & set(
        MAPPABLE
    )


# What they would change


def test_the_preview_tells_what_would_change_and_changes_nothing(
    versions: list[ModelVersion],
) -> None:
    effect = preview_entry(key("steward", "owner"))
    assert (effect.versions, effect.known, effect.changed, effect.lost) == (3, 1, 1, 0)
    assert effect.sentence == ("Of 3 versions, 1 would become known, 1 would change.")
    told = {(e.version.version_number, e.before, e.after) for e in effect.examples}
    assert told == {(1, None, "max"), (2, "nina", "olga")}
    assert not VocabularyEntry.objects.exists()


def test_the_preview_of_a_word_weighs_the_words_that_are_there(
    versions: list[ModelVersion],
) -> None:
    effect = preview_entry(word("c3", "PERSONAL", "data_sensitivity"))
    assert (effect.known, effect.changed) == (0, 1)
    add_entry(key("info.class", "data_sensitivity"))
    effect = preview_entry(word("c3", "PERSONAL", "data_sensitivity"))
    assert (effect.known, effect.changed) == (0, 2)


def test_nothing_that_changes_is_told_as_nothing(versions: list[ModelVersion]) -> None:
    effect = preview_entry(key("nobody_uses_it", "owner"))
    assert effect.sentence == "Nothing would change in 3 versions."


def test_a_few_examples_are_shown_of_many(source: Source) -> None:
    model = a_model(source)
    for number in range(1, EXAMPLES + 5):
        a_version(model, number, tags={"steward": "max"})
    effect = preview_entry(key("steward", "owner"))
    assert (effect.known, len(effect.examples)) == (EXAMPLES + 4, EXAMPLES)


def test_an_address_that_was_redacted_counts_as_told(source: Source) -> None:
    """It is stored once its key is known to name people."""
    redacted = "[redacted: e-mail address]"
    a_version(a_model(source), 1, tags={"steward": redacted})
    effect = preview_entry(key("steward", "owner"))
    assert effect.known == 1


# The keys that were seen


def test_keys_are_counted_where_they_are_told(
    source: Source, versions: list[ModelVersion]
) -> None:
    Experiment.objects.create(
        source=source,
        experiment_id="7",
        name="e",
        lifecycle_stage="active",
        fingerprint="e",
        tags={"steward": "eve"},
    )
    seen = {item.key: item for item in seen_keys(own_vocabulary())}
    assert seen["steward"].places == {"version tag": 1, "experiment tag": 1}
    assert seen["Steward"].places == {"model tag": 1}
    assert seen["steward"].fields == ()
    assert seen["data_sensitivity"].fields == ("data_sensitivity",)
    assert seen["mlflow.user"].fields == ("owner",)


def test_keys_that_state_nothing_come_first(versions: list[ModelVersion]) -> None:
    stated = [bool(item.fields) for item in seen_keys(own_vocabulary())]
    assert stated == sorted(stated)
    assert not stated[0]


# The acts


@pytest.mark.parametrize(
    ("entry", "field", "told"),
    [
        (
            {"told": "steward", "field": "ownr"},
            "field",
            "The record has no field “ownr”.",
        ),
        ({"told": "steward", "field": "metrics"}, "field", "no key states it"),
        ({"told": " ", "field": "owner"}, "told", "Say which key"),
        ({"told": "k" * 251, "field": "owner"}, "told", "more than 250 characters"),
        ({"told": "team_*", "field": "owner"}, "told", "patterns are not taken"),
        (
            {"kind": "tag", "field": "owner", "told": "x"},
            "kind",
            "“tag” is neither key nor word.",
        ),
        (
            {"field": "owner", "told": "x", "word": "y"},
            "word",
            "no meaning of its own",
        ),
        (
            {"kind": WORD, "told": "C3", "word": "", "field": "data_sensitivity"},
            "word",
            "Say what the word means.",
        ),
        (
            {"kind": WORD, "told": "C3", "word": "secret", "field": "data_sensitivity"},
            "word",
            "“secret” is none of Data sensitivity: public, internal",
        ),
        (
            {
                "kind": WORD,
                "told": "lots",
                "word": "many",
                "field": "financial_impact_usd",
            },
            "word",
            "is none of",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    in_acme: tenancy.Acting, entry: dict[str, str], field: str, told: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        add_entry(VocabularyEntry(**{"kind": KEY, **entry}))
    (message,) = refusal.value.message_dict[field]
    assert told in message
    assert not VocabularyEntry.objects.exists()


def test_a_word_is_in_the_vocabulary_of_a_field_once(in_acme: tenancy.Acting) -> None:
    add_entry(key("data.steward", "owner"))
    add_entry(key("data.steward", "compliance_approver"))
    with pytest.raises(
        ValidationError, match="in the vocabulary of this field already"
    ):
        add_entry(key("Data-Steward", "owner"))


@pytest.mark.django_db(transaction=True)
def test_adding_and_removing_are_on_the_trail_and_read_anew(acme: Organization) -> None:
    with tenancy.acting_for(acme):
        save_server(TrackingServer(url="http://127.0.0.1:1"), name="Production")
        entry = add_entry(key("steward", "owner"))
        assert SyncRun.objects.count() == 1
        remove_entry(entry)
        assert SyncRun.objects.count() == 1  # the one that waits begins without it
        assert not VocabularyEntry.objects.exists()
    with tenancy.acting_for(acme):
        told = AuditEvent.objects.filter(action__startswith="vocabulary.")
        assert {event.action for event in told} == {
            "vocabulary.added",
            "vocabulary.removed",
        }
        assert {event.changes["told"] for event in told} == {"steward"}


@pytest.mark.parametrize(
    ("role", "may"),
    [
        (Role.AUDITOR, False),
        (Role.ML_ENGINEER, False),
        (Role.EDITOR, True),
        (Role.COMPLIANCE_OFFICER, True),
    ],
)
def test_who_edits_governance_maps_words(
    acme: Organization, max_: User, role: Role, may: bool
) -> None:
    with tenancy.acting_for(acme, actor=max_, role=role):
        if may:
            assert add_entry(key("steward", "owner")).pk
        else:
            with pytest.raises(NotAllowed):
                add_entry(key("steward", "owner"))


# Console and API


def test_a_key_is_chosen_previewed_and_saved(alice: User, acme: Organization) -> None:
    with tenancy.acting_for(acme):
        a_version(a_model(a_source()), 1, tags={"steward": "max"})
    visitor = Visitor(alice)
    assert "steward version tag 1 max nothing Map" in visitor.text(f"{LIST}add/")

    told = {"kind": "key", "told": "steward", "field": "owner"}
    page = visitor.post(f"{LIST}add/", **told, preview="").content.decode()
    assert "Of 1 versions, 1 would become known." in page
    answer = visitor.post(f"{LIST}add/", **told, save="")
    assert answer.status_code == 302
    assert "steward states the field Owner" in visitor.text(LIST)


def test_a_fault_is_told_beside_its_field(alice: User, acme: Organization) -> None:
    visitor = Visitor(alice)
    answer = visitor.post(f"{LIST}add/", kind="word", told="C3", field="owner")
    assert "Say what the word means." in answer.content.decode()


def test_the_api_does_the_same(alice: User, acme: Organization) -> None:
    with tenancy.acting_for(acme):
        a_version(a_model(a_source()), 1, tags={"steward": "max"})
    caller = calling(alice)
    status, keys = caller.get("vocabulary-entries/keys/")
    assert (status, keys[0]["key"], keys[0]["states"]) == (200, "steward", [])
    entry = {"kind": "key", "told": "steward", "field": "owner"}
    status, effect = caller.post("vocabulary-entries/preview/", entry)
    assert (status, effect["known"]) == (200, 1)
    assert effect["examples"][0]["after"] == "max"
    status, made = caller.post("vocabulary-entries/", entry)
    assert status == 201
    assert caller.post("vocabulary-entries/", entry)[0] == 400
    assert caller.delete(f"vocabulary-entries/{made['id']}/")[0] == 204
    assert caller.results("vocabulary-entries/") == []


def test_words_are_of_one_organization(
    acme: Organization, borealis: Organization
) -> None:
    with tenancy.acting_for(borealis):
        VocabularyEntry.objects.create(
            kind=KEY, field="owner", told="steward", folded="steward"
        )
    with tenancy.acting_for(acme):
        assert own_vocabulary() is default_vocabulary()
