"""Running clusters report their collections: a few at once, with a time limit, those first
that wait longest.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from django.db.models import F, Q
from django.utils import timezone

from backups.connections import connect
from backups.discovery import translate_errors
from backups.protection.inventory import (
    MAX_SCAN_BACKOFF,
    record_scan,
    record_scan_failure,
    remove_deleted_clusters,
)
from backups.protection.models import InventoryScan
from clusters.drivers.base import DriverError
from clusters.milvus_names import is_reserved
from clusters.models import Cluster
from clusters.states import Condition
from vbase_console.core.errors import ConsoleError, Unavailable

if TYPE_CHECKING:
    from backups.milvus.client import Client


logger = logging.getLogger(__name__)

Seen = dict[str, list[str]]
"""Of each database its collections; the console's own are left out."""

SCAN_TIMEOUT_SECONDS = 5.0


def seen_in(cluster: Cluster) -> Seen:
    """Rows are not counted: on some servers that means reading them."""
    with translate_errors(), connect(cluster, "default") as client:
        until = time.monotonic() + SCAN_TIMEOUT_SECONDS
        client.quick_seconds = SCAN_TIMEOUT_SECONDS
        return {name: _collections_of(client, name, until) for name in client.databases()}


def _collections_of(client: Client, database: str, until: float) -> list[str]:
    left = until - time.monotonic()
    if left <= 0:
        raise Unavailable(f"It did not list its collections within {SCAN_TIMEOUT_SECONDS:.0f} s.")
    there = client.collections(database, seconds=left)
    return [name for name in there if not is_reserved(name)]


PARALLEL_SCANS = 8
CLUSTERS_PER_ROUND = 100
SWEEP_TIMEOUT_SECONDS = 20.0
CLAIM_TIMEOUT = timedelta(seconds=60)
"""A sweep that was killed keeps the others away no longer than this."""

_scanning = threading.Lock()


def scan_due() -> int:
    """Scan the clusters that are due; returns how many were asked.

    Each is claimed before it is asked: any number of processes share the work. A second thread of
    this process would only keep sweeps from a thread.
    """
    if not _scanning.acquire(blocking=False):
        return 0
    try:
        remove_deleted_clusters()
        return _scan_due()
    finally:
        _scanning.release()


def _scan_due() -> int:
    _correct_next_scans()
    due, asked = _due(), 0
    with ThreadPoolExecutor(PARALLEL_SCANS) as pool:
        going: dict[Future[Seen], Cluster] = {}
        while True:
            for cluster in islice(due, PARALLEL_SCANS - len(going)):
                going[pool.submit(seen_in, cluster)] = cluster
            if not going:
                return asked
            for done in wait(going, return_when=FIRST_COMPLETED).done:
                _note(going.pop(done), done)
                asked += 1


def _correct_next_scans() -> None:
    """Nothing is planned for later than the longest pause, unless the clock was set back."""
    now = timezone.now()
    impossible = InventoryScan.objects.filter(
        next_scan_at__gt=now + max(MAX_SCAN_BACKOFF, CLAIM_TIMEOUT)
    )
    impossible.update(next_scan_at=now)


def _due() -> Iterator[Cluster]:
    """Claimed one by one as somebody has time for them, until the round has lasted long enough."""
    now, until = timezone.now(), time.monotonic() + SWEEP_TIMEOUT_SECONDS
    running = Cluster.objects.should_run().filter(condition=Condition.RUNNING)
    due = running.filter(
        Q(inventory_scan=None) | Q(inventory_scan__next_scan_at__lte=now)
    ).select_related("inventory_scan")
    for cluster in due.order_by(F("inventory_scan__next_scan_at").asc(nulls_first=True), "pk")[
        :CLUSTERS_PER_ROUND
    ]:
        if time.monotonic() > until:
            return
        if _claimed(cluster, now):
            yield cluster


def _claimed(cluster: Cluster, now: datetime) -> bool:
    look, created = InventoryScan.objects.get_or_create(
        cluster=cluster,
        defaults={"organization_id": cluster.organization_id, "next_scan_at": now + CLAIM_TIMEOUT},
    )
    free = InventoryScan.objects.filter(
        pk=cluster.pk, next_scan_at=look.next_scan_at, next_scan_at__lte=now
    )
    return created or bool(free.update(next_scan_at=now + CLAIM_TIMEOUT))


def _note(cluster: Cluster, done: Future[Seen]) -> None:
    """One that cannot be asked or noted is in nobody's way."""
    try:
        record_scan(cluster, done.result())
    except (ConsoleError, DriverError) as error:
        record_scan_failure(cluster, str(error))
    except Exception as error:
        logger.exception("%s could not be looked at", cluster.cluster_id)
        record_scan_failure(cluster, f"The console failed to look at it: {type(error).__name__}.")
