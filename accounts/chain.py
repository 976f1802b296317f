"""What an audit entry's digest and signature are taken over.

The layout is described for outsiders in `docs/audit.md`; a change of it needs a new
FORMAT, and the old one stays here for as long as entries of it exist.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from accounts.models import AuditEvent

FORMAT = 1
TIME = "%Y-%m-%dT%H:%M:%S.%fZ"  # in UTC
GENESIS = "0" * 64  # stands where the first entry has no digest before it


def canonical(event: AuditEvent) -> bytes:
    """Return the bytes of an entry: JSON with sorted keys and no blanks, in UTF-8.

    But for the digest and the signature it is what the API tells of the entry.
    """
    return json.dumps(
        {
            "format": event.format,
            "organization": event.organization_id,
            "sequence": event.sequence,
            "at": event.at.astimezone(UTC).strftime(TIME),
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
            "key_id": event.key_id,
            "previous_digest": event.previous_digest,
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()


def digest_of(event: AuditEvent) -> str:
    return hashlib.sha256(canonical(event)).hexdigest()


def storable(value: Any) -> Any:
    """Return a value as JSONB gives it back, so that its digest stays the same.

    JSONB forgets whether a number was 1.0 or 1, and cannot hold NaN: a ValueError.
    What JSON does not know is told by `str`.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"The audit trail cannot hold the number {value}.")
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return {text(key): storable(inner) for key, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [storable(inner) for inner in value]
    return text(value)


def text(value: object) -> str:
    """Return a text that PostgreSQL can hold: no NUL, no half of a surrogate pair."""
    return str(value).replace("\0", "\ufffd").encode(errors="replace").decode()


def keys() -> dict[str, str]:
    """Return the keys of AUDIT_KEYS by their names, newest first."""
    return {key_id_of(key): key for key in settings.AUDIT_KEYS}


def key_id_of(key: str) -> str:
    """Name a key without telling it: the start of a digest of it."""
    return hashlib.sha256(b"verifywise-audit-key:" + key.encode()).hexdigest()[:12]


def sign(digest: str, key: str) -> str:
    """Return the signature of an entry by its digest."""
    return _hmac(digest, key)


def sign_head(organization_id: int | None, sequence: int, digest: str, key: str) -> str:
    """Return the signature of a trail's end, which no entry's own can stand in for."""
    return _hmac(f"head:{organization_id}:{sequence}:{digest}", key)


def _hmac(message: str, key: str) -> str:
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()
