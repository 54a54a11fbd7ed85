"""What the dead have left in stores and clusters: found every minute, cleared where it is certain.

Certain means: the row that it belongs to says that nobody can want it any more. What belongs to no
row is said and left alone, because it may be somebody's only copy.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from celery import shared_task

from backups import capture, restore
from backups.archive.manifest import MANIFEST_NAME
from backups.archive.writer import delete_archive
from backups.hands import get_store
from backups.milvus.errors import MilvusError
from backups.models import Backup, BackupJob
from backups.services import delete_again
from backups.states import BackupStatus, JobKind
from backups.stores.base import Entry, StoreError
from clusters.states import ServiceStatus
from vbase_console.errors import ConsoleError
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import FINISHED

logger = logging.getLogger(__name__)

TEMPORARY_FOR = timedelta(hours=1)
AT_ONCE = 100
BY = "janitor"


@shared_task(name="vbase.sweep.janitor")
def sweep_janitor() -> int:
    """Answers how many things were cleared."""
    cleared = get_store().sweep(TEMPORARY_FOR)
    cleared += sum(_tidied(job) for job in _untidy())
    cleared += sum(_deleted_again(backup) for backup in _stuck())
    return cleared + _look_through_the_store()


def _untidy() -> list[BackupJob]:
    jobs = BackupJob.objects.select_related("task", "backup", "cluster")
    return list(jobs.filter(is_tidy=False, task__state__in=FINISHED)[:AT_ONCE])


def _tidied(job: BackupJob) -> bool:
    """Drop what an ended job has left in its cluster; a cluster that is gone has nothing left."""
    if job.cluster.status == ServiceStatus.DELETED or job.job_type not in _UNDO:
        BackupJob.objects.filter(pk=job.pk).update(is_tidy=True)
        return False
    try:
        _UNDO[job.job_type](job)
    except (MilvusError, StoreError, ConsoleError) as error:
        logger.warning("%s is not tidied up yet: %s", job.task.task_id, error)
        return False
    return True


def _tidy_backup(job: BackupJob) -> None:
    """The files of a backup that succeeded are the backup; only its pins can be too many."""
    if job.backup.status == BackupStatus.GONE:
        capture.undo(job, _alone)
    else:
        capture.tidy(job)


_UNDO: dict[str, Callable[[BackupJob], None]] = {
    JobKind.BACKUP: _tidy_backup,
    JobKind.RESTORE: lambda job: restore.undo(job, _alone),
}


def _alone() -> None:
    """The job has ended: nobody else acts for it."""


def _stuck() -> list[Backup]:
    """Being deleted, and no job is at it: it failed, or was never written."""
    at_it = Task.objects.active().filter(kind=JobKind.DELETE).values("backup_job__backup")
    return list(Backup.objects.filter(status=BackupStatus.DELETING).exclude(pk__in=at_it)[:AT_ONCE])


def _deleted_again(backup: Backup) -> bool:
    try:
        delete_again(backup, by=BY)
    except ConsoleError:
        return False  # its job came to its end after all
    return True


def _look_through_the_store() -> int:
    """Orphans (files without a backup) and ghosts (backups without files)."""
    lying = {entry.key.rpartition("/")[0] for entry in get_store().list("") if _is_manifest(entry)}
    known = {backup.directory: backup for backup in Backup.objects.all()}
    for directory in sorted(lying - known.keys()):
        logger.warning("The store holds %s, which no backup of this console knows.", directory)
    for directory in sorted(known.keys() - lying):
        if known[directory].status == BackupStatus.AVAILABLE:
            logger.error("The files of backup %s (%s) are gone.", known[directory], directory)
    gone = [known[directory] for directory in lying & known.keys()]
    return sum(_removed(backup) for backup in gone if backup.status == BackupStatus.GONE)


def _is_manifest(entry: Entry) -> bool:
    return entry.key.endswith(f"/{MANIFEST_NAME}")


def _removed(backup: Backup) -> bool:
    delete_archive(get_store(), backup.directory)
    return True
