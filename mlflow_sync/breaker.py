"""A server that fails again and again is left alone, for longer each time.

Only what starts by itself waits: a person who presses “Try now” does not. The first sync
that gets through ends the pause.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F
from django.utils.timezone import now

from accounts import audit
from mlflow_sync.exceptions import TRANSIENT, FailureKind
from mlflow_sync.models import TrackingServer

PATIENCE = 3  # failures in a row before the first pause
FIRST_PAUSE = timedelta(minutes=15)
LONGEST_PAUSE = timedelta(hours=24)
# Failures of the server, or of the way to it. All else is ours, or a person's to decide.
OF_THE_SERVER = TRANSIENT | {
    FailureKind.UNAUTHORIZED,
    FailureKind.FORBIDDEN,
    FailureKind.HOST_CHECK,
    FailureKind.NOT_FOUND,
    FailureKind.NOT_MLFLOW,
    FailureKind.REDIRECT,
    FailureKind.TLS,
}


def note_failure(server: TrackingServer, *, kind: str, error: str) -> None:
    """Count a failure of the server; pause it when there were several in a row."""
    if kind not in OF_THE_SERVER:
        return
    rows = TrackingServer.objects.filter(pk=server.pk)
    rows.update(failures_in_row=F("failures_in_row") + 1)
    server.refresh_from_db(fields=["failures_in_row"])
    pause = pause_after(server.failures_in_row)
    if not pause:
        return
    server.paused_until = now() + pause
    rows.update(paused_until=server.paused_until)
    audit.record(
        "tracking_server.paused",
        server,
        changes={
            "failures_in_row": server.failures_in_row,
            "paused_until": server.paused_until.isoformat(),
        },
        reason=error,
    )


def note_success(server: TrackingServer) -> None:
    """Forget the failures before. Writes nothing where there were none."""
    rows = TrackingServer.objects.filter(pk=server.pk, failures_in_row__gt=0)
    if rows.update(failures_in_row=0, paused_until=None) and server.paused_until:
        audit.record("tracking_server.resumed", server)
    server.failures_in_row, server.paused_until = 0, None


def pause_after(failures: int) -> timedelta | None:
    """Return how long to leave a server alone after so many failures in a row."""
    if failures < PATIENCE:
        return None
    doublings = min(failures - PATIENCE, 10)
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)
