"""A person in a real browser: from sign-in through “Sync now” to a gap's remedy."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connection
from django.utils.timezone import now
from django_q.models import Schedule
from playwright.sync_api import Browser, Page, expect, sync_playwright

from accounts import tenancy
from accounts.models import Organization, User
from bench.registry import Layout
from bench.registry import Registry as GeneratedRegistry
from bench.server import served
from compliance.evaluation import evaluate_organization
from compliance.models import Gap
from mlflow_sync.models import SyncRun, TrackingServer
from mlflow_sync.servers import save_server
from tests.conftest import PASSWORD
from tests.registry import Registry, unique
from tests.rows import a_model, a_source, a_version
from tests.servers import MlflowServer, free_port
from tests.workers import ROOT, environment, wait_until, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]

# Chromium's own services would be looked up at every start; nothing may be fetched.
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SLOW = 30_000  # milliseconds that a busy machine may need


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """The system's Chromium, headless."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path, (
        "Chromium is missing: .ci/run installs it, or apt-get install chromium."
    )
    # Playwright's loop runs in this thread, where Django then refuses the database.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=list(CHROMIUM_OPTIONS)
        )
        yield browser
        browser.close()
        connection.close()  # inside the loop Django opens one of its own


@contextmanager
def console(folder: Path) -> Iterator[str]:
    """Serve the console on the test's database by gunicorn; yield its address."""
    port = free_port()
    with (folder / "console.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--no-control-socket"),
                *("--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "4"),
                *("--graceful-timeout", "1"),
                "verifywise.wsgi",
            ],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(address), process=process)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/healthz", timeout=5):  # noqa: S310 - our own server
            return True
    except (URLError, OSError):
        return False


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The console and a worker, as `make run` starts them."""
    with worker(tmp_path), console(tmp_path) as address:
        yield address


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    """A page in which every script error and every request elsewhere is a failure."""
    page = browser.new_page(base_url=site, viewport={"width": 1440, "height": 900})
    page.set_default_timeout(SLOW)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request",
        lambda request: (
            faults.append(request.url)
            if not request.url.startswith((site, "data:"))
            else None
        ),
    )
    yield page
    assert faults == []


def sign_in(page: Page, user: User) -> None:
    # Tests hash cheaply; the console is a process of its own and does not.
    user.password = PBKDF2PasswordHasher().encode(PASSWORD, "salt")
    user.save()
    page.goto("/")
    page.get_by_label("E-mail").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_from_sign_in_through_sync_now_to_a_gaps_remedy(
    page: Page, alice: User, mlflow_server: MlflowServer, registry: Registry
) -> None:
    name = unique("credit")
    run = registry.run(registry.experiment(), metrics={"auc": 0.9})
    registry.model(name)
    registry.version(name, source=f"runs:/{run}/model", run_id=run)
    for key, value in (("data_sensitivity", "personal"), ("stage", "production")):
        registry.post(
            "model-versions/set-tag", name=name, version="1", key=key, value=value
        )
    sign_in(page, alice)

    page.get_by_role("link", name="Tracking servers").first.click()
    page.get_by_role("link", name="Add").first.click()
    page.get_by_label("Name", exact=False).first.fill("Production MLflow")
    page.get_by_label("URL").fill(mlflow_server.url)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Test connection").click()
    page.get_by_role("dialog").get_by_role("button", name="Test connection").click()
    expect(page.get_by_text("MLflow 3.").first).to_be_visible()

    page.get_by_role("button", name="Sync now").click()
    page.get_by_role("dialog").get_by_role("button", name="Sync now").click()
    finished = page.locator("#progress[data-finished]")
    expect(finished).to_be_visible(timeout=2 * SLOW)
    expect(page.locator("[data-count=versions]")).not_to_have_text("0")

    page.get_by_role("link", name="Models").first.click()
    page.get_by_role("link", name=name).click()
    page.get_by_role("link", name="version 1").first.click()
    gap = page.locator("#VW-PRIV-001")
    if gap.get_attribute("open") is None:
        gap.locator("summary").click()
    remedy = gap.locator("pre")
    expect(remedy).to_contain_text("set_model_version_tag")
    expect(remedy).to_contain_text(name)
    expect(remedy).to_contain_text("privacy_assessment_status")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    gap.get_by_role("button", name="Copy").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == remedy.inner_text().strip()


def test_the_counts_of_a_large_sync_rise_while_one_looks(
    page: Page, acme: Organization, alice: User, tmp_path: Path
) -> None:
    large = GeneratedRegistry(layout=Layout.LOGGED_MODELS, models=300)
    with served(large.make(tmp_path), workers=1) as url:
        with tenancy.acting_for(acme):
            save_server(TrackingServer(url=url, read_artifacts=False), name="Large")
        Schedule.objects.filter(func=settings.SCHEDULED_SYNC_JOB).delete()  # each hour
        sign_in(page, alice)
        page.get_by_role("link", name="Tracking servers").first.click()
        page.get_by_role("button", name="Sync now").first.click()
        page.get_by_role("dialog").get_by_role("button", name="Sync now").click()
        expect(page.locator("#progress")).to_be_visible()

        seen: list[int] = []
        finished = page.locator("#progress[data-finished]")
        while not finished.count():
            told = page.locator("[data-count=versions]").inner_text()
            seen.append(int("".join(filter(str.isdigit, told))))
            page.wait_for_timeout(200)

        rises = sum(later > earlier for earlier, later in pairwise(seen))
        assert rises >= 2, seen
        expect(page.locator("[data-count=versions]")).to_have_text("3,000")
    with tenancy.acting_for(acme):
        assert SyncRun.objects.get().status == SyncRun.Status.SUCCEEDED


def test_an_officer_drafts_a_policy_and_another_publishes_it(
    page: Page, acme: Organization, alice: User, olga: User
) -> None:
    with tenancy.acting_for(acme):
        model = a_model(a_source())
        for number in (1, 2):
            a_version(
                model,
                number,
                lifecycle_stage="Production",
                data_sensitivity="personal",
                owner="max@example.org",
            )
    evaluate_organization(acme)
    sign_in(page, olga)
    page.get_by_role("link", name="Policies").first.click()
    page.get_by_role("button", name="Start a draft").click()
    page.get_by_label("What it is about").fill("Less privacy")
    page.get_by_label("VW-PRIV-001 is on").select_option("off")
    page.locator("#parameter-demographic_parity_max").fill("7")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text(
        "demographic_parity_max goes from 0 to 1 (absolute): 7 is out of range."
    )
    expect(page.get_by_label("VW-PRIV-001 is on")).to_have_value("off")
    page.locator("#parameter-demographic_parity_max").fill("0.2")
    page.get_by_role("button", name="Save and preview").click()
    expect(page.locator("#sentence")).to_contain_text(
        "This would open 0 gaps and close 2 gaps, among 2 versions."
    )
    page.get_by_role("link", name="Go on to publish").click()
    expect(page.locator("#publish")).to_contain_text("somebody else publishes it")
    address = page.url

    page.context.clear_cookies()
    sign_in(page, alice)
    page.goto(address)
    page.get_by_label("Reason").fill("Agreed by the committee.")
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("dialog").get_by_role("button", name="Publish").click()
    expect(page.get_by_role("heading", name="Policy 1")).to_be_visible()
    expect(page.get_by_text("In force", exact=True)).to_be_visible()

    def is_judged() -> bool:
        page.reload()
        return page.get_by_text("2 of 2 versions").count() > 0

    wait_until(is_judged)
    with tenancy.acting_for(acme):
        assert not Gap.objects.open().filter(rule_id="VW-PRIV-001").exists()
        assert Gap.objects.filter(rule_id="VW-PRIV-001").count() == 2


def test_a_waiver_is_asked_for_by_one_person_and_approved_by_another(
    browser: Browser, page: Page, acme: Organization, max_: User, olga: User
) -> None:
    with tenancy.acting_for(acme):
        version = a_version(a_model(a_source()), 3, lifecycle_stage="Production")
    evaluate_organization(acme)
    with tenancy.acting_for(acme):
        gap = Gap.objects.get(version=version, rule_id="VW-INV-001")

    sign_in(page, max_)
    page.goto(f"/console/compliance/gap/{gap.pk}/change/")
    page.get_by_role("link", name="Ask for a waiver").click()
    page.get_by_label("This gap only").check()
    page.get_by_label("Reason").fill("The team is being moved.")
    page.get_by_role("button", name="Ask for it").click()
    expect(page.get_by_text("A waiver has a last day: say until when.")).to_be_visible()
    last_day = now().date() + timedelta(days=90)
    page.get_by_label("Last day").fill(last_day.isoformat())
    page.get_by_role("button", name="Ask for it").click()
    expect(page.get_by_text("somebody else decides on it")).to_be_visible()
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)

    theirs = browser.new_page(base_url=page.url.partition("/console/")[0])
    sign_in(theirs, olga)
    theirs.goto("/console/compliance/waiver/?queue=requested")
    theirs.get_by_role("link", name="VW-INV-001").click()
    expect(theirs.get_by_text("Asked for by Max")).to_be_visible()
    theirs.get_by_label("Reason").fill("Fine until then.")
    theirs.get_by_role("button", name="Approve").click()
    expect(theirs.get_by_text("was approved.")).to_be_visible()
    expect(theirs.get_by_text("In force", exact=True)).to_be_visible()

    page.goto(f"/console/compliance/gap/{gap.pk}/change/")
    expect(
        page.get_by_text("approved by Olga: The team is being moved.").first
    ).to_be_visible()
    page.goto(f"/console/inventory/modelversion/{version.pk}/change/")
    expect(page.get_by_text("1 gap waived").first).to_be_visible()
