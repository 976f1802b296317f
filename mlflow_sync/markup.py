"""How servers and sync runs look, in lists and on pages alike."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.safestring import SafeString
from django.utils.timezone import now

from accounts import markup
from mlflow_sync.models import SyncRun, TrackingServer, WebhookDelivery

_TONES = {
    SyncRun.Status.QUEUED: "low",
    SyncRun.Status.RUNNING: "low",
    SyncRun.Status.SUCCEEDED: "good",
    SyncRun.Status.PARTIAL: "medium",
    SyncRun.Status.FAILED: "critical",
    SyncRun.Status.SKIPPED: "medium",
    SyncRun.Status.CANCELLED: "medium",
}

_OUTCOMES = {
    WebhookDelivery.Outcome.ACCEPTED: ("good", "Its model is read."),
    WebhookDelivery.Outcome.UNKNOWN_EVENT: ("weak", "It tells of nothing we read."),
    WebhookDelivery.Outcome.UNKNOWN_MODEL: (
        "weak",
        "The sync that followed met no model of this name.",
    ),
    WebhookDelivery.Outcome.OTHER_WORKSPACE: (
        "weak",
        "This server is read in another workspace of MLflow.",
    ),
}


def delivery_outcome(delivery: WebhookDelivery) -> SafeString:
    outcome = WebhookDelivery.Outcome(delivery.outcome)
    tone, title = _OUTCOMES[outcome]
    return markup.chip(outcome.label, tone, title=title)


def run_status(status: str, *, error: str = "") -> SafeString:
    known = SyncRun.Status(status)
    return markup.chip(known.label, _TONES[known], title=error)


def server_status(server: TrackingServer) -> SafeString:
    """Say whether the server could be reached when it was last asked."""
    if server.removed_at:
        return markup.chip("Removed", "absent", title=markup.exact(server.removed_at))
    if server.is_paused:
        told = f"Failed {server.failures_in_row} times in a row."
        return markup.chip("Paused", "critical", title=told)
    if server.last_test_passed is None:
        return markup.chip("Not tested", "weak", title="Test the connection once.")
    tone, words = (
        ("good", "Reachable")
        if server.last_test_passed
        else (
            "critical",
            "Not reachable",
        )
    )
    return markup.chip(words, tone, title=server.last_test_message)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. `total` is a guess by the last sync's versions, or 0."""

    done: int
    total: int
    left: str  # how long it may still take, in words; empty where nobody can say

    @property
    def percent(self) -> int:
        return min(99, 100 * self.done // self.total) if self.total else 0


def progress(run: SyncRun) -> Progress:
    """Estimate from the pace so far; a first sync has nothing to compare with."""
    done, total = run.count("versions"), run.expected_versions or 0
    if not (run.started_at and done and total > done):
        return Progress(done, total, "")
    seconds = (now() - run.started_at).total_seconds()
    return Progress(done, total, markup.duration(seconds / done * (total - done)))
