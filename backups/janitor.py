"""What the dead have left: found every minute, and cleared where it is certain.

Certain means: the row that it belongs to says that nobody can want it any more. What belongs to no
row is said and left alone, because it may be somebody's only copy. A row without its files is said
and verified, which finds it damaged, so that no retention counts on it. Nothing here touches a
tenant's collections: walking a restore back is the restore's own work, under its lock.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from backups.archive.layout import MANIFEST_NAME, delete_archive
from backups.connections import get_store, require_store
from backups.milvus.errors import MilvusError
from backups.models import Backup, BackupJob, BackupQuerySet
from backups.services.backups import retry_deletion, verify_backup
from backups.states import BackupStatus, JobKind
from backups.stores.base import EntryKind, StoreError
from clusters.drivers.base import DriverError
from clusters.states import ServiceStatus
from vbase_console.core.errors import ConsoleError
from vbase_console.tasks.models import Heartbeat, Task
from vbase_console.tasks.states import FINISHED

logger = logging.getLogger(__name__)

TEMPORARY_FILE_AGE = timedelta(hours=1)
STORE_SCAN_INTERVAL = timedelta(hours=1)
ROUND_TIMEOUT = timedelta(minutes=30)
"""A round that was killed keeps the next ones away no longer than this."""
BATCH_SIZE = 100
REQUESTED_BY = "janitor"


def clean_up() -> int:
    """One round at a time, however often it is asked for; answers how many things were cleared."""
    if not _taken("janitor", ROUND_TIMEOUT):
        return 0
    try:
        return _round()
    finally:
        Heartbeat.objects.filter(part="janitor").delete()


def _round() -> int:
    cleared = _swept()
    cleared += sum(_tidied(job) for job in _untidy())
    cleared += sum(_deleted_again(backup) for backup in _stuck())
    if _taken("store walk", STORE_SCAN_INTERVAL):
        cleared += look_through_the_store()
    return cleared


def _swept() -> int:
    try:
        return get_store().sweep(TEMPORARY_FILE_AGE)
    except StoreError as error:
        logger.warning("Temporary files stay for now: %s", error)
        return 0


def _taken(part: str, every: timedelta) -> bool:
    """Whether it is this caller's turn: nobody took it within that time."""
    now = timezone.now()
    _, created = Heartbeat.objects.get_or_create(part=part, defaults={"at": now})
    # An instant in the future was written before the clock was set back.
    due = Heartbeat.objects.filter(Q(at__lt=now - every) | Q(at__gt=now + every), part=part)
    return created or bool(due.update(at=now))


# -- what jobs have left --------------------------------------------------------------------------


def _untidy() -> list[BackupJob]:
    jobs = BackupJob.objects.select_related("task", "backup", "cluster")
    return list(jobs.filter(is_cleaned_up=False, task__state__in=FINISHED)[:BATCH_SIZE])


def _tidied(job: BackupJob) -> bool:
    try:
        if job.job_type == JobKind.BACKUP and job.backup.status == BackupStatus.GONE:
            delete_archive(get_store(), job.backup.directory)
        if _may_have_pins(job):
            _let_go(job)
    except (MilvusError, DriverError, StoreError, ConsoleError) as error:
        logger.warning("%s is not tidied up yet: %s", job.task.task_id, error)
        return False
    BackupJob.objects.filter(pk=job.pk).update(is_cleaned_up=True)
    return True


def _let_go(job: BackupJob) -> None:
    """Imported here: most rounds of the janitor find nothing."""
    from backups.capture.job import tidy

    tidy(job)


def _may_have_pins(job: BackupJob) -> bool:
    """A cluster that is gone has nothing left, and the other jobs never pin anything."""
    pins = job.job_type in (JobKind.BACKUP, JobKind.RESTORE)
    return pins and job.cluster.status != ServiceStatus.DELETED


def _stuck() -> list[Backup]:
    """Being deleted, and no job is at it: it failed, or was never written."""
    at_it = Task.objects.active().filter(kind=JobKind.DELETE).values("backup_job__backup")
    return list(
        Backup.objects.filter(status=BackupStatus.DELETING).exclude(pk__in=at_it)[:BATCH_SIZE]
    )


def _deleted_again(backup: Backup) -> bool:
    try:
        retry_deletion(backup, by=REQUESTED_BY)
    except ConsoleError:
        return False  # somebody else was at it first
    return True


# -- the store ------------------------------------------------------------------------------------


def look_through_the_store() -> int:
    """Orphans (files without a backup) and ghosts (backups without files).

    The rows are read first: a backup that is sealed meanwhile is then no ghost. Where the store is
    away as a whole, that is said once, and of no backup.
    """
    known = {row.directory: row for row in _rows().iterator()}
    try:
        if any(row.status == BackupStatus.AVAILABLE for row in known.values()):
            require_store()
        lying = _lying()
    except StoreError as error:
        logger.error("The backup store was not looked through: %s", error)
        return 0
    _say_orphans(lying.keys() - known.keys())
    _verify_ghosts(known, lying)
    gone = [known[each] for each in lying.keys() & known.keys()]
    return sum(_removed(row) for row in gone if row.status == BackupStatus.GONE)


def _rows() -> BackupQuerySet:
    fields = ("backup_id", "organization_id", "cluster_id", "name", "status", "damage_found_by")
    return Backup.objects.only(*fields).order_by()


def _lying() -> dict[str, bool]:
    """The directories of archives, and whether there is a manifest in each."""
    lying: dict[str, bool] = {}
    for entry in get_store().list(""):
        if entry.kind is EntryKind.EMPTY_DIRECTORY and "/" not in entry.key:
            continue  # of an organization whose last backup is gone
        directory = "/".join(entry.key.split("/")[:2])
        lying[directory] = lying.get(directory, False) or entry.key.endswith(f"/{MANIFEST_NAME}")
    return lying


def _say_orphans(directories: Iterable[str]) -> None:
    for directory in sorted(directories):
        if not Backup.objects.filter(pk=directory.rpartition("/")[2]).exists():
            logger.warning("The store holds %s, which no backup of this console knows.", directory)


def _verify_ghosts(known: dict[str, Backup], lying: dict[str, bool]) -> None:
    available = ((at, row) for at, row in known.items() if row.status == BackupStatus.AVAILABLE)
    ghosts = [(directory, row) for directory, row in available if not lying.get(directory)]
    for directory, row in ghosts:
        logger.error("The manifest of backup %s (%s) is gone.", row.name, directory)
    at_it = Task.objects.active().filter(kind=JobKind.VERIFY)
    asked = set(at_it.values_list("backup_job__backup", flat=True))
    unknown = [row for _, row in ghosts if not row.is_damaged and row.pk not in asked]
    for row in unknown[:BATCH_SIZE]:
        with contextlib.suppress(ConsoleError):  # it was deleted meanwhile
            verify_backup(row, by=REQUESTED_BY, limited=False)


def _removed(backup: Backup) -> bool:
    delete_archive(get_store(), backup.directory)
    return True
