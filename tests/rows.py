"""Rows of the inventory and what stands upon it, for tests that read them over REST.

Call inside `acting_for`; whatever is not told is what a faultless sync would store.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.timezone import now

from accounts.models import SavedView, User
from compliance.catalogue import Gate, Severity
from compliance.models import Evaluation, Gap, Policy, Waiver
from compliance.policy import read
from inventory.models import (
    AliasEvent,
    Attestation,
    EvidenceFile,
    LifecycleEvent,
    ModelVersion,
    PersonName,
    RegisteredModel,
    Run,
    Source,
    UnregisteredModel,
    folded,
)
from mlflow_sync.models import SyncRun, TrackingServer, VocabularyEntry

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def days(count: float) -> datetime:
    """Return the moment so many days after New Year."""
    return NEW_YEAR + timedelta(days=count)


def a_source(name: str = "Production MLflow", **fields: Any) -> Source:
    return Source.objects.create(name=name, **fields)


def a_model(
    source: Source, name: str = "credit-scoring", **fields: Any
) -> RegisteredModel:
    told = {"created_at": days(0), "first_seen_at": days(1), "changed_at": days(1)}
    return RegisteredModel.objects.create(
        source=source, name=name, fingerprint="m", **(told | fields)
    )


def a_version(model: RegisteredModel, number: int = 1, **fields: Any) -> ModelVersion:
    told = {"created_at": days(0), "first_seen_at": days(1), "changed_at": days(1)}
    return ModelVersion.objects.create(
        source=model.source,
        registered_model=model,
        version_number=number,
        fingerprint="v",
        **(told | fields),
    )


def a_run(source: Source, run_id: str = "r1", **fields: Any) -> Run:
    told = {
        "lifecycle_stage": "active",
        "metrics": {"auc": 0.9},
        "unusable_metrics": {"loss": "NaN"},
        "metric_points": {
            "auc": {"step": 7, "at": "2026-01-01T00:00:00Z"},
            "loss": {"step": 8},
        },
    }
    return Run.objects.create(
        source=source, run_id=run_id, fingerprint="r", **(told | fields)
    )


def a_stage_move(
    version: ModelVersion,
    before: str,
    after: str,
    observed: tuple[datetime | None, datetime],
    *,
    told_by: str = "alias champion",
) -> LifecycleEvent:
    return LifecycleEvent.objects.create(
        version=version,
        from_stage=before,
        to_stage=after,
        told_by=told_by,
        observed_after=observed[0],
        observed_before=observed[1],
    )


def an_alias_move(
    model: RegisteredModel,
    alias: str,
    before: int | None,
    after: int | None,
    observed: tuple[datetime | None, datetime],
) -> AliasEvent:
    return AliasEvent.objects.create(
        registered_model=model,
        alias=alias,
        from_version=before,
        to_version=after,
        observed_after=observed[0],
        observed_before=observed[1],
    )


def an_unregistered_model(
    source: Source, address: str = "models:/m-1", **fields: Any
) -> UnregisteredModel:
    told = {
        "kind": UnregisteredModel.Kind.LOGGED_MODEL,
        "name": "scorer",
        "status": "READY",
        "run_id": "r1",
        "experiment_id": "7",
        "created_at": days(0),
        "first_seen_at": days(1),
        "changed_at": days(1),
    }
    return UnregisteredModel.objects.create(
        source=source, external_id=address, fingerprint="u", **(told | fields)
    )


def an_evidence_file(**fields: Any) -> EvidenceFile:
    told = {
        "name": "report.pdf",
        "content_type": "application/pdf",
        "size": 3,
        "sha256": "0a" * 32,
        "file": "evidence/none",
    }
    return EvidenceFile.objects.create(**(told | fields))


def an_attestation(version: ModelVersion | None = None, **fields: Any) -> Attestation:
    """Make an attestation as a row; its act would let it count."""
    told = {"field": "owner", "value": "max", "reason": "He told me so."}
    return Attestation.objects.create(version=version, **(told | fields))


def a_gap(version: ModelVersion | None = None, **fields: Any) -> Gap:
    told = {
        "rule_id": "VW-INV-001",
        "kind": Gap.Kind.RULE,
        "severity": Severity.HIGH,
        "gate": Gate.BLOCK.value,
        "detail": "There is no owner.",
        "opened_at": days(2),
    }
    return Gap.objects.create(version=version, **(told | fields))


def a_policy(
    number: int | None = None, *, at: datetime | None = None, **content: Any
) -> Policy:
    """Make a published policy, or without a number a draft, that says `content`."""
    said = read({"packs": ["starter"]} | content)
    return Policy.objects.create(
        number=number,
        published_at=(at or days(3)) if number else None,
        content=said.to_json(),
        digest=said.digest,
    )


def a_waiver(gap: Gap, by: User, **fields: Any) -> Waiver:
    """Return a waiver that was asked for, and waives nothing by itself."""
    told = {
        "scope": Waiver.Scope.GAP,
        "gap": gap,
        "rule_id": gap.rule_id,
        "reason": "We are moving.",
        "ends_on": now().date() + timedelta(days=60),
        "requested_by": by,
    }
    return Waiver.objects.create(**(told | fields))


def an_evaluation(version: ModelVersion, **fields: Any) -> Evaluation:
    told = {"created_at": days(2), "changed_at": days(2), "fingerprint": "e"}
    return Evaluation.objects.create(version=version, **(told | fields))


def a_server(source: Source, **fields: Any) -> TrackingServer:
    told = {"url": "http://127.0.0.1:1"}
    return TrackingServer.objects.create(source=source, **(told | fields))


def a_sync(server: TrackingServer, **fields: Any) -> SyncRun:
    told = {
        "trigger": SyncRun.Trigger.SCHEDULE,
        "status": SyncRun.Status.SUCCEEDED,
        "queued_at": days(3),
        "started_at": days(3),
        "finished_at": days(3) + timedelta(seconds=9),
    }
    return SyncRun.objects.create(server=server, **(told | fields))


def a_word(told: str = "steward", field: str = "owner") -> VocabularyEntry:
    return VocabularyEntry.objects.create(
        kind=VocabularyEntry.Kind.KEY, field=field, told=told, folded=told
    )


def a_name(person: User, name: str = "Team Risk") -> PersonName:
    return PersonName.objects.create(name=name, folded=folded(name), person=person)


def a_view(user: User, name: str = "Grave ones", **fields: Any) -> SavedView:
    told = {"list_name": "gaps", "query": "severity=critical"}
    return SavedView.objects.create(user=user, name=name, **(told | fields))
