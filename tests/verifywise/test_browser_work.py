"""A compliance officer in a real browser gives gaps away, says why, and keeps the view."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from accounts import tenancy
from accounts.models import Organization, User
from compliance.models import Gap
from tests.pages import a_registry
from tests.rows import a_source
from tests.verifywise.test_browser import browser, page, sign_in, site  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


def test_gaps_are_assigned_together_commented_on_and_found_in_a_view(
    page: Page,  # noqa: F811
    acme: Organization,
    olga: User,
    max_: User,
) -> None:
    with tenancy.acting_for(acme):
        a_registry(a_source(), models=1)
    sign_in(page, olga)
    page.get_by_role("link", name="Gaps").first.click()
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option("assign_gaps")
    page.get_by_role("button", name="Run").click()

    expect(page.get_by_role("heading", name="Assign: 6 gaps")).to_be_visible()
    page.get_by_label("Owner").select_option("Max")
    page.get_by_role("button", name="Assign").click()

    expect(page.get_by_text("6 gaps are Max’s now.")).to_be_visible()
    with tenancy.acting_for(acme):
        assert Gap.objects.filter(owner=max_).count() == 6

    page.locator("tr.data-row th a").first.click()
    page.get_by_label("Due").fill("2099-12-31")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_text("given the due date 31 December 2099")).to_be_visible()
    page.get_by_label("Comment").fill("He is back on Monday.")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator(".vw-said")).to_have_text("He is back on Monday.")
    expect(page.locator(".vw-timeline li").nth(2)).to_contain_text(
        "assigned it to max@example.org"
    )

    page.get_by_role("link", name="Gaps").first.click()
    page.locator(".vw-filter summary", has_text="Owner").click()
    page.get_by_role("link", name="Max", exact=True).click()
    page.get_by_text("Save this view").click()
    page.get_by_label("Name of the view").fill("Max’s work")
    page.get_by_label("Share it with all members").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("link", name="Max’s work")).to_have_attribute(
        "aria-current", "true"
    )

    page.get_by_role("link", name="Trend").click()
    expect(page.get_by_role("heading", name="Trend of gaps")).to_be_visible()
    expect(page.locator("svg polygon")).to_have_count(1)
