"""A framework's page over an inventory of any size, as an officer opens it.

`python -m bench.framework_pages VERSIONS` prints one JSON object. The page is asked for
as a browser does, from the session's cookie to the last byte, without the network.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import time
import uuid

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "verifywise.settings")
django.setup()

from django.test import Client

from accounts.models import Organization, User
from accounts.roles import Role
from accounts.tenancy import acting_for
from bench.database import statements, tell_the_planner
from bench.versions import OFFICER, a_judged_organization
from inventory import attestations
from inventory.models import ModelVersion

PAGE = "/console/compliance/framework/EUAIA/"
CONTROL = "EUAIA-17.1.m"  # has an accountable owner as its evidence
OWNED = re.compile(re.escape(CONTROL) + r'/".*?</svg>(.*?) of ', re.DOTALL)
TIMES = 7


def main(versions: int) -> None:
    organization = a_judged_organization(f"page-{uuid.uuid4().hex[:8]}", versions)
    tell_the_planner()
    officer = User.objects.get(email=OFFICER)
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(officer)
    session = client.session
    session["organization"] = organization.pk
    session.save()

    owned = _owned(client)  # the first page also loads code and templates
    seconds, queries = [], 0
    for _ in range(TIMES):
        with statements() as sent:
            began = time.perf_counter()
            client.get(PAGE)
            seconds.append(time.perf_counter() - began)
        queries = len(sent)
    _attest_an_owner(organization, officer)
    assert _owned(client) == owned + 1, "the page does not show what was just attested"
    print(json.dumps({"seconds": statistics.median(seconds), "queries": queries}))


def _owned(client: Client) -> int:
    """Return of how many versions the page says that there is evidence of an owner."""
    answer = client.get(PAGE)
    assert answer.status_code == 200, answer.status_code
    found = OWNED.search(answer.content.decode())
    assert found, "the page does not tell of an owner"
    return int(re.sub(r"<.*?>|\D", "", found[1]))


def _attest_an_owner(organization: Organization, officer: User) -> None:
    with acting_for(organization, actor=officer, role=Role.COMPLIANCE_OFFICER):
        version = ModelVersion.objects.present().filter(owner="").first()
        assert version is not None
        attestations.attest(
            field="owner",
            value="olga@example.org",
            reason="She told so.",
            versions=[version],
        )


if __name__ == "__main__":
    main(int(sys.argv[1]))
