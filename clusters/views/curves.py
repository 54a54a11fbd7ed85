"""Curves of metrics, drawn as SVG by the server."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from clusters.metrics import WINDOWS, Mark, Point, Series
from vbase_console.web.templatetags.console import size

WIDTH, HEIGHT = 600, 80
MAX_POINTS = 200
TITLES = {
    "cpu_cores": "CPU cores in use",
    "memory_bytes": "Memory",
    "rows": "Rows",
    "disk_bytes": "Disk",
    "requests_per_second": "Requests per second",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MarkLine:
    x: float
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    title: str
    lines: Sequence[str]
    """Points of each polyline. A time without a measurement ends a line."""
    marks: Sequence[MarkLine]
    latest: str
    lowest: str
    highest: str


def curves_of(series: Sequence[Series], marks: Sequence[Mark], window: str) -> list[Curve]:
    now, (length, period) = timezone.now(), WINDOWS[window]
    begin = now - length

    def x_of(at: datetime) -> float:
        return round(WIDTH * ((at - begin) / length), 1)

    lines = [MarkLine(x=x_of(mark.time), text=mark.text) for mark in marks]
    curves = []
    for each in series:
        values = [value for _, value in each.points]
        highest = max(values, default=0) or 1
        curves.append(
            Curve(
                title=TITLES[each.name],
                lines=[
                    " ".join(
                        f"{x_of(at)},{round(HEIGHT * (1 - value / highest), 1)}"
                        for at, value in line
                    )
                    for line in _lines(
                        _thinned(each.points), gap=2.5 * max(period, length / MAX_POINTS)
                    )
                ],
                marks=lines,
                latest=text_of(values[-1], each.unit) if values else "",
                lowest=text_of(min(values), each.unit) if values else "",
                highest=text_of(max(values), each.unit) if values else "",
            )
        )
    return curves


def text_of(value: float, unit: str) -> str:
    if unit == "bytes":
        return size(round(value))
    return f"{value:,.0f}" if unit == "rows" else f"{value:,.2f}"


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Return the highest point of every group, so that a peak stays visible."""
    step = max(1, -(-len(points) // MAX_POINTS))
    groups = (points[start : start + step] for start in range(0, len(points), step))
    return [max(group, key=lambda point: point[1]) for group in groups]


def _lines(points: Sequence[Point], gap: timedelta) -> Iterator[list[Point]]:
    line: list[Point] = []
    for point in points:
        if line and point[0] - line[-1][0] > gap:
            yield line
            line = []
        line.append(point)
    if line:
        yield line
