"""Is what we know complete and fresh?"""

from __future__ import annotations

from compliance.engine import PASS, Outcome, fail, not_applicable, rulebook, unknown
from compliance.facts import ModelFacts, SourceFacts
from inventory.records import FIELDS


@rulebook.rule("VW-OPS-001", reads=("incomplete",))
def record_is_complete(facts: ModelFacts) -> Outcome:
    """About sections that could not be read, not about empty fields."""
    if not facts.incomplete:
        return PASS
    reasons = [
        f"{section}: {facts.incomplete[section]}" for section in facts.incomplete
    ]
    return fail(f"Could not be read: {'; '.join(reasons)}", **facts.incomplete)


@rulebook.rule(
    "VW-OPS-002",
    reads=("last_synced_at", "sync_interval", "added_at", "now"),
    thresholds=("sync_stale_factor",),
)
def sync_is_fresh(facts: SourceFacts, *, sync_stale_factor: float) -> Outcome:
    """Before the first success the age counts from the day the source was added."""
    if facts.sync_interval is None:
        return not_applicable("The source is not synchronized by schedule.")
    known_since = facts.last_synced_at or facts.added_at
    if facts.now - known_since <= facts.sync_interval * sync_stale_factor:
        return PASS if facts.last_synced_at else unknown("No sync has succeeded yet.")
    if facts.last_synced_at is None:
        return fail("No sync has ever succeeded.")
    return fail(
        f"The last successful sync ended {facts.last_synced_at:%Y-%m-%d %H:%M} UTC, "
        f"more than {sync_stale_factor:g} intervals ago."
    )


@rulebook.rule("VW-OPS-003", reads=("absent_since", "decommission_ref"))
def vanished_version_is_explained(facts: ModelFacts) -> Outcome:
    """Our copy stays, and so does its evidence."""
    if facts.absent_since is None:
        return not_applicable("The version is still told by its source.")
    if facts.decommission_ref:
        return PASS
    return fail(
        f"The version is no longer told since {facts.absent_since:%Y-%m-%d}, and no "
        "record explains its decommissioning."
    )


@rulebook.rule("VW-OPS-004", reads=("disputes",))
def sources_agree(facts: ModelFacts) -> Outcome:
    """The record keeps the value that is believed, and shows the others beside it."""
    if not facts.disputes:
        return PASS
    told = [
        f"{FIELDS[name].label.lower()}: {' against '.join(values)}"
        for name, values in facts.disputes.items()
    ]
    return fail(f"Sources disagree on {'; '.join(told)}.", **facts.disputes)
