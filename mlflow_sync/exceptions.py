"""What can go wrong with reading MLflow. The messages are sentences for people.

No message, attribute or repr carries a credential, or the host it was sent to.
"""

from __future__ import annotations

from enum import StrEnum


class FailureKind(StrEnum):
    """Why a request to a tracking server failed."""

    BAD_SETTING = "bad_setting"  # the connection itself is not well-formed
    NOT_SUPPORTED = "not_supported"  # Databricks Unity Catalog
    PRIVATE_ADDRESS = "private_address"  # refused by this installation
    DNS = "dns"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    TIME_OUT = "time_out"
    CLOSED = "closed"  # the connection ended before the answer did
    REDIRECT = "redirect"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    HOST_CHECK = "host_check"  # MLflow 3 does not know the name it is called by
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    NOT_MLFLOW = "not_mlflow"
    BAD_BODY = "bad_body"  # cut or malformed JSON, a list without an end
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    VANISHED = "vanished"  # too many versions are no longer told at once


# What may pass by itself; all else stays until somebody changes something.
TRANSIENT = frozenset(
    {
        FailureKind.DNS,
        FailureKind.REFUSED,
        FailureKind.UNREACHABLE,
        FailureKind.TIME_OUT,
        FailureKind.CLOSED,
        FailureKind.BAD_BODY,
        FailureKind.RATE_LIMITED,
        FailureKind.SERVER_ERROR,
    }
)


class SyncError(Exception):
    """A tracking server could not be read. The message is one sentence for people.

    `retry_after` is how many seconds the server asked to be left alone, 0 if it did not.
    """

    def __init__(
        self, message: str, *, kind: FailureKind, retry_after: float = 0
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after

    @property
    def permanent(self) -> bool:
        """Tell whether asking again, unchanged, is bound to fail again."""
        return self.kind not in TRANSIENT


class NotReadOnly(Exception):
    """Something other than a known read was about to be sent: a bug, caught in time."""


class UndecryptableSecret(Exception):
    """A stored credential opens with no key of FIELD_ENCRYPTION_KEY."""

    def __init__(self) -> None:
        super().__init__(
            "A stored credential opens with no key of FIELD_ENCRYPTION_KEY."
        )


class NormalizationError(Exception):
    """A row from which no record can be made; the message names the row and the field."""

    def __init__(self, row: str, *, field: str, problem: str) -> None:
        super().__init__(f"{row}: {field} {problem}.")
        self.row = row
        self.field = field


class BadPattern(Exception):
    """A line of a server's scope is not well-formed. The message names the line."""


class SandboxError(Exception):
    """A file could not be read in the sandbox. The message says why, not what it held."""


class FileRefused(Exception):
    """A file is not what was listed, or cannot be read whole. The message says why."""


class SyncAlreadyActive(Exception):
    """Another sync of the server is queued or running. The message is for people."""
