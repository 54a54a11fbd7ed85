"""Observed against wanted: every sweep looks at all clusters in one call and says what it sees.

It heals only what nobody is working on: a cluster with an unfinished task is left to that task.
What it does about a difference is a task like any other, in the history with its reason.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from clusters.admission import enqueue_task, refresh_status, unfinished
from clusters.driver import CONDITION_OF, columns_of, get_driver
from clusters.drivers.base import DriverError, Observation, Presence
from clusters.models import Cluster, configured_driver
from clusters.outcomes import failure
from clusters.states import Condition, ServiceStatus, TaskKind
from vbase_console.tasks.models import Task, TaskQuerySet
from vbase_console.tasks.states import FINISHED, TaskState

logger = logging.getLogger(__name__)

CONSOLE = "console"
HEALING_PRIORITY = 50
"""Healing goes before what waits: a restore that waits for a broken cluster would wait for ever."""
UNRESPONSIVE_GRACE = timedelta(seconds=30)
"""A process that is there may be too busy to answer for so long before it is said."""
RESTART_AFTER = timedelta(minutes=5)
"""A process that is there and does not answer for so long is restarted: it may be busy, or it
hangs for ever.
"""
UNKNOWN_AFTER = timedelta(minutes=1)
"""The driver could not look for so long before it is said."""
CRASH_WINDOW = timedelta(minutes=10)
MAX_HEALING_BACKOFF_SECONDS = 300
CLOCK_SLACK = timedelta(seconds=1)


def reconcile_all() -> int:
    """Observe every cluster that is not deleted. Returns the number of clusters that changed."""
    clusters_by_driver: dict[str, list[Cluster]] = {configured_driver(): []}
    for cluster in Cluster.objects.alive().exclude(condition=Condition.ABSENT):
        clusters_by_driver.setdefault(cluster.driver, []).append(cluster)
    return sum(_reconcile_clusters_of(*group) for group in clusters_by_driver.items())


def _reconcile_clusters_of(driver_name: str, clusters: Sequence[Cluster]) -> int:
    """Reconcile the clusters of one driver. Its failure does not affect those of other drivers."""
    try:
        driver = get_driver(driver_name)
        observations = driver.observe([cluster.cluster_id for cluster in clusters])
        existing_ids = driver.cluster_ids()
    except DriverError as error:
        return sum(_say_unseen(cluster, error) for cluster in clusters)
    _report_orphans(driver_name, existing_ids)
    good = [each.pk for each in clusters if _as_expected(each, observations[each.cluster_id])]
    Cluster.objects.filter(pk__in=good).update(seen_at=timezone.now())
    others = [cluster for cluster in clusters if cluster.pk not in set(good)]
    return sum(_reconcile(cluster, observations[cluster.cluster_id]) for cluster in others)


@transaction.atomic
def _reconcile(cluster: Cluster, seen: Observation) -> bool:
    """What was seen is acted on only if nothing has happened to the cluster since it was read."""
    row = Cluster.objects.locked(cluster.pk)
    if row.updated_at != cluster.updated_at or _is_worked_on(row):
        return False
    return _differs(row, seen)


@transaction.atomic
def _say_unseen(cluster: Cluster, error: DriverError) -> bool:
    row = Cluster.objects.locked(cluster.pk)
    lately = row.seen_at is not None and abs(timezone.now() - row.seen_at) < UNKNOWN_AFTER
    if lately or row.condition == Condition.UNSEEN or _is_worked_on(row):
        return False
    row.condition = Condition.UNSEEN
    refresh_status(row, f"Nobody could look at it: {error}")
    return True


def _is_worked_on(cluster: Cluster) -> bool:
    if cluster.status == ServiceStatus.DELETED or unfinished(cluster):
        return True
    return Task.objects.filter(lock=cluster.lock, holds_lock=True).exists()


def _as_expected(cluster: Cluster, seen: Observation) -> bool:
    wanted = Presence.RUNNING if cluster.wanted_running else Presence.STOPPED
    if seen.presence is not wanted:
        return False
    now = columns_of(seen)
    same = ("condition", "host", "port", "effective_cores", "confinement")
    return all(now.get(field, getattr(cluster, field)) == getattr(cluster, field) for field in same)


def _differs(cluster: Cluster, seen: Observation) -> bool:
    """The row is held and nobody works on the cluster: note what is seen, and heal what differs
    from what is wanted.
    """
    if seen.presence is Presence.STARTING and not _is_silent(cluster, UNRESPONSIVE_GRACE):
        return False
    before = (cluster.condition, cluster.status_message)
    for field, value in columns_of(seen).items():
        setattr(cluster, field, value)
    remedy = _remedy(cluster, seen)
    wait = _pause_left(cluster) if remedy else 0
    if remedy and wait <= 0:
        _heal(cluster, *remedy)
        return True
    refresh_status(cluster, _message(cluster, seen, wait))
    return before != (cluster.condition, cluster.status_message)


def _remedy(cluster: Cluster, seen: Observation) -> tuple[TaskKind, str] | None:
    """Which task brings the cluster to what is wanted, and why; None where nothing differs or
    nothing would help.
    """
    if not cluster.wanted_running:
        runs = seen.presence in (Presence.RUNNING, Presence.STARTING)
        found = (TaskKind.STOP, "It runs and should not.") if runs else None
    else:
        found = _REMEDIES.get(seen.presence)
    if seen.presence is Presence.STARTING and not _is_silent(cluster, RESTART_AFTER):
        return None
    return None if found is None or _deletion_failed(cluster) else found


_REMEDIES: dict[Presence, tuple[TaskKind, str]] = {
    Presence.CRASHED: (TaskKind.RESTART, "Its process ended without being asked to."),
    Presence.STARTING: (TaskKind.RESTART, "Its process does not answer."),
    Presence.STOPPED: (TaskKind.START, "It stood still while the console did."),
}


def _message(cluster: Cluster, seen: Observation, wait: float) -> str | None:
    """What the status needs to be understood; None where what was said still holds."""
    if CONDITION_OF[seen.presence] is Condition.BROKEN and not _deletion_failed(cluster):
        next_try = f"Next try in less than {_minutes(wait)} min." if wait else ""
        return " ".join(text for text in (_BROKEN[seen.presence], seen.message, next_try) if text)
    if not cluster.change_failed:
        return ""
    failed = _ended(cluster).filter(state=TaskState.FAILED).first()
    return failure(failed) if failed else None


_BROKEN: dict[Presence, str] = {
    Presence.CRASHED: "Its process ended without being asked to.",
    Presence.STARTING: "Its process does not answer.",
    Presence.MISSING: "Its data is missing, and no empty cluster is started in its place. "
    "Bring the data back, or delete the cluster.",
}


def _minutes(seconds: float) -> int:
    """Rounded up, so that the message does not change with every sweep."""
    return int(seconds // 60) + 1


def _heal(cluster: Cluster, kind: TaskKind, reason: str) -> None:
    logger.warning("%s: %s %s", cluster.cluster_id, reason, kind)
    cluster.status_message = reason
    enqueue_task(cluster, kind, by=CONSOLE, reason=reason, priority=HEALING_PRIORITY, limited=False)


def _pause_left(cluster: Cluster) -> float:
    """The first remedy comes at once, the next ones after pauses that double: a cluster that
    crashes at every start must not keep the machine busy. It pauses without a task, so that what
    people ask for meanwhile does not wait.
    """
    since = timezone.now() - CRASH_WINDOW
    # What ended "in the future" did so before the clock was set back.
    until = timezone.now() + CLOCK_SLACK
    ended = _ended(cluster).filter(requested_by=CONSOLE)
    recent = list(ended.filter(finished_at__gt=since, finished_at__lte=until)[:10])
    if not recent or recent[0].finished_at is None:
        return 0
    pause = timedelta(seconds=min(2 ** len(recent), MAX_HEALING_BACKOFF_SECONDS))
    return (recent[0].finished_at + pause - timezone.now()).total_seconds()


def _ended(cluster: Cluster) -> TaskQuerySet:
    """The cluster's changes that have ended, the last one first."""
    changes = Task.objects.about(cluster.cluster_id).filter(kind__in=TaskKind.values)
    return changes.filter(state__in=FINISHED).order_by("-finished_at", "-pk")


def _deletion_failed(cluster: Cluster) -> bool:
    """Nobody knows what a failed deletion left: it is neither started nor stopped, until somebody
    asks for something else.
    """
    last = _ended(cluster).exclude(state=TaskState.CANCELLED).first()
    return last is not None and (last.kind, last.state) == (TaskKind.DELETION, TaskState.FAILED)


def _is_silent(cluster: Cluster, longer_than: timedelta) -> bool:
    return cluster.seen_at is None or abs(timezone.now() - cluster.seen_at) > longer_than


def _report_orphans(driver_name: str, existing_ids: Sequence[str]) -> None:
    """Log clusters of the driver that have no row, once each. Their data may be the only copy, so
    that nothing is removed.
    """
    rows = Cluster.objects.alive().filter(driver=driver_name, cluster_id__in=existing_ids)
    for cluster_id in sorted(set(existing_ids) - set(rows.values_list("cluster_id", flat=True))):
        _log_orphan(cluster_id)


@functools.lru_cache(maxsize=1000)
def _log_orphan(cluster_id: str) -> None:
    logger.warning("%s: orphaned cluster, left unchanged", cluster_id)
