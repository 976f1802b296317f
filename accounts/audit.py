"""The audit trail: noted by the act, sealed just before its transaction commits.

`record` notes an event; Django drops it with a savepoint that is rolled back. The
outermost context then chains all notes at once, under a lock of the organization that
is held for that moment only. Each entry carries a SHA-256 over its canonical JSON and
the digest before it, which anyone can recompute, and an HMAC under AUDIT_KEYS, which
somebody who can only write to the database cannot. So does the head, the last entry's
place and digest: a trail cut short no longer reaches it.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import Max
from django.utils.timezone import now

from accounts import chain, tenancy
from accounts.exceptions import AuditError
from accounts.tenancy import Acting

if TYPE_CHECKING:
    from django.db.models import Model

    from accounts.models import AuditEvent, AuditHead, Organization, User

LOCK_SPACE = 7  # first key of the advisory locks that serialize an organization's chain


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

    `changes` maps a field to its new value, or to {"from": …, "to": …}; it never holds
    a secret. What JSON does not know in it is told by `str`; NaN is a ValueError. The
    actor is whoever acts, unless another one is named. Raises NoOrganization outside
    `acting_for`. Costs nothing until the transaction commits.
    """
    organization_id = tenancy.current_organization_id()
    acting = tenancy.current() or Acting()
    if actor is not None and actor != acting.actor:
        acting = replace(acting, actor=actor, role=None)
    facts = _facts(
        acting,
        action=action,
        subject=subject,
        label=label,
        changes=changes or {},
        reason=reason,
    )
    transaction.on_commit(Pending(organization_id=organization_id, facts=facts).written)


def refuse(action: str, *, reason: str, label: str = "") -> None:
    """Note that an act was refused, which the rollback of its transaction outlives.

    Written once the outermost context is over, in a transaction of its own; what
    happens for no organization is told to the trail of the installation.
    """
    from accounts.models import Organization

    acting = tenancy.current() or Acting(origin="console")
    facts = _facts(acting, action=action, label=label or acting.doing, reason=reason)

    def write() -> None:
        where = acting.organization_id or Organization.installation().pk
        with transaction.atomic(), tenancy.entering(where):
            _chain(where, [facts])

    tenancy.afterwards(write)


def _facts(
    acting: Acting,
    *,
    action: str,
    label: str,
    reason: str,
    subject: Model | None = None,
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the columns of an entry which its act determines."""
    actor = acting.actor
    nobody = "VerifyWise" if acting.organization_id else "(not signed in)"
    return {
        "at": now(),
        "actor_id": actor.pk if actor else None,
        "actor_name": chain.text(actor or nobody),
        "actor_role": str(acting.role or ""),
        "origin": acting.origin,
        "request_id": acting.request_id,
        "action": action,
        "object_type": subject._meta.label_lower if subject is not None else "",
        "object_id": str(subject.pk) if subject is not None else "",
        "object_label": chain.text(label or subject or ""),
        "changes": chain.storable(changes),
        "reason": chain.text(reason),
    }


@tenancy.before_commit
def seal() -> None:
    """Chain the pending events of this transaction, one organization after the other."""
    waiting: dict[int, list[Pending]] = defaultdict(list)
    for _, act, *_ in connection.run_on_commit:
        pending = getattr(act, "__self__", None)
        if isinstance(pending, Pending) and not pending.sealed:
            waiting[pending.organization_id].append(pending)
    for organization_id in sorted(waiting):  # one order, or two sealers could deadlock
        notes = waiting[organization_id]
        with tenancy.entering(organization_id):
            _chain(organization_id, [pending.facts for pending in notes])
        for pending in notes:
            pending.sealed = True


def _chain(organization_id: int, notes: list[dict[str, Any]]) -> None:
    """Append entries to the organization's trail, and sign where it ends now."""
    from accounts.models import AuditEvent, AuditHead

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_SPACE, organization_id]
        )
    head = AuditHead.objects.filter(organization_id=organization_id).first()
    keys = chain.keys()
    if head and (fault := _fault_of_head(head, keys)):
        raise AuditError(f"{fault}: nothing is added to it before that is explained.")
    sequence, previous = (head.sequence, head.digest) if head else (0, chain.GENESIS)
    key_id, key = next(iter(keys.items()))
    events = []
    for facts in notes:
        sequence += 1
        event = AuditEvent(
            organization_id=organization_id,
            sequence=sequence,
            format=chain.FORMAT,
            previous_digest=previous,
            key_id=key_id,
            **facts,
        )
        event.digest = previous = chain.digest_of(event)
        event.signature = chain.sign(event.digest, key)
        events.append(event)
    AuditEvent.objects.bulk_create(events)
    head = AuditHead(
        organization_id=organization_id,
        sequence=sequence,
        digest=previous,
        key_id=key_id,
        signature=chain.sign_head(organization_id, sequence, previous, key),
    )
    AuditHead.objects.bulk_create(
        [head],
        update_conflicts=True,
        unique_fields=["organization"],
        update_fields=["sequence", "digest", "key_id", "signature"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a walk over a trail found; `broken` names the first entry that fails."""

    organization: str
    entries: int
    head: str  # the digest of the last entry that holds
    broken: str = ""
    unverifiable: int = 0  # entries under a key that AUDIT_KEYS no longer holds
    head_is_signed: bool = True  # by a key that it holds, which vouches for all before

    @property
    def intact(self) -> bool:
        return not self.broken

    def sentence(self) -> str:
        """Say in a line what was found."""
        if self.broken:
            return f"{self.organization}: broken after {self.entries}. {self.broken}"
        told = f"{self.organization}: {self.entries} entries, intact."
        if self.unverifiable:
            told += (
                f" {self.unverifiable} are signed with keys that AUDIT_KEYS does not "
                "hold any more: their signatures were not checked"
            )
            told += (
                ", but the head above them was."
                if self.head_is_signed
                else ", and neither was that of the head."
            )
        return told


def verify(organization: Organization) -> Verification:
    """Recompute the organization's trail from its first entry; stop at a broken one.

    Must run inside `acting_for(organization)`. Memory does not grow with the trail.
    What is appended meanwhile is left to the next time.
    """
    from accounts.models import AuditEvent, AuditHead

    # In this order: an entry written between the two is in the head, never beyond it.
    last = AuditEvent.objects.aggregate(last=Max("sequence"))["last"] or 0
    head = AuditHead.objects.first()
    upto = max(last, head.sequence if head else 0)
    keys = chain.keys()
    entries, previous, unverifiable, broken = 0, chain.GENESIS, 0, ""
    rows = AuditEvent.objects.filter(sequence__lte=upto).order_by("sequence")
    for event in rows.iterator(chunk_size=2000):
        if fault := _fault(event, entries + 1, previous, head, keys):
            broken = f"Entry {event.sequence} ({event.action}): {fault}."
            break
        unverifiable += event.key_id not in keys
        entries, previous = entries + 1, event.digest
    if not broken and (fault := _fault_at_the_end(head, entries, keys)):
        broken = f"{fault}."
    return Verification(
        organization=organization.name,
        entries=entries,
        head=previous,
        broken=broken,
        unverifiable=unverifiable,
        head_is_signed=head is None or head.key_id in keys,
    )


def _fault(
    event: AuditEvent,
    sequence: int,
    previous: str,
    head: AuditHead | None,
    keys: Mapping[str, str],
) -> str:
    """Say what is wrong with the entry that should be number `sequence`."""
    key = keys.get(event.key_id)
    if event.sequence != sequence:
        return f"entry {sequence} is missing before it"
    if event.format != chain.FORMAT:
        return f"its format {event.format} is not known"
    if event.previous_digest != previous:
        return "it does not follow on the entry before it"
    if event.digest != chain.digest_of(event):
        return "its content does not match its digest"
    if key and not hmac.compare_digest(event.signature, chain.sign(event.digest, key)):
        return "its signature is not of the key it names"
    if head and event.sequence == head.sequence and event.digest != head.digest:
        return "it is not the entry that the signed head of the trail names"
    if head is None or event.sequence > head.sequence:
        return "it lies beyond the signed head of the trail"
    return ""


def _fault_at_the_end(
    head: AuditHead | None, entries: int, keys: Mapping[str, str]
) -> str:
    """Say what is wrong with where the trail ends."""
    if head is None:  # and no entry, or it would have been found beyond the head
        return ""
    if entries < head.sequence:
        return (
            f"Entry {entries + 1} is missing: the signed head of the trail names "
            f"{head.sequence} as the last"
        )
    return _fault_of_head(head, keys)


def _fault_of_head(head: AuditHead, keys: Mapping[str, str]) -> str:
    """Say what is wrong with the signature of the trail's end; a lost key is not."""
    key = keys.get(head.key_id)
    signature = key and chain.sign_head(
        head.organization_id, head.sequence, head.digest, key
    )
    if signature and not hmac.compare_digest(head.signature, signature):
        return "The head of the trail is not signed by the key it names"
    return ""
