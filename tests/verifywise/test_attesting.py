"""Attesting and what stands around it: real syncs, the queue, the day that ends it."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from django_q.models import OrmQ

from accounts import tenancy
from accounts.models import AuditEvent, Organization, User
from accounts.roles import Role
from compliance.models import Evaluation, Gap
from inventory import effective
from inventory.attestations import attest
from inventory.models import Attestation, ModelVersion
from inventory.models.attestations import today
from tests.inventory.test_store import (
    LATER,
    MODEL,
    VERSION,
    numbered,
    put_models,
    put_versions,
)
from tests.mlflow_sync.conftest import (
    Syncer,
    own_mlflow,  # noqa: F401
    own_registry,  # noqa: F401
    server,  # noqa: F401
    sync_now,  # noqa: F401
)
from tests.registry import Registry, unique
from tests.rows import a_model, a_source, a_version
from verifywise import jobs, pipeline

pytestmark = pytest.mark.django_db(transaction=True)


def judged(organization: Organization, rule_id: str) -> str:
    """Return what the rule says of the only version."""
    with tenancy.acting_for(organization):
        evaluation = Evaluation.objects.get(version__isnull=False)
        return str(evaluation.results[rule_id]["verdict"])


def test_what_is_attested_outlives_real_syncs_and_the_drift_is_seen(
    acme: Organization,
    olga: User,
    sync_now: Syncer,  # noqa: F811
    own_registry: Registry,  # noqa: F811
) -> None:
    name = unique("attested")
    own_registry.model(name)
    own_registry.version(name, source="s3://bucket/model")

    def tag(value: str) -> None:
        own_registry.post(
            "model-versions/set-tag", name=name, version="1", key="owner", value=value
        )

    def version() -> ModelVersion:
        return ModelVersion.objects.get(registered_model__name=name)

    tag("nina@example.org")
    sync_now()
    with tenancy.acting_for(acme, actor=olga, role=Role.COMPLIANCE_OFFICER):
        attest(
            field="owner", value="max@example.org", reason="So.", versions=[version()]
        )
        before = version().changed_at

    with CaptureQueriesContext(connection) as captured:
        assert sync_now().count("updated") == 0
    written = [
        query["sql"]
        for query in captured
        if re.match(
            r'(INSERT INTO|UPDATE) "inventory_.*(version|attestation)"', query["sql"]
        )
    ]
    assert written == []
    with tenancy.acting_for(acme):
        assert version().changed_at == before
    tag("zoe@example.org")
    assert sync_now().count("updated") == 1

    with tenancy.acting_for(acme):
        row = version()
        assert row.owner == "max@example.org"
        assert row.ingested["owner"]["value"] == "zoe@example.org"
        assert Attestation.objects.get().contradicted_since == row.changed_at


def test_what_expires_is_ended_and_judged_again_by_the_daily_job(
    acme: Organization, borealis: Organization
) -> None:
    with tenancy.acting_for(acme):
        version = a_version(a_model(a_source()))
        done = attest(
            field="owner", value="max@example.org", reason="So.", versions=[version]
        )
        assert "1 version judged again: " in done.told
    assert judged(acme, "VW-INV-001") == "pass"
    with tenancy.acting_for(acme):
        Attestation.objects.update(expires_on=today())

    jobs.lapse_attestations()
    jobs.lapse_attestations()

    assert judged(acme, "VW-INV-001") == "fail"
    with tenancy.acting_for(acme):
        assert Gap.objects.open().filter(rule_id="VW-INV-001").exists()
        assert Attestation.objects.get().state == Attestation.State.EXPIRED
        (event,) = AuditEvent.objects.filter(action="attestation.expired")
        assert event.origin == "scheduler"


def test_many_versions_are_judged_by_a_job_which_finds_them(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "AT_ONCE", 2)
    with tenancy.acting_for(acme):
        model = a_model(a_source())
        for number in (1, 2, 3):
            a_version(model, number, changed_at=now() - timedelta(days=1))

        done = attest(field="owner", value="max", reason="So it is.", models=[model])

        assert done.told == "3 versions will be judged again in the background."
        assert not Evaluation.objects.exists()
    assert OrmQ.objects.count() == 1

    jobs.evaluate_due(acme.pk)

    with tenancy.acting_for(acme):
        assert Evaluation.objects.count() == 3


def test_who_attests_while_a_sync_stores_waits_and_nothing_is_lost(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the sync would write over what was attested since it asked what is."""
    with tenancy.acting_for(acme):
        source = a_source()
        put_models(source, MODEL)
        put_versions(source, numbered(2))
        first = ModelVersion.objects.get(version_number=1)
    asked = threading.Event()
    cover = effective.cover

    def cover_slowly(*args: Any, **options: Any) -> None:
        if threading.current_thread() is threading.main_thread() and not asked.is_set():
            asked.set()
            time.sleep(0.5)
        cover(*args, **options)

    monkeypatch.setattr(effective, "cover", cover_slowly)

    def attest_meanwhile() -> None:
        try:
            asked.wait(30)
            with tenancy.acting_for(acme):
                attest(field="owner", value="max", reason="So.", versions=[first])
        finally:
            connection.close()

    other = threading.Thread(target=attest_meanwhile)
    other.start()
    with tenancy.acting_for(acme):
        told = [
            replace(
                VERSION, version_number=number, owner="zoe", fingerprint=f"z{number}"
            )
            for number in (1, 2)
        ]
        put_versions(source, told, at=LATER)
    other.join(30)

    with tenancy.acting_for(acme):
        owners = dict(ModelVersion.objects.values_list("version_number", "owner"))
        assert owners == {1: "max", 2: "zoe"}
        row = ModelVersion.objects.get(pk=first.pk)
        assert row.ingested["owner"]["value"] == "zoe"
