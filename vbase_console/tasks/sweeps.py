"""What no message reached, and what the dead left: found in the rows, on every sweep, from
wherever it is called.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from vbase_console.tasks import services
from vbase_console.tasks.models import Pulse, Task, TaskEvent, database_time_in

logger = logging.getLogger(__name__)

WAKE_AT_ONCE = 500
DELETE_AT_ONCE = 1_000
DELETE_BATCHES = 50


@shared_task(name="vbase.sweep.tasks")
def sweep_tasks() -> int:
    """Wake every task that waits unheard and every one whose worker died; answers how many."""
    beat_of("worker")
    unheard = Q(woken_at=None) | Q(woken_at__lt=database_time_in(-settings.LEASE_SECONDS))
    waiting = Task.objects.ready().filter(unheard).order_by("pk")
    found = [*Task.objects.abandoned().order_by("pk")[:WAKE_AT_ONCE], *waiting[:WAKE_AT_ONCE]]
    woken = 0
    for task in found:
        if not services.wake(task.task_id):
            break  # the broker is away; the next sweep goes on
        woken += 1
    return woken


@shared_task(name="vbase.sweep.housekeeping")
def sweep_housekeeping() -> int:
    """Remove task events past their time, in batches so that nobody waits for it."""
    oldest = timezone.now() - timedelta(days=settings.TASK_HISTORY_DAYS)
    removed = 0
    for _ in range(DELETE_BATCHES):
        batch = TaskEvent.objects.filter(at__lt=oldest).values_list("pk", flat=True)[
            :DELETE_AT_ONCE
        ]
        deleted, _ = TaskEvent.objects.filter(pk__in=list(batch)).delete()
        removed += deleted
        if deleted < DELETE_AT_ONCE:
            break
    return removed


def beat_of(part: str) -> None:
    """Leave word that a part of the console is at work."""
    Pulse.objects.update_or_create(part=part, defaults={"at": Now()})
