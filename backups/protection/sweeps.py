"""The sweep that keeps the inventory of collections up to date."""

from __future__ import annotations

from celery import shared_task

from backups.protection import discovery_scan


@shared_task(name="vbase.inventory")
def sweep_inventory() -> int:
    """Scan the clusters whose turn it is; answers how many were asked."""
    return discovery_scan.scan_due()
