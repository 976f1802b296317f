"""A compliance officer in a real browser maps a key of her teams to a field."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from accounts import tenancy
from accounts.models import Organization, User
from inventory.models import ModelVersion
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.servers import save_server
from tests.mlflow_sync.conftest import sync_to_end
from tests.registry import Registry, unique
from tests.servers import MlflowServer
from tests.verifywise.test_browser import browser, page, sign_in, site  # noqa: F401
from tests.workers import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


def test_a_key_that_was_seen_is_mapped_and_the_next_sync_fills_its_field(
    page: Page,  # noqa: F811
    acme: Organization,
    olga: User,
    mlflow_server: MlflowServer,
    registry: Registry,
) -> None:
    name = unique("credit")
    run = registry.run(registry.experiment())
    registry.model(name)
    registry.version(name, source=f"runs:/{run}/model", run_id=run)
    registry.tag_run(run, "Data Steward", "zoe@example.org")
    with tenancy.acting_for(acme):
        server = TrackingServer(url=mlflow_server.url, include_names=name)
        server = save_server(server, name="Production")
    sync_to_end(acme, server)
    with tenancy.acting_for(acme):
        version = ModelVersion.objects.get()
        assert version.owner != "zoe@example.org"

    sign_in(page, olga)
    page.get_by_role("link", name="Words").first.click()
    page.get_by_role("link", name="Add").first.click()
    seen = page.get_by_role("row", name="Data Steward")
    expect(seen).to_contain_text("run tag 1")
    expect(seen).to_contain_text("nothing")
    seen.get_by_role("link", name="Map").click()
    expect(page.get_by_label("Key or value")).to_have_value("Data Steward")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    page.get_by_label("Field", exact=True).select_option("owner")
    page.get_by_role("button", name="Preview").click()
    effect = page.get_by_role("status").get_by_role("row", name=f"{name} version 1")
    expect(effect).to_contain_text("zoe@example.org")
    with tenancy.acting_for(acme):
        assert SyncRun.objects.count() == 1
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The registries are read anew")).to_be_visible()

    def is_read_anew() -> bool:
        with tenancy.acting_for(acme):
            ended = SyncRun.objects.filter(status=SyncRun.Status.SUCCEEDED)
            return ended.count() == 2

    wait_until(is_read_anew)
    page.goto(version.get_absolute_url())
    page.locator(".vw-tabs a[href='#record']").click()
    row = page.locator("tr", has=page.get_by_title("owner", exact=True))
    expect(row).to_contain_text("zoe@example.org")
    expect(row).to_contain_text("run tag Data Steward")
