"""`accounts.markup` in templates: `{% load console %}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

from accounts import markup

register = template.Library()

register.filter("moment", markup.moment)
register.filter("exact", markup.exact)
register.filter("duration", markup.duration)
register.filter("size", markup.size)
register.filter("number", markup.number)
register.filter("value", markup.value)
register.filter("brief", markup.brief)
register.filter("folded", markup.folded)
register.filter("visible", markup.visible)
register.simple_tag(markup.chip)


@register.filter
def in_order(mapping: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the items by key: PostgreSQL keeps JSON in an order of its own."""
    return sorted(mapping.items())


@register.filter
def item(mapping: Mapping[Any, Any], key: Any) -> Any:
    """Return the value under a key that is itself a variable; None where there is none."""
    return mapping.get(key)
