"""The audit trail: noted by the act, sealed just before its transaction commits.

`record` notes an event; Django drops it with a savepoint that is rolled back. The
outermost context then chains all notes at once, under a lock of the organization that
is held for that moment only. Each entry carries a SHA-256 over its canonical JSON and
the digest before it, which anyone can recompute, and an HMAC under AUDIT_KEYS, which
somebody who can only write to the database cannot.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.timezone import now

from accounts import tenancy
from accounts.exceptions import AuditError

if TYPE_CHECKING:
    from django.db.models import Model

    from accounts.models import AuditEvent, Organization, User

FORMAT = 1
LOCK_SPACE = 7  # first key of the advisory locks that serialize an organization's chain
GENESIS = "0" * 64


@dataclass(slots=True, kw_only=True)
class Pending:
    """An event noted in this transaction, waiting to be sealed."""

    organization_id: int
    facts: dict[str, Any]
    sealed: bool = field(default=False)

    def written(self) -> None:
        """Run by Django after the commit; an unsealed note is a bug worth a crash."""
        if not self.sealed:
            raise AuditError(
                f"The audit event {self.facts['action']} was never sealed: "
                "its act ran outside `acting_for`."
            )


def record(
    action: str,
    subject: Model | None = None,
    *,
    label: str = "",
    changes: Mapping[str, Any] | None = None,
    reason: str = "",
    actor: User | None = None,
) -> None:
    """Note what was done to `subject`, for the organization being acted for.

    `changes` maps a field to its new value, or to {"from": …, "to": …}; it must be
    storable as JSON and never holds a secret. Raises NoOrganization outside
    `acting_for`. Costs nothing until the transaction commits.
    """
    acting = tenancy.current()
    organization_id = tenancy.current_organization_id()
    assert acting is not None  # noqa: S101 - current_organization_id just said so
    actor = actor or acting.actor
    pending = Pending(
        organization_id=organization_id,
        facts={
            "at": now(),
            "actor_id": actor.pk if actor else None,
            "actor_name": str(actor) if actor else "VerifyWise",
            "actor_role": str(acting.role or ""),
            "origin": acting.origin,
            "request_id": acting.request_id,
            "action": action,
            "object_type": subject._meta.label_lower if subject is not None else "",
            "object_id": str(subject.pk) if subject is not None else "",
            "object_label": label or (str(subject) if subject is not None else ""),
            "changes": json.loads(json.dumps(changes or {}, default=str)),
            "reason": reason,
        },
    )
    transaction.on_commit(pending.written)


@tenancy.before_commit
def seal() -> None:
    """Chain the pending events of this transaction, one organization after the other."""
    waiting: dict[int, list[Pending]] = defaultdict(list)
    for _, act, *_ in connection.run_on_commit:
        pending = getattr(act, "__self__", None)
        if isinstance(pending, Pending) and not pending.sealed:
            waiting[pending.organization_id].append(pending)
    for organization_id in sorted(waiting):  # one order, or two sealers could deadlock
        with tenancy.entering(organization_id):
            _chain(organization_id, waiting[organization_id])


def _chain(organization_id: int, waiting: list[Pending]) -> None:
    from accounts.models import AuditEvent

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_SPACE, organization_id]
        )
    head = (
        AuditEvent.objects.filter(organization_id=organization_id)
        .order_by("-sequence")
        .values_list("sequence", "digest")
        .first()
    )
    sequence, previous = head or (0, GENESIS)
    key_id, key = newest_key()
    events = []
    for pending in waiting:
        sequence += 1
        event = AuditEvent(
            organization_id=organization_id,
            sequence=sequence,
            format=FORMAT,
            previous_digest=previous,
            key_id=key_id,
            **pending.facts,
        )
        event.digest = previous = digest_of(event)
        event.signature = sign(event.digest, key)
        events.append(event)
        pending.sealed = True
    AuditEvent.objects.bulk_create(events)


def canonical(event: AuditEvent) -> bytes:
    """Return the bytes the digest is taken over: JSON with sorted keys, in UTF-8.

    Times are ISO 8601 in UTC with microseconds. The layout is described for outsiders
    in `docs/audit.md`; a change of it needs a new FORMAT.
    """
    return json.dumps(
        {
            "format": event.format,
            "organization": event.organization_id,
            "sequence": event.sequence,
            "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "actor_id": event.actor_id,
            "actor_name": event.actor_name,
            "actor_role": event.actor_role,
            "origin": event.origin,
            "request_id": event.request_id,
            "action": event.action,
            "object_type": event.object_type,
            "object_id": event.object_id,
            "object_label": event.object_label,
            "changes": event.changes,
            "reason": event.reason,
            "previous_digest": event.previous_digest,
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()


def digest_of(event: AuditEvent) -> str:
    return hashlib.sha256(canonical(event)).hexdigest()


def key_id_of(key: str) -> str:
    """Name a key without telling it: the start of a digest of it."""
    return hashlib.sha256(b"verifywise-audit-key:" + key.encode()).hexdigest()[:12]


def newest_key() -> tuple[str, str]:
    key: str = settings.AUDIT_KEYS[0]
    return key_id_of(key), key


def sign(digest: str, key: str) -> str:
    return hmac.new(key.encode(), digest.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a walk over a chain found; `broken` names the first entry that fails."""

    organization: str
    entries: int
    head: str = GENESIS
    broken: str = ""
    unverifiable: int = 0  # entries under a key that AUDIT_KEYS no longer holds

    @property
    def intact(self) -> bool:
        return not self.broken


def verify(organization: Organization) -> Verification:
    """Recompute the organization's chain from its first entry; stop at a broken one.

    Must run inside `acting_for(organization)`. Memory does not grow with the chain.
    """
    keys = {key_id_of(key): key for key in settings.AUDIT_KEYS}
    entries, previous, unverifiable = 0, GENESIS, 0
    for event in _walk():
        fault = _fault(event, entries + 1, previous)
        key = keys.get(event.key_id)
        if not fault and key is None:
            unverifiable += 1
        elif not fault and not hmac.compare_digest(
            event.signature, sign(event.digest, key or "")
        ):
            fault = "its signature is not of the key it names"
        if fault:
            return Verification(
                organization=organization.name,
                entries=entries,
                head=previous,
                broken=f"Entry {event.sequence} ({event.action}): {fault}.",
                unverifiable=unverifiable,
            )
        entries, previous = entries + 1, event.digest
    return Verification(
        organization=organization.name,
        entries=entries,
        head=previous,
        unverifiable=unverifiable,
    )


def _walk() -> Iterator[AuditEvent]:
    from accounts.models import AuditEvent

    return AuditEvent.objects.order_by("sequence").iterator(chunk_size=2000)


def _fault(event: AuditEvent, sequence: int, previous: str) -> str:
    if event.sequence != sequence:
        return f"entry {sequence} is missing before it"
    if event.previous_digest != previous:
        return "it does not follow on the entry before it"
    if event.digest != digest_of(event):
        return "its content does not match its digest"
    return ""
