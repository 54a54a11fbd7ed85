"""Whether backups and clusters allow what is asked now: their rows are held, then looked at."""

from __future__ import annotations

from backups.models import Backup
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster
from vbase_console.core.errors import Aborted, FailedPrecondition
from vbase_console.tasks.models import Task

RETRY_AFTER_SECONDS = 5


def hold_backup(backup: Backup) -> Backup:
    """The cluster's row first, as everybody does: a job's row names both."""
    Cluster.objects.locked(backup.cluster_id)
    locked = Backup.objects.select_for_update(of=("self",)).select_related("cluster")
    return locked.get(pk=backup.pk)


def require_available(backup: Backup) -> None:
    if backup.status == BackupStatus.CREATING:
        raise Aborted(_still_written(backup), retry_after_seconds=RETRY_AFTER_SECONDS)
    if backup.status == BackupStatus.DELETING:
        raise FailedPrecondition(f"{backup.name} is being deleted.")
    if backup.status == BackupStatus.GONE:
        raise FailedPrecondition(f"{backup.name} is deleted, or was never finished.")


def refuse_while_used(backup: Backup) -> None:
    """A backup that is written or restored from stays; a refusal names the job in the way."""
    if backup.status in (BackupStatus.DELETING, BackupStatus.GONE):
        raise FailedPrecondition(f"{backup.name} is being deleted.")
    task = user_of(backup)
    if task is not None:
        raise Aborted(
            f"{task.task_id} ({task.kind}) uses {backup.name}; wait for its end or cancel it.",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )


def user_of(backup: Backup) -> Task | None:
    """The job that writes it or restores from it, and has not ended."""
    users = Task.objects.active().filter(
        backup_job__backup=backup, kind__in=[JobKind.BACKUP, JobKind.RESTORE]
    )
    return users.first()


def _still_written(backup: Backup) -> str:
    task = user_of(backup)
    by = f" by {task.task_id}" if task else ""
    return f"{backup.name} is still being written{by}; wait until it is AVAILABLE."
