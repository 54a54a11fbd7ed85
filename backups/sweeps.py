"""The sweep that runs the janitor."""

from __future__ import annotations

from celery import shared_task

from backups import janitor


@shared_task(name="vbase.janitor")
def sweep_janitor() -> int:
    """Run one round of the janitor; answers how many things were cleared."""
    return janitor.clean_up()
