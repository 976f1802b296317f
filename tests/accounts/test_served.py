"""Requests to a real gunicorn of one worker: they share one database connection."""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings
from django.db import connection

from accounts import tenancy
from accounts.models import AuditEvent, Membership, Organization, User
from inventory.models import Source
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60


@dataclass(frozen=True)
class Served:
    url: str

    def get(self, path: str, user: User | None = None, **options: Any) -> Any:
        return self.ask("GET", path, user, **options)

    def ask(
        self, method: str, path: str, user: User | None = None, **options: Any
    ) -> Any:
        options.setdefault("allow_redirects", False)
        return requests.request(
            method, self.url + path, cookies=cookies(user), timeout=60, **options
        )

    def state(self, user: User | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/test/state", user).json()
        return found


def cookies(user: User | None) -> dict[str, str]:
    if user is None:
        return {}
    name = settings.SESSION_COOKIE_NAME
    return {name: signed_in(user).cookies[name].value}


@pytest.fixture(scope="module")
def served(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("gunicorn") / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "verifywise.wsgi"),
                *("--bind", "127.0.0.1:0", "--workers", "1", "--no-control-socket"),
            ],
            cwd=ROOT,
            stderr=stderr,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.accounts.served_settings",
                "SERVED_DATABASE": connection.settings_dict["NAME"],
            },
        )
    try:
        yield Served(address_in(log, process))
    finally:
        process.terminate()
        process.wait(timeout=30)


def address_in(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"Listening at: (\S+)", log.read_text()):
            return found[1]
        time.sleep(0.1)
    raise RuntimeError(f"gunicorn did not start: {log.read_text()}")


@pytest.fixture
def sources(acme: Organization, borealis: Organization) -> None:
    for organization in (acme, borealis):
        with tenancy.acting_for(organization):
            Source.objects.create(name=f"MLflow of {organization}")


def seen_by(served: Served, alice: User, bob: User) -> list[Any]:
    """Return what nobody, Alice and Bob see after another, all on one connection."""
    states = [served.state(), served.state(alice), served.state(bob), served.state()]
    assert len({state["pid"] for state in states}) == 1
    return [(state["acting"], state["sources"], state["setting"]) for state in states]


@pytest.fixture
def in_order(
    served: Served,
    acme: Organization,
    borealis: Organization,
    alice: User,
    bob: User,
    sources: None,
) -> Iterator[None]:
    """Afterwards everybody sees their own rows, and none that was half-written."""
    yield
    assert seen_by(served, alice, bob) == [
        (None, [], ""),
        ("Acme Bank", ["MLflow of Acme Bank"], str(acme.pk)),
        ("Borealis Health", ["MLflow of Borealis Health"], str(borealis.pk)),
        (None, [], ""),
    ]
    with tenancy.acting_for(acme):
        assert not AuditEvent.objects.filter(action="source.added").exists()


def test_everybody_sees_their_own_rows_only(in_order: None) -> None:
    pass


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/test/crash", 500),
        ("/test/crash-in-template", 500),
        ("/test/answers-500", 500),
        ("/test/not-found", 404),
        ("/test/rejecting", 400),
    ],
)
def test_what_fails_leaves_nothing_to_the_next_request(
    served: Served, alice: User, in_order: None, path: str, status: int
) -> None:
    assert served.get(path, alice).status_code == status


def test_a_key_into_another_organization_is_found_at_the_commit(
    served: Served, alice: User, borealis: Organization, in_order: None
) -> None:
    with tenancy.acting_for(borealis):
        theirs = Source.objects.get()

    answer = served.get(f"/test/breaks-a-key?source={theirs.pk}", alice)

    assert answer.status_code == 500


def test_a_stream_that_breaks_off_leaves_nothing(
    served: Served, alice: User, in_order: None
) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        served.get("/test/breaking-off", alice)


def test_a_client_that_hangs_up_leaves_no_transaction_open(
    served: Served, alice: User, in_order: None
) -> None:
    pid = served.state()["pid"]
    name, value = next(iter(cookies(alice).items()))
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(
            f"GET /test/endless HTTP/1.1\r\nHost: {host}\r\n"
            f"Cookie: {name}={value}\r\n\r\n".encode()
        )
        assert b"MLflow of Acme Bank" in client.recv(100_000) + client.recv(100_000)
        assert connection_state(pid) != "idle"
        reset = struct.pack("ii", 1, 0)  # closes at once, as a crashed browser would
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)

    deadline = time.monotonic() + 20
    while connection_state(pid) != "idle" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert connection_state(pid) == "idle"
    with connection.cursor() as cursor:
        cursor.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", [pid])
        assert cursor.fetchone()[0] == "ROLLBACK"


def connection_state(pid: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", [pid])
        return str(cursor.fetchone()[0])


def test_a_refused_act_is_told_and_undone(
    served: Served, olga: User, acme: Organization, in_order: None
) -> None:
    assert served.get("/test/refused", olga).status_code == 403

    with tenancy.acting_for(acme):
        refusal = AuditEvent.objects.get(action="act.refused")
    assert refusal.actor == olga
    assert refusal.actor_role == "compliance_officer"
    assert refusal.object_label == "GET /test/refused"
    assert "Manage tracking servers" in refusal.reason


def test_a_template_is_rendered_inside_the_organization(
    served: Served, alice: User, sources: None
) -> None:
    assert served.get("/test/rendered-late", alice).text == "MLflow of Acme Bank"


def test_a_stream_shows_all_rows_to_the_member_who_asked(
    served: Served, alice: User, acme: Organization
) -> None:
    with tenancy.acting_for(acme):
        Source.objects.bulk_create(Source(name=f"source {n}") for n in range(5_000))

    lines = served.get("/test/streamed", alice).text.splitlines()

    assert len(lines) == 5_000
    assert lines[-1] == "source 4999 for Alice"


def test_a_list_page_shows_its_rows(served: Served, alice: User, olga: User) -> None:
    page = served.get("/console/accounts/membership/", alice).text

    assert olga.email in page
    assert "Acme Bank" in page


def test_a_form_shows_and_saves_its_row(
    served: Served, alice: User, olga: User, acme: Organization
) -> None:
    with tenancy.acting_for(acme):
        membership = Membership.objects.get(user=olga)
    path = f"/console/accounts/membership/{membership.pk}/change/"
    browser = requests.Session()
    browser.cookies.update(cookies(alice))

    page = browser.get(served.url + path, timeout=60).text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token is not None
    assert olga.email in page
    saved = browser.post(
        served.url + path,
        data={"csrfmiddlewaretoken": token[1], "role": "auditor"},
        allow_redirects=False,
        timeout=60,
    )

    assert saved.status_code == 302, saved.text
    with tenancy.acting_for(acme):
        membership.refresh_from_db()
        assert membership.role == "auditor"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_other_methods_leave_nothing_either(
    served: Served, alice: User, in_order: None, method: str
) -> None:
    for path in ("/test/streamed", "/test/rendered-late", "/no/such/page"):
        served.ask(method, path, alice)
