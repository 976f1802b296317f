"""A compliance officer in a real browser attests one field, and one of many versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from accounts import tenancy
from accounts.models import Organization, User
from inventory.models import ModelVersion, RegisteredModel
from tests.pages import a_registry
from tests.rows import a_source
from tests.verifywise.test_browser import browser, page, sign_in, site  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def models(acme: Organization) -> list[RegisteredModel]:
    with tenancy.acting_for(acme):
        return a_registry(a_source(), models=2)


def test_one_field_is_attested_from_the_record_with_a_file(
    page: Page,  # noqa: F811
    olga: User,
    models: list[RegisteredModel],
    tmp_path: Path,
) -> None:
    proof = tmp_path / "assessment.pdf"
    proof.write_bytes(b"%PDF proof")
    sign_in(page, olga)
    page.get_by_role("link", name="Versions").first.click()
    page.get_by_role("link", name="model-000").first.click()
    page.locator(".vw-tabs a[href='#record']").click()

    page.get_by_role("link", name="Attest Data sensitivity").click()
    page.get_by_label("Data sensitivity").select_option("phi")
    page.get_by_label("Reason").fill("It reads patients' letters.")
    page.get_by_label("Expires on").fill("2099-12-31")
    page.get_by_label("Evidence file").set_input_files(proof)
    page.get_by_role("button", name="Attest").click()

    expect(page.get_by_text("1 version judged again", exact=False)).to_be_visible()
    row = page.locator("tr", has=page.get_by_title("data_sensitivity"))
    expect(row).to_contain_text("phi")
    row.get_by_role("link", name="attested by Olga").click()
    with page.expect_download() as started:
        page.get_by_role("link", name="assessment.pdf").click()
    assert started.value.suggested_filename == "assessment.pdf"
    assert started.value.path().read_bytes() == b"%PDF proof"

    page.get_by_label("Reason").fill("It does not any more.")
    page.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_text("was withdrawn", exact=False)).to_be_visible()


def test_what_is_selected_in_the_list_is_attested_together(
    page: Page,  # noqa: F811
    olga: User,
    acme: Organization,
    models: list[RegisteredModel],
) -> None:
    sign_in(page, olga)
    page.get_by_role("link", name="Versions").first.click()
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option("attest_selected")
    page.get_by_role("button", name="Run").click()

    expect(page.get_by_role("heading", name="Attest of 6 versions")).to_be_visible()
    page.get_by_label("Field").select_option("Intended use")
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Intended use").fill("Scoring of retail loans.")
    page.get_by_label("Reason").fill("As the product owner wrote.")
    page.get_by_role("button", name="Attest").click()

    expect(page.get_by_text("6 versions judged again", exact=False)).to_be_visible()
    expect(page.locator("tr.data-row")).to_have_count(6)
    with tenancy.acting_for(acme):
        told = {"intended_use": "Scoring of retail loans."}
        assert ModelVersion.objects.filter(governance__contains=told).count() == 6
