"""Metrics of clusters: a sweep that measures all of them, and the series of one.

One sample a minute is kept for a day, one an hour for 30 days. A round costs a number of statements
that does not depend on the number of clusters, except for the batches of its inserts.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Avg, Max, QuerySet
from django.db.models.functions import TruncHour
from django.utils import timezone

from clusters.admission import refuse_unmeasured
from clusters.driver import get_driver
from clusters.drivers.base import DriverError, Usage
from clusters.models import Cluster, MetricSample
from clusters.states import Condition
from vbase_console.organizations.scopes import LIST_BACKUPS
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task

logger = logging.getLogger(__name__)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
KEPT = {MINUTE: timedelta(days=1), HOUR: timedelta(days=30)}
"""Period of a sample → time for which it is kept."""
WINDOWS = {
    "1h": (timedelta(hours=1), MINUTE),
    "24h": (timedelta(days=1), MINUTE),
    "7d": (timedelta(days=7), HOUR),
    "30d": (timedelta(days=30), HOUR),
}
"""Window → its length, and the period of its samples."""
UNITS = {
    "cpu_cores": "cores",
    "memory_bytes": "bytes",
    "rows": "rows",
    "disk_bytes": "bytes",
    "requests_per_second": "1/s",
}
MAX_RATE_GAP = timedelta(minutes=5)
"""Longest time between two samples of which a rate is computed."""
MAX_MARKS = 200
COLUMNS_OF_MARK = ("created_at", "kind", "task_id", "state", "arguments")
BATCH_SIZE = 500

Point = tuple[datetime, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series:
    name: str
    unit: str
    points: Sequence[Point]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mark:
    """Task or job of a cluster, at the time of its request."""

    time: datetime
    kind: str
    task_id: str
    text: str


# -- the sweep -------------------------------------------------------------------------------------


def measure_all() -> int:
    """Store a sample of every running cluster, at most one a minute. Returns their number."""
    now = timezone.now()
    minute = now.replace(second=0, microsecond=0)
    alive = Cluster.objects.alive().of_real_organizations()
    running = alive.filter(condition=Condition.RUNNING).values_list("pk", "driver")
    usages = _measure(running)
    recent = _samples(MINUTE).filter(at__gte=minute - MAX_RATE_GAP, at__lt=minute)
    previous = {row.cluster_id: row for row in recent.order_by("at").iterator(BATCH_SIZE)}
    samples = [
        _sample(cluster_id, minute, usage, previous.get(cluster_id))
        for cluster_id, usage in usages.items()
    ]
    MetricSample.objects.bulk_create(samples, batch_size=BATCH_SIZE, ignore_conflicts=True)
    _summarize_hours(now)
    for period, kept in KEPT.items():
        _samples(period).filter(at__lt=now - kept).delete()
    return len(samples)


def _measure(clusters: Iterable[tuple[str, str]]) -> dict[str, Usage]:
    ids_of_driver: dict[str, list[str]] = defaultdict(list)
    for cluster_id, driver in clusters:
        ids_of_driver[driver].append(cluster_id)
    usages: dict[str, Usage] = {}
    for name, cluster_ids in ids_of_driver.items():
        try:
            usages |= get_driver(name).usage(cluster_ids)
        except DriverError as error:
            logger.warning("%s: %d clusters not measured: %s", name, len(cluster_ids), error)
    return usages


def _samples(period: timedelta) -> QuerySet[MetricSample]:
    return MetricSample.objects.filter(period_seconds=int(period.total_seconds()))


def _sample(
    cluster_id: str, at: datetime, usage: Usage, before: MetricSample | None
) -> MetricSample:
    return MetricSample(
        cluster_id=cluster_id,
        period_seconds=int(MINUTE.total_seconds()),
        at=at,
        measured_at=usage.measured_at,
        cpu_seconds=usage.cpu_seconds,
        requests=usage.requests,
        cpu_cores=_rate(usage, before, "cpu_seconds"),
        memory_bytes=usage.memory_bytes,
        rows=usage.rows,
        disk_bytes=usage.disk_bytes,
        requests_per_second=_rate(usage, before, "requests"),
    )


def _rate(usage: Usage, before: MetricSample | None, counter: str) -> float | None:
    """Return the rate of a counter, or None after a restart, which resets it."""
    if before is None or before.measured_at is None:
        return None
    new, old = getattr(usage, counter), getattr(before, counter)
    seconds = (usage.measured_at - before.measured_at).total_seconds()
    if new is None or old is None or new < old or seconds <= 0:
        return None
    return float(new - old) / seconds


def _summarize_hours(now: datetime) -> None:
    """Store the means of every complete hour since the last stored one."""
    until = now.replace(minute=0, second=0, microsecond=0)
    last = _samples(HOUR).aggregate(last=Max("at"))["last"]
    minutes = _samples(MINUTE).filter(at__lt=until)
    if last:
        if last + HOUR >= until:
            return
        minutes = minutes.filter(at__gte=last + HOUR)
    means = minutes.order_by().annotate(hour=TruncHour("at")).values("cluster_id", "hour")
    rows: QuerySet[Any, dict[str, Any]] = means.annotate(  # type: ignore[assignment]  # dictionaries
        **{f"mean_{name}": Avg(name) for name in UNITS}
    )
    samples = (
        MetricSample(
            cluster_id=row["cluster_id"],
            period_seconds=int(HOUR.total_seconds()),
            at=row["hour"],
            cpu_cores=row["mean_cpu_cores"],
            memory_bytes=_whole(row["mean_memory_bytes"]),
            rows=_whole(row["mean_rows"]),
            disk_bytes=_whole(row["mean_disk_bytes"]),
            requests_per_second=row["mean_requests_per_second"],
        )
        for row in rows.iterator(BATCH_SIZE)
    )
    MetricSample.objects.bulk_create(list(samples), batch_size=BATCH_SIZE, ignore_conflicts=True)


def _whole(mean: float | None) -> int | None:
    return None if mean is None else round(mean)


# -- the series of one cluster ---------------------------------------------------------------------


def series_of(cluster: Cluster, window: str) -> list[Series]:
    refuse_unmeasured(cluster)
    now, (length, period) = timezone.now(), WINDOWS[window]
    samples = _samples(period).filter(cluster=cluster, at__gt=now - length, at__lte=now)
    rows = list(samples.order_by("at").values_list("at", *UNITS))
    return [
        Series(
            name=name,
            unit=unit,
            points=[(row[0], row[place]) for row in rows if row[place] is not None],
        )
        for place, (name, unit) in enumerate(UNITS.items(), start=1)
    ]


def marks_of(principal: Principal, cluster: Cluster, window: str) -> list[Mark]:
    """Return the tasks and jobs of a cluster that were requested in the window, newest first."""
    since = timezone.now() - WINDOWS[window][0]
    tasks = Task.objects.visible_to(principal).filter(quota_key=cluster.pk)
    if not principal.may(LIST_BACKUPS):
        tasks = tasks.changes_of(cluster.pk)
    # The window is no condition of the query, which would read older tasks until it has enough.
    newest = tasks.order_by("-pk").values_list(*COLUMNS_OF_MARK)[:MAX_MARKS]
    return [
        Mark(time=created_at, kind=kind, task_id=task_id, text=_text_of(kind, state, arguments))
        for created_at, kind, task_id, state, arguments in newest
        if created_at > since
    ]


def cpu_trends_of(cluster_ids: Sequence[str], since: datetime) -> dict[str, list[Point]]:
    """Return the hourly means of CPU cores in use, for a list of clusters in one statement."""
    samples = _samples(HOUR).filter(cluster__in=cluster_ids, at__gt=since, cpu_cores__isnull=False)
    trends: dict[str, list[Point]] = defaultdict(list)
    for cluster_id, at, cores in samples.order_by("at").values_list("cluster", "at", "cpu_cores"):
        trends[cluster_id].append((at, cores or 0.0))
    return trends


def _text_of(kind: str, state: str, arguments: Mapping[str, object]) -> str:
    text = f"{kind.replace('_', ' ').capitalize()}: {state.lower()}"
    return ". ".join(filter(None, [text, str(arguments.get("reason", ""))]))
