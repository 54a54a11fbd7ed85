"""What no message reached, and what the dead left: found in the rows, on every sweep, from
wherever it is called.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db.models import F, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils import timezone

from vbase_console.core import batch_delete
from vbase_console.tasks import services
from vbase_console.tasks.attempts import MAX_RETRY_DELAY_SECONDS
from vbase_console.tasks.broker import broker
from vbase_console.tasks.models import Heartbeat, Task, TaskEvent, TaskQuerySet, database_time_in
from vbase_console.tasks.states import LEASED, TaskState

logger = logging.getLogger(__name__)

WAKE_BATCH_SIZE = 500
SILENT_SECONDS = 3600
CLOCK_SLACK_SECONDS = 1.0
"""Clocks are nudged by less without being set."""


@shared_task(name="vbase.sweep.tasks")
def sweep_tasks() -> int:
    """Wake every task that waits unheard and every one whose worker died; answers how many."""
    beat_of("worker")
    correct_impossible_instants()
    return services.wake_all(_to_wake())


def correct_impossible_instants() -> int:
    """Bring back what lies further in the future than the console ever writes: the clock was set
    back, and until the old time came again a dead worker kept its task, a pause lasted, and a
    message that was lost counted as sent. Returns how many tasks were corrected.

    A living worker loses nothing: its lease is never made shorter than a renewal makes it.
    """
    leased = Task.objects.filter(state__in=LEASED, lease_until__gt=_beyond(settings.LEASE_SECONDS))
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


def _to_wake() -> list[str]:
    """Those of whom no message tells yet. Then those whose message is old and may be lost, unless
    so many messages wait for a worker that theirs probably does too.
    """
    found = [*_unheard(Task.objects.abandoned(), "lease_until")]
    found += _unheard(Task.objects.ready(), "not_before")
    found += _forgotten(Task.objects.abandoned(), "lease_until")
    found += _forgotten(Task.objects.ready(), "not_before")
    return found[:WAKE_BATCH_SIZE]


def _unheard(tasks: TaskQuerySet, since: str) -> list[str]:
    """Nobody was woken for what is true since then."""
    unheard = tasks.filter(Q(woken_at=None) | Q(woken_at__lt=F(since)))
    return list(unheard.order_by(since).values_list("task_id", flat=True)[:WAKE_BATCH_SIZE])


def _forgotten(tasks: TaskQuerySet, since: str) -> list[str]:
    """Woken a whole lease ago and still not claimed; the longest first, so that all get their
    turn.
    """
    old = tasks.filter(
        woken_at__gte=F(since), woken_at__lt=database_time_in(-settings.LEASE_SECONDS)
    )
    found = list(old.order_by("woken_at").values_list("task_id", flat=True)[:WAKE_BATCH_SIZE])
    return found if found and broker.backlog() < WAKE_BATCH_SIZE else []


@shared_task(name="vbase.sweep.housekeeping")
def sweep_housekeeping() -> int:
    """Remove task events past their time, and the rows of processes that were killed."""
    silent = Heartbeat.objects.filter(part__contains=":", at__lt=database_time_in(-SILENT_SECONDS))
    silent.delete()
    oldest = timezone.now() - timedelta(days=settings.TASK_HISTORY_DAYS)
    return batch_delete.remove(TaskEvent.objects.filter(at__lt=oldest))


def beat_of(part: str, *, is_working: bool = True) -> None:
    """Leave word that a part of the console is at work."""
    Heartbeat.objects.update_or_create(part=part, defaults={"at": Now(), "is_working": is_working})
