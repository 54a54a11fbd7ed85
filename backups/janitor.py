"""Periodic cleanup: remove leftovers of finished jobs (temporary files, snapshots, deleted
archives).

Only leftovers whose row shows that they are unused are removed. Files without a row are logged and
kept, because they may be the only copy. A backup without files is logged and verified, so that
retention does not count on it. Collections of a tenant are not touched: a restore undoes its own
changes, under its lock.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from backups.archive.damage import ArchiveDamaged
from backups.archive.layout import MANIFEST_NAME, delete_archive
from backups.connections import get_store, open_archive, require_store
from backups.milvus.errors import MilvusError
from backups.models import Backup, BackupJob
from backups.services.backups import retry_deletion, verify_backup
from backups.states import IMPORT_TIMEOUT, BackupStatus, JobKind
from backups.stores.base import EntryKind, StoreError, is_check
from clusters.drivers.base import DriverError
from clusters.states import ServiceStatus
from vbase_console.core.errors import ConsoleError
from vbase_console.organizations.versions import changed
from vbase_console.tasks.models import Heartbeat, Task
from vbase_console.tasks.states import FINISHED

logger = logging.getLogger(__name__)

TEMPORARY_FILE_AGE = timedelta(hours=1)
STORE_SCAN_INTERVAL = timedelta(hours=1)
ROUND_TIMEOUT = timedelta(minutes=30)
"""A round that was killed blocks later rounds for at most this time."""
BATCH_SIZE = 100
REQUESTED_BY = "janitor"


def clean_up() -> int:
    """Run one round unless another one is running. Returns the number of removed leftovers."""
    if not _claim("janitor", ROUND_TIMEOUT):
        return 0
    try:
        removed = _remove_temporary_files()
        jobs = BackupJob.objects.select_related("task", "backup", "cluster")
        finished = jobs.of_real_organizations().filter(
            is_cleaned_up=False, task__state__in=FINISHED
        )
        removed += sum(_clean_job(job) for job in list(finished[:BATCH_SIZE]))
        removed += _retry_deletions()
        removed += _remove_dead_imports()
        if _claim("store walk", STORE_SCAN_INTERVAL):
            removed += scan_store()
        return removed
    finally:
        Heartbeat.objects.filter(part="janitor").delete()


def _claim(part: str, every: timedelta) -> bool:
    """Claim a periodic part. Returns False if it was claimed within `every`."""
    now = timezone.now()
    _, created = Heartbeat.objects.get_or_create(part=part, defaults={"at": now})
    # An instant in the future was written before the clock was set back.
    due = Heartbeat.objects.filter(Q(at__lt=now - every) | Q(at__gt=now + every), part=part)
    return created or bool(due.update(at=now))


def _remove_temporary_files() -> int:
    try:
        return get_store().sweep(TEMPORARY_FILE_AGE)
    except StoreError as error:
        logger.warning("temporary files not removed, will be retried: %s", error)
        return 0


def _clean_job(job: BackupJob) -> bool:
    # a deleted cluster has no snapshots and no temporary loads
    pins = job.job_type in (JobKind.BACKUP, JobKind.RESTORE)
    may_have_pins = pins and job.cluster.status != ServiceStatus.DELETED
    try:
        if job.job_type == JobKind.BACKUP and job.backup.status == BackupStatus.GONE:
            delete_archive(get_store(), job.backup.directory)
        if may_have_pins:
            from backups.capture.job import clean_up as release_pins  # most rounds need none

            release_pins(job)
    except (MilvusError, DriverError, StoreError, ConsoleError) as error:
        logger.warning("%s: cleanup failed, will be retried: %s", job.task.task_id, error)
        return False
    BackupJob.objects.filter(pk=job.pk).update(is_cleaned_up=True)
    return True


def _retry_deletions() -> int:
    active = Task.objects.active().filter(kind=JobKind.DELETE).values("backup_job__backup")
    deleting = Backup.objects.of_real_organizations().filter(status=BackupStatus.DELETING)
    retried = 0
    for backup in list(deleting.exclude(pk__in=active)[:BATCH_SIZE]):
        with contextlib.suppress(ConsoleError):  # a concurrent request was faster
            retry_deletion(backup, by=REQUESTED_BY)
            retried += 1
    return retried


def _remove_dead_imports() -> int:
    """Remove backups of `import_backup` whose command was killed. A backup with a job is none."""
    alive = Heartbeat.objects.filter(at__gte=timezone.now() - IMPORT_TIMEOUT).values("part")
    creating = Backup.objects.of_real_organizations().filter(status=BackupStatus.CREATING)
    removed = 0
    for backup in list(creating.filter(jobs=None).exclude(pk__in=alive)[:BATCH_SIZE]):
        unfinished = Backup.objects.filter(pk=backup.pk, status=BackupStatus.CREATING)
        if unfinished.update(status=BackupStatus.GONE, deleted_at=timezone.now()):
            changed(backup.organization_id)
            Heartbeat.objects.filter(part=backup.pk).delete()
            removed += _delete_archive(backup.directory)
    return removed


def scan_store() -> int:
    """Compare the store with the rows: orphans are files without a backup, ghosts are backups
    without files. Returns the number of deleted archives and parts.

    Rows are read first, so that a backup that is sealed meanwhile is no ghost. If the whole store
    is unavailable, one error is logged and no backup is reported.
    """
    fields = ("backup_id", "organization_id", "cluster_id", "name", "status", "damage_found_by")
    rows = Backup.objects.of_real_organizations().only(*fields).order_by()
    known = {row.directory: row for row in rows.iterator()}
    try:
        if any(row.status == BackupStatus.AVAILABLE for row in known.values()):
            require_store()
        archives = _archives()
    except StoreError as error:
        logger.error("backup store not scanned: %s", error)
        return 0
    for directory in sorted(archives.keys() - known.keys()):
        if not Backup.objects.filter(pk=directory.rpartition("/")[2]).exists():
            logger.warning("%s: orphaned archive, left unchanged", directory)
    _verify_ghosts(known, archives)
    deleted = [at for at in archives.keys() & known.keys() if known[at].status == BackupStatus.GONE]
    return sum(map(_delete_archive, deleted)) + _delete_late_parts(archives)


def _delete_archive(directory: str) -> bool:
    try:
        delete_archive(get_store(), directory)
    except StoreError as error:
        logger.warning("%s: archive not deleted, will be retried: %s", directory, error)
        return False
    return True


@dataclasses.dataclass
class _Files:
    """Files of an archive in the store."""

    count: int = 0
    has_manifest: bool = False


def _archives() -> dict[str, _Files]:
    """Map the directory of each archive to its files."""
    archives: dict[str, _Files] = collections.defaultdict(_Files)
    for entry in get_store().list(""):
        if is_check(entry.key) or (
            entry.kind is EntryKind.EMPTY_DIRECTORY and "/" not in entry.key
        ):
            continue  # a check of the store, or the directory of an organization without backups
        files = archives["/".join(entry.key.split("/")[:2])]
        files.count += 1
        files.has_manifest |= entry.key.endswith(f"/{MANIFEST_NAME}")
    return dict(archives)


def _delete_late_parts(archives: dict[str, _Files]) -> int:
    """Delete parts that reached the store after the seal of their archive.

    Only a store that does not publish at once may receive them. Archives with as many files as
    parts and a manifest are not read.
    """
    if get_store().publishes_at_once:
        return 0
    fields = (
        "backup_id",
        "organization_id",
        "manifest_sha256",
        "collections",
        "origin_backup_id",
        "origin_organization_id",
    )
    available = Backup.objects.of_real_organizations().available().only(*fields).order_by()
    deleted = 0
    for backup in available.iterator():
        listed = 1 + sum(collection["parts"] for collection in backup.collections)
        files = archives.get(backup.directory)
        if files is not None and files.count > listed:
            deleted += _delete_unlisted_parts(backup)
    return deleted


def _delete_unlisted_parts(backup: Backup) -> int:
    """Import the reader late, because most rounds find nothing to delete."""
    from backups.archive.leftovers import delete_unlisted_parts

    try:
        manifest = open_archive(backup).manifest
        return delete_unlisted_parts(get_store(), backup.directory, manifest)
    except (StoreError, ArchiveDamaged) as error:
        logger.warning("%s: late parts not deleted, will be retried: %s", backup.directory, error)
        return 0


def _verify_ghosts(known: dict[str, Backup], archives: dict[str, _Files]) -> None:
    available = ((at, row) for at, row in known.items() if row.status == BackupStatus.AVAILABLE)
    ghosts = [
        (directory, row)
        for directory, row in available
        if directory not in archives or not archives[directory].has_manifest
    ]
    for directory, row in ghosts:
        logger.error("%s: manifest of backup %s is missing, verifying", directory, row.name)
    active = Task.objects.active().filter(kind=JobKind.VERIFY)
    verifying = set(active.values_list("backup_job__backup", flat=True))
    unknown = [row for _, row in ghosts if not row.is_damaged and row.pk not in verifying]
    for row in unknown[:BATCH_SIZE]:
        with contextlib.suppress(ConsoleError):  # the backup was deleted meanwhile
            verify_backup(row, by=REQUESTED_BY, limited=False)
