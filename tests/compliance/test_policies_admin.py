"""The console's pages of policies: who sees which button, and what the form keeps."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import Organization, User
from accounts.tenancy import acting_for
from compliance import policies
from compliance.evaluation import evaluate_organization
from compliance.models import Policy
from compliance.policy import DEFAULTS, read
from tests.compliance.conftest import TODAY
from tests.pages import MOST_QUERIES, Visitor, words
from tests.rows import a_policy

LIST = "compliance/policy/"
PRIVACY = "VW-PRIV-001"


@pytest.fixture
def olgas(olga: User) -> Visitor:
    return Visitor(olga)


@pytest.fixture
def draft(acme: Organization, olgas: Visitor) -> Policy:
    answer = olgas.post(f"{LIST}start/")
    assert answer.status_code == 302
    with acting_for(acme):
        return Policy.objects.get()


def form(**fields: str) -> dict[str, str]:
    return {"revision": "1", "title": "Mine", "pack-starter": "on"} | fields


def messages_of(answer: Any, visitor: Visitor) -> str:
    return words(visitor.page(answer["Location"].removeprefix("/console/")))


def test_the_list_says_what_is_in_force_and_what_changed(
    acme: Organization, olgas: Visitor
) -> None:
    assert "In force: the project’s defaults" in olgas.text(LIST)
    with acting_for(acme):
        Policy.objects.create(
            number=1,
            title="Stricter",
            published_at=TODAY,
            content=DEFAULTS.to_json(),
            digest="0",
            changes=["One.", "Two.", "Three."],
        )
    (row,) = olgas.rows(LIST)
    assert row.startswith("Policy 1 Stricter One. Two. And 1 more.")
    assert "In force: policy 1." in olgas.text(LIST)


def test_the_defaults_have_a_page_without_a_row(olgas: Visitor) -> None:
    told = olgas.text(f"{LIST}defaults/")
    assert "Policy 0 The project’s defaults In force" in told
    assert "Personal data needs a privacy assessment" in told
    assert "Export YAML" not in told


def test_the_form_keeps_what_it_is_told(
    acme: Organization, olgas: Visitor, draft: Policy
) -> None:
    fields = {
        "pack-practice": "on",
        f"on-{PRIVACY}": "off",
        "severity-VW-INV-001": "low",
        "gate-VW-INV-001": "warn",
        "parameter-demographic_parity_max": " 0.05 ",
    }
    answer = olgas.post(f"{LIST}{draft.pk}/edit/", **form(**fields))
    assert answer.status_code == 302
    with acting_for(acme):
        saved = Policy.objects.get()
    assert saved.title == "Mine"
    assert saved.said == read(
        {
            "packs": ["starter", "practice"],
            "rules": {
                PRIVACY: {"switched_on": False},
                "VW-INV-001": {"severity": "low", "gate": "warn"},
            },
            "parameters": {"demographic_parity_max": 0.05},
        }
    )
    page = olgas.page(f"{LIST}{draft.pk}/edit/")
    assert 'name="revision" value="2"' in page
    assert 'name="parameter-demographic_parity_max" value="0.05"' in page
    assert "off by itself" in olgas.text(f"{LIST}{draft.pk}/change/")


def test_a_form_that_is_refused_comes_back_as_it_was_filled_in(
    acme: Organization, olgas: Visitor, draft: Policy
) -> None:
    fields = {
        f"on-{PRIVACY}": "off",
        f"gate-{PRIVACY}": "shut",
        "parameter-stale_staging_days": "ninety",
    }
    answer = olgas.post(f"{LIST}{draft.pk}/edit/", **form(**fields))
    assert answer.status_code == 200
    page = answer.content.decode()
    assert page.count("stale_staging_days is not a number: “ninety”.") == 2
    assert page.count("VW-PRIV-001: there is no gate “shut”") == 2
    assert 'name="parameter-stale_staging_days" value="ninety"' in page
    with acting_for(acme):
        assert Policy.objects.get() == draft
        assert Policy.objects.get().revision == 1


def test_who_saves_a_form_that_somebody_else_saved_keeps_their_words(
    acme: Organization, alice: User, olgas: Visitor, draft: Policy
) -> None:
    Visitor(alice).post(f"{LIST}{draft.pk}/edit/", **form(title="By Alice"))
    answer = olgas.post(f"{LIST}{draft.pk}/edit/", **form(title="By Olga"))
    assert "The draft was saved meanwhile by Alice" in answer.content.decode()
    assert 'name="title" value="By Olga"' in answer.content.decode()
    with acting_for(acme):
        assert Policy.objects.get().title == "By Alice"


def test_a_policy_is_published_by_somebody_else_with_a_reason(
    acme: Organization, alice: User, olgas: Visitor, draft: Policy
) -> None:
    olgas.post(f"{LIST}{draft.pk}/edit/", **form(**{f"on-{PRIVACY}": "off"}))
    page = f"{LIST}{draft.pk}/change/"
    assert "you had a hand in this draft" in olgas.text(page)
    answer = olgas.post(f"{LIST}{draft.pk}/publish/", revision="2", reason="So.")
    assert "Four eyes are on" in messages_of(answer, olgas)

    alices = Visitor(alice)
    assert "Look at the preview first" in alices.text(page)
    answer = alices.post(f"{LIST}{draft.pk}/publish/", revision="2", reason="Agreed.")
    told = messages_of(answer, alices)
    assert "Policy 1 is in force. Every version is judged anew" in told
    assert "Reason Agreed." in told
    assert "0 of 0 versions" in told


def test_a_draft_is_discarded(
    acme: Organization, olgas: Visitor, draft: Policy
) -> None:
    answer = olgas.post(f"{LIST}{draft.pk}/discard/", revision="1")
    assert "The draft was discarded." in messages_of(answer, olgas)
    with acting_for(acme):
        assert not Policy.objects.exists()


def test_a_second_draft_is_not_started(olgas: Visitor, draft: Policy) -> None:
    answer = olgas.post(f"{LIST}start/")
    assert "There is a draft already, begun by Olga" in messages_of(answer, olgas)


def test_a_file_is_imported_and_exported(
    acme: Organization, olgas: Visitor, draft: Policy
) -> None:
    file = SimpleUploadedFile("ours.yaml", b"packs: [practice]")
    answer = olgas.client.post(f"/console/{LIST}import/", {"file": file})
    assert "ours.yaml was taken for the draft." in messages_of(answer, olgas)
    exported = olgas.client.get(f"/console/{LIST}{draft.pk}/export/")
    assert exported["Content-Disposition"] == 'attachment; filename="policy-draft.yaml"'
    assert exported.content.decode() == (
        "# Draft of Acme Bank\npacks:\n- practice\nrules: {}\nparameters: {}\n"
    )


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (None, "Choose a file with a policy in YAML."),
        (b"packs: [startr]", "There is no pack “startr”"),
        (b"\xff\xfe\x00", "The file is no text in UTF-8."),
        (b"#" * 70_000, "The file is longer than 64 kB"),
    ],
)
def test_a_bad_file_is_refused_with_a_sentence(
    acme: Organization, olgas: Visitor, file: bytes | None, sentence: str
) -> None:
    sent = {"file": SimpleUploadedFile("bad.yaml", file)} if file else {}
    answer = olgas.client.post(f"/console/{LIST}import/", sent)
    assert sentence in messages_of(answer, olgas)
    with acting_for(acme):
        assert not Policy.objects.exists()


def test_two_policies_are_compared(acme: Organization, olgas: Visitor) -> None:
    with acting_for(acme):
        a_policy(1, packs=["practice"])
        second = a_policy(2, packs=["practice", "starter"])
    page = f"{LIST}{second.pk}/change/"
    told = olgas.text(page)
    assert "What it changes about policy 1" in told
    assert "The pack “Starter” is switched on." in told
    told = olgas.text(page, against="0")
    assert "What it changes about the project’s defaults" in told
    assert "The pack “Practice” is switched on." in told
    assert olgas.text(page, against="99") == olgas.text(page)


def test_a_preview_names_gaps_by_severity_and_rule(
    acme: Organization, olgas: Visitor, draft: Policy, version: Any
) -> None:
    evaluate_organization(acme)
    olgas.post(f"{LIST}{draft.pk}/edit/", **form(**{f"on-{PRIVACY}": "off"}))
    told = olgas.text(f"{LIST}{draft.pk}/preview/")
    assert "This would open 0 gaps and close 1 gap, among 1 version." in told
    assert "Critical 2 1 High" in told
    assert "VW-PRIV-001 0 1 0 0 0 credit-scoring version 1" in told


def test_a_version_and_a_gap_say_under_which_policy_they_were_judged(
    acme: Organization, olgas: Visitor, version: Any
) -> None:
    evaluate_organization(acme)
    page = f"inventory/modelversion/{version.pk}/change/"
    assert "under the project’s defaults" in olgas.text(page)
    with acting_for(acme):
        a_policy(1, rules={PRIVACY: {"gate": "info"}})
    evaluate_organization(acme, at=TODAY)
    told = olgas.text(page)
    assert "under policy 1" in told
    gap = version.gaps.get(rule_id=PRIVACY)
    told = olgas.text(f"compliance/gap/{gap.pk}/change/")
    assert "Judged under policy 1" in told
    assert "hint" in told
    assert "· under policy 1" in told
    (row,) = olgas.rows("compliance/gap/", rule=PRIVACY)
    assert "Info" in row


def test_an_administrator_switches_four_eyes(
    acme: Organization, alice: User, olgas: Visitor
) -> None:
    alices = Visitor(alice)
    assert "Switch off" in alices.text(LIST)
    assert "Switch off" not in olgas.text(LIST)
    assert olgas.post(f"{LIST}four-eyes/", is_on="no").status_code == 403
    answer = alices.post(f"{LIST}four-eyes/", is_on="no")
    assert "now published by its editors as well" in messages_of(answer, alices)
    with acting_for(acme):
        assert not policies.four_eyes()


@pytest.mark.parametrize("name", ["max_", "audrey"])
def test_who_may_only_read_has_no_button_and_no_form(
    acme: Organization, name: str, draft: Policy, request: pytest.FixtureRequest
) -> None:
    visitor = Visitor(request.getfixturevalue(name))
    for page in (LIST, f"{LIST}{draft.pk}/change/"):
        told = visitor.text(page)
        for button in ("Start a draft", "Import YAML", "Edit draft", "Discard"):
            assert button not in told
        assert "Look at the preview first" not in told
    visitor.page(f"{LIST}{draft.pk}/preview/")
    visitor.page(f"{LIST}{draft.pk}/edit/", answers=403)
    for act in ("start/", "import/", f"{draft.pk}/publish/", f"{draft.pk}/discard/"):
        file = SimpleUploadedFile("ours.yaml", b"packs: []")
        answer = visitor.post(f"{LIST}{act}", revision="1", reason="So.", file=file)
        assert answer.status_code == 403
    with acting_for(acme):
        assert Policy.objects.get() == draft


def test_bob_and_charlie_have_no_page_of_acmes_policies(
    bob: User, charlie: User, draft: Policy
) -> None:
    bobs = Visitor(bob)
    for page in ("edit/", "preview/", "export/"):
        bobs.page(f"{LIST}{draft.pk}/{page}", answers=404)
    for act in ("publish/", "discard/"):
        assert bobs.post(f"{LIST}{draft.pk}/{act}", revision="1").status_code == 404
    assert bobs.rows(LIST) == []
    assert Visitor(charlie).client.get(f"/console/{LIST}").status_code in (302, 403)


def test_pages_cost_the_same_however_many_policies_there_are(
    acme: Organization, olgas: Visitor, draft: Policy
) -> None:
    pages = (LIST, f"{LIST}{draft.pk}/change/", f"{LIST}{draft.pk}/edit/")
    with acting_for(acme):
        a_policy(1)
    few = [olgas.queries(page) for page in pages]
    with acting_for(acme):
        for number in range(2, 31):
            a_policy(number)
    assert [olgas.queries(page) for page in pages] == few
    assert max(few) <= MOST_QUERIES
