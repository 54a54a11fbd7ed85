"""Times, durations and sizes in words, with the exact value in the title.

static/js/console.js shows the same words of a time, and the exact time in the zone of the browser.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

NONE = "—"
UNITS = (
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "min"),
)
COUNT_UNITS = ((10**9, "bn"), (10**6, "M"), (10**3, "k"))
MAX_RELATIVE = timedelta(days=30)
"""Limit of relative times. A time that is further away is shown as a date."""


def relative_time(at: datetime | None) -> SafeString | str:
    """Render a time such as "5 min ago", "in 2 h" or "12 Mar 2026"."""
    if at is None:
        return NONE
    return _time(at, relation(at.astimezone(UTC), timezone.now()))


def exact_time(at: datetime | None) -> SafeString | str:
    """Render a time with its date, for sentences in which "5 min ago" does not fit."""
    if at is None:
        return NONE
    text = f"{at.astimezone(UTC):%d %b %Y, %H:%M} UTC".lstrip("0")
    return _time(at, text, SafeString(" data-exact"))


def _time(at: datetime, text: str, form: str = "") -> SafeString:
    utc = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}"{} title="{} UTC">{}</time>',
        f"{utc:%Y-%m-%dT%H:%M:%SZ}",
        form,
        f"{utc:%Y-%m-%d %H:%M:%S}",
        text,
    )


def relation(at: datetime, now: datetime) -> str:
    distance = abs(at - now)
    if distance > MAX_RELATIVE:
        return f"{at:%d %b %Y}".lstrip("0")
    amount = next((f"{distance // unit} {name}" for unit, name in UNITS if distance >= unit), "")
    if not amount:
        return "just now" if at <= now else "in a moment"
    return f"{amount} ago" if at <= now else f"in {amount}"


def duration(seconds: float | None) -> SafeString | str:
    """Render a duration such as "3 min 20 s"."""
    if seconds is None:
        return NONE
    whole, text = max(0, round(seconds)), duration_text(seconds)
    return text if whole < 60 else format_html('<span title="{} s">{}</span>', f"{whole:,}", text)


def duration_text(seconds: float) -> str:
    """Return the words of `duration` without markup, for pictures. Tenths matter below 10 s."""
    if 0 < seconds < 10 and round(seconds, 1) % 1:
        return f"{seconds:.1f} s"
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{minutes} min {rest} s"
    hours = whole // 3600
    return f"{hours} h {minutes % 60} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def size(count: int | None) -> SafeString | str:
    """Render a number of bytes such as "1.2 MB"."""
    if count is None:
        return NONE
    return format_html('<span title="{} bytes">{}</span>', f"{count:,}", size_text(count))


def size_text(count: float) -> str:
    """Return the words of `size` without markup, for pictures."""
    return str(filesizeformat(round(count)))


def count_text(count: float) -> str:
    """Return a number that fits beside a picture, such as "1,500" or "2.5 M"."""
    if count < 10_000:
        return f"{count:,.0f}"
    size, unit = next(pair for pair in COUNT_UNITS if count >= pair[0])
    return f"{count / size:,.4g} {unit}"
