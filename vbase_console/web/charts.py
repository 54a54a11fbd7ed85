"""Pictures of pages as geometry: scales, ticks and shapes. Pure functions of values.

Positions along a picture are percent of its width, so that a picture fits every page and its text
keeps its size. Heights are pixels. Values that are not finite are gaps. Templates of `web/charts/`
write the pictures; docs/components.md explains them.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

HEIGHT = 96
PIXELS_PER_CHARACTER = 7
"""Upper bound for digits and units in the type size of a picture."""
MIN_COLUMNS = 12
LINE_WIDTH = 1000
"""Width of the coordinates of a polyline, which knows no percent."""
MAX_POINTS = 200
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TIME_STEPS = (
    *(n * MINUTE for n in (1, 5, 10, 15, 30)),
    *(n * HOUR for n in (1, 3, 6, 12)),
    *(n * DAY for n in (1, 2, 5, 7, 10, 30, 90, 365)),
)
MAX_TIME_LABELS = 5
STRIP_PITCH, STRIP_CELL = 4, 3
"""Units of a cell of a strip with its gap, and without."""

Blocks = Sequence[tuple[float, float]]
"""Top and height of the blocks of a cell, 22 pixels in all, so that shape alone tells its look."""
Point = tuple[datetime, float]
ToText = Callable[[float], str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeLabel:
    x: float
    at: datetime
    text: str
    """Text in UTC. The script moves the label to the nearest round time of the reader's zone."""
    form: str
    """`hour` or `day`."""
    step_minutes: int
    """Multiples of this since midnight are round, at most one day."""
    window: int
    """Seconds that the picture is long, so that the script finds the place of another time."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GridLine:
    y: float
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """Values at the left of a picture, beside the plot and never on it."""

    grid: Sequence[GridLine]

    @property
    def width(self) -> int:
        longest = max((len(line.text) for line in self.grid), default=0)
        return PIXELS_PER_CHARACTER * (longest + 1) if longest else 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChartMark:
    """Event on a curve."""

    x: float
    kind: str
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class LineChart:
    height: int
    lines: Sequence[str]
    """Points of each polyline. A time without a value ends a line."""
    scale: Scale
    labels: Sequence[TimeLabel]
    marks: Sequence[ChartMark]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bar:
    """Part of a column: one series at one place."""

    x: float
    y: float
    width: float
    height: float
    css_class: str
    title: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class DayCell:
    """Day of a picture in words. `has_cause` is False if its link would show nothing."""

    day: date
    text: str
    has_cause: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColumnChart:
    height: int
    bars: Sequence[Bar]
    scale: Scale


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segment:
    """Span of time in one row of a time line."""

    x: float
    width: float
    css_class: str
    title: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class CellPath:
    """Cells of one look in a strip, as one path."""

    css_class: str
    path: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """Values of one column from the bottom, each with its class and text."""

    parts: Sequence[tuple[float, str, str]]


def percent(value: float, low: float, high: float) -> float:
    """Map a value to 0 to 100. Values outside are moved to the edge; an empty range is 0."""
    if not all(map(math.isfinite, (value, low, high))) or high <= low:
        return 0.0
    # Both differences are halved, because that of two extreme numbers is not finite.
    half = high / 2 - low / 2
    if half == 0:  # the smallest numbers have no half
        return 0.0
    part = (value / 2 - low / 2) / half
    return round(100 * min(1.0, max(0.0, part)), 2)


def percent_of_time(at: datetime, begin: datetime, end: datetime) -> float:
    return percent((at - begin).total_seconds(), 0, (end - begin).total_seconds())


def round_steps(highest: float, *, base: int = 10, count: int = 2) -> list[float]:
    """Return about `count` round numbers in equal steps, up to `highest`. `base` is 1024 for bytes,
    whose round numbers are those of a power of 1024.
    """
    if not math.isfinite(highest) or highest < sys.float_info.min:
        return []
    rough = highest / count
    unit = 1.0
    if base != 10:
        while unit * base <= rough:
            unit *= base
    power = 10.0 ** math.floor(math.log10(rough / unit))
    step = next((m * power * unit for m in (1, 2, 5, 10) if m * power * unit >= rough), rough)
    if base != 10 and step >= 1000 * unit:
        step = base * unit
    step = step if step <= highest else step / 2
    if step <= 0 or not math.isfinite(step):
        return []
    return [step * n for n in range(1, int(highest / step + 1e-9) + 1)]


def time_labels(begin: datetime, end: datetime) -> list[TimeLabel]:
    """Return labels at round times, at most `MAX_TIME_LABELS`."""
    length = end - begin
    if length <= timedelta(0):
        return []
    step = next((step for step in TIME_STEPS if length / step <= MAX_TIME_LABELS), length)
    form = "day" if step >= DAY else "hour"
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    at = epoch + math.ceil((begin - epoch) / step) * step
    labels = []
    while at <= end:
        text = f"{at.astimezone(UTC):%-d %b}" if form == "day" else f"{at.astimezone(UTC):%H:%M}"
        x = percent_of_time(at, begin, end)
        if 2 <= x <= 96:  # a label at the edge would be cut
            labels.append(
                TimeLabel(
                    x=x,
                    at=at,
                    text=text,
                    form=form,
                    step_minutes=max(1, min(step, DAY) // MINUTE),
                    window=max(1, int(length.total_seconds())),
                )
            )
        at += step
    return labels


def line_chart(
    points: Sequence[Point],
    *,
    begin: datetime,
    end: datetime,
    gap: timedelta,
    text_of: ToText,
    base: int = 10,
    marks: Iterable[tuple[datetime, str, str]] = (),
    height: int = HEIGHT,
) -> LineChart:
    """Draw values over time from zero. Times further apart than `gap` are not connected.

    `marks` are times, kinds and texts of events.
    """
    finite = [point for point in points if math.isfinite(point[1])]
    highest = max((value for _, value in finite), default=0.0)
    gap = max(gap, 2.5 * (end - begin) / MAX_POINTS)

    def coordinates(point: Point) -> str:
        x = percent_of_time(point[0], begin, end) * LINE_WIDTH / 100
        return f"{x:.1f},{_y(point[1], highest, height):.1f}"

    return LineChart(
        height=height,
        lines=[" ".join(map(coordinates, line)) for line in _connected(_thinned(finite), gap)],
        scale=_scale(highest, height, base, text_of),
        labels=time_labels(begin, end),
        marks=[
            ChartMark(x=percent_of_time(at, begin, end), kind=kind, text=text)
            for at, kind, text in marks
            if begin <= at <= end
        ],
    )


def column_chart(
    columns: Sequence[Column],
    *,
    text_of: ToText,
    base: int = 10,
    height: int = HEIGHT,
    least: float = 0,
) -> ColumnChart:
    """Draw columns side by side from zero, each of one or more parts on top of each other.

    A few columns are as wide as those of `MIN_COLUMNS`. A part is at least `least` pixels high, so
    that a small number beside a large one is visible.
    """
    sums = [sum(_finite(value) for value, _, _ in column.parts) for column in columns]
    highest = max(sums, default=0.0)
    pitch = 100 / max(MIN_COLUMNS, len(columns))
    bars = []
    for place, column in enumerate(columns):
        below, y = 0.0, float(height)
        for value, css_class, title in column.parts:
            top = below + _finite(value)
            bottom = y
            y -= max(least, _y(below, highest, height) - _y(top, highest, height))
            bars.append(
                Bar(
                    x=round(place * pitch, 2),
                    y=round(y, 1),
                    width=round(pitch * 0.8, 2),
                    height=round(bottom - y, 1),
                    css_class=css_class,
                    title=title,
                )
            )
            below = top
    return ColumnChart(height=height, bars=bars, scale=_scale(highest, height, base, text_of))


def segment(
    begin: datetime,
    end: datetime,
    *,
    within: tuple[datetime, datetime],
    css_class: str,
    title: str,
    least: float = 0.4,
) -> Segment:
    """Return a span of a time line. A short one is `least` percent wide, so that it is visible."""
    left, right = percent_of_time(begin, *within), percent_of_time(end, *within)
    width = max(right - left, least)
    return Segment(
        x=round(min(left, 100 - width), 2), width=round(width, 2), css_class=css_class, title=title
    )


def spark_line(points: Sequence[Point], *, begin: datetime, end: datetime) -> str:
    """Return the points of a polyline of 100 by 20 units; empty with less than two values."""
    finite = _thinned([point for point in points if math.isfinite(point[1])])
    highest = max((value for _, value in finite), default=0.0)
    if len(finite) < 2:
        return ""
    return " ".join(
        f"{percent_of_time(at, begin, end):.1f},{_y(value, highest, 20):.1f}"
        for at, value in finite
    )


def cell_paths(looks: Sequence[str], shapes: Mapping[str, Blocks]) -> list[CellPath]:
    """Return the cells of a strip in a list, `STRIP_PITCH` units each. A strip has one element for
    each look, because a list has many strips.
    """
    paths: dict[str, list[str]] = {}
    for place, look in enumerate(looks):
        for top, height in shapes[look]:
            block = f"M{place * STRIP_PITCH} {top}h{STRIP_CELL}v{height}h-{STRIP_CELL}z"
            paths.setdefault(look, []).append(block)
    return [CellPath(css_class=look, path="".join(blocks)) for look, blocks in paths.items()]


def cell_bars(
    looks: Sequence[str], titles: Sequence[str], shapes: Mapping[str, Blocks]
) -> list[Bar]:
    """Return the cells of a strip as wide as its page, each with a title."""
    pitch = 100 / len(looks)
    return [
        Bar(
            x=round(place * pitch, 2),
            y=top,
            width=round(pitch * 0.78, 2),
            height=height,
            css_class=f"day-{look}",
            title=title,
        )
        for place, (look, title) in enumerate(zip(looks, titles, strict=True))
        for top, height in shapes[look]
    ]


def _scale(highest: float, height: int, base: int, text_of: ToText) -> Scale:
    return Scale(
        grid=[
            GridLine(y=round(_y(value, highest, height), 1), text=text_of(value))
            for value in round_steps(highest, base=base)
        ]
    )


def _y(value: float, highest: float, height: int) -> float:
    """Distance from the top. A tenth is left free above the highest value for its label."""
    return height * (1 - 0.9 * percent(value, 0, highest) / 100)


def _finite(value: float) -> float:
    return value if math.isfinite(value) and value > 0 else 0.0


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Return the highest point of every group, so that a peak stays visible."""
    size = max(1, -(-len(points) // MAX_POINTS))
    groups = (points[start : start + size] for start in range(0, len(points), size))
    return [max(group, key=lambda point: point[1]) for group in groups]


def _connected(points: Sequence[Point], gap: timedelta) -> Iterator[list[Point]]:
    line: list[Point] = []
    for point in points:
        if line and point[0] - line[-1][0] > gap:
            yield line
            line = []
        line.append(point)
    if line:
        yield line
