"""Pieces of the pages about gaps: `{% load compliance %}`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts import markup
from compliance import markup as parts
from compliance.catalogue import Gate, Severity
from compliance.engine import Verdict
from compliance.frameworks.control_map import Framework
from compliance.markup import title
from compliance.models import GapEvent, ResultChange

register = template.Library()

register.filter("severity", parts.severity)
register.filter("due", parts.due)
register.filter("badges", parts.badges)
register.filter("badges_of", parts.badges_of)
register.filter("rule_title", title)

_TONES = {
    Verdict.PASS: "good",
    Verdict.FAIL: "high",
    Verdict.UNKNOWN: "medium",
    Verdict.ERROR: "critical",
}
_EVENTS = {
    GapEvent.OPENED: "high",
    GapEvent.REOPENED: "high",
    GapEvent.CLOSED: "good",
    GapEvent.UNDECIDED: "medium",
    GapEvent.WAIVED: "waived",
    GapEvent.UNWAIVED: "high",
}
_GATES = {
    Gate.BLOCK: "blocks production",
    Gate.REVIEW: "a person decides",
    Gate.WARN: "warning",
    Gate.INFO: "hint",
}
_COMPARISONS = {
    "at_most": "at most",
    "at_least": "at least",
    "strictly_less": "less than",
    "strictly_greater": "more than",
    "equal": "exactly",
}


@register.filter
def verdict(told: Verdict) -> SafeString:
    return markup.chip(told.label, _TONES.get(told, ""))


@register.filter
def event(change: ResultChange) -> SafeString:
    """Say what happened to a gap."""
    tone = _EVENTS.get(GapEvent(change.event), "")
    return markup.chip(GapEvent(change.event).label, tone)


@register.filter
def by_severity(counts: Mapping[Severity, int]) -> SafeString:
    """Return how many there are, and of which severity, the worst first."""
    told = [f"{n} {level.label.lower()}" for level, n in counts.items() if n]
    if not told:
        return markup.NOTHING
    if len(told) == 1:
        return format_html("{}", told[0])
    return format_html(
        '{}: <span class="vw-subtle">{}</span>',
        sum(counts.values()),
        ", ".join(reversed(told)),
    )


@register.filter
def total(counts: Iterable[int]) -> int:
    return sum(counts)


@register.filter
def gate(told: Gate) -> str:
    return _GATES[told]


@register.filter
def policy(number: int) -> str:
    """Name a policy by its number."""
    return f"policy {number}" if number else "the project’s defaults"


@register.filter
def comparison(told: str) -> str:
    return _COMPARISONS.get(told, told)


@register.filter
def in_force(framework: Framework, day: date) -> SafeString:
    """Say whether a framework is in force on a day."""
    if framework.is_in_force(day):
        return markup.chip("in force", "good", title=f"Since {_day(framework.since)}")
    if day < framework.since:
        return markup.chip(f"from {_day(framework.since)}")
    return markup.chip(f"superseded on {_day(framework.until or day)}")


@register.filter
def stacked(numbers: Mapping[str, int], labels: Mapping[str, str]) -> SafeString:
    """Draw numbers beside each other as one bar, with words for who does not see it."""
    total = sum(numbers.values())
    told = [(name, number) for name, number in numbers.items() if number]
    if not total:
        return markup.NOTHING
    words = ", ".join(f"{labels[name].lower()}: {number}" for name, number in told)
    parts, left = [], 0.0
    for name, number in told:
        width = 100 * number / total
        parts.append((name, f"{left:.3f}%", f"{width:.3f}%", labels[name], number))
        left += width
    return format_html(
        '<svg class="vw-stack" role="img" aria-label="{}">{}</svg>',
        words,
        format_html_join(
            "",
            '<rect class="vw-{}" x="{}" width="{}" height="100%">'
            "<title>{}: {}</title></rect>",
            parts,
        ),
    )


def _day(day: date) -> str:
    return f"{day:%-d %B %Y}"
