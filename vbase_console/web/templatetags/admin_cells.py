"""Cells of the admin's lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from django import template
from django.utils.html import escape, strip_tags
from django.utils.safestring import SafeString
from django.utils.text import capfirst

register = template.Library()
START = re.compile(r"<(td|th)\b")


@register.filter
def labelled(cells: Iterable[str], headers: Iterable[dict[str, Any]]) -> Iterator[SafeString]:
    """Add the name of its column to each cell, which a narrow screen shows beside the value."""
    for cell, header in zip(cells, headers, strict=True):
        name = escape(capfirst(strip_tags(str(header["text"])).strip()))
        yield SafeString(START.sub(rf'<\1 data-label="{name}"', str(cell), count=1))
