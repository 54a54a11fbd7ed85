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
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    text = f"{minutes} min {rest} s" if whole < 3600 else f"{minutes // 60} h {minutes % 60} min"
    if whole >= 86_400:
        text = f"{whole // 86_400} d {whole % 86_400 // 3600} h"
    return format_html('<span title="{} s">{}</span>', f"{whole:,}", text)


def size(count: int | None) -> SafeString | str:
    """Render a number of bytes such as "1.2 MB"."""
    if count is None:
        return NONE
    return format_html('<span title="{} bytes">{}</span>', f"{count:,}", filesizeformat(count))
