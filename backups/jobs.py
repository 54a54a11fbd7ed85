"""Registration of the job kinds. The functions that do the work are imported with the first
job; `outcomes.settle` decides what a job's end means for its backup.
"""

from __future__ import annotations

from backups.models import Backup, BackupJob
from backups.outcomes import settle
from backups.services.jobs import retry_job
from backups.states import JobKind
from clusters.models import Cluster
from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import Job, register


def register_all() -> None:
    for kind in JobKind:
        register(
            Job(
                kind=kind,
                run=_run,
                settled=settle,
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
    from backups import archive_jobs

    archive_jobs.RUNS[JobKind(attempt.task.kind)](attempt)


def _undo(attempt: Attempt) -> None:
    from backups import archive_jobs

    undo = archive_jobs.UNDOES.get(JobKind(attempt.task.kind))
    if undo is not None:
        undo(attempt)


def _must_finish(task: Task) -> bool:
    from backups import archive_jobs

    must_finish = archive_jobs.MUST_FINISH.get(JobKind(task.kind))
    return must_finish is not None and must_finish(task)


def _retry(task: Task, by: str) -> Task:
    jobs = BackupJob.objects.select_related("task", "backup", "cluster")
    return retry_job(jobs.get(task=task), by=by).task


def _hold(task: Task) -> None:
    """Lock the cluster's and the backup's rows, in this order, before the task's."""
    job = BackupJob.objects.select_related("backup").filter(task=task).first()
    if job is not None:
        Cluster.objects.locked(job.cluster_id)
        Backup.objects.select_for_update(of=("self",)).filter(pk=job.backup_id).first()
