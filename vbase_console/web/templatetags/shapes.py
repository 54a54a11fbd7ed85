"""Template tags for the shapes of a picture that are repeated hundreds of times in a page.

A template variable for each of their attributes took half of the overview's time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from html import escape

from django import template
from django.utils.safestring import SafeString, mark_safe

from vbase_console.web.charts import Bar, CellPath, DayCell

register = template.Library()


@register.simple_tag
def bar_shapes(bars: Iterable[Bar], corner: int = 0) -> SafeString:
    """Render bars with their titles. `corner` is the radius of their corners in pixels."""
    rounded = f' rx="{corner}"' if corner else ""
    return mark_safe(  # noqa: S308
        "".join(
            f'<rect class="{escape(bar.css_class)}" x="{bar.x}%" y="{bar.y}" width="{bar.width}%"'
            f' height="{bar.height}"{rounded}><title>{escape(bar.title)}</title></rect>'
            for bar in bars
        )
    )


@register.simple_tag
def cell_strip(title: str, cells: Iterable[CellPath]) -> SafeString:
    """Render the compact strip of days of one object in a list."""
    paths = "".join(
        f'<path class="day-{escape(cell.css_class)}" d="{escape(cell.path)}"/>' for cell in cells
    )
    return mark_safe(  # noqa: S308
        '<svg class="chart" width="120" height="22" viewBox="0 0 120 22" role="img">'
        f"<title>{escape(title)}</title>{paths}</svg>"
    )


@register.simple_tag
def day_links(
    days: Iterable[DayCell], address: str, selected: date | str | None = None
) -> SafeString:
    """Render the links that lie over a picture of days. The Tab key skips them."""
    links = (_day_link(day, escape(address), is_current=day.day == selected) for day in days)
    return mark_safe("".join(f"<li>{link}</li>" for link in links))  # noqa: S308


def _day_link(day: DayCell, address: str, *, is_current: bool) -> str:
    if not day.has_cause:
        return ""
    text, current = escape(day.text), ' aria-current="true"' if is_current else ""
    return (
        f'<a href="{address}?day={day.day.isoformat()}" title="{text}" tabindex="-1"{current}>'
        f'<span class="visually-hidden">{text}</span></a>'
    )
