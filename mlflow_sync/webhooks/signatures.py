"""Who sent a webhook delivery: MLflow signs it as Standard Webhooks does.

`v1,` and the base64 of an HMAC-SHA256 over id, time and the very bytes of the body,
joined by dots. The key is the secret as it is: MLflow decodes no base64 of it. Where
several signatures are given, by a sender that changes its secret, one has to hold.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

ID_HEADER = "X-MLflow-Delivery-Id"
TIME_HEADER = "X-MLflow-Timestamp"
SIGNATURE_HEADER = "X-MLflow-Signature"
WINDOW = timedelta(minutes=5)  # a delivery older, or from further ahead, is refused

ID_LENGTH = 100  # characters; MLflow's are UUIDs

# Without a dot: id, time and body could otherwise be cut apart elsewhere.
_ID = re.compile(rf"[A-Za-z0-9_-]{{1,{ID_LENGTH}}}")
_TIME = re.compile(r"[0-9]{1,12}")
_MOST_SIGNATURES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A delivery as it came, before anything of it is believed."""

    delivery_id: str
    sent_at: str  # seconds since the Unix epoch
    signatures: str
    body: bytes

    def faults(self, *, at: float) -> dict[str, str]:
        """Return what is wrong with each header, as the sender could see by itself."""
        found = {}
        if not self.delivery_id:
            found[ID_HEADER] = "This header is missing."
        elif not _ID.fullmatch(self.delivery_id):
            found[ID_HEADER] = "This is no id of a delivery."
        if not self.sent_at:
            found[TIME_HEADER] = "This header is missing."
        elif not _TIME.fullmatch(self.sent_at):
            found[TIME_HEADER] = "This is no Unix time in seconds."
        elif abs(at - int(self.sent_at)) > WINDOW.total_seconds():
            found[TIME_HEADER] = (
                "This is more than five minutes from our time: the delivery is old, or "
                "a clock is wrong."
            )
        if not self.signatures:
            found[SIGNATURE_HEADER] = (
                "This header is missing: does the webhook in MLflow have its secret?"
            )
        return found

    def is_signed_with(self, secrets: Iterable[str]) -> bool:
        """Tell whether a signature is of one of the secrets, in a time that tells nothing."""
        given = [each.encode() for each in self.signatures.split()[:_MOST_SIGNATURES]]
        holds = False
        for secret in secrets:
            expected = sign(secret, self.delivery_id, self.sent_at, self.body).encode()
            for signature in given:
                holds |= hmac.compare_digest(signature, expected)
        return holds


def sign(secret: str, delivery_id: str, sent_at: str, body: bytes) -> str:
    signed = f"{delivery_id}.{sent_at}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
