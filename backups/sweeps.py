from __future__ import annotations

from celery import shared_task

from backups import janitor


@shared_task(name="vbase.sweep.janitor")
def sweep_janitor() -> int:
    """Run one round of the janitor. Returns the number of removed leftovers."""
    return janitor.clean_up()
