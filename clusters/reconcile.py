"""Observed against wanted: every sweep looks at all clusters in one call and says what it sees.

It heals only what nobody is working on: a cluster with an unfinished task is left to that task.
What it does about a difference is a task like any other, in the history with its reason.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from clusters.admission import refresh_status, unfinished
from clusters.drivers.base import Observation, Presence
from clusters.hands import get_driver
from clusters.jobs import seen_changes
from clusters.models import Cluster
from clusters.services import ask
from clusters.states import Condition, ServiceStatus, TaskKind
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

logger = logging.getLogger(__name__)

CONSOLE = "console"
SILENT_FOR = timedelta(minutes=5)
"""A process that is there and does not answer for so long is restarted: it may be busy, or it
hangs for ever.
"""
CRASH_WINDOW = timedelta(minutes=10)
LONGEST_PAUSE_SECONDS = 300


@shared_task(name="vbase.sweep.clusters")
def sweep_clusters() -> int:
    """Look at every cluster that is not deleted; answers how many were healed or said to be
    otherwise.
    """
    clusters = list(Cluster.objects.alive().exclude(condition=Condition.ABSENT))
    seen = get_driver().observe([cluster.cluster_id for cluster in clusters])
    changed = sum(_reconcile(cluster, seen[cluster.cluster_id]) for cluster in clusters)
    _report_orphans()
    return changed


def _reconcile(cluster: Cluster, seen: Observation) -> bool:
    if _as_expected(cluster, seen):
        Cluster.objects.filter(pk=cluster.pk).update(seen_at=timezone.now())
        return False
    with transaction.atomic():
        row = Cluster.objects.select_for_update(of=("self",)).get(pk=cluster.pk)
        if row.status == ServiceStatus.DELETED or unfinished(row):
            return False
        return _differs(row, seen)


def _as_expected(cluster: Cluster, seen: Observation) -> bool:
    same = {field: getattr(cluster, field) for field in ("host", "port", "effective_cores")}
    now = seen_changes(seen)
    runs = seen.presence is Presence.RUNNING and cluster.wanted_running
    return (
        runs
        and cluster.condition == Condition.RUNNING
        and all(now.get(field, value) == value for field, value in same.items())
    )


def _differs(cluster: Cluster, seen: Observation) -> bool:
    """The row is held and nobody works on the cluster: note what is seen, and heal what differs
    from what is wanted.
    """
    if seen.presence is Presence.STARTING and not _silent_too_long(cluster):
        return False
    before = cluster.condition
    for field, value in seen_changes(seen).items():
        setattr(cluster, field, value)
    remedy = _remedy(cluster, seen)
    if remedy is not None:
        kind, reason = remedy
        _heal(cluster, kind, reason)
    elif before != cluster.condition:
        refresh_status(cluster, seen.message)
    else:
        cluster.save()
    return remedy is not None or before != cluster.condition


def _remedy(cluster: Cluster, seen: Observation) -> tuple[TaskKind, str] | None:
    """Which task brings the cluster to what is wanted, and why; None where nothing differs or
    nothing would help.
    """
    if not cluster.wanted_running:
        return (TaskKind.STOP, "It runs and should not.") if _runs(seen) else None
    if seen.presence is Presence.CRASHED:
        return TaskKind.RESTART, f"Its process ended without being asked to. {seen.message}".strip()
    if seen.presence is Presence.STARTING:
        return TaskKind.RESTART, "Its process does not answer."
    if seen.presence is Presence.STOPPED:
        return TaskKind.START, "It stood still while the console did."
    return None


def _runs(seen: Observation) -> bool:
    return seen.presence in (Presence.RUNNING, Presence.STARTING)


def _heal(cluster: Cluster, kind: TaskKind, reason: str) -> None:
    pause = _pause_seconds(cluster)
    logger.warning("%s: %s %s in %d s", cluster.cluster_id, reason, kind, pause)
    cluster.status_message = reason
    ask(cluster, kind, by=CONSOLE, arguments={"reason": reason}, delay_seconds=pause)


def _pause_seconds(cluster: Cluster) -> int:
    """The first remedy comes at once, the next ones after pauses that double: a cluster that
    crashes at every start must not keep the machine busy.
    """
    recent = (
        Task.objects.about(cluster.cluster_id)
        .filter(requested_by=CONSOLE, kind__in=[TaskKind.RESTART, TaskKind.START])
        .filter(created_at__gt=timezone.now() - CRASH_WINDOW, state__in=_ENDED)
        .count()
    )
    return min(2**recent, LONGEST_PAUSE_SECONDS) if recent else 0


_ENDED = (TaskState.SUCCEEDED, TaskState.FAILED)


def _silent_too_long(cluster: Cluster) -> bool:
    return cluster.seen_at is None or timezone.now() - cluster.seen_at > SILENT_FOR


def _report_orphans() -> None:
    """What the driver has and no row knows is said, and left alone: its data may be somebody's
    only copy.
    """
    known = set(Cluster.objects.alive().values_list("cluster_id", flat=True))
    for cluster_id in sorted(set(get_driver().cluster_ids()) - known):
        logger.warning("%s is on disk and belongs to no cluster of this console.", cluster_id)
