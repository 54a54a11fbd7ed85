"""Which function does which kind of job, and what a job's end means for the backup: that is decided
in `_settled`, in the transaction that ends the task.
"""

from __future__ import annotations

from django.utils import timezone

from backups.archive.damage import Finding
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
    for kind in JobKind:
        register(
            Job(
                kind=kind,
                run=_run,
                settled=_settled,
                hold=_hold,
                undo=_undo,
                must_finish=_must_finish,
                cancellable=kind is not JobKind.DELETE,
                id_prefix="job",
                retry=_retry,
            )
        )


# The work is imported with the first job: see docs/adr/0014-what-reads-rows-is-imported-late.md.


def _run(attempt: Attempt) -> None:
    from backups import work

    work.RUNS[JobKind(attempt.task.kind)](attempt)


def _undo(attempt: Attempt) -> None:
    from backups import work

    undo = work.UNDOES.get(JobKind(attempt.task.kind))
    if undo is not None:
        undo(attempt)


def _must_finish(task: Task) -> bool:
    from backups import work

    must_finish = work.MUST_FINISH.get(JobKind(task.kind))
    return must_finish is not None and must_finish(task)


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
    if changes["status"] == BackupStatus.GONE:
        changes["deleted_at"] = timezone.now()
    backup = Backup.objects.filter(pk=job.backup_id)
    backup.update(**changes)
    if task.checkpoint.get("damaged") and state != TaskState.SUCCEEDED:
        found = [Finding(**each) for each in task.checkpoint.get("findings", ())]
        backup.mark_damaged(by=task.task_id, findings=found or [Finding("", task.message)])
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
        delete_backup(job.backup, by=deletion.requested_by, limited=False)


def _status_after(kind: JobKind, ended: TaskState, backup: Backup) -> BackupStatus:
    succeeded = ended == TaskState.SUCCEEDED
    if kind is JobKind.BACKUP:
        return BackupStatus.AVAILABLE if succeeded else BackupStatus.GONE
    if kind is JobKind.DELETE and succeeded:
        return BackupStatus.GONE
    return BackupStatus(backup.status)
