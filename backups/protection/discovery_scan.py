"""Inventory scans: list the collections of running clusters, some in parallel, each with a time
limit, the longest overdue first.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from itertools import islice

from django.db import connection
from django.db.models import F, Q
from django.utils import timezone

from backups.connections import connect
from backups.discovery import MAX_LISTING_BYTES, Listing, listing_of, translate_errors
from backups.names import DEFAULT_DATABASE
from backups.protection.inventory import (
    MAX_SCAN_BACKOFF,
    record_scan,
    record_scan_failure,
    remove_deleted_clusters,
)
from backups.protection.models import InventoryScan
from clusters.drivers.base import DriverError
from clusters.models import Cluster
from clusters.states import Condition
from vbase_console.core.errors import ConsoleError

logger = logging.getLogger(__name__)

SCAN_TIMEOUT_SECONDS = 5.0
PARALLEL_SCANS = 8
CLUSTERS_PER_ROUND = 100
SWEEP_TIMEOUT_SECONDS = 20.0
CLAIM_TIMEOUT = timedelta(seconds=60)
"""Time after which a cluster claimed by a killed sweep is due again."""

_scanning = threading.Lock()


def list_collections(cluster: Cluster) -> Listing:
    opened = connect(cluster, DEFAULT_DATABASE, max_answer_bytes=MAX_LISTING_BYTES)
    with translate_errors(), opened as client:
        return listing_of(client, SCAN_TIMEOUT_SECONDS)


def scan_due() -> int:
    """Scan the clusters that are due. Returns the number of scanned clusters.

    Every cluster is claimed first, so that several processes share the work. Within one process
    only one thread scans, so that other sweeps find a free thread.
    """
    if not _scanning.acquire(blocking=False):
        return 0
    try:
        remove_deleted_clusters()
        return _scan_due_clusters()
    finally:
        _scanning.release()


def _scan_due_clusters() -> int:
    # scans planned too far ahead are due: the clock was set back
    now = timezone.now()
    too_late = InventoryScan.objects.filter(
        next_scan_at__gt=now + max(MAX_SCAN_BACKOFF, CLAIM_TIMEOUT)
    )
    too_late.update(next_scan_at=now)
    due, count = _claim_due_clusters(), 0
    with ThreadPoolExecutor(PARALLEL_SCANS) as pool:
        running: dict[Future[Listing], Cluster] = {}
        while True:
            for cluster in islice(due, PARALLEL_SCANS - len(running)):
                running[pool.submit(_list_in_thread, cluster)] = cluster
            if not running:
                return count
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                _record_result(running.pop(done), done)
                count += 1


def _list_in_thread(cluster: Cluster) -> Listing:
    """Close the thread's database connection, which reads the address of an attached cluster."""
    try:
        return list_collections(cluster)
    finally:
        connection.close()


def _claim_due_clusters() -> Iterator[Cluster]:
    """Claim due clusters one by one, as threads become free, until the sweep times out."""
    now, deadline = timezone.now(), time.monotonic() + SWEEP_TIMEOUT_SECONDS
    expected = Cluster.objects.should_run().of_real_organizations()
    running = expected.filter(condition=Condition.RUNNING)
    due = running.filter(
        Q(inventory_scan=None) | Q(inventory_scan__next_scan_at__lte=now)
    ).select_related("inventory_scan")
    for cluster in due.order_by(F("inventory_scan__next_scan_at").asc(nulls_first=True), "pk")[
        :CLUSTERS_PER_ROUND
    ]:
        if time.monotonic() > deadline:
            return
        if _claim(cluster, now):
            yield cluster


def _claim(cluster: Cluster, now: datetime) -> bool:
    scan, created = InventoryScan.objects.get_or_create(
        cluster=cluster,
        defaults={"organization_id": cluster.organization_id, "next_scan_at": now + CLAIM_TIMEOUT},
    )
    unclaimed = InventoryScan.objects.filter(
        pk=cluster.pk, next_scan_at=scan.next_scan_at, next_scan_at__lte=now
    )
    return created or bool(unclaimed.update(next_scan_at=now + CLAIM_TIMEOUT))


def _record_result(cluster: Cluster, done: Future[Listing]) -> None:
    """Record a scan or its failure. An error must not stop the scans of other clusters."""
    try:
        record_scan(cluster, done.result())
    except (ConsoleError, DriverError) as error:
        record_scan_failure(cluster, str(error))
    except Exception as error:
        logger.exception("%s: inventory scan failed, will be retried", cluster.cluster_id)
        record_scan_failure(
            cluster, f"The console failed to scan the cluster: {type(error).__name__}."
        )
