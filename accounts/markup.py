"""Small pieces of HTML that pages of several apps share. Everything told is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import now

NOTHING = mark_safe('<span class="vw-nothing" title="None">–</span>')
EXACT = 1e15  # beyond it a float does not tell one integer from the next
LONG = 160  # characters after which a value is folded

_UNITS = (
    (timedelta(days=365), "year"),
    (timedelta(days=30), "month"),
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
)


def exact(at: datetime) -> str:
    """Return a moment to the second, in UTC."""
    return f"{at:%-d %b %Y, %H:%M:%S} UTC"


def distance(at: datetime) -> str:
    """Return how long ago a moment was, or when it will be, in its largest unit."""
    passed = now() - at
    for size, unit in _UNITS:
        count = abs(passed) // size
        if count:
            plural = "" if count == 1 else "s"
            told = f"{count} {unit}{plural}"
            return f"{told} ago" if passed > timedelta() else f"in {told}"
    return "just now"


def moment(at: datetime | None) -> SafeString:
    """Return a moment as people say it, with the exact time on hover."""
    if at is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        exact(at),
        distance(at),
    )


def number(value: float | None) -> SafeString:
    """Return a number with its thousands apart.

    Of a fraction, and of what is too long to read, six digits, and all on hover.
    """
    if value is None:
        return NOTHING
    if abs(value) < EXACT and (isinstance(value, int) or value.is_integer()):
        return format_html('<span class="vw-number">{}</span>', f"{int(value):,}")
    # PostgreSQL gives a float such as 1e301 back as an integer of 302 digits.
    short = f"{Decimal(value):.6g}" if isinstance(value, int) else f"{value:,.6g}"
    return format_html(
        '<span class="vw-number" title="{}">{}</span>', repr(value)[:LONG], short
    )


def duration(seconds: float) -> str:
    """Return a span of time: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(count: float | str | None) -> str:
    """Return a number of bytes: `812 B`, `3.4 kB`, `1.2 MB`; a dash for what is none."""
    if count is None or isinstance(count, str):
        return "–"
    if count < 1000:  # noqa: PLR2004
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000:  # noqa: PLR2004
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} TB"


def chip(text: object, tone: str = "", *, title: str = "") -> SafeString:
    """Return a label; `tone` is critical, high, medium, low, good, weak or empty."""
    return format_html(
        '<span class="vw-chip{}"{}>{}</span>',
        f" vw-{tone}" if tone else "",
        format_html(' title="{}"', title) if title else "",
        text,
    )


def link(url: str, text: object, *, css: str = "vw-link") -> SafeString:
    return format_html('<a class="{}" href="{}">{}</a>', css, url, text)


def folded(text: str, *, css: str = "") -> SafeString:
    """Return a text whole, or, where it is long, its beginning to be unfolded."""
    if len(text) <= LONG and text.count("\n") <= 2:  # noqa: PLR2004
        return format_html('<span class="vw-text {}">{}</span>', css, text)
    return format_html(
        '<details class="vw-fold {0}"><summary><span class="vw-text">{1}…</span>'
        '<span class="vw-more">{2} characters</span></summary>'
        '<span class="vw-text">{3}</span></details>',
        css,
        " ".join(text[:LONG].split()),
        f"{len(text):,}",
        text,
    )


def visible(text: str) -> SafeString:
    """Return a name with the signs in it that are not to be seen, so that they are.

    Nobody takes `gnp.exe` for an image because a sign turns the text around.
    """
    if text.isprintable():
        return format_html("{}", text)
    return format_html_join("", "{}", ((_sign(sign),) for sign in text))


def _sign(sign: str) -> SafeString | str:
    if sign.isprintable():
        return sign
    return format_html('<span class="vw-sign">U+{}</span>', f"{ord(sign):04X}")


def value(told: Any) -> SafeString:
    """Return any value of a record, as a table reads it: never as raw JSON."""
    if told is None or told in ("", [], (), {}):
        return NOTHING
    match told:
        case bool():
            return format_html("{}", "Yes" if told else "No")
        case int() | float():
            return number(told)
        case datetime():
            return format_html("{} {}", moment(told), _exactly(told))
        case str():
            return folded(told)
        case Mapping():
            return table(told)
        case list() | tuple() if all(isinstance(item, str) for item in told):
            return format_html_join(" ", "{}", ((chip(item),) for item in told))
        case list() | tuple():
            return format_html_join("", "<div>{}</div>", ((value(i),) for i in told))
    return format_html("{}", told)


def brief(told: Any) -> SafeString:
    """Return any value for a cell of a wide table: of a document its size, to unfold."""
    if not told or not isinstance(told, Mapping | list | tuple):
        return value(told)
    if all(isinstance(item, str) for item in told) and not isinstance(told, Mapping):
        return value(told)
    entries = "1 entry" if len(told) == 1 else f"{len(told):,} entries"
    return format_html(
        '<details class="vw-brief"><summary>{}</summary>{}</details>',
        entries,
        value(told),
    )


def table(rows: Mapping[Any, Any]) -> SafeString:
    """Return names and values as a small table, by name."""
    return format_html(
        '<table class="vw-pairs"><tbody>{}</tbody></table>',
        format_html_join(
            "",
            '<tr><th scope="row">{}</th><td>{}</td></tr>',
            ((key, value(rows[key])) for key in sorted(rows, key=str)),
        ),
    )


def _exactly(at: datetime) -> SafeString:
    return format_html('<span class="vw-subtle">{}</span>', exact(at))
