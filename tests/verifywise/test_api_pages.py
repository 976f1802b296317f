"""The pages of the API in a real browser, under the content security policy."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from tests.verifywise.test_browser import browser, page, sign_in, site  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


def test_an_act_can_be_tried_out_with_the_consoles_session(
    page: Page,  # noqa: F811
    alice: User,
) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    sign_in(page, alice)

    page.goto("/api/docs/")
    create = page.locator("#operations-tracking-servers-tracking_servers_create")
    create.click()
    create.get_by_role("button", name="Try it out").click()
    create.locator("textarea").fill('{"name": "Tried", "url": "http://127.0.0.1:1"}')
    create.get_by_role("button", name="Execute").click()

    answer = create.locator(".live-responses-table tbody .response-col_status")
    expect(answer).to_contain_text("201")
    assert complaints == []
