"""Pieces of the pages about gaps: `{% load compliance %}`."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from accounts import markup
from compliance import markup as parts
from compliance.catalogue import Gate
from compliance.engine import Verdict
from compliance.markup import title
from compliance.models import GapEvent, ResultChange

register = template.Library()

register.filter("severity", parts.severity)
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
def gate(told: Gate) -> str:
    return _GATES[told]


@register.filter
def policy(number: int) -> str:
    """Name a policy by its number."""
    return f"policy {number}" if number else "the project’s defaults"


@register.filter
def comparison(told: str) -> str:
    return _COMPARISONS.get(told, told)
