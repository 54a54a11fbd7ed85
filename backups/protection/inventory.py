"""Inventory of collections: one row per known collection and one per scanned cluster.

The rows of a cluster that cannot be scanned are kept, with the time of the last scan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from backups.models import Backup, BackupJob
from backups.policies.observers import CollectionKey
from backups.protection import observers
from backups.protection.coverage import update_coverage
from backups.protection.models import InventoryScan, KnownCollection
from backups.states import JobKind
from clusters.models import Cluster
from clusters.states import ENDED, ServiceStatus
from vbase_console.core import batch_delete
from vbase_console.organizations.versions import changed

MAX_COLLECTIONS_PER_CLUSTER = 10_000
"""Rows per cluster. Further collections are only counted."""
SCAN_INTERVAL = timedelta(minutes=1)
MAX_SCAN_BACKOFF = timedelta(minutes=5)
"""Longest interval between scans of a cluster that does not answer."""
BATCH_SIZE = 500


@transaction.atomic
def record_scan(
    cluster: Cluster, listing: Mapping[str, Sequence[str]], *, is_complete: bool = True
) -> None:
    """Replace the inventory of a cluster by a listing, database → collections.

    An incomplete listing replaces only the databases that it names.
    """
    if not _lock_existing(cluster):
        return
    now = timezone.now()
    keys = [(db_name, name) for db_name, names in sorted(listing.items()) for name in names]
    known = KnownCollection.objects.filter(cluster=cluster)
    if not is_complete:
        known = known.filter(db_name__in=list(listing))
    is_new = _replace_rows(cluster, known, keys[:MAX_COLLECTIONS_PER_CLUSTER], now)
    if is_complete:
        result = {
            "next_scan_at": now + SCAN_INTERVAL,
            "scanned_at": now,
            "failures": 0,
            "error_message": "",
            "omitted_count": max(0, len(keys) - MAX_COLLECTIONS_PER_CLUSTER),
        }
        InventoryScan.objects.update_or_create(
            cluster=cluster,
            defaults=result,
            create_defaults=result | {"organization_id": cluster.organization_id},
        )
    if update_coverage(cluster.pk) or is_new:
        changed(cluster.organization_id)


def record_listing(cluster: Cluster, names: Mapping[str, Sequence[str]]) -> None:
    record_scan(cluster, names, is_complete=False)


@transaction.atomic
def record_scan_failure(cluster: Cluster, problem: str) -> None:
    """Record a failed scan and schedule the next one with exponential backoff."""
    scan = InventoryScan.objects.select_for_update(of=("self",)).filter(pk=cluster.pk).first()
    if scan is None:
        return
    scan.failures = min(scan.failures + 1, 100)
    scan.error_message = problem
    pause = min(SCAN_INTERVAL * 2 ** min(scan.failures, 10), MAX_SCAN_BACKOFF)
    scan.next_scan_at = timezone.now() + pause
    scan.save(update_fields=["failures", "error_message", "next_scan_at"])


def on_job_finished(job: BackupJob, *, succeeded: bool) -> None:
    """Update inventory and coverage in the transaction that ends the job and locks the cluster."""
    backup = Backup.objects.select_related("cluster").get(pk=job.backup_id)
    if succeeded and job.job_type == JobKind.BACKUP:
        _add_collections_of(backup)
    if job.job_type == JobKind.RESTORE:
        InventoryScan.objects.filter(pk=job.cluster_id).update(next_scan_at=timezone.now())

        # After the commit, because the target's row is locked here. Two restores that also locked
        # each other's source would deadlock. A robust callback needs a name, which a partial lacks.
        def update_coverage_of_source() -> None:
            _lock_and_update_coverage(backup.cluster)

        transaction.on_commit(update_coverage_of_source, robust=True)
    else:
        update_coverage(backup.cluster_id)


def remove_deleted_clusters() -> int:
    """Delete the inventory of deleted clusters. Returns the number of deleted collections."""
    deleted = {"cluster__status": ServiceStatus.DELETED}
    InventoryScan.objects.filter(**deleted).delete()
    return batch_delete.remove(KnownCollection.objects.filter(**deleted))


def _add_collections_of(backup: Backup) -> None:
    """Add the collections of a new backup. The next scan removes those deleted since then."""
    known = KnownCollection.objects.filter(cluster=backup.cluster_id)
    if known.count() >= MAX_COLLECTIONS_PER_CLUSTER:
        return
    known_names = known.filter(db_name=backup.db_name).values_list("name", flat=True)
    names = {collection["name"] for collection in backup.collections} - set(known_names)
    keys = [(backup.db_name, name) for name in sorted(names)]
    _insert_rows(backup.cluster, keys, backup.created_at)


@transaction.atomic
def _lock_and_update_coverage(cluster: Cluster) -> None:
    if _lock_existing(cluster) and update_coverage(cluster.pk):
        changed(cluster.organization_id)


def _lock_existing(cluster: Cluster) -> bool:
    """Lock the cluster's row. Returns False if the cluster is deleted or being deleted."""
    return Cluster.objects.locked(cluster.pk).status not in ENDED


def _replace_rows(
    cluster: Cluster,
    known: Iterable[KnownCollection],
    keys: Sequence[CollectionKey],
    now: datetime,
) -> bool:
    """Returns True if a collection was added or removed."""
    pk_of_key = {(collection.db_name, collection.name): collection.pk for collection in known}
    listed = set(keys)
    removed = [pk for key, pk in pk_of_key.items() if key not in listed]
    kept = [pk for key, pk in pk_of_key.items() if key in listed]
    for pks in _in_batches(removed):
        KnownCollection.objects.filter(pk__in=pks).delete()
    for pks in _in_batches(kept):
        KnownCollection.objects.filter(pk__in=pks).update(seen_at=now)
    _insert_rows(cluster, [key for key in keys if key not in pk_of_key], now)
    return bool(removed) or any(key not in pk_of_key for key in keys)


def _insert_rows(cluster: Cluster, keys: Sequence[CollectionKey], seen_at: datetime) -> None:
    if not keys:
        return
    rows = (
        KnownCollection(
            organization_id=cluster.organization_id,
            cluster=cluster,
            db_name=db_name,
            name=name,
            first_seen_at=seen_at,
            seen_at=seen_at,
        )
        for db_name, name in keys
    )
    KnownCollection.objects.bulk_create(rows, batch_size=BATCH_SIZE, ignore_conflicts=True)
    observers.collections_added(KnownCollection.objects.filter(cluster=cluster))


def _in_batches(pks: Sequence[int]) -> Iterable[Sequence[int]]:
    return (pks[start : start + BATCH_SIZE] for start in range(0, len(pks), BATCH_SIZE))
