from __future__ import annotations

from celery import shared_task

from backups import janitor
from backups.figures import job_counts, storage_days


@shared_task(name="vbase.sweep.janitor")
def sweep_janitor() -> int:
    """Run one round of the janitor. Returns the number of removed leftovers."""
    return janitor.clean_up()


@shared_task(name="vbase.sweep.storage")
def sweep_storage() -> int:
    """Store the numbers of jobs, and the sizes of today's backups. Returns the stored days."""
    job_counts.keep_counts()
    return storage_days.measure()
