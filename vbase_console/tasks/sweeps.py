"""Celery sweeps of the engine: wake tasks without a message or a worker, remove expired rows."""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db.models import F
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils import timezone

from vbase_console.core import batch_delete
from vbase_console.core.planner_statistics import update_planner_statistics
from vbase_console.tasks import days, services
from vbase_console.tasks.attempts import MAX_RETRY_DELAY_SECONDS
from vbase_console.tasks.broker import broker
from vbase_console.tasks.models import Heartbeat, Task, TaskEvent, TaskQuerySet, database_time_in
from vbase_console.tasks.shares import (
    first_of_each,
    places_in_use,
    running_by_organization,
    share_limit,
)
from vbase_console.tasks.states import LEASED, TaskState

logger = logging.getLogger(__name__)

WAKE_BATCH_SIZE = 500
SILENT_SECONDS = 3600
CLOCK_SLACK_SECONDS = 1.0
"""Time synchronization adjusts a clock by less than this."""


@shared_task(name="vbase.sweep.tasks")
def sweep_tasks() -> int:
    """Wake tasks that are ready and tasks with an expired lease. Returns the number of wake-ups."""
    beat_of("worker")
    correct_impossible_instants()
    abandoned, ready, limit = Task.objects.abandoned(), Task.objects.ready(), share_limit()
    task_ids = [
        *_without_message(abandoned, "lease_until", limit),
        *_without_message(ready, "not_before", limit),
        *_with_lost_message(abandoned, "lease_until", limit),
        *_with_lost_message(ready, "not_before", limit),
    ]
    return services.wake_all(task_ids[:WAKE_BATCH_SIZE])


def correct_impossible_instants() -> int:
    """Correct times further in the future than the console ever writes, after the clock was set
    back. Returns the number of corrected tasks.

    Otherwise, until the old time, a dead worker would keep its task, a pause would last and a lost
    message would count as sent. A lease never becomes shorter than a renewal makes it.
    """
    # A CANCELLING task that pauses keeps its lease until the end of the pause.
    longest_lease = max(settings.LEASE_SECONDS, MAX_RETRY_DELAY_SECONDS)
    leased = Task.objects.filter(state__in=LEASED, lease_until__gt=_beyond(longest_lease))
    paused = Task.objects.filter(
        state=TaskState.PENDING, not_before__gt=_beyond(MAX_RETRY_DELAY_SECONDS)
    )
    woken = Task.objects.active().filter(woken_at__gt=_beyond(0))
    lease = database_time_in(settings.LEASE_SECONDS)
    corrected = leased.update(lease_until=lease, woken_at=None)
    corrected += paused.update(not_before=Now(), woken_at=None)
    corrected += woken.update(woken_at=None)
    if corrected:
        logger.warning("%s tasks: times in the future corrected, the clock was set back", corrected)
    return corrected


def _beyond(seconds: float) -> Combinable:
    return database_time_in(seconds + CLOCK_SLACK_SECONDS)


def _without_message(tasks: TaskQuerySet, since: str, limit: int | None) -> list[str]:
    oldest_first = tasks.without_message(since).order_by(since)
    unsent = first_of_each(oldest_first, limit, places_in_use())
    return list(unsent.values_list("task_id", flat=True)[:WAKE_BATCH_SIZE])


def _with_lost_message(tasks: TaskQuerySet, since: str, limit: int | None) -> list[str]:
    """List tasks that were woken a whole lease ago and are not claimed, the oldest first.

    Returns none while the queue is long, because their messages probably still wait in it.
    """
    unclaimed = tasks.filter(
        woken_at__gte=F(since), woken_at__lt=database_time_in(-settings.LEASE_SECONDS)
    )
    lost = first_of_each(unclaimed.order_by("woken_at"), limit, running_by_organization())
    task_ids = list(lost.values_list("task_id", flat=True)[:WAKE_BATCH_SIZE])
    return task_ids if task_ids and broker.backlog() < WAKE_BATCH_SIZE else []


@shared_task(name="vbase.sweep.housekeeping")
def sweep_housekeeping() -> int:
    """Remove expired task events and the heartbeats of killed processes, keep the numbers of the
    days that are over, and update the statistics of the database.
    """
    silent = Heartbeat.objects.filter(part__contains=":", at__lt=database_time_in(-SILENT_SECONDS))
    silent.delete()
    days.keep_days()
    update_planner_statistics()
    oldest = timezone.now() - timedelta(days=settings.TASK_HISTORY_DAYS)
    return batch_delete.remove(TaskEvent.objects.filter(at__lt=oldest))


def beat_of(part: str, *, is_working: bool = True, slots: int = 0) -> None:
    """Write the heartbeat of a part of the console."""
    report = {"at": Now(), "is_working": is_working, "slots": slots}
    Heartbeat.objects.update_or_create(part=part, defaults=report)
