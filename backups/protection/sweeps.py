from __future__ import annotations

from celery import shared_task

from backups.protection import discovery_scan


@shared_task(name="vbase.sweep.inventory")
def sweep_inventory() -> int:
    """Scan the clusters that are due. Returns the number of scanned clusters."""
    return discovery_scan.scan_due()
