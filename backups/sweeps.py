from __future__ import annotations

from celery import shared_task

from backups import janitor, storage_days


@shared_task(name="vbase.sweep.janitor")
def sweep_janitor() -> int:
    """Run one round of the janitor. Returns the number of removed leftovers."""
    return janitor.clean_up()


@shared_task(name="vbase.sweep.storage")
def sweep_storage() -> int:
    """Store the sizes of today's backups by cluster. Returns the number of stored days."""
    return storage_days.measure()
