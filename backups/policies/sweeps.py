from __future__ import annotations

import threading
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from backups.policies import days, pruning
from backups.policies.dispatch import Every, correct_next_runs, fire_due
from backups.policies.models import PolicyRun
from vbase_console.core import batch_delete

CORRECT_EVERY_SECONDS = 60.0


_sweeping = threading.Lock()
_corrected = Every(CORRECT_EVERY_SECONDS)


@shared_task(name="vbase.sweep.policies")
def sweep_policies() -> int:
    """Start due runs. Returns the number of started and skipped runs.

    A second thread of this process returns at once, because it would only compete with the first
    and block other sweeps.
    """
    if not _sweeping.acquire(blocking=False):
        return 0
    try:
        if _corrected.is_due():
            correct_next_runs()
        return fire_due()
    finally:
        _sweeping.release()


@shared_task(name="vbase.sweep.runs")
def sweep_runs() -> int:
    """Remove old runs and days. Backups and jobs are kept, as are the last runs of each policy."""
    days.remove_old()
    oldest = timezone.now() - timedelta(days=settings.RUN_HISTORY_DAYS)
    past = PolicyRun.objects.filter(created_at__lt=oldest).exclude(retention_applied_at=None)
    return batch_delete.remove(past.prunable().order_by("created_at"))


@shared_task(name="vbase.sweep.retention")
def sweep_retention() -> int:
    """Apply retention after finished runs. Returns the number of deleted backups."""
    return pruning.prune_ended()
