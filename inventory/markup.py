"""How stages, completeness and presence look, in lists and on pages alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts import markup
from accounts.models import User
from inventory.models import (
    Attestation,
    ModelVersion,
    Observed,
    Perishable,
    RegisteredModel,
    Source,
    UnregisteredModel,
)
from inventory.records import CANONICAL_FIELDS, Stage
from inventory.serving import Between
from inventory.spans import WIDTH, Row

_TONES = {
    Stage.PRODUCTION: "production",
    Stage.STAGING: "staging",
    Stage.ARCHIVED: "archived",
}


def stage(version: ModelVersion) -> SafeString:
    """Return the stage, and what else names the version: its native stage, its aliases."""
    if version.lifecycle_stage == Stage.NONE:
        told = markup.NOTHING
    else:
        tone = _TONES[Stage(version.lifecycle_stage)]
        told = markup.chip(version.lifecycle_stage, tone)
    return format_html(
        '<span class="vw-chips">{}{}</span>', told, aliases(version.aliases)
    )


def aliases(names: Sequence[str]) -> SafeString:
    return format_html_join(
        "",
        '<span class="vw-alias" title="Alias {0}">@{0}</span>',
        ((name,) for name in names),
    )


def completeness(known: int, *, total: int = len(CANONICAL_FIELDS)) -> SafeString:
    """Return both numbers, and a bar of their share."""
    return format_html(
        '<span class="vw-meter" title="{0} of {1} fields of the record are known">'
        '<progress value="{0}" max="{1}"></progress>'
        '<span class="vw-number">{0}/{1}</span></span>',
        known,
        total,
    )


def scope(model: RegisteredModel) -> SafeString:
    """Return nothing for a model that is read, and why another one is not."""
    if not model.out_of_scope:
        return SafeString("")
    return markup.chip("out of scope", "absent", title=model.out_of_scope)


def state(model: UnregisteredModel) -> SafeString:
    """Return nothing for what is still unregistered, else what became of it."""
    since = model.registered_at or model.absent_since
    if since is None:
        return SafeString("")
    return markup.chip(
        str(model.state.label).lower(),
        "good" if model.registered_at else "absent",
        title=f"Since the sync of {markup.exact(since)}",
    )


def presence(row: Perishable) -> SafeString:
    """Return nothing for what is there, and since when what is not has been gone.

    Of an absent version costs a query, unless its registered model was selected along.
    """
    if not row.absent_since:
        return SafeString("")
    if isinstance(row, ModelVersion) and row.is_left_out:
        return markup.chip(
            "no longer read",
            "absent",
            title=f"Not read since the sync of {markup.exact(row.absent_since)}: its "
            f"model is out of scope. {row.registered_model.out_of_scope}",
        )
    return markup.chip(
        "no longer told",
        "absent",
        title=f"Absent since the sync of {markup.exact(row.absent_since)}",
    )


def unread(incomplete: Mapping[str, str]) -> SafeString:
    """Return which sections of a record could not be read, with the reasons on hover."""
    if not incomplete:
        return SafeString("")
    return markup.chip(
        f"{', '.join(incomplete)} unread",
        "unread",
        title="\n".join(f"{section}: {why}" for section, why in incomplete.items()),
    )


def short(text: str) -> SafeString:
    if not text:
        return markup.NOTHING
    return format_html('<span class="vw-short" title="{0}">{0}</span>', text)


def person(name: str, who: User | None) -> SafeString:
    """Return a name as it is told, and the member whose it is."""
    if who is None or name == str(who):
        return short(name)
    return format_html(
        '{}<span class="vw-at vw-who" title="A member: {}">{}</span>',
        short(name),
        who.email,
        who,
    )


def source(told: Source) -> SafeString:
    return format_html('<span class="vw-source" title="{0}">{0}</span>', told.name)


def between(observed: Between, then: str = "") -> SafeString:
    """Return the days between which something happened, and the bounds below them.

    `then` is what came of it.
    """
    after, before = observed.after, observed.before
    if after is None:
        days = f"{before:%-d %b %Y} at the latest"
        bounds = f"seen {before:%H:%M:%S} UTC; since when is unknown"
    elif after.date() == before.date():
        days = f"{before:%-d %b %Y}"
        bounds = f"between {after:%H:%M:%S} and {before:%H:%M:%S} UTC"
    else:
        days = f"{_day(after, before)} – {before:%-d %b %Y}"
        bounds = f"between {after:%-d %b, %H:%M:%S} and {before:%-d %b, %H:%M:%S} UTC"
    return format_html(
        '<span class="vw-days">{}{}</span><span class="vw-bounds">{}</span>',
        days,
        format_html('<span class="vw-arrow" aria-label="then">→</span>{}', then)
        if then
        else "",
        bounds,
    )


def _day(day: datetime, other: datetime) -> str:
    """Return a day without what it has in common with the other one."""
    if day.year != other.year:
        return f"{day:%-d %b %Y}"
    return f"{day:%-d %b}" if day.month != other.month else f"{day:%-d}"


def observed(event: Observed) -> str:
    """Say between which syncs something was observed."""
    before = markup.exact(event.observed_before)
    if event.observed_after is None:
        return f"observed by the sync of {before}"
    return f"observed between {markup.exact(event.observed_after)} and {before}"


def drawn(row: Row) -> SafeString:
    """Draw a row: solid where it is certain, pale where it began or ended."""
    return format_html(
        '<svg class="vw-span" viewBox="0 0 {0} 10" preserveAspectRatio="none" '
        'aria-hidden="true"><rect class="vw-possible" x="{1}" width="{2}" height="10"/>'
        '<rect class="vw-certain" x="{3}" width="{4}" height="10"/></svg>',
        WIDTH,
        row.possible.x,
        row.possible.width,
        row.certain.x,
        row.certain.width,
    )


_ATTESTATION_TONES = {
    Attestation.State.IN_FORCE: "good",
    Attestation.State.EXPIRED: "weak",
}


def attestation_state(attestation: Attestation) -> SafeString:
    """Return whether an attestation holds, and whether its source says otherwise."""
    state = attestation.state
    chip = markup.chip(state.label, _ATTESTATION_TONES.get(state, ""))
    if attestation.contradicted_since is None:
        return chip
    return format_html(
        "{} {}",
        chip,
        markup.chip(
            "MLflow says otherwise",
            "high",
            title=f"Since {markup.exact(attestation.contradicted_since)}",
        ),
    )
