"""The schema, its pages, and what is written about them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.viewsets import GenericViewSet

from accounts import tenancy
from accounts.models import User
from compliance.models import GapComment
from inventory.models import ModelVersion, Source
from mlflow_sync.models import WebhookDelivery
from mlflow_sync.webhooks.endpoints import enable
from tests.callers import PROBLEM, Caller, calling, schema_told_to, with_token
from tests.conftest import signed_in
from tests.rows import (
    a_gap,
    a_model,
    a_name,
    a_run,
    a_server,
    a_stage_move,
    a_sync,
    a_version,
    a_view,
    a_waiver,
    an_alias_move,
    an_attestation,
    an_evaluation,
    an_evidence_file,
    an_unregistered_model,
    days,
)
from verifywise.api import ROUTES

DOCS = Path(__file__).parents[2] / "docs" / "api.md"

LISTS = tuple(
    prefix
    for prefix, viewset in ROUTES
    if hasattr(viewset, "list") and prefix != "check-version"  # answers with one
)
PAGED = tuple(path for path in LISTS if path != "me")


@pytest.fixture
def alices(alice: User) -> Caller:
    return calling(alice)


@pytest.fixture
def version(source: Source) -> ModelVersion:
    return a_version(a_model(source))


def test_the_schema_is_valid_and_complete(tmp_path: Path) -> None:
    call_command(
        "spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema")
    )
    schema = yaml.load((tmp_path / "schema").read_text(), Loader=yaml.CSafeLoader)

    prefixes = {path.split("/")[2] for path in schema["paths"]}
    assert prefixes == {prefix for prefix, _ in ROUTES}
    for operations in schema["paths"].values():
        for operation in operations.values():
            problems = {code for code in operation["responses"] if code >= "400"}
            assert {"400", "401", "403", "406"} <= problems
            for code in problems:
                (kind,) = operation["responses"][code]["content"]
                assert kind == PROBLEM
    sync = schema["paths"]["/api/tracking-servers/{id}/sync/"]["post"]["responses"]
    assert {"202", "404", "409", "415"} <= set(sync)
    assert schema["components"]["securitySchemes"].keys() == {"session", "token"}


def test_the_schema_shows_no_credential_in_answers(alice: User) -> None:
    schema = schema_told_to(calling(alice))

    server = schema["components"]["schemas"]["TrackingServer"]["properties"]
    assert server["password"]["writeOnly"] is server["token"]["writeOnly"] is True
    assert {"username", "headers"} <= set(server)


READ = (
    "registered-models/{registered-models}/",
    "registered-models/{registered-models}/aliases/",
    "registered-models/{registered-models}/serving/",
    "modelInventory/{modelInventory}/",
    "modelInventory/{modelInventory}/results/",
    "model-inventory-change-history/{modelInventory}/",
    "gaps/{gaps}/",
    "gaps/{gaps}/comments/",
    "gaps/trend/",
    "saved-views/{saved-views}/",
    "rules/{rules}/",
    "sources/{sources}/",
    "tracking-servers/{tracking-servers}/",
    "tracking-servers/{tracking-servers}/webhook/",
    "tracking-servers/{tracking-servers}/webhook/deliveries/",
    "sync-runs/{sync-runs}/",
    "sync-runs/{sync-runs}/failures/",
    "unregistered-models/{unregistered-models}/",
    "attestations/{attestations}/",
    "evidence-files/{evidence-files}/",
    "person-names/{person-names}/",
    "person-names/unresolved/",
    "waivers/{waivers}/",
    "check-version/?model=credit-scoring&version=1",
)


DOCUMENTS = {
    "artifact_manifest": [
        {"path": "MLmodel", "size": 812, "type": "other", "state": "hashed", "sha256": "0a"},
        {
            "path": "model.pkl",
            "size": None,
            "type": "model",
            "state": "unavailable",
            "reason": "The server answered 500.",
            "unsafe": True,
            "format": "pickle",
        },
    ],
    "evidence_files": [{"path": "MLmodel", "kind": "signature", "state": "hashed"}],
    "runtime_environment": {
        "files": ["conda.yaml"],
        "python": "3.11.7",
        "image": "sha256:0a",
        "dependencies": ["risk @ git+https://h/risk"],
        "conda_dependencies": ["python=3.11"],
        "build_dependencies": ["pip"],
        "packages": [
            {
                "manager": "pip",
                "scope": "build",
                "name": "risk",
                "told": "risk @ git+https://h/risk",
                "version": "1",
                "specifier": "==1",
                "extras": ["fast"],
                "marker": "os_name == 'nt'",
                "purl": "pkg:generic/risk",
            }
        ],
    },
    "mlmodel": {
        "flavors": {
            "sklearn": {"version": "1", "loader": "m", "serialization": "pickle"}
        },
        "python": "3.11.7",
        "mlflow_version": "3.17.2",
        "logged_at": "2026-01-01T00:00:00Z",
        "model_size_bytes": "large",
        "model_uuid": "0a",
        "model_id": "m-1",
        "serialization": ["pickle"],
        "unsafe": True,
    },
    "dataset_inputs": [
        {"name": "", "digest": "", "context": "", "source_type": "", "source": ""}
    ],
}  # fmt: skip


SAID_OTHERWISE = {"value": "zoe", "told": {"source": "run tag"}, "seen": None}


@pytest.mark.parametrize("path", [*(f"{prefix}/" for prefix in LISTS), *READ])
def test_what_is_told_is_what_the_schema_describes(
    path: str, alices: Caller, in_acme: tenancy.Acting, source: Source
) -> None:
    version = a_version(
        a_model(source),
        metrics={"auc": 0.9},
        governance={"code_dirty": True, "jurisdictions": ["EU"]},
        provenance={"owner": {"source": "run tag", "key": "owner"}},
        others={"owner": [["eve", {"source": "run info"}]]},
        ingested={"owner": SAID_OTHERWISE},
        **DOCUMENTS,
        run=a_run(source),
        incomplete={"run": "It was deleted."},
    )
    an_evaluation(version, results={"VW-INV-001": {"verdict": "fail", "version": 1}})
    a_stage_move(version, "", "Production", (None, days(1)))
    a_stage_move(version, "Production", "", (days(2), days(3)), told_by="")
    a_stage_move(version, "", "Production", (days(4), days(5)))
    an_alias_move(version.registered_model, "champion", None, 1, (None, days(1)))
    run = a_sync(a_server(source))
    enable(run.server)
    WebhookDelivery.objects.create(server=run.server, delivery_id="1", event="a.b")
    attestation = an_attestation(
        version,
        evidence_file=an_evidence_file(),
        attested_by=alices.user,
        contradicted_since=days(1),
    )
    version.ingested["owner"]["attestation"] = attestation.pk
    version.save()
    gap = a_gap(version, owner=alices.user, due_on=days(1).date())
    GapComment.objects.create(gap=gap, author=alices.user, text="Soon.")
    ids = {
        "attestations": attestation.pk,
        "evidence-files": attestation.evidence_file_id,
        "saved-views": a_view(alices.user).pk,
        "person-names": a_name(alices.user).pk,
        "registered-models": version.registered_model_id,
        "modelInventory": version.pk,
        "gaps": gap.pk,
        "waivers": a_waiver(gap, alices.user).pk,
        "rules": "VW-INV-001",
        "sources": source.pk,
        "tracking-servers": run.server_id,
        "sync-runs": run.pk,
        "unregistered-models": an_unregistered_model(source).pk,
    }
    with_token(alices.user)
    schema = schema_told_to(alices)
    described = f"/api/{re.sub('{[^}]+}', '{id}', path).partition('?')[0]}"
    answer = schema["paths"][described]["get"]["responses"]["200"]

    status, body = alices.get(path.format(**ids))

    assert status == 200
    closed = _closed({**answer["content"]["application/json"]["schema"], **schema})
    jsonschema.Draft202012Validator(closed).validate(body)


def _closed(schema: Any) -> Any:
    """Let a schema refuse what it does not describe."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _closed(value) for key, value in schema.items()}
    if isinstance(found.get("properties"), dict):
        found.setdefault("additionalProperties", False)
    return found


def test_the_pages_want_a_sign_in(client: Client, alice: User) -> None:
    assert client.get("/api/docs/")["Location"].endswith("?next=/api/docs/")
    assert signed_in(alice).get("/api/docs/").status_code == 200


def resource(prefix: str, viewset: type[GenericViewSet[Any]]) -> str:
    """Return the row of a resource in docs/api.md."""
    acts = [
        word
        for name, word in (
            ("create", "create"),
            ("partial_update", "change"),
            ("destroy", "remove"),
        )
        if hasattr(viewset, name)
    ]
    more = [f"`{each.url_path}/`" for each in viewset.get_extra_actions()]
    filterset = DjangoFilterBackend().get_filterset_class(viewset, viewset.queryset)
    filters = [f"`{name}`" for name in filterset.base_filters] if filterset else []
    meaning = (viewset.__doc__ or "").strip().splitlines()[0]
    return (
        f"| `/api/{prefix}/` | {meaning} | {', '.join([*acts, *more])} "
        f"| {', '.join(filters)} |"
    )


def test_the_document_lists_every_resource_as_it_is() -> None:
    rows = re.findall(r"^\| `/api/.*$", DOCS.read_text(), re.MULTILINE)

    assert rows == [resource(prefix, viewset) for prefix, viewset in ROUTES]
