"""The acts on attestations: attest, keep, withdraw; and what their last day does.

Each checks the permission, makes the change and notes the audit entries in one go; the
console and the API come here. What counts is other values at once, and who judges the
versions is told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.timezone import now

from accounts import audit, tenancy
from accounts.models import User
from accounts.permissions import require
from accounts.roles import Permission
from inventory import effective
from inventory.fields import ATTESTABLE, FIELDS, OBSERVED
from inventory.models import (
    Attestation,
    EvidenceFile,
    ModelVersion,
    PresentQuerySet,
    RegisteredModel,
)
from inventory.models.attestations import today
from inventory.typed import typed

State = Attestation.State

_followers: list[Callable[[Sequence[int]], str]] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an act did: the attestations, the versions whose values are others now.

    `told` says in sentences what followed, such as how many versions were judged.
    """

    attestations: Sequence[Attestation]
    version_ids: Sequence[int]
    told: str


def when_values_change(act: Callable[[Sequence[int]], str]) -> None:
    """Register who is told, in the act's transaction, the ids of versions that changed.

    The answer is a sentence for whoever acted.
    """
    if act not in _followers:
        _followers.append(act)


def attest(
    *,
    field: str,
    value: Any,
    reason: str,
    models: Collection[RegisteredModel] = (),
    versions: Collection[ModelVersion] = (),
    expires_on: date | None = None,
    evidence_file: EvidenceFile | None = None,
) -> Done:
    """Say what a field is, of models and versions: of all of them, or of none.

    What was attested of them before is replaced. Raises ValidationError naming the
    field of the form.
    """
    require(Permission.ATTEST)
    value = _checked(
        field,
        value,
        reason,
        expires_on=expires_on,
        has_subject=bool(models or versions),
    )
    at, actor = now(), tenancy.current_actor()
    with transaction.atomic():
        touched = _versions_of(
            [model.pk for model in models], [version.pk for version in versions]
        )
        effective.lock({each.source_id for each in (*models, *versions)})
        before = _end_former(field, models, versions, at=at, actor=actor)
        made = [
            Attestation(
                registered_model=subject
                if isinstance(subject, RegisteredModel)
                else None,
                version=subject if isinstance(subject, ModelVersion) else None,
                field=field,
                value=value,
                reason=reason.strip(),
                evidence_file=evidence_file,
                expires_on=expires_on,
                attested_by=actor,
                attested_at=at,
            )
            for subject in (*models, *versions)
        ]
        Attestation.objects.bulk_create(made)
        for each in made:
            audit.record(
                "attestation.made",
                each,
                changes={
                    field: {"from": before.get(_key(each.subject)), "to": value},
                    "expires_on": expires_on.isoformat() if expires_on else None,
                    "evidence_file": evidence_file.name if evidence_file else None,
                },
                reason=each.reason,
            )
        return _follow(made, touched, at=at)


def withdraw(attestation: Attestation, *, reason: str) -> Done:
    """End an attestation: what the source tells counts again."""
    require(Permission.ATTEST)
    _need(reason)
    at = now()
    with transaction.atomic():
        effective.lock([attestation.subject.source_id])
        _need_live(attestation)
        attestation.ending, attestation.ended_at = State.WITHDRAWN, at
        attestation.ended_by, attestation.end_reason = (
            tenancy.current_actor(),
            reason.strip(),
        )
        attestation.contradicted_since = None
        attestation.save()
        done = _follow([attestation], _touched([attestation]), at=at)
        audit.record(
            "attestation.withdrawn",
            attestation,
            changes={
                attestation.field: {
                    "from": attestation.value,
                    "to": _counting(attestation),
                }
            },
            reason=reason.strip(),
        )
        return done


def keep(attestation: Attestation, *, reason: str) -> Done:
    """Stay with an attestation that the source contradicts: what it tells was seen."""
    require(Permission.ATTEST)
    _need(reason)
    at = now()
    with transaction.atomic():
        effective.lock([attestation.subject.source_id])
        _need_live(attestation)
        rows = _touched([attestation]).present().select_related("registered_model")
        told = [
            (row, row.ingested[attestation.field])
            for row in rows.select_for_update(no_key=True, of=("self",))
            if effective.is_contradicted(row, attestation)
        ]
        if not told:
            raise ValidationError("The source tells nothing that was not seen already.")
        for row, entry in told:
            seen = entry | {"seen": entry["value"]}
            row.ingested = row.ingested | {attestation.field: seen}
        effective.rewrite([row for row, _ in told], at=at)
        attestation.contradicted_since = None
        attestation.kept_at, attestation.kept_by = at, tenancy.current_actor()
        attestation.kept_reason = reason.strip()
        attestation.save()
        audit.record(
            "attestation.kept",
            attestation,
            changes={
                "field": attestation.field,
                "value": attestation.value,
                "told": {str(row): entry["value"] for row, entry in told},
            },
            reason=reason.strip(),
        )
        ids = [row.pk for row, _ in told]
        return Done(attestations=[attestation], version_ids=ids, told=_tell(ids))


def lapse() -> Done | None:
    """End the attestations whose last day is over; None where there is none.

    For the daily job. Done twice it does nothing the second time.
    """
    at = now()
    with transaction.atomic():
        over = list(
            Attestation.objects.live()
            .filter(expires_on__lte=today())
            .select_related("version__registered_model", "registered_model")
            .select_for_update(of=("self",))
        )
        if not over:
            return None
        Attestation.objects.filter(pk__in=[each.pk for each in over]).update(
            ending=State.EXPIRED, ended_at=at, contradicted_since=None
        )
        for each in over:
            audit.record(
                "attestation.expired",
                each,
                changes={each.field: {"from": each.value}},
                reason=f"It expired on {each.expires_on}.",
            )
        return _follow(over, _touched(over), at=at)


def _checked(
    field: str, value: Any, reason: str, *, expires_on: date | None, has_subject: bool
) -> Any:
    """Return the value as the record holds it, or raise all that is wrong at once."""
    wrong = {}
    if described := ATTESTABLE.get(field):
        try:
            value = typed(described, value)
        except ValueError as error:
            wrong["value"] = str(error)
    elif field in FIELDS:
        wrong["field"] = (
            f"{FIELDS[field].label} ({field}) is observed, not attested. {OBSERVED[field]}"
        )
    else:
        wrong["field"] = f"There is no field “{field}” that could be attested."
    if not reason.strip():
        wrong["reason"] = "Say why: an attestation needs a reason."
    if expires_on is not None and expires_on <= today():
        wrong["expires_on"] = f"{expires_on} is not in the future."
    if not has_subject:
        wrong["model_versions"] = "Choose at least one model or version."
    if wrong:
        raise ValidationError(wrong)
    return value


def _need(reason: str) -> None:
    if not reason.strip():
        raise ValidationError({"reason": "Say why: a reason is needed."})


def _need_live(attestation: Attestation) -> None:
    """Look again, now that nobody else decides: two may have opened the same page."""
    now_it_is = Attestation.objects.select_for_update().get(pk=attestation.pk)
    if now_it_is.state != State.IN_FORCE:
        state = State(now_it_is.state).label.lower()
        raise ValidationError(f"{attestation} is {state} already.")


def _end_former(
    field: str,
    models: Collection[RegisteredModel],
    versions: Collection[ModelVersion],
    *,
    at: datetime,
    actor: User | None,
) -> dict[tuple[str, int], Any]:
    """End what was attested before; return the values that counted, by subject."""
    former = Attestation.objects.live().filter(
        Q(registered_model__in=models) | Q(version__in=versions), field=field
    )
    values = {
        ("registeredmodel", pk): value
        for pk, value in former.exclude(registered_model=None).values_list(
            "registered_model", "value"
        )
    }
    rows = ModelVersion.objects.filter(pk__in=[version.pk for version in versions])
    values |= {("modelversion", row.pk): row.value(field) for row in rows.iterator()}
    former.filter(expires_on__lte=today()).update(
        ending=State.EXPIRED, ended_at=at, contradicted_since=None
    )
    former.update(
        ending=State.REPLACED, ended_at=at, ended_by=actor, contradicted_since=None
    )
    return values


def _follow(
    attestations: Sequence[Attestation],
    versions: QuerySet[ModelVersion],
    *,
    at: datetime,
) -> Done:
    changed = effective.settle(versions, at=at)
    return Done(attestations=attestations, version_ids=changed, told=_tell(changed))


def _tell(version_ids: Sequence[int]) -> str:
    if not version_ids:
        return ""
    return " ".join(filter(None, (act(version_ids) for act in _followers)))


def _touched(attestations: Collection[Attestation]) -> PresentQuerySet[ModelVersion]:
    return _versions_of(
        [each.registered_model_id for each in attestations if each.registered_model_id],
        [each.version_id for each in attestations if each.version_id],
    )


def _versions_of(
    model_ids: Collection[int], version_ids: Collection[int]
) -> PresentQuerySet[ModelVersion]:
    return ModelVersion.objects.filter(
        Q(registered_model__in=model_ids) | Q(pk__in=version_ids)
    )


def _counting(attestation: Attestation) -> Any:
    """Return what counts of a version now; of a model that differs by version."""
    if attestation.version_id is None:
        return None
    row = ModelVersion.objects.get(pk=attestation.version_id)
    return row.value(attestation.field)


def _key(subject: RegisteredModel | ModelVersion) -> tuple[str, int]:
    return str(subject._meta.model_name), subject.pk
