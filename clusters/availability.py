"""Availability of clusters by day (UTC), counted by the observation sweep.

Each observation counts for the time since the one before, so that time without observations is
counted as nothing and never as available. docs/console-data.md explains the rules.
"""

from __future__ import annotations

import dataclasses
import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from clusters.models import Cluster, ClusterDay

SHOWN_DAYS = 30
A_DAY = timedelta(days=1)
MIN_TOLERATED_GAP = timedelta(seconds=90)
"""An attached cluster that does not answer is observed once a minute."""
MAX_CAUSE_LENGTH = 200
BATCH_SIZE = 500
UNNOTABLE = timedelta(minutes=5)
"""A day is not called partly observed for this time without observations."""


class Availability(enum.StrEnum):
    """Result of an observation, and the column that counts it."""

    AVAILABLE = "available_seconds"
    INTERRUPTED = "interrupted_seconds"
    STOPPED = "stopped_seconds"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObservedAvailability:
    found: Availability
    cause: str = ""
    """Reason of an interruption. Empty: the reason of the observation before."""


# -- counting --------------------------------------------------------------------------------------


def count(findings: Mapping[str, ObservedAvailability]) -> None:
    """Count the time since the last observation of each cluster, by its id.

    Each statement is complete by itself. In a transaction, two sweepers could wait for each other.
    """
    now = timezone.now()
    today = now.astimezone(UTC).date()
    rows = ClusterDay.objects.filter(cluster__in=findings, day=today)
    counted = dict(rows.values_list("cluster", "counted_until"))
    if unbegun := findings.keys() - counted.keys():
        begun = {cluster_id: findings[cluster_id] for cluster_id in unbegun}
        counted |= _begin_day(today, begun, now)
    _add(today, findings, counted, now)


def remove_old() -> None:
    today = timezone.now().astimezone(UTC).date()
    ClusterDay.objects.filter(day__lte=today - SHOWN_DAYS * A_DAY).delete()


def _begin_day(
    day: date, findings: Mapping[str, ObservedAvailability], now: datetime
) -> dict[str, datetime]:
    """Add the rows of a new day. Time since an observation of the day before is divided at
    midnight. Returns the time from which each cluster is counted.
    """
    midnight = start_of(day)
    rows = ClusterDay.objects.filter(cluster__in=findings, day=day - A_DAY)
    rows = rows.filter(counted_until__gte=now - tolerated_gap(), counted_until__lte=midnight)
    before = dict(rows.values_list("cluster", "counted_until"))
    observed = {cluster_id: findings[cluster_id] for cluster_id in before}
    _add(day - A_DAY, observed, before, midnight)
    begins = {cluster_id: midnight if cluster_id in before else now for cluster_id in findings}
    ClusterDay.objects.bulk_create(
        (
            ClusterDay(cluster_id=cluster_id, day=day, counted_until=begin)
            for cluster_id, begin in begins.items()
        ),
        batch_size=BATCH_SIZE,
        ignore_conflicts=True,
    )
    return begins


def _add(
    day: date,
    findings: Mapping[str, ObservedAvailability],
    counted: Mapping[str, datetime],
    until: datetime,
) -> None:
    """Count the time until an instant. One update serves all clusters with the same time and
    finding. It is conditional on the time, so that two sweepers do not count twice.
    """
    groups: dict[tuple[datetime, ObservedAvailability], list[str]] = defaultdict(list)
    for cluster_id, finding in findings.items():
        if counted[cluster_id] != until:
            groups[counted[cluster_id], finding].append(cluster_id)
    for (since, finding), cluster_ids in groups.items():
        # The difference is negative after the clock was set back.
        passed = until - since if timedelta(0) < until - since <= tolerated_gap() else timedelta(0)
        changes: dict[str, object] = {
            "counted_until": until,
            finding.found: F(finding.found) + passed.total_seconds(),
        }
        if finding.cause:
            changes["cause"] = finding.cause[:MAX_CAUSE_LENGTH]
        rows = ClusterDay.objects.filter(day=day, cluster__in=cluster_ids, counted_until=since)
        rows.update(**changes)


def tolerated_gap() -> timedelta:
    return max(MIN_TOLERATED_GAP, timedelta(seconds=3 * settings.SWEEP_SECONDS))


def start_of(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


# -- reading ---------------------------------------------------------------------------------------


class Cell(enum.StrEnum):
    """Availability of one day in one word."""

    AVAILABLE = "available"
    PARTLY = "partly"
    """Available, and not observed for a notable part of the day."""
    INTERRUPTED = "interrupted"
    DOWN = "down"
    """Interrupted, and never available."""
    STOPPED = "stopped"
    UNKNOWN = "unknown"
    """Not observed."""
    ABSENT = "absent"
    """The cluster did not exist."""


class ObservedDay(NamedTuple):
    """Seconds of a day of one cluster. The unknown ones were not observed.

    A tuple, because a list of clusters has 1,500 of them.
    """

    day: date
    cell: Cell
    available_seconds: float = 0
    interrupted_seconds: float = 0
    stopped_seconds: float = 0
    unknown_seconds: float = 0
    cause: str = ""


def shown_days() -> list[date]:
    """Return the days of a strip, the oldest first."""
    today = timezone.now().astimezone(UTC).date()
    return [today - ago * A_DAY for ago in range(SHOWN_DAYS - 1, -1, -1)]


def days_of(clusters: Sequence[Cluster]) -> dict[str, list[ObservedDay]]:
    """Return the days of each cluster, the oldest first, in one statement."""
    now, days = timezone.now(), shown_days()
    spans = [(day, start_of(day), min(now, start_of(day + A_DAY))) for day in days]
    ids = [cluster.pk for cluster in clusters]
    columns = ("cluster", "day", *Availability, "cause")
    rows = ClusterDay.objects.filter(cluster__in=ids, day__gte=days[0])
    stored = {
        (cluster_id, day): values
        for cluster_id, day, *values in rows.order_by().values_list(*columns)
    }
    return {
        cluster.pk: [
            _observed_day(day, _existence(cluster, begin, end), *stored.get((cluster.pk, day), ()))
            for day, begin, end in spans
        ]
        for cluster in clusters
    }


def percent_of(days: Iterable[ObservedDay]) -> float | None:
    """Return the availability, rounded down. None without observations of a cluster that should
    run.
    """
    available = interrupted = 0.0
    for day in days:
        available += day.available_seconds
        interrupted += day.interrupted_seconds
    expected = available + interrupted
    return int(10_000 * available / expected) / 100 if expected else None


def _existence(cluster: Cluster, begin: datetime, end: datetime) -> float | None:
    """Return the seconds of a day in which the cluster existed. None if it did not exist then."""
    created, deleted = cluster.created_at, cluster.deleted_at
    if created > end or (deleted is not None and deleted < begin):
        return None
    begin, end = max(begin, created), min(end, deleted or end)
    return max(0.0, (end - begin).total_seconds())


def _observed_day(
    day: date,
    existed: float | None,
    available: float = 0,
    interrupted: float = 0,
    stopped: float = 0,
    cause: str = "",
) -> ObservedDay:
    unknown = max(0.0, (existed or 0) - available - interrupted - stopped)
    if existed is None:
        cell = Cell.ABSENT
    elif interrupted:
        cell = Cell.INTERRUPTED if available else Cell.DOWN
    elif available:
        is_whole = unknown <= UNNOTABLE.total_seconds()
        cell = Cell.AVAILABLE if is_whole else Cell.PARTLY
    else:
        cell = Cell.STOPPED if stopped else Cell.UNKNOWN
    return ObservedDay(day, cell, available, interrupted, stopped, unknown, cause)
