"""Jobs that were asked for: cancelled, or asked for once more."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction

from backups import observers
from backups.models import Backup, BackupJob
from backups.services.backups import BackupRequest, accept_backup, delete_again, verify_backup
from backups.services.restores import RestoreRequest, accept_restore, wish_for
from backups.states import JobKind, OnConflict
from clusters.models import Cluster
from vbase_console.core.errors import Aborted
from vbase_console.tasks import services as tasks


@transaction.atomic
def cancel_job(job: BackupJob, *, by: str) -> BackupJob:
    tasks.request_cancel(job.task, by=by)
    return job


@transaction.atomic
def retry_job(job: BackupJob, *, by: str) -> BackupJob:
    """Ask again for what a failed or cancelled job should have done; the same rules hold. What a
    cluster itself would say is left to the job: nobody waits for a server with rows locked.
    """
    Cluster.objects.locked(job.cluster_id)
    job.task.refresh_from_db()
    tasks.check_retryable(job.task)
    again = _RETRY[JobKind(job.job_type)](job, by)
    observers.job_retried(job, again)
    return again


def _back_up_again(job: BackupJob, by: str) -> BackupJob:
    """Of a policy's job the names stay as given: none, where it takes all that there are."""
    if active := observers.active_run_of(job.policy_id):
        raise Aborted(
            f"{active} of the same policy is still running. Wait until it has finished.",
            retry_after_seconds=5,
        )
    backup = Backup(
        organization_id=job.organization_id,
        cluster=job.cluster,
        name=job.backup.name,
        db_name=job.db_name,
        policy_id=job.policy_id,
        requested_collections=job.backup.requested_collections,
    )
    request = BackupRequest(backup=backup, collection_names=job.collection_names)
    options = {name: job.options[name] for name in job.options if name == "on_missing"}
    return accept_backup(request, by=by, retry_of=job.task.task_id, options=options)


def _restore_again(job: BackupJob, by: str) -> BackupJob:
    options = {"on_conflict": OnConflict.FAIL, "suffix": ""} | job.options
    wish = wish_for(job.backup, job.db_name, job.collection_names, **options)
    request = RestoreRequest(backup=job.backup, target=job.cluster, wish=wish)
    return accept_restore(request, by=by, retry_of=job.task.task_id)


def _verify_again(job: BackupJob, by: str) -> BackupJob:
    return verify_backup(job.backup, by=by, retry_of=job.task.task_id)


def _delete_again(job: BackupJob, by: str) -> BackupJob:
    return delete_again(job.backup, by=by, retry_of=job.task.task_id)


_RETRY: dict[JobKind, Callable[[BackupJob, str], BackupJob]] = {
    JobKind.BACKUP: _back_up_again,
    JobKind.RESTORE: _restore_again,
    JobKind.VERIFY: _verify_again,
    JobKind.DELETE: _delete_again,
}
