"""How severities, gap counts and controls look, in lists and on pages alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import now

from accounts import markup
from compliance.catalogue import Severity, catalogue
from compliance.engine import rulebook
from compliance.frameworks.control_map import control_map
from compliance.models import Evaluation, Gap
from inventory.models import ModelVersion

UNJUDGED = mark_safe('<span class="vw-subtle">not judged yet</span>')
CLEAR = mark_safe('<span class="vw-clear">no gaps</span>')
_WORST_FIRST = sorted(Severity, reverse=True)


def severity(value: int) -> SafeString:
    told = Severity(value)
    return markup.chip(told.label, told.name.lower())


def due(gap: Gap) -> SafeString:
    """Return until when a gap is to be closed, visibly so where that has passed."""
    if gap.due_on is None:
        return markup.NOTHING
    is_of_this_year = gap.due_on.year == now().year
    day = f"{gap.due_on:%-d %b}" if is_of_this_year else f"{gap.due_on:%-d %b %Y}"
    if gap.is_overdue:
        return markup.chip(f"{day}, overdue", "critical", title=f"{gap.due_on}")
    return format_html('<span class="vw-tight" title="{}">{}</span>', gap.due_on, day)


def badges(counts: Mapping[str, int] | None) -> SafeString:
    """Return how many gaps are open, worst first; missing fields and waived ones apart.

    `counts` are those of `Evaluation.COUNTS`; None says that nothing was judged yet.
    """
    if counts is None:
        return UNJUDGED
    told = [
        (level.name.lower(), number, level.label.lower())
        for level in _WORST_FIRST
        if (number := counts.get(level.name.lower()) or 0)
    ]
    if missing := counts.get("missing_fields") or 0:
        told.append(
            ("missing", missing, "missing fields" if missing > 1 else "missing field")
        )
    if waived := counts.get("waived") or 0:
        told.append(("waived", waived, "waived"))
    if not told:
        return CLEAR
    return format_html(
        '<span class="vw-badges">{}</span>',
        format_html_join(
            "",
            '<span class="vw-badge vw-{0}" title="{3}"><b>{1}</b> {2}</span>',
            ((tone, n, words, _sentence(tone, n)) for tone, n, words in told),
        ),
    )


def badges_of(version: ModelVersion) -> SafeString:
    """Return the badges of a version, none for one whose model is out of scope.

    Costs queries unless `evaluation` and registered model were selected along.
    """
    if version.is_left_out:
        return markup.NOTHING
    evaluation = evaluation_of(version)
    if evaluation is None:
        return badges(None)
    return badges({name: getattr(evaluation, name) for name in Evaluation.COUNTS})


def _sentence(tone: str, count: int) -> str:
    if tone == "missing":
        return f"{count} empty {'field' if count == 1 else 'fields'} of the risk group"
    if tone == "waived":
        return f"{count} waived {'gap' if count == 1 else 'gaps'}, which still fail"
    return f"{count} open {'gap' if count == 1 else 'gaps'} of {tone} severity"


@dataclass(frozen=True, slots=True)
class Control:
    """What a control asks for: evidence for it, never compliance with it."""

    id: str
    framework: str
    reference: str
    requirement: str
    address: str = ""  # of its page


def control(control_id: str) -> Control:
    """Look a control up in the map; one that it does not know is told by its id."""
    found = control_map().control(control_id)
    if found is None:
        return Control(control_id, "", control_id, "")
    framework, told = found
    return Control(
        id=control_id,
        framework=framework.title,
        reference=told.reference,
        requirement=told.requirement,
        address=reverse(
            "admin:compliance_framework_control", args=[framework.id, control_id]
        ),
    )


def title(rule_id: str) -> str:
    """Return what a rule is called; its id where nobody knows it any more."""
    rule = rulebook.get(rule_id)
    entry = rule.entry if rule else catalogue().rules.get(rule_id)
    return entry.title if entry else rule_id


def evaluation_of(version: ModelVersion) -> Evaluation | None:
    """Return how a version was judged, None if it was not yet.

    Costs a query unless `evaluation` was selected along.
    """
    return getattr(version, "evaluation", None)
