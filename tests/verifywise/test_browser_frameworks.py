"""A compliance officer in a real browser goes from a framework down to a value and back."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from accounts import tenancy
from accounts.models import Organization, User
from compliance.evaluation import evaluate_organization
from inventory.models import ModelVersion
from tests.pages import a_registry
from tests.rows import a_source
from tests.verifywise.test_browser import browser, page, sign_in, site  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def judged(acme: Organization) -> None:
    """Six versions of two models, of one of which nobody is the owner."""
    with tenancy.acting_for(acme):
        a_registry(a_source(), models=2)
        ownerless = ModelVersion.objects.get(
            registered_model__name="model-000", version_number=1
        )
        ownerless.owner = ""
        ownerless.save()
        evaluate_organization(acme)


@pytest.mark.usefixtures("judged")
def test_a_missing_value_is_found_and_filled_and_counts_at_once(
    page: Page,  # noqa: F811
    olga: User,
) -> None:
    sign_in(page, olga)
    page.get_by_role("link", name="Frameworks").click()
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url).path))
    page.get_by_role("link", name="ISO/IEC 42001").click()
    page.wait_for_load_state("networkidle")
    ours = {path for path in asked if not path.startswith("/static/")}
    assert ours == {"/console/compliance/framework/ISO42001/"}, "it asks for no more"

    ownership = page.locator("tr", has_text="AI roles and responsibilities assigned")
    expect(ownership).to_contain_text("5 of 6")
    ownership.get_by_role("link", name="A.3.2").click()
    page.get_by_role("link", name="No evidence 1").click()
    rows = page.locator(".vw-values tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("not told")

    rows.get_by_role("link", name="model-000 version 1").click()
    page.locator(".vw-tabs a[href='#record']").click()
    page.get_by_role("link", name="Attest Owner").click()
    page.get_by_label("Owner").fill("olga@example.org")
    page.get_by_label("Reason").fill("I answer for it.")
    page.get_by_role("button", name="Attest").click()
    expect(page.get_by_text("1 version judged again", exact=False)).to_be_visible()

    page.get_by_role("link", name="Frameworks").click()
    page.get_by_role("link", name="ISO/IEC 42001").click()
    expect(ownership).to_contain_text("6 of 6")

    page.get_by_label("As of").fill("2020-01-01")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("Nothing can be told of before.")).to_be_visible()
    page.get_by_role("link", name="Back to now").click()
    expect(ownership).to_contain_text("6 of 6")
