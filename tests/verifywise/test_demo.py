"""The demo as its visitors find it: set up, read from real servers, judged, removed."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django_q.models import Schedule

from accounts import tenancy
from accounts.models import AuditEvent, AuditHead, Membership, Organization, User
from accounts.walls import TenantModel
from compliance.models import Gap, Policy, PolicyEditor, Waiver
from inventory.models import Attestation, ModelVersion, Source
from mlflow_sync.models import TrackingServer
from tests.servers import MlflowServer
from verifywise.demo.cases import ORGANIZATIONS
from verifywise.demo.decisions import ASSESSMENT, DECISIONS

pytestmark = pytest.mark.django_db

PASSWORD = "quiet-harbour-at-dusk"
# What stays of a removed demo: who was there, what was done, and what was published.
LASTING = {AuditEvent, AuditHead, Membership}
PUBLISHED = {Policy, PolicyEditor}


@pytest.fixture(autouse=True)
def files(tmp_path: Path, settings: Any) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def demo(
    demo_servers: Mapping[str, MlflowServer], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Set the demo up as `make demo` does; the value is how to do it once more."""
    monkeypatch.setenv("VERIFYWISE_ADMIN_PASSWORD", PASSWORD)
    arguments = [
        "demo_setup",
        *(f"--server={slug}={server.url}" for slug, server in demo_servers.items()),
    ]
    call_command(*arguments)
    return arguments


def decide() -> str:
    """Let the people decide, and return what was said."""
    said = StringIO()
    call_command("demo_decide", stdout=said)
    return said.getvalue()


def sync() -> None:
    for organization in ORGANIZATIONS:
        call_command("sync", "--organization", organization.slug)


def trail() -> list[str]:
    """Return the actions noted in all organizations, the installation's included."""
    found = []
    for organization in Organization.objects.all():
        with tenancy.acting_for(organization):
            found += AuditEvent.objects.values_list("action", flat=True)
    return found


def test_every_version_has_the_gaps_of_the_table_and_no_others(demo):
    sync()

    for organization in ORGANIZATIONS:
        with tenancy.acting_for(Organization.objects.get(slug=organization.slug)):
            found = {
                (version.model_name, version.version_number): (
                    set(rules_of(version, Gap.Kind.RULE)),
                    set(rules_of(version, Gap.Kind.MISSING_FIELD)),
                )
                for version in ModelVersion.objects.select_related("registered_model")
            }
            assert not Gap.objects.filter(version=None).exists()
        assert found == {
            (case.model.name, case.number): (
                set(case.version.gaps),
                {f"VW-FIELD-{name.upper()}" for name in case.version.empty},
            )
            for case in organization.cases()
        }


def test_its_people_attest_waive_and_publish_once(
    demo, files, django_capture_on_commit_callbacks
):
    sync()
    said = decide()
    trailed = trail()

    assert said == (
        "Acme Bank: gaps before attesting: 2 critical, 16 high, 2 medium, 0 low, "
        "53 missing fields; after: 1 critical, 13 high, 0 medium, 0 low, "
        "50 missing fields.\n"
        "Borealis Health: gaps before attesting: 1 critical, 7 high, 0 medium, 0 low, "
        "13 missing fields; after: 0 critical, 6 high, 0 medium, 0 low, "
        "12 missing fields.\n"
    )
    assert decide() != said
    assert trail() == trailed
    acme = Organization.objects.get(slug="acme")
    with tenancy.acting_for(acme):
        told = DECISIONS["acme"]
        assert Attestation.objects.in_force().count() == len(told.attested)
        proven = Attestation.objects.get(evidence_file__isnull=False)
        assert proven.evidence_file.file.read() == ASSESSMENT.encode()
        assert Attestation.objects.get(expires_on__isnull=False).field == "baseline_ref"
        (in_force,) = Waiver.objects.in_force()
        assert in_force.waived_gaps.get().rule_id == "VW-APR-004"
        assert Waiver.objects.requested().count() == 1
        assert Policy.objects.get().number == 1

    with django_capture_on_commit_callbacks(execute=True):
        call_command("remove_demo")

    assert not any(path.is_file() for path in files.rglob("*"))
    with tenancy.acting_for(acme):
        left = {model for model in tenant_models() if model.objects.exists()}
        assert left == LASTING | PUBLISHED


def rules_of(version: ModelVersion, kind: Gap.Kind) -> list[str]:
    gaps = Gap.objects.open().filter(version=version, kind=kind)
    return list(gaps.values_list("rule_id", flat=True))


def test_the_people_of_the_table_can_sign_in_and_belong_where_it_says(demo, client):
    for organization in ORGANIZATIONS:
        with tenancy.acting_for(Organization.objects.get(slug=organization.slug)):
            roles = dict(Membership.objects.values_list("user__email", "role"))
        assert roles == {person.email: person.role for person in organization.people}
        for email in roles:
            assert User.objects.get(email=email).check_password(PASSWORD)


def test_its_rows_are_marked(demo):
    for organization in Organization.objects.filter(closed_at=None):
        assert organization.is_demo
        with tenancy.acting_for(organization):
            assert all(Source.objects.values_list("is_demo", flat=True))


def test_setting_up_again_changes_nothing(demo):
    before = trail()

    call_command(*demo)

    assert trail() == before


def test_a_server_that_moved_is_found_again(demo, demo_servers):
    moved = demo_servers["acme"].url.replace("127.0.0.1", "localhost")

    call_command("demo_setup", f"--server=acme={moved}")

    with tenancy.acting_for(Organization.objects.get(slug="acme")):
        server = TrackingServer.objects.get()
        assert server.url == moved
        assert server.last_test_passed


def test_another_organization_of_the_same_name_is_left_alone(acme, monkeypatch):
    monkeypatch.setenv("VERIFYWISE_ADMIN_PASSWORD", PASSWORD)

    with pytest.raises(CommandError, match="'acme' which is not the demo's"):
        call_command("demo_setup", "--server=acme=http://127.0.0.1:1")

    acme.refresh_from_db()
    assert not acme.is_demo


def test_removing_it_leaves_the_trail_and_who_was_there(demo):
    sync()

    call_command("remove_demo")

    assert not Schedule.objects.filter(name__startswith="sync of server").exists()
    assert not User.objects.filter(is_active=True).exists()
    for organization in Organization.objects.filter(is_demo=True):
        assert organization.closed_at is not None
        with tenancy.acting_for(organization):
            left = {model for model in tenant_models() if model.objects.exists()}
            assert left == LASTING


def tenant_models() -> list[type[TenantModel]]:
    """Return every model whose rows belong to an organization, history included."""
    fields = (
        (model, {f.name for f in model._meta.fields}) for model in apps.get_models()
    )
    return [model for model, names in fields if "organization" in names]


def test_what_people_added_to_it_stays_when_it_is_removed(demo):
    acme = Organization.objects.get(slug="acme")
    with tenancy.acting_for(acme):
        Source.objects.create(name="Our own")

    call_command("remove_demo")

    acme.refresh_from_db()
    assert acme.closed_at is None
    assert User.objects.get(email="alice@acme.example").is_active
    assert not User.objects.get(email="bob@borealis.example").is_active
    with tenancy.acting_for(acme):
        assert [source.name for source in Source.objects.all()] == ["Our own"]


def test_it_can_be_set_up_again_after_it_was_removed(demo):
    call_command("remove_demo")

    call_command(*demo)
    sync()

    acme = Organization.objects.get(slug="acme")
    assert acme.closed_at is None
    assert User.objects.get(email="alice@acme.example").is_active
    with tenancy.acting_for(acme):
        assert ModelVersion.objects.count() == 25
