"""Locks and preconditions of backups."""

from __future__ import annotations

from django.utils import timezone

from backups.models import Backup
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster
from vbase_console.core.errors import Aborted, FailedPrecondition
from vbase_console.tasks.models import Task

RETRY_AFTER_SECONDS = 5


def lock_backup(backup: Backup) -> Backup:
    """Lock the cluster's row and then the backup's row. This order avoids deadlocks."""
    Cluster.objects.locked(backup.cluster_id)
    locked = Backup.objects.select_for_update(of=("self",)).select_related("cluster")
    return locked.get(pk=backup.pk)


def require_available(backup: Backup) -> None:
    if backup.status == BackupStatus.CREATING:
        task = user_of(backup)
        by = f" by {task.task_id}" if task else ""
        raise Aborted(
            f"{backup.name} is still being written{by}. Wait until it is AVAILABLE.",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    if backup.status == BackupStatus.DELETING:
        raise FailedPrecondition(f"{backup.name} is being deleted.")
    if backup.status == BackupStatus.GONE:
        raise FailedPrecondition(f"{backup.name} is deleted, or its job did not finish.")


def refuse_while_used(backup: Backup) -> None:
    """Raise Aborted if a job writes the backup or restores from it, or a client downloads it."""
    if backup.status in (BackupStatus.DELETING, BackupStatus.GONE):
        raise FailedPrecondition(f"{backup.name} is being deleted.")
    task = user_of(backup)
    if task is not None:
        raise Aborted(
            f"{task.task_id} ({task.kind}) uses {backup.name}. Wait until it has finished, or "
            "cancel it.",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    if backup.downloads.filter(expires_at__gt=timezone.now()).exists():
        raise Aborted(
            f"{backup.name} is being downloaded. Wait until the download has ended.",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )


def user_of(backup: Backup) -> Task | None:
    users = Task.objects.active().filter(
        backup_job__backup=backup, kind__in=[JobKind.BACKUP, JobKind.RESTORE]
    )
    return users.first()
