"""Which function does which kind of job, and what a job's end means for the backup: that is decided
in `_settled`, in the transaction that ends the task.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.utils import timezone

from backups.models import Backup, BackupJob
from backups.protection.inventory import follow_job
from backups.services import delete_backup, retry_job
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster
from clusters.states import TaskKind
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import Job, register
from vbase_console.tasks.states import TaskState


def register_all() -> None:
    for kind, run in RUNS.items():
        register(
            Job(
                kind=kind,
                run=run,
                settled=_settled,
                hold=_hold,
                undo=UNDOES.get(kind, _nothing_to_undo),
                must_finish=MUST_FINISH.get(kind, _never),
                cancellable=kind is not JobKind.DELETE,
                id_prefix="job",
                retry=_retry,
            )
        )


def _at_work(name: str) -> Callable[[Any], Any]:
    """A function of `backups.work`, imported by the first job: web, sweeper and beat start in half
    the time, and in half the memory, without it.
    """

    def called(attempt_or_task: Any) -> Any:
        return getattr(import_module("backups.work"), name)(attempt_or_task)

    return called


RUNS: dict[JobKind, Callable[[Attempt], None]] = {
    JobKind.BACKUP: _at_work("take"),
    JobKind.RESTORE: _at_work("bring_back"),
    JobKind.VERIFY: _at_work("verify"),
    JobKind.DELETE: _at_work("delete"),
}
UNDOES: dict[JobKind, Callable[[Attempt], None]] = {
    JobKind.BACKUP: _at_work("undo_take"),
    JobKind.RESTORE: _at_work("undo_bring_back"),
}
MUST_FINISH: dict[JobKind, Callable[[Task], bool]] = {
    JobKind.BACKUP: _at_work("take_must_finish"),
    JobKind.RESTORE: _at_work("bring_back_must_finish"),
}


def _nothing_to_undo(attempt: Attempt) -> None:
    """Verifying changes nothing, and a deletion only goes forward."""


def _never(task: Task) -> bool:
    return False


def _retry(task: Task, by: str) -> Task:
    jobs = BackupJob.objects.select_related("task", "backup", "cluster")
    return retry_job(jobs.get(task=task), by=by).task


def _hold(task: Task) -> None:
    """Lock the cluster's and the backup's rows, in this order, before the task's."""
    job = BackupJob.objects.select_related("backup").filter(task=task).first()
    if job is not None:
        Cluster.objects.select_for_update(of=("self",)).filter(pk=job.cluster_id).first()
        Backup.objects.select_for_update(of=("self",)).filter(pk=job.backup_id).first()


def _settled(task: Task) -> None:
    job = BackupJob.objects.select_related("backup").get(task=task)
    kind, state = JobKind(job.job_type), TaskState(task.state)
    changes: dict[str, object] = {"status": _status_after(kind, state, job.backup)}
    if kind is JobKind.RESTORE and state == TaskState.SUCCEEDED and task.checkpoint.get("proves"):
        changes["proven_at"] = timezone.now()
    if task.checkpoint.get("damaged") and state != TaskState.SUCCEEDED:
        changes |= {"verified_at": None, "proven_at": None, "damaged_by": task.task_id}
    if changes["status"] == BackupStatus.GONE:
        changes["deleted_at"] = timezone.now()
    Backup.objects.filter(pk=job.backup_id).update(**changes)
    follow_job(job, succeeded=state == TaskState.SUCCEEDED)
    if kind is JobKind.BACKUP and state == TaskState.SUCCEEDED:
        _go_with_its_cluster(job)


def _go_with_its_cluster(job: BackupJob) -> None:
    """Whoever deleted its cluster may have asked for the backups, too; this one was still being
    written then.
    """
    deletions = Task.objects.filter(subject_id=job.cluster_id, kind=TaskKind.DELETION)
    deletion = deletions.filter(arguments__delete_backups=True).first()
    if deletion is not None:
        delete_backup(job.backup, by=deletion.requested_by)


def _status_after(kind: JobKind, ended: TaskState, backup: Backup) -> BackupStatus:
    succeeded = ended == TaskState.SUCCEEDED
    if kind is JobKind.BACKUP:
        return BackupStatus.AVAILABLE if succeeded else BackupStatus.GONE
    if kind is JobKind.DELETE and succeeded:
        return BackupStatus.GONE
    return BackupStatus(backup.status)
