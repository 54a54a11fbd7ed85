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
import itertools
import logging
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from backups.archive.damage import ArchiveDamaged
from backups.archive.layout import MANIFEST_NAME, delete_archive
from backups.connections import get_store, open_archive, require_store
from backups.milvus.errors import MilvusError
from backups.models import Backup, BackupJob, StoreScan
from backups.services.backups import retry_deletion, verify_backup
from backups.states import IMPORT_TIMEOUT, BackupStatus, JobKind
from backups.stores.base import EntryKind, StoreError, is_check
from clusters.drivers.base import DriverError
from clusters.states import ServiceStatus
from vbase_console.core.errors import ConsoleError
from vbase_console.core.log_lines import printable
from vbase_console.organizations.versions import changed
from vbase_console.tasks.models import Heartbeat, Task
from vbase_console.tasks.states import FINISHED

logger = logging.getLogger(__name__)

TEMPORARY_FILE_AGE = timedelta(hours=1)
STORE_SCAN_INTERVAL = timedelta(hours=1)
ROUND_TIMEOUT = timedelta(minutes=30)
"""A round that was killed blocks later rounds for at most this time."""
BATCH_SIZE = 100
READ_BATCH_SIZE = 500
MAX_SCANNED = 50_000
"""Entries of the store that a round lists, so that a round of a large store ends soon."""
SCANNED_FIELDS = ("backup_id", "organization_id", "cluster_id", "name", "status", "damage_found_by")
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
    """Compare a part of the store with the rows: orphans are files without a backup, ghosts are
    backups without files. Returns the number of deleted archives and parts.

    The next round continues behind this part. If the store is unavailable, one error is logged and
    no backup is reported.
    """
    scan, _ = StoreScan.objects.get_or_create(store=settings.BACKUP_STORE)
    available = Backup.objects.of_real_organizations().available()
    try:
        if available.exists():
            require_store()
        part = _next_part(scan.position)
        found = _rows_of(part)
        _log_orphans(part, found)
        has_more_ghosts = _verify_ghosts(part)
    except StoreError as error:
        logger.error("backup store not scanned: %s", error)
        return 0
    gone = [row.directory for row in found.values() if row.status == BackupStatus.GONE]
    deleted = sum(map(_delete_archive, gone)) + _delete_late_parts(part, found)
    if not has_more_ghosts:
        scan.move(part.last_key)
    return deleted


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


@dataclasses.dataclass(kw_only=True)
class _Part:
    """Archives of a part of the store, each complete."""

    after: str
    """Key behind which the part begins; empty: at the beginning of the store."""
    archives: dict[str, _Files]
    """Directory → files."""
    last_key: str
    """Last key of the part; empty: the part ends with the store."""

    def lacks(self, directory: str) -> bool:
        """Tell whether the part covers the directory and contains no manifest of it."""
        key = f"{directory}/"
        is_covered = key > self.after and (not self.last_key or key <= self.last_key)
        return is_covered and not self.archives.get(directory, _Files()).has_manifest


def _next_part(after: str) -> _Part:
    """List complete archives behind `after` until the limit of entries is reached."""
    archives: dict[str, _Files] = collections.defaultdict(_Files)
    last_key, last_directory = "", ""
    for number, entry in enumerate(get_store().list("", after=after)):
        if is_check(entry.key) or (
            entry.kind is EntryKind.EMPTY_DIRECTORY and "/" not in entry.key
        ):
            continue  # a check of the store, or the directory of an organization without backups
        directory = "/".join(entry.key.split("/")[:2])
        if number >= MAX_SCANNED and directory != last_directory:
            return _Part(after=after, archives=dict(archives), last_key=last_key)
        files = archives[directory]
        files.count += 1
        files.has_manifest |= entry.key.endswith(f"/{MANIFEST_NAME}")
        # Some stores list directories before files.
        last_key = max(last_key, entry.key) if directory == last_directory else entry.key
        last_directory = directory
    return _Part(after=after, archives=dict(archives), last_key="")


def _rows_of(part: _Part) -> dict[str, Backup]:
    """Map directories of the part to their backups, in batches, without the contents."""
    rows = Backup.objects.of_real_organizations().only(*SCANNED_FIELDS)
    found = (row for ids in _batches(part.archives) for row in rows.filter(pk__in=ids))
    return {row.directory: row for row in found if row.directory in part.archives}


def _batches(directories: Collection[str]) -> Iterator[list[str]]:
    """Yield the backup ids of directories in batches for one statement each. Names of foreign
    directories that no database stores are left out.
    """
    names = (directory.rpartition("/")[2] for directory in directories)
    ids = sorted(name for name in names if name.isascii() and name.isprintable())
    for start in range(0, len(ids), READ_BATCH_SIZE):
        yield ids[start : start + READ_BATCH_SIZE]


def _log_orphans(part: _Part, found: Mapping[str, Backup]) -> None:
    unknown = part.archives.keys() - found.keys()
    existing: set[str] = set()
    for ids in _batches(unknown):
        existing.update(Backup.objects.filter(pk__in=ids).values_list("pk", flat=True))
    for directory in sorted(unknown):
        if directory.rpartition("/")[2] not in existing:
            logger.warning("%s: orphaned archive, left unchanged", printable(directory))


def _delete_late_parts(part: _Part, found: Mapping[str, Backup]) -> int:
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
    for ids in _batches(found):
        for backup in available.filter(pk__in=ids).iterator():
            listed = 1 + sum(collection["parts"] for collection in backup.collections)
            files = part.archives.get(backup.directory)
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


def _verify_ghosts(part: _Part) -> bool:
    """Verify backups of the part whose manifest is missing. Returns True if more are left."""
    active = Task.objects.active().filter(kind=JobKind.VERIFY).values("backup_job__backup")
    available = Backup.objects.of_real_organizations().available().order_by()
    unknown = available.filter(damage_found_by="").exclude(pk__in=active)
    missing = [row for row in unknown.only(*SCANNED_FIELDS).iterator() if part.lacks(row.directory)]
    # A backup that was sealed after the listing has a manifest.
    ghosts = (
        row for row in missing if get_store().size(f"{row.directory}/{MANIFEST_NAME}") is None
    )
    for row in itertools.islice(ghosts, BATCH_SIZE):
        logger.error("%s: manifest of backup %s is missing, verifying", row.directory, row.name)
        with contextlib.suppress(ConsoleError):  # the backup was deleted meanwhile
            verify_backup(row, by=REQUESTED_BY, limited=False)
    return next(ghosts, None) is not None
