"""What is known of the collections of every cluster, kept as rows. A cluster that cannot be asked
keeps what was known, and says since when.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.utils import timezone

from backups.models import Backup, BackupJob
from backups.policies.observers import CollectionKey
from backups.protection.coverage import update_coverage
from backups.protection.models import InventoryScan, KnownCollection
from backups.states import JobKind
from clusters.models import Cluster
from clusters.states import ENDED, ServiceStatus

MAX_COLLECTIONS_PER_CLUSTER = 10_000
"""Collections of one cluster; what is beyond is counted."""
SCAN_INTERVAL = timedelta(minutes=1)
MAX_SCAN_BACKOFF = timedelta(minutes=5)
"""One that does not answer is asked less and less often, down to this."""
BATCH_SIZE = 500


@transaction.atomic
def record_scan(cluster: Cluster, seen: Mapping[str, Sequence[str]], *, whole: bool = True) -> None:
    """What was seen is what is there: in all of the cluster, or (not `whole`) in the databases
    that are named.
    """
    if not _held(cluster):
        return
    now = timezone.now()
    there = [(db_name, name) for db_name, names in sorted(seen.items()) for name in names]
    known = KnownCollection.objects.filter(cluster=cluster)
    if not whole:
        known = known.filter(db_name__in=list(seen))
    _replace(cluster, dict(_keyed(known)), there[:MAX_COLLECTIONS_PER_CLUSTER], now)
    if whole:
        _answered(cluster, now, omitted_count=max(0, len(there) - MAX_COLLECTIONS_PER_CLUSTER))
    update_coverage(cluster.pk)


def record_listing(cluster: Cluster, names: Mapping[str, Sequence[str]]) -> None:
    """Record the collections of some databases, as a page has just listed them."""
    record_scan(cluster, names, whole=False)


@transaction.atomic
def record_scan_failure(cluster: Cluster, problem: str) -> None:
    """It could not be asked: the longer that lasts the less often it is tried."""
    look = InventoryScan.objects.select_for_update(of=("self",)).filter(pk=cluster.pk).first()
    if look is None:
        return
    look.failures = min(look.failures + 1, 100)
    look.error_message = problem
    pause = min(SCAN_INTERVAL * 2 ** min(look.failures, 10), MAX_SCAN_BACKOFF)
    look.next_scan_at = timezone.now() + pause
    look.save(update_fields=["failures", "error_message", "next_scan_at"])


def _note_captured(backup: Backup) -> None:
    """It was there at that instant; what has gone since then is noticed at the next look."""
    if (
        KnownCollection.objects.filter(cluster=backup.cluster_id).count()
        >= MAX_COLLECTIONS_PER_CLUSTER
    ):
        return
    known = KnownCollection.objects.filter(cluster=backup.cluster_id, db_name=backup.db_name)
    names = {each["name"] for each in backup.collections} - {each.name for each in known}
    there = [(backup.db_name, name) for name in sorted(names)]
    _insert(backup.cluster, there, backup.created_at)


def on_job_finished(job: BackupJob, *, succeeded: bool) -> None:
    """What a job's end means here, in the transaction that ends it and holds the cluster's row."""
    backup = Backup.objects.select_related("cluster").get(pk=job.backup_id)
    if succeeded and job.job_type == JobKind.BACKUP:
        _note_captured(backup)
    if job.job_type == JobKind.RESTORE:
        InventoryScan.objects.filter(pk=job.cluster_id).update(next_scan_at=timezone.now())
        # The target's row is held: two that wait for each other's source would wait for ever.
        transaction.on_commit(partial(_judge_alone, backup.cluster), robust=True)
    else:
        update_coverage(backup.cluster_id)


@transaction.atomic
def _judge_alone(cluster: Cluster) -> None:
    if _held(cluster):
        update_coverage(cluster.pk)


def remove_deleted_clusters() -> int:
    """What was deleted with its cluster cannot be lost any more."""
    gone = {"cluster__status": ServiceStatus.DELETED}
    InventoryScan.objects.filter(**gone).delete()
    return KnownCollection.objects.filter(**gone).delete()[0]


def _held(cluster: Cluster) -> bool:
    """Lock the cluster's row. Returns False if the cluster is deleted or being deleted."""
    return Cluster.objects.locked(cluster.pk).status not in ENDED


def _keyed(known: Iterable[KnownCollection]) -> Iterable[tuple[CollectionKey, int]]:
    return (((each.db_name, each.name), each.pk) for each in known)


def _replace(
    cluster: Cluster, known: dict[CollectionKey, int], there: Sequence[CollectionKey], now: datetime
) -> None:
    found = set(there)
    gone = [pk for key, pk in known.items() if key not in found]
    kept = [pk for key, pk in known.items() if key in found]
    for pks in _in_batches(gone):
        KnownCollection.objects.filter(pk__in=pks).delete()
    for pks in _in_batches(kept):
        KnownCollection.objects.filter(pk__in=pks).update(seen_at=now)
    _insert(cluster, [key for key in there if key not in known], now)


def _insert(cluster: Cluster, there: Sequence[CollectionKey], seen_at: datetime) -> None:
    rows = (
        KnownCollection(
            organization_id=cluster.organization_id,
            cluster=cluster,
            db_name=db_name,
            name=name,
            first_seen_at=seen_at,
            seen_at=seen_at,
        )
        for db_name, name in there
    )
    KnownCollection.objects.bulk_create(rows, batch_size=BATCH_SIZE, ignore_conflicts=True)


def _answered(cluster: Cluster, now: datetime, *, omitted_count: int) -> None:
    facts = {
        "next_scan_at": now + SCAN_INTERVAL,
        "scanned_at": now,
        "failures": 0,
        "error_message": "",
        "omitted_count": omitted_count,
    }
    own = {"organization_id": cluster.organization_id}
    InventoryScan.objects.update_or_create(
        cluster=cluster, defaults=facts, create_defaults=facts | own
    )


def _in_batches(pks: Sequence[int]) -> Iterable[Sequence[int]]:
    return (pks[start : start + BATCH_SIZE] for start in range(0, len(pks), BATCH_SIZE))
