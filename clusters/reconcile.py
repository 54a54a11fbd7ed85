"""Compare observed with desired state, for all clusters of a driver in one call, and heal
differences.

A cluster with an unfinished task is left to that task. Healing is a task like any other, with its
reason in the history.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Case, F, Q, When
from django.utils import timezone

from clusters import availability
from clusters.admission import enqueue_task, refresh_status, unfinished
from clusters.availability import Availability, ObservedAvailability
from clusters.driver import CONDITION_OF, columns_of, get_driver
from clusters.drivers import ATTACHED
from clusters.drivers.attached import PARALLEL_CHECKS
from clusters.drivers.base import DriverError, Observation, Presence
from clusters.models import Cluster, configured_driver
from clusters.outcomes import failure_message
from clusters.states import Condition, ServiceStatus, TaskKind
from vbase_console.organizations import audit
from vbase_console.organizations.versions import changed
from vbase_console.tasks.models import Task, TaskQuerySet
from vbase_console.tasks.shares import HEALING_PRIORITY
from vbase_console.tasks.states import FINISHED, TaskState

logger = logging.getLogger(__name__)

CONSOLE = "console"
UNRESPONSIVE_GRACE = timedelta(seconds=30)
"""A running process may be too busy to answer for this long without being reported."""
RESTART_AFTER = timedelta(minutes=5)
"""A running process that has not answered for this long is restarted, because it may hang."""
UNKNOWN_AFTER = timedelta(minutes=1)
"""The driver may fail to observe a cluster for this long without being reported."""
CRASH_WINDOW = timedelta(minutes=10)
MAX_HEALING_BACKOFF_SECONDS = 300
CLOCK_SLACK = timedelta(seconds=1)
ATTACHED_ROUND_SECONDS = 5.0
MAX_OBSERVATION_PAUSE = timedelta(minutes=1)
STOPPED_MEANWHILE = "Stopped while the console was down."
BEING_ENDED = frozenset({ServiceStatus.STOPPING, ServiceStatus.DELETING})

_observing_attached = threading.Lock()


def reconcile_all() -> int:
    """Observe every cluster that is not deleted. Returns the number of clusters that changed."""
    clusters_by_driver: dict[str, list[Cluster]] = {configured_driver(): []}
    alive = Cluster.objects.alive().of_real_organizations()
    deployed = alive.exclude(condition=Condition.ABSENT)
    for cluster in deployed.exclude(driver=ATTACHED):
        clusters_by_driver.setdefault(cluster.driver, []).append(cluster)
    changed = sum(_reconcile_clusters_of(*group) for group in clusters_by_driver.items())
    return changed + _reconcile_attached_clusters()


def _reconcile_attached_clusters() -> int:
    """Observe the attached clusters that are due, some at a time, until the round times out.

    A server that does not answer costs seconds. One thread of a process observes at a time, so that
    the other sweeps find a free thread.
    """
    if not _observing_attached.acquire(blocking=False):
        return 0
    try:
        changed, deadline = 0, time.monotonic() + ATTACHED_ROUND_SECONDS
        due = _due_attached_clusters()
        while due and time.monotonic() < deadline:
            changed += _reconcile_clusters_of(ATTACHED, due[:PARALLEL_CHECKS])
            due = due[PARALLEL_CHECKS:]
        return changed
    finally:
        _observing_attached.release()


def _due_attached_clusters() -> list[Cluster]:
    """List those that answered last time first, because they cost milliseconds, and of each kind
    the one first that has waited longest.
    """
    now = timezone.now()
    deployed = Cluster.objects.alive().filter(driver=ATTACHED).exclude(condition=Condition.ABSENT)
    # A time too far ahead was stored before the clock was set back.
    due = deployed.exclude(observe_after__gt=now, observe_after__lte=now + MAX_OBSERVATION_PAUSE)
    silent = Case(When(Q(condition=Condition.RUNNING), then=0), default=1)
    return list(due.order_by(silent, F("observe_after").asc(nulls_first=True), "seen_at", "pk"))


def _reconcile_clusters_of(driver_name: str, clusters: Sequence[Cluster]) -> int:
    """Reconcile the clusters of one driver. Its failure does not affect those of other drivers."""
    try:
        driver = get_driver(driver_name)
        observations = driver.observe([cluster.cluster_id for cluster in clusters])
        existing_ids = driver.cluster_ids()
    except DriverError as error:
        return sum(_record_unseen(cluster, error) for cluster in clusters)
    _report_orphans(driver_name, existing_ids)
    unchanged = [
        cluster.pk
        for cluster in clusters
        if _is_as_stored(cluster, observations[cluster.cluster_id])
    ]
    Cluster.objects.filter(pk__in=unchanged).update(seen_at=timezone.now())
    others = [cluster for cluster in clusters if cluster.pk not in set(unchanged)]
    changes = sum(_reconcile(cluster, observations[cluster.cluster_id]) for cluster in others)
    availability.count(
        {
            cluster.pk: _availability_of(cluster, observations[cluster.cluster_id])
            for cluster in clusters
        }
    )
    return changes


@transaction.atomic
def _reconcile(cluster: Cluster, observation: Observation) -> bool:
    """Store an observation and heal a difference, unless the cluster has changed since its row was
    read. Returns True if anything changed.
    """
    row = Cluster.objects.locked(cluster.pk)
    if row.updated_at != cluster.updated_at or _is_in_use(row):
        return False
    is_busy = observation.presence in (Presence.STARTING, Presence.SILENT)
    if is_busy and not _is_silent(row, UNRESPONSIVE_GRACE):
        return False
    before = (row.condition, row.status_message)
    for field, value in columns_of(observation).items():
        setattr(row, field, value)
    row.observe_after = _next_observation(row, observation)
    remedy = _remedy_for(row, observation)
    backoff_seconds = _healing_backoff(row) if remedy else 0
    if remedy is None or backoff_seconds > 0:
        refresh_status(row, _status_message(row, observation, backoff_seconds))
        if before == (row.condition, row.status_message):
            return False
        changed(row.organization_id)
        return True
    kind, reason = remedy
    # A cluster that stopped with the console is no fault; `prepare` prints how many start again.
    level = logging.DEBUG if reason == STOPPED_MEANWHILE else logging.WARNING
    logger.log(level, "%s: %s enqueued, because: %s", row.cluster_id, kind, reason)
    row.status_message = reason
    task = enqueue_task(
        row, kind, by=CONSOLE, reason=reason, priority=HEALING_PRIORITY, limited=False
    )
    audit.record(
        organization_id=row.organization_id,
        principal=CONSOLE,
        action=_ACTIONS[kind],
        object_id=row.cluster_id,
        source=None,
        interface=audit.Interface.CONSOLE,
        detail=task.task_id,
    )
    return True


@transaction.atomic
def _record_unseen(cluster: Cluster, error: DriverError) -> bool:
    row = Cluster.objects.locked(cluster.pk)
    if not _is_silent(row, UNKNOWN_AFTER) or row.condition == Condition.UNSEEN or _is_in_use(row):
        return False
    row.condition = Condition.UNSEEN
    refresh_status(row, f"The status could not be read: {error}")
    changed(row.organization_id)
    return True


def _is_in_use(cluster: Cluster) -> bool:
    if cluster.status == ServiceStatus.DELETED or unfinished(cluster):
        return True
    return Task.objects.filter(lock=cluster.lock, holds_lock=True).exists()


def _availability_of(cluster: Cluster, observation: Observation) -> ObservedAvailability:
    """Judge an observation by the row from before it. A cluster that is too busy to answer counts
    as available for as long as its status does not report it. One that starts again after a crash
    has no cause of its own.
    """
    presence = observation.presence
    if presence is Presence.RUNNING:
        return ObservedAvailability(found=Availability.AVAILABLE)
    if not cluster.wanted_running or cluster.status in BEING_ENDED:
        return ObservedAvailability(found=Availability.STOPPED)
    is_busy = presence in (Presence.STARTING, Presence.SILENT)
    is_reported = cluster.condition != Condition.RUNNING or _is_silent(cluster, UNRESPONSIVE_GRACE)
    if is_busy and not is_reported:
        return ObservedAvailability(found=Availability.AVAILABLE)
    is_continued = is_busy and cluster.condition != Condition.RUNNING
    cause = "" if is_continued else _BROKEN[presence] or observation.message
    return ObservedAvailability(found=Availability.INTERRUPTED, cause=cause)


def _is_as_stored(cluster: Cluster, observation: Observation) -> bool:
    """True if the cluster is as desired and its row needs no change except `seen_at`."""
    desired = Presence.RUNNING if cluster.wanted_running else Presence.STOPPED
    observed = {
        field: value for field, value in columns_of(observation).items() if field != "seen_at"
    }
    return observation.presence is desired and all(
        getattr(cluster, field) == value for field, value in observed.items()
    )


def _next_observation(cluster: Cluster, observation: Observation) -> datetime | None:
    """Observe a server that does not answer after half the time since its last answer, so that an
    outage is noticed to be over in time, and many servers that hang do not take every round.
    """
    if not cluster.is_attached or observation.presence is Presence.RUNNING:
        return None
    now = timezone.now()
    silence = abs(now - cluster.seen_at) if cluster.seen_at else MAX_OBSERVATION_PAUSE
    return now + min(silence / 2, MAX_OBSERVATION_PAUSE)


def _remedy_for(cluster: Cluster, observation: Observation) -> tuple[TaskKind, str] | None:
    """Return the task that brings the cluster to its desired state, and the reason. Returns None
    if nothing differs or no task would help.
    """
    presence = observation.presence
    if cluster.wanted_running:
        remedy = _REMEDIES.get(presence)
    elif presence in (Presence.RUNNING, Presence.STARTING):
        remedy = (TaskKind.STOP, "The cluster is running although it was stopped.")
    else:
        remedy = None
    if presence is Presence.STARTING and not _is_silent(cluster, RESTART_AFTER):
        return None
    return None if remedy is None or _deletion_failed(cluster) else remedy


_ACTIONS = {
    TaskKind.RESTART: "RestartCluster",
    TaskKind.START: "StartCluster",
    TaskKind.STOP: "StopCluster",
}
_REMEDIES: dict[Presence, tuple[TaskKind, str]] = {
    Presence.CRASHED: (TaskKind.RESTART, "The Milvus process crashed."),
    Presence.STARTING: (TaskKind.RESTART, "The Milvus process does not answer."),
    Presence.STOPPED: (TaskKind.START, STOPPED_MEANWHILE),
}


def _status_message(
    cluster: Cluster, observation: Observation, backoff_seconds: float
) -> str | None:
    """Explain the status. Returns None if the present message is still true."""
    presence = observation.presence
    if CONDITION_OF[presence] is Condition.BROKEN and not _deletion_failed(cluster):
        # Rounded up to minutes, so that the message does not change with every sweep.
        minutes = int(backoff_seconds // 60) + 1
        next_restart = f"Next restart in less than {minutes} min." if backoff_seconds else ""
        parts = (_BROKEN[presence], observation.message, next_restart)
        return " ".join(part for part in parts if part)
    if not cluster.change_failed:
        return ""
    failed = _ended_changes(cluster).filter(state=TaskState.FAILED).first()
    return failure_message(failed) if failed else None


_BROKEN: dict[Presence, str] = {
    Presence.CRASHED: "The Milvus process crashed.",
    Presence.STOPPED: STOPPED_MEANWHILE,
    Presence.STARTING: "The Milvus process does not answer.",
    Presence.SILENT: "",
    Presence.UNREACHABLE: "",
    Presence.MISSING: "The cluster's data is missing, and no empty cluster is started instead. "
    "Restore the data directory or delete the cluster.",
}


def _healing_backoff(cluster: Cluster) -> float:
    """Return the seconds until the next healing task may be enqueued.

    The first one is enqueued at once, the next ones after pauses that double, so that a cluster
    that crashes at every start does not keep the machine busy. No task exists during a pause, so
    that requests of users do not wait.
    """
    since = timezone.now() - CRASH_WINDOW
    # A task that ended "in the future" did so before the clock was set back.
    until = timezone.now() + CLOCK_SLACK
    ended = _ended_changes(cluster).filter(requested_by=CONSOLE)
    recent = list(ended.filter(finished_at__gt=since, finished_at__lte=until)[:10])
    if not recent or recent[0].finished_at is None:
        return 0
    pause = timedelta(seconds=min(2 ** len(recent), MAX_HEALING_BACKOFF_SECONDS))
    return (recent[0].finished_at + pause - timezone.now()).total_seconds()


def _ended_changes(cluster: Cluster) -> TaskQuerySet:
    """The cluster's finished tasks, the latest first."""
    changes = Task.objects.changes_of(cluster.cluster_id)
    return changes.filter(state__in=FINISHED).order_by("-finished_at", "-pk")


def _deletion_failed(cluster: Cluster) -> bool:
    """True if the latest task is a failed deletion. Its remains are neither started nor stopped
    until another task is requested.
    """
    last = _ended_changes(cluster).exclude(state=TaskState.CANCELLED).first()
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
