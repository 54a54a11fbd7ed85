"""Template tags for the shapes of a picture that are repeated hundreds of times in a page.

A template variable for each of their attributes took a third of the overview's time.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from django import template
from django.utils.safestring import SafeString, mark_safe

from vbase_console.web.charts import Bar, DayCell

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
def day_links(days: Iterable[DayCell], address: str) -> SafeString:
    """Render the links that lie over a picture of days. The Tab key skips them."""
    return mark_safe("".join(f"<li>{_day_link(day, escape(address))}</li>" for day in days))  # noqa: S308


def _day_link(day: DayCell, address: str) -> str:
    if not day.has_runs:
        return ""
    text = escape(day.text)
    return (
        f'<a href="{address}?day={day.day.isoformat()}" title="{text}" tabindex="-1">'
        f'<span class="visually-hidden">{text}</span></a>'
    )
