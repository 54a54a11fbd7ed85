"""Curves of metrics with the marked events of a cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone

from clusters.metrics import UNITS, WINDOWS, Mark, Series, cpu_trends_of
from clusters.models import Cluster
from clusters.states import TaskKind
from vbase_console.core.quantities import count_text
from vbase_console.tasks.states import TASK_ID_PREFIX
from vbase_console.web import charts

MAX_EVENTS = 20
TREND_WINDOW = timedelta(hours=24)
TITLES = {
    "cpu_cores": "CPU cores in use",
    "memory_bytes": "Memory",
    "rows": "Rows",
    "disk_bytes": "Disk",
    "requests_per_second": "Requests per second",
}
WINDOW_NAMES = {"1h": "Hour", "24h": "Day", "7d": "Week", "30d": "Month"}
MARK_KINDS = {
    TaskKind.SCALING: "scaling",
    TaskKind.RESTART: "restart",
    TaskKind.START: "restart",
    TaskKind.STOP: "restart",
    TaskKind.VERSION_UPGRADE: "upgrade",
    "BACKUP": "backup",
    "RESTORE": "restore",
}
"""Kind of a task → its look on a curve and its word in the legend. Other kinds are not marked."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MarkedEvent:
    """Marked event with the page of its task."""

    time: datetime
    kind: str
    text: str
    address: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    title: str
    chart: charts.LineChart
    latest: str
    lowest: str
    mean: str
    highest: str


def curves_of(series: Sequence[Series], marks: Sequence[Mark], window: str) -> list[Curve]:
    now, (length, period) = timezone.now(), WINDOWS[window]
    marked = [
        (mark.time, MARK_KINDS[mark.kind], mark.text) for mark in marks if mark.kind in MARK_KINDS
    ]
    return [_curve(item, marked, begin=now - length, end=now, gap=2.5 * period) for item in series]


def _curve(
    series: Series,
    marks: list[tuple[datetime, str, str]],
    *,
    begin: datetime,
    end: datetime,
    gap: timedelta,
) -> Curve:
    values = [value for _, value in series.points]
    summary = (values[-1], min(values), sum(values) / len(values), max(values)) if values else ()
    latest, lowest, mean, highest = [text_of(v, series.unit) for v in summary] or [""] * 4
    return Curve(
        title=TITLES[series.name],
        chart=charts.line_chart(
            series.points,
            begin=begin,
            end=end,
            gap=gap,
            text_of=count_text
            if series.unit == UNITS["rows"]
            else lambda value: text_of(value, series.unit),
            base=1024 if series.unit == "bytes" else 10,
            marks=marks,
        ),
        latest=latest,
        lowest=lowest,
        mean=mean,
        highest=highest,
    )


def events_of(marks: Sequence[Mark], organization: str) -> list[MarkedEvent]:
    """Return the newest marked events with links to their tasks."""
    return [
        MarkedEvent(
            time=mark.time,
            kind=MARK_KINDS[mark.kind],
            text=mark.text,
            address=reverse(
                "task-detail" if mark.task_id.startswith(TASK_ID_PREFIX) else "job-detail",
                args=[organization, mark.task_id],
            ),
        )
        for mark in marks
        if mark.kind in MARK_KINDS
    ][:MAX_EVENTS]


def text_of(value: float, unit: str) -> str:
    if unit == "bytes":
        return str(filesizeformat(round(value)))
    return f"{value:,.0f}" if unit == UNITS["rows"] else f"{value:,.2f}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trend:
    points: str
    title: str


def trends_of(clusters: Sequence[Cluster], now: datetime) -> dict[str, Trend]:
    """Return the CPU of the last day for the clusters of a list that were measured."""
    begin = now - TREND_WINDOW
    measured = cpu_trends_of([cluster.cluster_id for cluster in clusters], begin)
    trends = {}
    for cluster in clusters:
        points = measured.get(cluster.cluster_id, [])
        if line := charts.spark_line(points, begin=begin, end=now):
            latest, highest = points[-1][1], max(value for _, value in points)
            title = f"CPU of {cluster.name}, 24 hours: latest {latest:.2f}, highest {highest:.2f}"
            trends[cluster.cluster_id] = Trend(points=line, title=f"{title} cores")
    return trends
