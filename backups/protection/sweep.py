"""Running clusters are asked what they have, a few at once, those first that wait longest."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from itertools import islice

from celery import shared_task
from django.db.models import F, Q
from django.utils import timezone

from backups.protection.asking import Seen, seen_in
from backups.protection.inventory import LONGEST_PAUSE, forget_deleted, note, note_problem
from backups.protection.models import ClusterLook
from clusters.drivers.base import DriverError
from clusters.models import Cluster
from clusters.states import Condition
from vbase_console.errors import ConsoleError

logger = logging.getLogger(__name__)

AT_ONCE = 8
EACH_ROUND = 100
LONGEST_SECONDS = 20.0
CLAIMED_FOR = timedelta(seconds=60)
"""A sweep that was killed keeps the others away no longer than this."""

_scanning = threading.Lock()


@shared_task(name="vbase.inventory")
def sweep_inventory() -> int:
    """Scan the clusters that are due; returns how many were asked.

    Each is claimed before it is asked: any number of processes share the work. A second thread of
    this process would only keep sweeps from a thread.
    """
    if not _scanning.acquire(blocking=False):
        return 0
    try:
        forget_deleted()
        return _scan_due()
    finally:
        _scanning.release()


def _scan_due() -> int:
    _correct_next_scans()
    due, asked = _due(), 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        going: dict[Future[Seen], Cluster] = {}
        while True:
            for cluster in islice(due, AT_ONCE - len(going)):
                going[pool.submit(seen_in, cluster)] = cluster
            if not going:
                return asked
            for done in wait(going, return_when=FIRST_COMPLETED).done:
                _note(going.pop(done), done)
                asked += 1


def _correct_next_scans() -> None:
    """Nothing is planned for later than the longest pause, unless the clock was set back."""
    now = timezone.now()
    impossible = ClusterLook.objects.filter(next_at__gt=now + max(LONGEST_PAUSE, CLAIMED_FOR))
    impossible.update(next_at=now)


def _due() -> Iterator[Cluster]:
    """Claimed one by one as somebody has time for them, until the round has lasted long enough."""
    now, until = timezone.now(), time.monotonic() + LONGEST_SECONDS
    running = Cluster.objects.should_run().filter(condition=Condition.RUNNING)
    due = running.filter(Q(look=None) | Q(look__next_at__lte=now)).select_related("look")
    for cluster in due.order_by(F("look__next_at").asc(nulls_first=True), "pk")[:EACH_ROUND]:
        if time.monotonic() > until:
            return
        if _claimed(cluster, now):
            yield cluster


def _claimed(cluster: Cluster, now: datetime) -> bool:
    look, created = ClusterLook.objects.get_or_create(
        cluster=cluster,
        defaults={"organization_id": cluster.organization_id, "next_at": now + CLAIMED_FOR},
    )
    free = ClusterLook.objects.filter(pk=cluster.pk, next_at=look.next_at, next_at__lte=now)
    return created or bool(free.update(next_at=now + CLAIMED_FOR))


def _note(cluster: Cluster, done: Future[Seen]) -> None:
    """One that cannot be asked or noted is in nobody's way."""
    try:
        note(cluster, done.result())
    except (ConsoleError, DriverError) as error:
        note_problem(cluster, str(error))
    except Exception as error:
        logger.exception("%s could not be looked at", cluster.cluster_id)
        note_problem(cluster, f"The console failed to look at it: {type(error).__name__}.")
