"""Registration of the job kinds.

The functions that do the work are imported by the first job: see
docs/adr/0014-what-reads-rows-is-imported-late.md.
"""

from __future__ import annotations

from functools import partial

from backups.models import Backup, BackupJob
from backups.outcomes import cancel_effect, settle
from backups.services.jobs import retry_job
from backups.states import JOB_ID_PREFIX, JobKind
from clusters.models import Cluster
from vbase_console.organizations.scopes import CREATE_BACKUP, DELETE_BACKUP, RESTORE_BACKUP
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import Job, register


def register_all() -> None:
    job = partial(
        Job,
        settled=settle,
        hold=_hold,
        retry=_retry,
        cancel_effect=cancel_effect,
        id_prefix=JOB_ID_PREFIX,
    )
    register(
        job(
            kind=JobKind.BACKUP,
            scope=CREATE_BACKUP,
            handler="backups.archive_jobs.back_up",
            undo="backups.archive_jobs.undo_back_up",
            must_finish="backups.capture.job.must_finish",
        )
    )
    register(
        job(
            kind=JobKind.RESTORE,
            scope=RESTORE_BACKUP,
            handler="backups.archive_jobs.restore",
            undo="backups.archive_jobs.undo_restore",
            must_finish="backups.restore.job.must_finish",
        )
    )
    register(job(kind=JobKind.VERIFY, scope=CREATE_BACKUP, handler="backups.archive_jobs.verify"))
    register(
        job(
            kind=JobKind.DELETE,
            scope=DELETE_BACKUP,
            handler="backups.archive_jobs.delete",
            cancellable=False,
        )
    )


def _retry(task: Task, by: str) -> Task:
    jobs = BackupJob.objects.select_related("task", "backup", "cluster")
    return retry_job(jobs.get(task=task), by=by).task


def _hold(task: Task) -> None:
    """Lock the rows of the cluster and then of the backup, before the task's.

    The end of a restore of a clone may cancel the others, so it locks the backups of all of them,
    in the order in which the request for the clone does.
    """
    job = BackupJob.objects.filter(task=task).first()
    if job is None:
        return
    Cluster.objects.locked(job.cluster_id)
    jobs = BackupJob.objects.filter(pk=job.pk)
    if job.fills_new_cluster:
        jobs = BackupJob.objects.filter(cluster=job.cluster_id, options__fills_new_cluster=True)
    backups = Backup.objects.select_for_update(of=("self",)).filter(pk__in=jobs.values("backup"))
    list(backups.order_by("pk").values_list("pk"))
